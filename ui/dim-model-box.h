/* The model's row: a combo of the installed models, and a button that tells what the chosen one is.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signals "picked" (int index): a person chose this one of the models; "popup": the list opens, the
 * moment to look for models that have come since. */
#ifndef DIM_MODEL_BOX_H
#define DIM_MODEL_BOX_H

#include <gtk/gtk.h>

#include "ui/dim-models.h"

G_BEGIN_DECLS

#define DIM_TYPE_MODEL_BOX (dim_model_box_get_type ())
G_DECLARE_FINAL_TYPE (DimModelBox, dim_model_box, DIM, MODEL_BOX, GtkBox)

DimModelBox *dim_model_box_new (void);

/* Shows the models, `index` being the present one; -1: there is none. */
void dim_model_box_show (DimModelBox *box, const DimModels *models, int index);

GtkWidget *dim_model_box_combo (DimModelBox *box); /* for a label's mnemonic */

G_END_DECLS
#endif
