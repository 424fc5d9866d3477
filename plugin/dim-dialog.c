/* The window round the panel: starts and stops the job, and polls it from a timer.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-dialog.h"

#include "plugin/dim-train-dialog.h"
#include "plugin/dim-window.h"
#include "ui/dim-import-panel.h"
#include "ui/dim-panel.h"

#define POLL_MILLISECONDS 100
#define IMPORT_TITLE "Import a Checkpoint"

typedef struct
{
  const DimDialogHost *host;
  GtkWidget           *window;
  DimPanel            *panel;
  GMainLoop           *loop;
  DimJob              *job;
  DimPicture          *picture;
  guint                timer;   /* while a run goes on */
  gboolean             noticed; /* what the job had to say of the run is shown */
  gboolean             done;
} DimDialog;

/* Once a run, as it is read aloud; it stays when the run is stopped. */
static void
show_notice (DimDialog *dialog)
{
  g_autofree char *notice = dialog->noticed ? NULL : dim_job_notice (dialog->job);

  if (notice == NULL)
    return;
  dim_panel_show_message (dialog->panel, notice);
  dialog->noticed = TRUE;
}

/* A run that ended without a picture: the settings are back, and say why. */
static void
back_to_settings (DimDialog *dialog, const GError *error)
{
  dim_panel_set_running (dialog->panel, FALSE);
  if (!g_error_matches (error, DIM_ERROR, DIM_ERROR_CANCELLED))
    dim_panel_show_message (dialog->panel, error->message);
}

static gboolean
poll_job (gpointer data)
{
  DimDialog *dialog = data;
  GError    *error = NULL;
  char       text[80];
  double     fraction = dim_job_progress (dialog->job, text, sizeof text);

  dim_panel_set_progress (dialog->panel, fraction, text);
  dialog->host->progress (fraction, text);
  show_notice (dialog);
  if (!dim_job_wait (dialog->job, 0))
    return G_SOURCE_CONTINUE;
  dialog->timer = 0;
  dialog->done = dim_job_take (dialog->job, dialog->picture, &error);
  if (dialog->done)
    g_main_loop_quit (dialog->loop);
  else
    back_to_settings (dialog, error);
  g_clear_error (&error);
  return G_SOURCE_REMOVE;
}

static void
on_generate (DimPanel *panel, DimDialog *dialog)
{
  DimRecipe recipe;

  dim_panel_get_recipe (panel, &recipe);
  dim_panel_show_message (panel, NULL);
  dim_panel_set_running (panel, TRUE);
  dialog->noticed = FALSE;
  dim_job_start (dialog->job, &recipe);
  dim_recipe_clear (&recipe);
  dialog->timer = g_timeout_add (POLL_MILLISECONDS, poll_job, dialog);
}

static void
on_stop (DimPanel *panel, DimDialog *dialog)
{
  dim_job_cancel (dialog->job);
}

static void
on_close (DimPanel *panel, DimDialog *dialog)
{
  g_main_loop_quit (dialog->loop);
}

static void
close_above (GtkWidget *content)
{
  gtk_widget_destroy (gtk_widget_get_toplevel (content));
}

static void
on_training_closed (GtkWidget *training, DimDialog *dialog)
{
  close_above (training);
  dim_panel_refresh_models (dialog->panel);
}

static void
on_trained (GtkWidget *training, const char *model, const char *class_name, DimDialog *dialog)
{
  close_above (training);
  dim_panel_choose (dialog->panel, model, class_name);
}

/* No loop of its own: this may come from assistive technology, whose calls would then wait. */
static void
on_train (DimPanel *panel, DimDialog *dialog)
{
  g_autofree char *model = NULL;
  DimTrainPanel   *training;

  g_object_get (panel, "model", &model, NULL);
  training = dim_train_dialog_open (dialog->host, GTK_WINDOW (dialog->window), model);
  g_signal_connect (training, "close", G_CALLBACK (on_training_closed), dialog);
  g_signal_connect (training, "trained", G_CALLBACK (on_trained), dialog);
}

static void
on_imported (GtkWidget *import, const char *folder, const char *news, DimDialog *dialog)
{
  dim_panel_choose (dialog->panel, folder, "");
  dim_panel_show_news (dialog->panel, news);
  close_above (import);
}

static void
on_import (DimPanel *panel, DimDialog *dialog)
{
  GtkWidget *import = GTK_WIDGET (dim_import_panel_new ());
  GtkWidget *window = dim_window_new_above (GTK_WINDOW (dialog->window), IMPORT_TITLE, import);

  g_signal_connect (import, "close", G_CALLBACK (close_above), NULL);
  g_signal_connect (import, "imported", G_CALLBACK (on_imported), dialog);
  gtk_widget_show_all (window);
}

static GtkWidget *
make_window (DimDialog *dialog, const char *title)
{
  g_signal_connect (dialog->panel, "generate", G_CALLBACK (on_generate), dialog);
  g_signal_connect (dialog->panel, "stop", G_CALLBACK (on_stop), dialog);
  g_signal_connect (dialog->panel, "close", G_CALLBACK (on_close), dialog);
  g_signal_connect (dialog->panel, "train", G_CALLBACK (on_train), dialog);
  g_signal_connect (dialog->panel, "import", G_CALLBACK (on_import), dialog);
  return dim_window_new (title, GTK_WIDGET (dialog->panel));
}

gboolean
dim_dialog_run (const DimDialogHost *host, const char *title, DimArguments *arguments,
                int canvas_width, int canvas_height, DimPicture *picture, GError **error)
{
  DimDialog dialog = { .host = host, .picture = picture };

  dialog.panel = dim_panel_new (canvas_width, canvas_height);
  dialog.window = make_window (&dialog, title);
  dialog.loop = g_main_loop_new (NULL, FALSE);
  dialog.job = dim_job_new ();
  /* The panel's properties are named as the arguments are. */
  dim_arguments_to_object (arguments, G_OBJECT (dialog.panel));

  gtk_widget_realize (dialog.window);
  host->adopt (GTK_WINDOW (dialog.window));
  gtk_widget_show_all (dialog.window);
  g_main_loop_run (dialog.loop);

  /* Closing in the middle of a run stops it. */
  if (dialog.timer != 0)
    g_source_remove (dialog.timer);
  dim_job_free (&dialog.job);
  if (!dialog.done)
    g_set_error_literal (error, DIM_ERROR, DIM_ERROR_CANCELLED, "Closed");
  else if (!dim_arguments_from_object (arguments, dim_arguments, DIM_N_ARGUMENTS,
                                       G_OBJECT (dialog.panel), error))
    {
      dim_picture_clear (picture);
      dialog.done = FALSE;
    }
  dim_window_destroy (dialog.window);
  g_main_loop_unref (dialog.loop);
  return dialog.done;
}
