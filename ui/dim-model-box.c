/* The model's row.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-model-box.h"

#include "ui/dim-i18n.h"

enum
{
  SIGNAL_PICKED,
  SIGNAL_POPUP,
  N_SIGNALS
};

struct _DimModelBox
{
  GtkBox     parent;
  GtkWidget *combo, *info_button, *popover;
  guint      n_shown;
  gboolean   showing; /* the combo follows the settings, and not the other way round */
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimModelBox, dim_model_box, GTK_TYPE_BOX)

static void
on_combo (DimModelBox *box)
{
  if (!box->showing)
    g_signal_emit (box, signals[SIGNAL_PICKED], 0,
                   gtk_combo_box_get_active (GTK_COMBO_BOX (box->combo)));
}

static void
on_popup (DimModelBox *box)
{
  gboolean shown;

  g_object_get (box->combo, "popup-shown", &shown, NULL);
  if (shown)
    g_signal_emit (box, signals[SIGNAL_POPUP], 0);
}

static void
dim_model_box_class_init (DimModelBoxClass *klass)
{
  signals[SIGNAL_PICKED] = g_signal_new ("picked", DIM_TYPE_MODEL_BOX, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT);
  signals[SIGNAL_POPUP] = g_signal_new ("popup", DIM_TYPE_MODEL_BOX, G_SIGNAL_RUN_LAST, 0, NULL,
                                        NULL, NULL, G_TYPE_NONE, 0);
}

static void
dim_model_box_init (DimModelBox *box)
{
  GtkWidget *image
      = gtk_image_new_from_icon_name ("dialog-information-symbolic", GTK_ICON_SIZE_BUTTON);
  GtkCellRenderer *cell;
  g_autoptr (GList) cells = NULL;

  gtk_box_set_spacing (GTK_BOX (box), 6);
  box->combo = gtk_combo_box_text_new ();
  cells = gtk_cell_layout_get_cells (GTK_CELL_LAYOUT (box->combo));
  cell = cells->data;
  g_object_set (cell, "ellipsize", PANGO_ELLIPSIZE_END, NULL); /* a long name widens no window */
  gtk_widget_set_name (box->combo, "model");
  atk_object_set_name (gtk_widget_get_accessible (box->combo), _ ("Model"));
  g_signal_connect_swapped (box->combo, "changed", G_CALLBACK (on_combo), box);
  g_signal_connect_swapped (box->combo, "notify::popup-shown", G_CALLBACK (on_popup), box);
  gtk_box_pack_start (GTK_BOX (box), box->combo, TRUE, TRUE, 0);

  box->info_button = gtk_menu_button_new ();
  box->popover = gtk_popover_new (box->info_button);
  gtk_button_set_image (GTK_BUTTON (box->info_button), image);
  gtk_menu_button_set_popover (GTK_MENU_BUTTON (box->info_button), box->popover);
  gtk_widget_set_name (box->info_button, "model-info");
  gtk_widget_set_tooltip_text (box->info_button, _ ("About this model: licence, size, memory"));
  atk_object_set_name (gtk_widget_get_accessible (box->info_button), _ ("About this model"));
  gtk_box_pack_start (GTK_BOX (box), box->info_button, FALSE, FALSE, 0);
}

DimModelBox *
dim_model_box_new (void)
{
  return g_object_new (DIM_TYPE_MODEL_BOX, NULL);
}

/* ---- what the info button tells ---- */

static void
add_fact (GtkWidget *grid, int row, const char *title, const char *text)
{
  GtkWidget       *name = gtk_label_new (title);
  g_autofree char *clean = dim_text_clean (text ? text : _ ("not stated"));
  GtkWidget       *value = gtk_label_new (clean);

  gtk_widget_set_halign (name, GTK_ALIGN_END);
  gtk_widget_set_valign (name, GTK_ALIGN_START);
  gtk_label_set_xalign (GTK_LABEL (value), 0);
  gtk_label_set_line_wrap (GTK_LABEL (value), TRUE);
  gtk_label_set_line_wrap_mode (GTK_LABEL (value), PANGO_WRAP_WORD_CHAR);
  gtk_label_set_max_width_chars (GTK_LABEL (value), 40);
  gtk_grid_attach (GTK_GRID (grid), name, 0, row, 1, 1);
  gtk_grid_attach (GTK_GRID (grid), value, 1, row, 1, 1);
}

