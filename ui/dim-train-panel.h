/* What the window *Train a Class* shows in both GIMP hosts: GTK 3, no libgimp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The trainings there are, the form for a new one, and a foot as DimPanel's. A training is a
 * process of its own that goes on without this window; here it is started, watched, stopped,
 * resumed and removed. One that is at work when the panel is made is watched at once.
 *
 * Signals: "close"; "trained" (const char *model, const char *class_name): the training that was
 * watched is done, and the model's folder is there.
 *
 * Widget names, by which tests find the controls, in reading order: train-show train-resume
 * train-remove (of each row of train-list), model model-info, train-name, train-from-folder
 * train-folder train-browse, train-from-layers, train-rights, train-minutes, train-output,
 * train-license, train-watch (while one is watched); and the foot's: message message-dismiss,
 * estimate, progress, close generate (Start, or Stop). */
#ifndef DIM_TRAIN_PANEL_H
#define DIM_TRAIN_PANEL_H

#include <gtk/gtk.h>

#include "ui/dim-train-start.h"

G_BEGIN_DECLS

#define DIM_TYPE_TRAIN_PANEL (dim_train_panel_get_type ())
G_DECLARE_FINAL_TYPE (DimTrainPanel, dim_train_panel, DIM, TRAIN_PANEL, GtkBox)

/* The open image's layers; copied, but for its data, which outlives the panel. */
DimTrainPanel *dim_train_panel_new (const DimTrainLayers *layers);

/* The model that learns: a name or a folder, "" for the default one. */
void dim_train_panel_set_model (DimTrainPanel *panel, const char *model);

G_END_DECLS
#endif
