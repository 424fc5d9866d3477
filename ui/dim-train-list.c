/* The trainings there are.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-train-list.h"

#include <math.h>

#include "ui/dim-i18n.h"

#define HEIGHT_MOST 110 /* pixels; more trainings scroll */

enum
{
  SIGNAL_SHOW,
  SIGNAL_RESUME,
  SIGNAL_REMOVE,
  N_SIGNALS
};

struct _DimTrainList
{
  GtkBox     parent;
  GtkWidget *grid;
  char      *shown; /* what the rows were made of */
  char      *asked; /* folder of which a person has asked once that it be removed; NULL: none */
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimTrainList, dim_train_list, GTK_TYPE_BOX)

/* ---- words ---- */

static char *
time_left (const DimTraining *training)
{
  gint64 seconds = training->seconds_left;

  if (seconds < 0)
    return g_strdup ("");
  if (seconds < 100)
    return g_strdup_printf (_ (", %d s left"), (int)seconds);
  return g_strdup_printf (_ (", %d min left"), (int)MIN ((seconds + 30) / 60, 1000000));
}

static char *
step_text (const DimTraining *training)
{
  g_autofree char *loss = isnan (training->loss)
                              ? g_strdup ("")
                              : g_strdup_printf (_ (", loss %.3f"), training->loss);
  g_autofree char *left = time_left (training);

  if (training->steps < 1)
    return g_strdup_printf (_ ("step %d%s"), (int)training->step, loss);
  return g_strdup_printf (_ ("step %d of %d%s%s"), (int)training->step, (int)training->steps, loss,
                          left);
}

char *
dim_train_state_text (const DimTraining *training)
{
  switch (training->state)
    {
    case DIM_TRAINING_STARTING:
      return g_strdup (_ ("starting"));
    case DIM_TRAINING_READING:
      return g_strdup (_ ("reading the pictures"));
    case DIM_TRAINING_SAMPLING:
      return g_strdup (_ ("asking the model what it can do already"));
    case DIM_TRAINING_TRAINING:
      return step_text (training);
    case DIM_TRAINING_ENDING:
      return g_strdup (_ ("writing a checkpoint"));
    case DIM_TRAINING_STOPPED:
      if (training->fraction > 0)
        return g_strdup_printf (_ ("stopped at %d %%"), (int)(training->fraction * 100));
      return g_strdup (_ ("stopped"));
    case DIM_TRAINING_DONE:
      return g_strdup (_ ("done"));
    case DIM_TRAINING_FAILED:
      break;
    }
  return training->message ? dim_text_clean (training->message) : g_strdup (_ ("failed"));
}

static gboolean
is_at_work (const DimTraining *training)
{
  return training->state <= DIM_TRAINING_TRAINING || training->state == DIM_TRAINING_ENDING;
}

/* ---- rows ---- */

static const char *
folder_of (GtkWidget *button)
{
  return g_object_get_data (G_OBJECT (button), "folder");
}

static void
on_show (GtkWidget *button, DimTrainList *list)
{
  g_signal_emit (list, signals[SIGNAL_SHOW], 0, folder_of (button));
}

static void
on_resume (GtkWidget *button, DimTrainList *list)
{
  g_signal_emit (list, signals[SIGNAL_RESUME], 0, folder_of (button));
}

/* What was learnt goes with it: the first press asks, the second one does it. */
static void
on_remove (GtkWidget *button, DimTrainList *list)
{
  g_autofree char *folder = g_strdup (folder_of (button));

  if (g_strcmp0 (list->asked, folder) != 0)
    {
      g_free (list->asked);
      list->asked = g_steal_pointer (&folder);
      gtk_button_set_label (GTK_BUTTON (button), _ ("Really?"));
      return;
    }
  g_clear_pointer (&list->asked, g_free);
  g_signal_emit (list, signals[SIGNAL_REMOVE], 0, folder);
}

static void
add_button (DimTrainList *list, int row, int column, const DimTraining *training, const char *label,
            const char *name, GCallback handler)
{
  GtkWidget       *button = gtk_button_new_with_label (label);
  g_autofree char *id = g_path_get_basename (training->folder);
  g_autofree char *what = g_strdup_printf ("%s %s", label, id);

  gtk_widget_set_name (button, name);
  atk_object_set_name (gtk_widget_get_accessible (button), what);
  g_object_set_data_full (G_OBJECT (button), "folder", g_strdup (training->folder), g_free);
  g_signal_connect (button, "clicked", handler, list);
  gtk_grid_attach (GTK_GRID (list->grid), button, column, row, 1, 1);
}

