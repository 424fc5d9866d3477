/* The window *Train a Class*: the same for both hosts, GTK 3 without libgimp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_DIALOG_H
#define DIM_TRAIN_DIALOG_H

#include "plugin/dim-dialog.h"
#include "ui/dim-train-panel.h"

G_BEGIN_DECLS

#define DIM_TRAIN_TITLE "Train a Class"

/* Shows the window and answers its panel, whose signals "close" and "trained" the caller waits for.
 * `parent`: the window that it belongs to; NULL: the host's. Destroy its toplevel; trainings go on.
 */
DimTrainPanel *dim_train_dialog_open (const DimDialogHost *host, GtkWindow *parent,
                                      const char *model);

/* The same until the window is closed. The folder of the model of the training that was done last
 * meanwhile, or "": none was; g_free. */
char *dim_train_dialog_run (const DimDialogHost *host, const char *model);

G_END_DECLS
#endif
