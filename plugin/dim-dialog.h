/* The window round the panel, and a generation in it: the same for both hosts, GTK 3 without
 * libgimp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_DIALOG_H
#define DIM_DIALOG_H

#include <gtk/gtk.h>

#include "plugin/dim-arguments.h"
#include "plugin/dim-job.h"
#include "ui/dim-train-start.h"

G_BEGIN_DECLS

/* What the host does for the window. */
typedef struct
{
  void (*adopt) (GtkWindow *window); /* puts the realized window above the host's */
  void (*progress) (double fraction, const char *text);
  DimTrainLayers layers; /* the open image's, to train a class with */
} DimDialogHost;

/* Shows the panel with these arguments and returns when a picture is there: TRUE, and *arguments is
 * what was chosen; or when the window was closed: DIM_ERROR_CANCELLED. A run that fails or is
 * stopped leaves the window open. canvas_width and canvas_height: the image's, 0 without one. */
gboolean dim_dialog_run (const DimDialogHost *host, const char *title, DimArguments *arguments,
                         int canvas_width, int canvas_height, DimPicture *picture, GError **error);

G_END_DECLS
#endif
