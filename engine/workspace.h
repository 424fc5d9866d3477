/* All that a run keeps on the device, measured before it is taken.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_WORKSPACE_H
#define DIM_WORKSPACE_H

#include "grid.h"
#include "method.h"
#include "pass.h"

typedef struct {
    DimArena arena;
    DimPass pass, small_pass; /* the small one only with upsample guidance, and so the last three */
    DkTensor x;               /* [1, C, h, w] */
    DkTensor kept[DIM_METHOD_KEPT_MAX];
    DkTensor z;                   /* [1, C, h, w]; only where the method adds noise */
    DimPass solo, small_solo;     /* unguided; only where guidance has an interval */
    DkTensor small_x, small_work; /* [1, C, h / m, w / m] */
    DkTensor spread;              /* [1, C, h, w] */
    DkTensor rolled, joined;      /* [1, C, h, w], only of a seamless picture, and so the next */
    DkTensor from, back;          /* [h w] */
    /* Only of a picture in windows: one of x, [1, C, window], what the windows answer and say of
     * the variance, [1, C, h, w], and where a window's numbers are from, [window], and go, [h w].
     */
    DkTensor window, whole, variance, window_from, window_back;
} DimWorkspace;

/* What decides about a run's size. */
typedef struct {
    const DimModelSpec *spec;
    const DimMethod *method;
    DimGrid grid;
    int batch;                          /* 2: guided */
    double guidance_low, guidance_high; /* where: at tc within; 0 and 1 with a batch of 1 */
} DimShape;

/* Of the evaluation at tc: 2 where it is guided, else 1. */
int dim_shape_batch(const DimShape *shape, double tc);
/* Whether there may be evaluations of both. */
gboolean dim_shape_is_partly_guided(const DimShape *shape);

/* Bytes that dim_workspace_open would take; -1 and an error where it could not. */
gint64 dim_workspace_measure(const DimShape *shape, GError **error);
gboolean dim_workspace_open(DimWorkspace *workspace, const DimShape *shape, DkDevice *dk,
                            DimNet *net, GError **error);
void dim_workspace_close(DimWorkspace *workspace); /* takes one that is closed */

#endif