static void
add_row (DimTrainList *list, int row, const DimTraining *training)
{
  g_autofree char *state = dim_train_state_text (training);
  g_autofree char *id = g_path_get_basename (training->folder);
  g_autofree char *clean = dim_text_clean (training->class_name ? training->class_name : id);
  g_autofree char *text = g_strdup_printf ("%s: %s", clean, state);
  GtkWidget       *label = gtk_label_new (text);
  gboolean         asked = g_strcmp0 (list->asked, training->folder) == 0;

  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_ellipsize (GTK_LABEL (label), PANGO_ELLIPSIZE_END);
  gtk_widget_set_tooltip_text (label, training->message ? text : training->folder);
  gtk_widget_set_hexpand (label, TRUE);
  gtk_grid_attach (GTK_GRID (list->grid), label, 0, row, 1, 1);
  if (is_at_work (training))
    add_button (list, row, 1, training, _ ("Show"), "train-show", G_CALLBACK (on_show));
  else if (training->can_resume && training->state != DIM_TRAINING_DONE)
    add_button (list, row, 1, training, _ ("Resume"), "train-resume", G_CALLBACK (on_resume));
  if (!is_at_work (training))
    add_button (list, row, 2, training, asked ? _ ("Really?") : _ ("Remove"), "train-remove",
                G_CALLBACK (on_remove));
}

static void
remove_row (GtkWidget *widget, gpointer unused)
{
  gtk_widget_destroy (widget);
}

static void
make_rows (DimTrainList *list, GPtrArray *trainings)
{
  gtk_container_foreach (GTK_CONTAINER (list->grid), remove_row, NULL);
  for (guint i = 0; i < trainings->len; i++)
    add_row (list, i, g_ptr_array_index (trainings, i));
  gtk_widget_show_all (list->grid);
  gtk_widget_set_visible (GTK_WIDGET (list), trainings->len > 0);
}

static void
free_training (gpointer training)
{
  dim_training_free ((DimTraining **)&training);
}

char *
dim_train_list_refresh (DimTrainList *list)
{
  g_auto (GStrv) folders = dim_training_list ();
  g_autoptr (GPtrArray) trainings = g_ptr_array_new_with_free_func (free_training);
  GString *all = g_string_new (NULL);
  char    *working = NULL;

  for (char **folder = folders; *folder; folder++)
    {
      DimTraining     *training = dim_training_read (*folder, NULL);
      g_autofree char *state = training ? dim_train_state_text (training) : NULL;

      if (!training)
        continue;
      g_string_append_printf (all, "%s\n%s\n%d\n", training->folder, state, training->can_resume);
      g_ptr_array_add (trainings, training);
      if (!is_at_work (training))
        dim_training_set_told (training->folder); /* here it is seen */
      else if (!working)
        working = g_strdup (training->folder);
    }
  if (g_strcmp0 (all->str, list->shown) != 0) /* else the focus would be lost for nothing */
    {
      g_free (list->shown);
      list->shown = g_strdup (all->str);
      make_rows (list, trainings);
    }
  g_string_free (all, TRUE);
  return working;
}

/* ---- the object ---- */

static void
dim_train_list_finalize (GObject *object)
{
  DimTrainList *list = DIM_TRAIN_LIST (object);

  g_free (list->shown);
  g_free (list->asked);
  G_OBJECT_CLASS (dim_train_list_parent_class)->finalize (object);
}

static void
dim_train_list_class_init (DimTrainListClass *klass)
{
  static const char *const names[N_SIGNALS] = { "watch", "resume", "discard" };

  G_OBJECT_CLASS (klass)->finalize = dim_train_list_finalize;
  for (int i = 0; i < N_SIGNALS; i++)
    signals[i] = g_signal_new (names[i], DIM_TYPE_TRAIN_LIST, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                               NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
dim_train_list_init (DimTrainList *list)
{
  GtkWidget *scroll = gtk_scrolled_window_new (NULL, NULL);
  GtkWidget *title = gtk_label_new (_ ("Trainings so far:"));

  gtk_orientable_set_orientation (GTK_ORIENTABLE (list), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (list), 6);
  gtk_widget_set_name (GTK_WIDGET (list), "train-list");
  gtk_widget_set_no_show_all (GTK_WIDGET (list), TRUE);
  list->grid = gtk_grid_new ();
  gtk_grid_set_row_spacing (GTK_GRID (list->grid), 6);
  gtk_grid_set_column_spacing (GTK_GRID (list->grid), 6);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (scroll), GTK_POLICY_NEVER,
                                  GTK_POLICY_AUTOMATIC);
  gtk_scrolled_window_set_max_content_height (GTK_SCROLLED_WINDOW (scroll), HEIGHT_MOST);
  gtk_scrolled_window_set_propagate_natural_height (GTK_SCROLLED_WINDOW (scroll), TRUE);
  gtk_container_add (GTK_CONTAINER (scroll), list->grid);
  gtk_label_set_xalign (GTK_LABEL (title), 0);
  gtk_box_pack_start (GTK_BOX (list), title, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (list), scroll, TRUE, TRUE, 0);
  gtk_widget_show_all (scroll);
  gtk_widget_show (title);
}

DimTrainList *
dim_train_list_new (void)
{
  return g_object_new (DIM_TYPE_TRAIN_LIST, NULL);
}
