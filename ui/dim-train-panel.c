/* What the window *Train a Class* shows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-train-panel.h"

#include "ui/dim-disk.h"
#include "ui/dim-foot.h"
#include "ui/dim-i18n.h"
#include "ui/dim-refuse.h"
#include "ui/dim-train-form.h"
#include "ui/dim-train-list.h"

#define POLL_MILLISECONDS 500 /* the process speaks once a second */
#define LIST_POLLS 4

enum
{
  SIGNAL_CLOSE,
  SIGNAL_TRAINED,
  N_SIGNALS
};

struct _DimTrainPanel
{
  GtkBox         parent;
  DimTrainLayers layers;
  DimTrainList  *list;
  DimTrainForm  *form;
  GtkWidget     *stack, *watch;
  DimFoot       *foot;
  guint          timer;
  int            polls;
  char          *run;      /* the training that is watched, or NULL */
  gboolean       stopping; /* a person has asked it to stop */
  double         fraction; /* shown: the bar never moves back */
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimTrainPanel, dim_train_panel, GTK_TYPE_BOX)

/* ---- what a training will take ---- */

static gboolean
check_disk (gint64 disk, GError **error)
{
  g_autofree char *folder = dim_training_root ();
  gint64           left = dim_disk_free (folder);

  return left < 0 || left > disk
         || dim_refuse (error, DIM_ERROR_FILE,
                        _ ("A training takes %.0f MB on the disk, and %.0f MB are free."),
                        disk * 1e-6, left * 1e-6);
}

static void
show_estimate (DimTrainPanel *panel)
{
  g_autoptr (GError) error = NULL;
  g_autofree char    *text = NULL;
  DimTrainRequest     request;
  const DimModelInfo *info = dim_train_form_read (panel->form, &request);
  gint64              disk, memory;
  gboolean            ready = FALSE;

  if (!info)
    text = g_strdup (_ ("No model is installed."));
  else
    {
      dim_training_needs (info, &disk, &memory);
      ready
          = dim_train_check (&request, info, panel->layers.n, &error) && check_disk (disk, &error);
      text = ready ? g_strdup_printf (_ ("About %g minutes, %.1f GB of memory meanwhile, and %.0f "
                                         "MB on the disk."),
                                      request.minutes, memory * 1e-9, disk * 1e-6)
                   : dim_text_clean (error->message);
    }
  dim_foot_show_estimate (panel->foot, text, ready, 0, 0);
  dim_train_request_clear (&request);
}

/* ---- watching ---- */

static void
watch (DimTrainPanel *panel, const char *run)
{
  g_autofree char *id = g_path_get_basename (run);
  g_autofree char *clean = dim_text_clean (id);
  g_autofree char *text = g_strdup_printf (
      _ ("“%s” is being trained.\n\nIt goes on when this window is closed, and when GIMP is; this "
         "window, opened again, shows it. Stop keeps what was learnt so far: Resume goes on from "
         "there."),
      clean);

  g_free (panel->run);
  panel->run = g_strdup (run);
  panel->stopping = FALSE;
  panel->fraction = 0;
  gtk_label_set_text (GTK_LABEL (panel->watch), text);
  gtk_stack_set_visible_child_name (GTK_STACK (panel->stack), "watch");
  dim_foot_show_message (panel->foot, NULL);
  dim_foot_set_running (panel->foot, TRUE);
  if (gtk_widget_get_mapped (GTK_WIDGET (panel)))
    gtk_widget_grab_focus (dim_foot_generate (panel->foot));
}

static void
unwatch (DimTrainPanel *panel, const char *message)
{
  g_clear_pointer (&panel->run, g_free);
  gtk_stack_set_visible_child_name (GTK_STACK (panel->stack), "settings");
  dim_foot_set_running (panel->foot, FALSE);
  dim_foot_show_message (panel->foot, message);
  g_free (dim_train_list_refresh (panel->list));
  show_estimate (panel);
}

