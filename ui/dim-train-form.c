/* What a training is to be.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-train-form.h"

#include "ui/dim-form.h"
#include "ui/dim-i18n.h"
#include "ui/dim-model-box.h"
#include "ui/dim-spin.h"

#define RIGHTS_MOST 200 /* letters */

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

struct _DimTrainForm
{
  GtkGrid      parent;
  DimModels   *models;
  int          model; /* index, -1: none */
  DimModelBox *model_box;
  GtkWidget   *name, *from_folder, *folder, *browse, *from_layers, *rights, *output, *license;
  DimSpin     *minutes;
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimTrainForm, dim_train_form, GTK_TYPE_GRID)

/* ---- what is shown ---- */

static gboolean
is_from_folder (DimTrainForm *form)
{
  return gtk_toggle_button_get_active (GTK_TOGGLE_BUTTON (form->from_folder));
}

/* What follows from what was typed: the name that the model gets by itself, and its licence. */
static void
show_rest (DimTrainForm *form)
{
  const DimModelInfo *info = dim_models_get (form->models, form->model);
  const char         *class_name = gtk_entry_get_text (GTK_ENTRY (form->name));
  g_autofree char    *clean = info ? dim_text_clean (info->license ? info->license : "") : NULL;
  g_autofree char *rights = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (form->rights))));
  g_autofree char *license = NULL, *output = NULL;

  if (info && (*clean || *rights) && *class_name)
    license = g_strdup_printf (_ ("%s; of “%s”: %s"), *clean ? clean : _ ("not stated"), class_name,
                               *rights ? rights : _ ("that of its pictures"));
  output = info && *class_name ? dim_training_name (info->folder, class_name) : g_strdup ("");
  gtk_entry_set_placeholder_text (GTK_ENTRY (form->output), output);
  gtk_label_set_text (GTK_LABEL (form->license), license ? license : clean);
  gtk_widget_set_sensitive (form->folder, is_from_folder (form));
  gtk_widget_set_sensitive (form->browse, is_from_folder (form));
}

static void
on_changed (DimTrainForm *form)
{
  show_rest (form);
  g_signal_emit (form, signals[SIGNAL_CHANGED], 0);
}

static void
on_model (DimTrainForm *form, int index)
{
  form->model = index;
  dim_model_box_show (form->model_box, form->models, form->model);
  on_changed (form);
}

/* ---- the object ---- */

static void
dim_train_form_finalize (GObject *object)
{
  dim_models_free (DIM_TRAIN_FORM (object)->models);
  G_OBJECT_CLASS (dim_train_form_parent_class)->finalize (object);
}

static void
dim_train_form_class_init (DimTrainFormClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = dim_train_form_finalize;
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", DIM_TYPE_TRAIN_FORM, G_SIGNAL_RUN_LAST, 0,
                                          NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
dim_train_form_init (DimTrainForm *form)
{
  gtk_grid_set_row_spacing (GTK_GRID (form), 6);
  gtk_grid_set_column_spacing (GTK_GRID (form), 6);
  form->models = dim_models_new ();
  form->model = -1;
}

static GtkWidget *
new_entry (DimTrainForm *form, const char *name, const char *tooltip)
{
  GtkWidget *entry = dim_form_entry (name, tooltip);

  g_signal_connect_swapped (entry, "changed", G_CALLBACK (on_changed), form);
  return entry;
}

static GtkWidget *
new_folder_row (DimTrainForm *form)
{
  static const DimFormBrowse browse
      = { "train-browse", N_ ("Choose the folder"), N_ ("Pictures of the New Class"), NULL, NULL };

  form->from_folder = gtk_radio_button_new_with_mnemonic (NULL, _ ("from the _folder"));
  gtk_widget_set_name (form->from_folder, "train-from-folder");
  form->folder = new_entry (form, "train-folder",
                            _ ("A dozen different ones of 256 pixels and more are good; what is no "
                               "picture is left out"));
  atk_object_set_name (gtk_widget_get_accessible (form->folder), _ ("Folder of the pictures"));
  form->browse = dim_form_browse (form->folder, &browse);
  return dim_form_row (1, form->from_folder, form->folder, form->browse, NULL);
}

static GtkWidget *
new_layers_row (DimTrainForm *form, int n_layers)
{
  g_autofree char *text
      = g_strdup_printf (g_dngettext (DIM_TEXT_DOMAIN, "from the image: its _visible layer",
                                      "from the image: its %d _visible layers", n_layers),
                         n_layers);
  const char *none = _ ("from the image: it has no _visible layers");

  form->from_layers = gtk_radio_button_new_with_mnemonic_from_widget (
      GTK_RADIO_BUTTON (form->from_folder), n_layers > 0 ? text : none);
  gtk_widget_set_name (form->from_layers, "train-from-layers");
  gtk_widget_set_tooltip_text (form->from_layers,
                               _ ("Each layer is a picture, as if it were alone; hidden ones are "
                                  "left out, and transparent borders are cut off"));
  gtk_widget_set_sensitive (form->from_layers, n_layers > 0);
  gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (form->from_layers), n_layers > 1);
  g_signal_connect_swapped (form->from_layers, "toggled", G_CALLBACK (on_changed), form);
  return form->from_layers;
}

