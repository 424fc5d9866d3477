/* What the window *Import a Checkpoint* shows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-import-panel.h"

#include "ui/dim-disk.h"
#include "ui/dim-foot.h"
#include "ui/dim-i18n.h"
#include "ui/dim-import-form.h"
#include "ui/dim-models.h"
#include "ui/dim-refuse.h"

#define POLL_MILLISECONDS 100
#define READING_SHARE 0.8 /* of the bar; trying the model out has the rest */

enum
{
  SIGNAL_CLOSE,
  SIGNAL_IMPORTED,
  N_SIGNALS
};

struct _DimImportPanel
{
  GtkBox         parent;
  DimImportForm *form;
  DimFoot       *foot;
  DimModelInfo  *info;   /* of the files that were looked at, or NULL and */
  GError        *fault;  /* why not; NULL as well: none are chosen */
  char          *looked; /* the files, to see whether they are others now */
  DimImportJob  *job;    /* NULL: none runs */
  char          *target; /* of the job */
  guint          timer;
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimImportPanel, dim_import_panel, GTK_TYPE_BOX)

/* ---- what it would be ---- */

static void
forget (DimImportPanel *panel)
{
  dim_model_info_free (&panel->info);
  g_clear_error (&panel->fault);
  g_clear_pointer (&panel->looked, g_free);
}

/* Only where the files are others: a name is typed letter by letter. */
static void
look (DimImportPanel *panel, const DimImportRequest *request)
{
  g_autofree char *files
      = g_strjoin ("\n", request->checkpoint, request->autoencoder, request->classes, NULL);

  if (g_strcmp0 (files, panel->looked) == 0)
    return;
  forget (panel);
  panel->looked = g_steal_pointer (&files);
  if (*request->checkpoint)
    panel->info = dim_import_request_look (request, &panel->fault);
  dim_import_form_show (panel->form, panel->info);
}

static gboolean
check_disk (gint64 copies, GError **error)
{
  g_autofree char *folder = dim_models_folder ();
  g_autofree char *needed = g_format_size (copies);
  g_autofree char *free = NULL;
  gint64           left = dim_disk_free (folder);

  if (copies == 0 || left < 0 || left > copies)
    return TRUE;
  free = g_format_size (left);
  return dim_refuse (error, DIM_ERROR_FILE,
                     _ ("The files are copied to %s: that takes %s, and %s are free."), folder,
                     needed, free);
}

/* What importing and using it takes. */
static char *
estimate_text (const DimModelInfo *info, gint64 copies)
{
  DimParams        params;
  DimEstimate      estimate;
  g_autofree char *memory = NULL, *bytes = g_format_size (copies);
  g_autofree char *disk = copies > 0 ? g_strdup_printf (_ ("%s are copied."), bytes)
                                     : g_strdup (_ ("The files are linked, not copied."));

  dim_params_init (&params, info);
  dim_estimate (info, &params, &estimate);
  memory = g_format_size (estimate.bytes);
  return g_strdup_printf (_ ("A picture of %d × %d takes about %s of memory. %s"), params.width,
                          params.height, memory, disk);
}

/* Answers the folder of the model to be, and tells what it takes; or NULL, and tells why. g_free.
 */
static char *
settle (DimImportPanel *panel, const DimImportRequest *request)
{
  g_autoptr (GError) error = NULL;
  gint64           copies = dim_import_request_copies (request);
  g_autofree char *target = NULL, *text = NULL;

  look (panel, request);
  if (panel->info)
    target = dim_import_request_target (request, panel->info, &error);
  if (target && !check_disk (copies, &error))
    g_clear_pointer (&target, g_free);
  if (target)
    text = estimate_text (panel->info, copies);
  else if (error || panel->fault)
    text = dim_text_clean (error ? error->message : panel->fault->message);
  else
    text = g_strdup (_ ("Choose the file of a published model."));
  dim_foot_show_estimate (panel->foot, text, target != NULL, 0, 0);
  return g_steal_pointer (&target);
}

static void
on_changed (DimImportPanel *panel)
{
  DimImportRequest request;

  dim_import_form_read (panel->form, &request);
  dim_foot_show_message (panel->foot, NULL);
  g_free (settle (panel, &request));
  dim_import_request_clear (&request);
}

/* ---- the job ---- */

static void
on_imported (DimImportPanel *panel)
{
  DimModelInfo    *info = dim_model_info_read (panel->target, NULL);
  g_autofree char *name = dim_text_clean (info ? info->name : panel->target);
  g_autofree char *news
      = g_strdup_printf (_ ("“%s” is imported, and computes as it should."), name);

  dim_model_info_free (&info);
  dim_foot_show_news (panel->foot, news);
  g_signal_emit (panel, signals[SIGNAL_IMPORTED], 0, panel->target, news);
}