static void
on_done (DimTrainPanel *panel, const DimTraining *training)
{
  const char      *class_name = training->class_name ? training->class_name : "";
  g_autofree char *id = g_path_get_basename (training->model ? training->model : "");
  g_autofree char *text
      = g_strdup_printf (_ ("“%s” is learnt: the model “%s” has it."), class_name, id);

  dim_train_form_clear (panel->form);
  unwatch (panel, NULL);
  dim_foot_show_news (panel->foot, text);
  if (training->model)
    g_signal_emit (panel, signals[SIGNAL_TRAINED], 0, training->model, class_name);
}

/* What could not even begin is put right in the form, which still has it. */
static void
on_failed (DimTrainPanel *panel, const DimTraining *training)
{
  const char      *what = training->message ? training->message : _ ("The training has failed.");
  g_autofree char *clean = dim_text_clean (what);

  if (!training->can_resume)
    dim_training_remove (training->folder, NULL);
  unwatch (panel, panel->stopping && !training->can_resume ? NULL : clean);
}

static void
show_progress (DimTrainPanel *panel, const DimTraining *training)
{
  g_autofree char *text = dim_train_state_text (training);

  if (training->fraction > panel->fraction)
    panel->fraction = training->fraction;
  dim_foot_set_progress (panel->foot, panel->fraction, text);
}

static void
follow (DimTrainPanel *panel)
{
  g_autoptr (GError) error = NULL;
  DimTraining *training = dim_training_read (panel->run, &error);

  if (!training)
    unwatch (panel, error->message);
  else if (training->state == DIM_TRAINING_DONE)
    on_done (panel, training);
  else if (training->state == DIM_TRAINING_STOPPED)
    {
      unwatch (panel, NULL);
      dim_foot_show_news (panel->foot, _ ("Stopped. Resume goes on from there."));
    }
  else if (training->state == DIM_TRAINING_FAILED)
    on_failed (panel, training);
  else
    show_progress (panel, training);
  dim_training_free (&training);
}

static gboolean
on_timer (gpointer data)
{
  DimTrainPanel *panel = g_object_ref (data); /* who hears that it is done may destroy it */

  if (panel->run)
    follow (panel);
  else if (++panel->polls % LIST_POLLS == 0)
    g_free (dim_train_list_refresh (panel->list));
  g_object_unref (panel);
  return G_SOURCE_CONTINUE;
}

/* ---- what a person does ---- */

static void
on_start (DimTrainPanel *panel)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *run = NULL;
  DimTrainRequest  request;

  dim_train_form_read (panel->form, &request);
  run = dim_train_start (&request, &panel->layers, NULL, &error);
  dim_train_request_clear (&request);
  if (run)
    watch (panel, run);
  else
    dim_foot_show_message (panel->foot, error->message);
}

static void
on_stop (DimTrainPanel *panel)
{
  g_autoptr (GError) error = NULL;

  panel->stopping = TRUE;
  if (!dim_training_stop (panel->run, &error))
    dim_foot_show_message (panel->foot, error->message);
}

static void
on_resume (DimTrainPanel *panel, const char *run)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_strdup (run);

  if (dim_train_resume (folder, NULL, &error))
    watch (panel, folder);
  else
    dim_foot_show_message (panel->foot, error->message);
}

static void
on_remove (DimTrainPanel *panel, const char *run)
{
  g_autoptr (GError) error = NULL;

  dim_training_remove (run, &error);
  dim_foot_show_message (panel->foot, error ? error->message : NULL);
  g_free (dim_train_list_refresh (panel->list));
  show_estimate (panel);
}

static void
on_close (DimTrainPanel *panel)
{
  g_signal_emit (panel, signals[SIGNAL_CLOSE], 0);
}

/* ---- the object ---- */

static void
dim_train_panel_map (GtkWidget *widget)
{
  DimTrainPanel *panel = DIM_TRAIN_PANEL (widget);

  GTK_WIDGET_CLASS (dim_train_panel_parent_class)->map (widget);
  gtk_widget_grab_default (dim_foot_generate (panel->foot));
  gtk_widget_grab_focus (panel->run ? dim_foot_generate (panel->foot)
                                    : dim_train_form_name (panel->form));
}

static void
dim_train_panel_dispose (GObject *object)
{
  g_clear_handle_id (&DIM_TRAIN_PANEL (object)->timer, g_source_remove);
  G_OBJECT_CLASS (dim_train_panel_parent_class)->dispose (object);
}

