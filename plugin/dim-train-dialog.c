/* The window *Train a Class*.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-train-dialog.h"

#include "plugin/dim-window.h"

DimTrainPanel *
dim_train_dialog_open (const DimDialogHost *host, GtkWindow *parent, const char *model)
{
  DimTrainPanel *panel = dim_train_panel_new (&host->layers);
  GtkWidget     *window = parent != NULL
                              ? dim_window_new_above (parent, DIM_TRAIN_TITLE, GTK_WIDGET (panel))
                              : dim_window_new (DIM_TRAIN_TITLE, GTK_WIDGET (panel));

  dim_train_panel_set_model (panel, model);
  gtk_widget_realize (window);
  if (parent == NULL)
    host->adopt (GTK_WINDOW (window));
  gtk_widget_show_all (window);
  return panel;
}

static void
on_trained (GtkWidget *panel, const char *model, const char *class_name, char **trained)
{
  g_free (*trained);
  *trained = g_strdup (model);
}

char *
dim_train_dialog_run (const DimDialogHost *host, const char *model)
{
  DimTrainPanel *panel = dim_train_dialog_open (host, NULL, model);
  GMainLoop     *loop = g_main_loop_new (NULL, FALSE);
  char          *trained = g_strdup ("");

  g_signal_connect_swapped (panel, "close", G_CALLBACK (g_main_loop_quit), loop);
  g_signal_connect (panel, "trained", G_CALLBACK (on_trained), &trained);
  g_main_loop_run (loop);
  dim_window_destroy (gtk_widget_get_toplevel (GTK_WIDGET (panel)));
  g_main_loop_unref (loop);
  return trained;
}