static GtkWidget *
new_minutes_row (DimTrainForm *form)
{
  form->minutes = dim_spin_new (0, DIM_TRAIN_MINUTES_LEAST, DIM_TRAIN_MINUTES_MOST, 5, 2);
  dim_spin_set_fallback (form->minutes, DIM_TRAIN_MINUTES);
  gtk_entry_set_width_chars (GTK_ENTRY (form->minutes), 6);
  gtk_widget_set_name (GTK_WIDGET (form->minutes), "train-minutes");
  gtk_widget_set_tooltip_text (GTK_WIDGET (form->minutes),
                               _ ("Longer is better for the new class; the others are kept"));
  g_signal_connect_swapped (form->minutes, "notify::setting", G_CALLBACK (on_changed), form);
  return dim_form_row (-1, GTK_WIDGET (form->minutes), gtk_label_new (_ ("minutes")), NULL);
}

DimTrainForm *
dim_train_form_new (int n_layers)
{
  DimTrainForm *form = g_object_new (DIM_TYPE_TRAIN_FORM, NULL);
  GtkGrid      *grid = GTK_GRID (form);
  GtkWidget    *folder_row, *layers_row, *minutes_row;

  form->model_box = dim_model_box_new ();
  form->name = new_entry (form, "train-name", _ ("What the new class shall be called"));
  folder_row = new_folder_row (form);
  layers_row = new_layers_row (form, n_layers);
  form->rights = new_entry (form, "train-rights",
                            _ ("What the pictures' owner allows, such as CC0 or CC-BY 4.0 and a "
                               "name: it goes with the new model"));
  gtk_entry_set_placeholder_text (GTK_ENTRY (form->rights), _ ("as the pictures' owner says"));
  gtk_entry_set_max_length (GTK_ENTRY (form->rights), RIGHTS_MOST);
  minutes_row = new_minutes_row (form);
  form->output = new_entry (form, "train-output",
                            _ ("The new model's name, or a folder for it; the base model stays as "
                               "it is"));
  form->license = dim_form_text ("train-license");
  dim_form_add_row (grid, 0, _ ("Base _model:"), GTK_WIDGET (form->model_box),
                    dim_model_box_combo (form->model_box));
  dim_form_add_row (grid, 1, _ ("_New class:"), form->name, form->name);
  dim_form_add_row (grid, 2, _ ("Pictures:"), folder_row, NULL);
  gtk_grid_attach (grid, layers_row, 1, 3, 1, 1);
  dim_form_add_row (grid, 4, _ ("_Pictures' licence:"), form->rights, form->rights);
  dim_form_add_row (grid, 5, _ ("T_ime:"), minutes_row, GTK_WIDGET (form->minutes));
  dim_form_add_row (grid, 6, _ ("N_ew model:"), form->output, form->output);
  dim_form_add_row (grid, 7, _ ("Its licence:"), form->license, NULL);
  g_signal_connect_swapped (form->model_box, "picked", G_CALLBACK (on_model), form);
  dim_train_form_set_model (form, "");
  return form;
}

void
dim_train_form_set_model (DimTrainForm *form, const char *model)
{
  form->model = dim_models_find (form->models, model, NULL);
  if (form->model < 0)
    form->model = dim_models_find (form->models, "", NULL);
  dim_model_box_show (form->model_box, form->models, form->model);
  show_rest (form);
}

void
dim_train_form_clear (DimTrainForm *form)
{
  gtk_entry_set_text (GTK_ENTRY (form->name), "");
  gtk_entry_set_text (GTK_ENTRY (form->folder), "");
  gtk_entry_set_text (GTK_ENTRY (form->rights), "");
  gtk_entry_set_text (GTK_ENTRY (form->output), "");
}

const DimModelInfo *
dim_train_form_read (DimTrainForm *form, DimTrainRequest *request)
{
  const DimModelInfo *info = dim_models_get (form->models, form->model);
  double              minutes = dim_spin_get_setting (form->minutes);

  dim_train_request_init (request);
  g_free (request->model);
  g_free (request->class_name);
  g_free (request->folder);
  g_free (request->license);
  g_free (request->output);
  request->model = g_strdup (info ? info->folder : "");
  request->class_name = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (form->name))));
  request->folder = is_from_folder (form) ? dim_form_path (form->folder) : g_strdup ("");
  request->license = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (form->rights))));
  request->output = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (form->output))));
  request->minutes = minutes > 0 ? minutes : DIM_TRAIN_MINUTES;
  return info;
}

GtkWidget *
dim_train_form_name (DimTrainForm *form)
{
  return form->name;
}