static void
dim_train_panel_finalize (GObject *object)
{
  g_free (DIM_TRAIN_PANEL (object)->run);
  G_OBJECT_CLASS (dim_train_panel_parent_class)->finalize (object);
}

static void
dim_train_panel_class_init (DimTrainPanelClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);

  object->dispose = dim_train_panel_dispose;
  object->finalize = dim_train_panel_finalize;
  GTK_WIDGET_CLASS (klass)->map = dim_train_panel_map;
  signals[SIGNAL_CLOSE]
      = g_signal_new ("close", DIM_TYPE_TRAIN_PANEL, G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, 0, NULL,
                      NULL, NULL, G_TYPE_NONE, 0);
  signals[SIGNAL_TRAINED]
      = g_signal_new ("trained", DIM_TYPE_TRAIN_PANEL, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                      G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_STRING);
  gtk_binding_entry_add_signal (gtk_binding_set_by_class (klass), GDK_KEY_Escape, 0, "close", 0);
}

static void
dim_train_panel_init (DimTrainPanel *panel)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (panel), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (panel), 12);
  gtk_container_set_border_width (GTK_CONTAINER (panel), 12);
}

static GtkWidget *
new_watch (DimTrainPanel *panel)
{
  panel->watch = gtk_label_new (NULL);
  gtk_widget_set_name (panel->watch, "train-watch");
  gtk_label_set_xalign (GTK_LABEL (panel->watch), 0);
  gtk_label_set_yalign (GTK_LABEL (panel->watch), 0);
  gtk_label_set_line_wrap (GTK_LABEL (panel->watch), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (panel->watch), 50);
  return panel->watch;
}

/* The list is part of the settings: while one is watched, the others wait. */
static void
add_stack (DimTrainPanel *panel)
{
  GtkWidget *settings = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);

  gtk_box_pack_start (GTK_BOX (settings), GTK_WIDGET (panel->list), FALSE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (settings), GTK_WIDGET (panel->form), FALSE, TRUE, 0);
  panel->stack = gtk_stack_new ();
  gtk_stack_add_named (GTK_STACK (panel->stack), settings, "settings");
  gtk_stack_add_named (GTK_STACK (panel->stack), new_watch (panel), "watch");
  gtk_box_pack_start (GTK_BOX (panel), panel->stack, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (panel), GTK_WIDGET (panel->foot), FALSE, FALSE, 0);
}

static void
connect_signals (DimTrainPanel *panel)
{
  g_signal_connect_swapped (panel->form, "changed", G_CALLBACK (show_estimate), panel);
  g_signal_connect_swapped (panel->list, "watch", G_CALLBACK (watch), panel);
  g_signal_connect_swapped (panel->list, "resume", G_CALLBACK (on_resume), panel);
  g_signal_connect_swapped (panel->list, "discard", G_CALLBACK (on_remove), panel);
  g_signal_connect_swapped (panel->foot, "generate", G_CALLBACK (on_start), panel);
  g_signal_connect_swapped (panel->foot, "stop", G_CALLBACK (on_stop), panel);
  g_signal_connect_swapped (panel->foot, "close", G_CALLBACK (on_close), panel);
}

DimTrainPanel *
dim_train_panel_new (const DimTrainLayers *layers)
{
  DimTrainPanel   *panel = g_object_new (DIM_TYPE_TRAIN_PANEL, NULL);
  g_autofree char *working = NULL;

  panel->layers = *layers;
  panel->list = dim_train_list_new ();
  panel->form = dim_train_form_new (layers->n);
  panel->foot = dim_foot_new ();
  dim_foot_set_action (panel->foot, _ ("S_tart"));
  add_stack (panel);
  connect_signals (panel);
  gtk_widget_show_all (GTK_WIDGET (panel));
  show_estimate (panel);
  working = dim_train_list_refresh (panel->list);
  if (working)
    {
      watch (panel, working);
      follow (panel);
    }
  panel->timer = g_timeout_add (POLL_MILLISECONDS, on_timer, panel);
  return panel;
}

void
dim_train_panel_set_model (DimTrainPanel *panel, const char *model)
{
  dim_train_form_set_model (panel->form, model);
  show_estimate (panel);
}
