/* What a training is to be: base model, new class, pictures, time, and where the model goes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signal "changed": a person changed something. */
#ifndef DIM_TRAIN_FORM_H
#define DIM_TRAIN_FORM_H

#include <gtk/gtk.h>

#include "ui/dim-train-start.h"

G_BEGIN_DECLS

#define DIM_TYPE_TRAIN_FORM (dim_train_form_get_type ())
G_DECLARE_FINAL_TYPE (DimTrainForm, dim_train_form, DIM, TRAIN_FORM, GtkGrid)

/* n_layers: pictures that the open image has; 0: none. */
DimTrainForm *dim_train_form_new (int n_layers);

/* The model that learns: a name or a folder; "" or one that is not there: the default model. */
void dim_train_form_set_model (DimTrainForm *form, const char *model);
/* For the next training: the class, its pictures and the model's name are asked for anew. */
void dim_train_form_clear (DimTrainForm *form);

/* Initialises *request. Answers the model, borrowed; NULL: none is installed. */
const DimModelInfo *dim_train_form_read (DimTrainForm *form, DimTrainRequest *request);

GtkWidget *dim_train_form_name (DimTrainForm *form); /* the field to begin with */

G_END_DECLS
#endif