static GtkWidget *
facts_of (const DimModelInfo *info)
{
  GtkWidget       *grid = gtk_grid_new ();
  gint64           parameters = info->backbone.parameters + info->autoencoder.parameters;
  g_autofree char *classes = g_strdup_printf ("%d", info->n_labels);
  g_autofree char *native
      = info->native_size > 0
            ? g_strdup_printf (_ ("%d × %d pixels"), info->native_size, info->native_size)
            : NULL;
  g_autofree char *count = g_strdup_printf (_ ("%.1f million numbers"), parameters * 1e-6);
  g_autofree char *memory = g_format_size (parameters * sizeof (float));

  gtk_grid_set_column_spacing (GTK_GRID (grid), 12);
  gtk_grid_set_row_spacing (GTK_GRID (grid), 6);
  add_fact (grid, 0, _ ("Name:"), info->name);
  add_fact (grid, 1, _ ("Licence:"), info->license);
  add_fact (grid, 2, _ ("Source:"), info->source);
  add_fact (grid, 3, _ ("Classes:"), classes);
  add_fact (grid, 4, _ ("Trained at:"), native);
  add_fact (grid, 5, _ ("Size:"), count);
  add_fact (grid, 6, _ ("Memory for it:"), memory);
  add_fact (grid, 7, _ ("Folder:"), info->folder);
  return grid;
}

static void
fill_popover (DimModelBox *box, const DimModels *models, const DimModelInfo *info)
{
  GtkWidget *old = gtk_bin_get_child (GTK_BIN (box->popover));
  GtkWidget *list = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);

  if (old)
    gtk_widget_destroy (old);
  gtk_container_set_border_width (GTK_CONTAINER (list), 12);
  if (info)
    gtk_container_add (GTK_CONTAINER (list), facts_of (info));
  for (guint i = 0; i < models->failures->len; i++)
    {
      g_autofree char *text = g_strdup_printf (
          _ ("Not usable: %s"), (const char *)g_ptr_array_index (models->failures, i));
      GtkWidget *label = gtk_label_new (text);

      gtk_label_set_xalign (GTK_LABEL (label), 0);
      gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
      gtk_label_set_max_width_chars (GTK_LABEL (label), 55);
      gtk_container_add (GTK_CONTAINER (list), label);
    }
  gtk_container_add (GTK_CONTAINER (box->popover), list);
  gtk_widget_show_all (list);
}

void
dim_model_box_show (DimModelBox *box, const DimModels *models, int index)
{
  const DimModelInfo *info = dim_models_get (models, index);

  box->showing = TRUE;
  for (; box->n_shown < models->infos->len; box->n_shown++)
    {
      g_autofree char *name = dim_text_clean (dim_models_get (models, box->n_shown)->name);

      gtk_combo_box_text_append_text (GTK_COMBO_BOX_TEXT (box->combo), name);
    }
  if (gtk_combo_box_get_active (GTK_COMBO_BOX (box->combo)) != index
      || !gtk_bin_get_child (GTK_BIN (box->popover)))
    {
      gtk_combo_box_set_active (GTK_COMBO_BOX (box->combo), index);
      fill_popover (box, models, info);
    }
  box->showing = FALSE;
  gtk_widget_set_sensitive (box->combo, info != NULL);
  gtk_widget_set_sensitive (box->info_button, info || models->failures->len > 0);
}

GtkWidget *
dim_model_box_combo (DimModelBox *box)
{
  return box->combo;
}