static void
on_ended (DimImportPanel *panel)
{
  g_autoptr (GError) error = NULL;
  gboolean done = dim_import_job_finish (&panel->job, &error);

  gtk_widget_set_sensitive (GTK_WIDGET (panel->form), TRUE);
  dim_foot_set_running (panel->foot, FALSE);
  forget (panel); /* the files may have changed */
  on_changed (panel);
  if (done)
    on_imported (panel);
  else if (g_error_matches (error, DIM_ERROR, DIM_ERROR_CANCELLED))
    dim_foot_show_news (panel->foot, _ ("Stopped. Nothing is left of it."));
  else
    dim_foot_show_message (panel->foot, error->message);
}

static gboolean
on_timer (gpointer data)
{
  DimImportPanel *panel = data;
  double          progress = dim_import_job_progress (panel->job);

  dim_foot_set_progress (panel->foot, READING_SHARE * progress,
                         progress < 1 ? _ ("reading the weights") : _ ("trying it out"));
  if (!dim_import_job_ended (panel->job))
    return G_SOURCE_CONTINUE;
  panel->timer = 0;
  g_object_ref (panel); /* who hears of it may destroy it */
  on_ended (panel);
  g_object_unref (panel);
  return G_SOURCE_REMOVE;
}

static void
on_start (DimImportPanel *panel)
{
  DimImportRequest request;

  dim_import_form_read (panel->form, &request);
  g_free (panel->target);
  panel->target = settle (panel, &request);
  if (panel->target)
    {
      dim_foot_show_message (panel->foot, NULL);
      gtk_widget_set_sensitive (GTK_WIDGET (panel->form), FALSE);
      dim_foot_set_running (panel->foot, TRUE);
      gtk_widget_grab_focus (dim_foot_generate (panel->foot));
      panel->job = dim_import_job_new (&request, panel->target);
      panel->timer = g_timeout_add (POLL_MILLISECONDS, on_timer, panel);
    }
  dim_import_request_clear (&request);
}

static void
on_stop (DimImportPanel *panel)
{
  dim_import_job_cancel (panel->job);
}

static void
on_close (DimImportPanel *panel)
{
  g_signal_emit (panel, signals[SIGNAL_CLOSE], 0);
}

/* ---- the object ---- */

static void
dim_import_panel_map (GtkWidget *widget)
{
  DimImportPanel *panel = DIM_IMPORT_PANEL (widget);

  GTK_WIDGET_CLASS (dim_import_panel_parent_class)->map (widget);
  gtk_widget_grab_default (dim_foot_generate (panel->foot));
  gtk_widget_grab_focus (dim_import_form_checkpoint (panel->form));
}

/* A job that runs is stopped, which takes a moment. */
static void
dim_import_panel_dispose (GObject *object)
{
  DimImportPanel *panel = DIM_IMPORT_PANEL (object);

  g_clear_handle_id (&panel->timer, g_source_remove);
  if (panel->job)
    {
      dim_import_job_cancel (panel->job);
      dim_import_job_finish (&panel->job, NULL);
    }
  G_OBJECT_CLASS (dim_import_panel_parent_class)->dispose (object);
}

static void
dim_import_panel_finalize (GObject *object)
{
  DimImportPanel *panel = DIM_IMPORT_PANEL (object);

  forget (panel);
  g_free (panel->target);
  G_OBJECT_CLASS (dim_import_panel_parent_class)->finalize (object);
}

static void
dim_import_panel_class_init (DimImportPanelClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);

  object->dispose = dim_import_panel_dispose;
  object->finalize = dim_import_panel_finalize;
  GTK_WIDGET_CLASS (klass)->map = dim_import_panel_map;
  signals[SIGNAL_CLOSE]
      = g_signal_new ("close", DIM_TYPE_IMPORT_PANEL, G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, 0, NULL,
                      NULL, NULL, G_TYPE_NONE, 0);
  signals[SIGNAL_IMPORTED]
      = g_signal_new ("imported", DIM_TYPE_IMPORT_PANEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_STRING);
  gtk_binding_entry_add_signal (gtk_binding_set_by_class (klass), GDK_KEY_Escape, 0, "close", 0);
}

static void
dim_import_panel_init (DimImportPanel *panel)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (panel), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (panel), 12);
  gtk_container_set_border_width (GTK_CONTAINER (panel), 12);
}

DimImportPanel *
dim_import_panel_new (void)
{
  DimImportPanel *panel = g_object_new (DIM_TYPE_IMPORT_PANEL, NULL);

  panel->form = dim_import_form_new ();
  panel->foot = dim_foot_new ();
  dim_foot_set_action (panel->foot, _ ("Im_port"));
  gtk_box_pack_start (GTK_BOX (panel), GTK_WIDGET (panel->form), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (panel), GTK_WIDGET (panel->foot), FALSE, FALSE, 0);
  g_signal_connect_swapped (panel->form, "changed", G_CALLBACK (on_changed), panel);
  g_signal_connect_swapped (panel->foot, "generate", G_CALLBACK (on_start), panel);
  g_signal_connect_swapped (panel->foot, "stop", G_CALLBACK (on_stop), panel);
  g_signal_connect_swapped (panel->foot, "close", G_CALLBACK (on_close), panel);
  gtk_widget_show_all (GTK_WIDGET (panel));
  on_changed (panel);
  return panel;
}
