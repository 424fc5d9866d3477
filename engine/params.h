/* What a sampler is made from: parameters, checked and measured against a model.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_PARAMS_H
#define DIM_PARAMS_H

#include "workspace.h"

enum { DIM_STEPS_MAX = 10000, DIM_UPSAMPLE_MAX = 64 };

/* The rest of model.json is checked when it is read; this is what only sampling needs. */
gboolean dim_params_check_model(const DimModelSpec *spec, GError **error);
/* dim_params_check for a model that is loaded on `dk`: `held` bytes of what is needed are taken
 * already. A card's memory is looked at in the machine's place. */
gboolean dim_params_check_held(const DimParams *params, const DimModelInfo *info,
                               const DkDevice *dk, gint64 held, GError **error);

/* These take params that were checked. */
gboolean dim_params_schedule(const DimModelSpec *spec, DimSchedule *schedule, GError **error);
/* FALSE: the grid is too large for any memory. */
gboolean dim_params_shape(const DimModelSpec *spec, const DimParams *params, DimShape *shape);
void dim_params_prompt(const DimModelSpec *spec, const DimParams *params, DimPrompt *prompt);

#endif
