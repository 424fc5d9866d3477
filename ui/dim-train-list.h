/* The trainings there are: a row for each, with what can be done about it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signals, with the training's folder (const char *): "watch" (of one at work),
 * "resume", "discard" (a person has said so twice). */
#ifndef DIM_TRAIN_LIST_H
#define DIM_TRAIN_LIST_H

#include <gtk/gtk.h>

#include "engine/dim.h"

G_BEGIN_DECLS

#define DIM_TYPE_TRAIN_LIST (dim_train_list_get_type ())
G_DECLARE_FINAL_TYPE (DimTrainList, dim_train_list, DIM, TRAIN_LIST, GtkBox)

DimTrainList *dim_train_list_new (void);

/* Looks again. The first folder where a training is at work, or NULL; g_free. */
char *dim_train_list_refresh (DimTrainList *list);

/* How far it is, for people; g_free. */
char *dim_train_state_text (const DimTraining *training);

G_END_DECLS
#endif
