/* The argument `upsample` as a combo.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-upsample-combo.h"

#include "ui/dim-i18n.h"

#define LISTED_FACTOR_MAX 4

static void
append_factor (GtkWidget *combo, const char *id, gint64 factor)
{
  g_autofree char *text = g_strdup_printf (_ ("upsample guidance, %d×"), (int)factor);

  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), id, text);
}

GtkWidget *
dim_upsample_combo_new (void)
{
  GtkWidget *combo = gtk_combo_box_text_new ();

  gtk_widget_set_name (combo, "upsample");
  gtk_widget_set_halign (combo, GTK_ALIGN_START);
  gtk_widget_set_tooltip_text (
      combo, _ ("Above the size that a model was trained at, a small picture guides the big one, "
                "so that nothing repeats"));
  atk_object_set_name (gtk_widget_get_accessible (combo), _ ("Upsample guidance"));
  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), "", "");
  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), "off", _ ("off"));
  for (int factor = 2; factor <= LISTED_FACTOR_MAX; factor++)
    {
      g_autofree char *id = g_strdup_printf ("%d", factor);

      append_factor (combo, id, factor);
    }
  dim_upsample_combo_set_auto (combo, 0);
  return combo;
}

void
dim_upsample_combo_show (GtkWidget *combo, const char *upsample)
{
  const char *id = g_str_equal (upsample, "auto") ? "" : upsample;
  gint64      factor;

  if (gtk_combo_box_set_active_id (GTK_COMBO_BOX (combo), id))
    return;
  if (g_ascii_string_to_signed (id, 10, 1, G_MAXINT, &factor, NULL))
    append_factor (combo, id, factor);
  else
    gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), id, id);
  gtk_combo_box_set_active_id (GTK_COMBO_BOX (combo), id);
}

void
dim_upsample_combo_set_auto (GtkWidget *combo, int factor)
{
  GtkTreeModel    *entries = gtk_combo_box_get_model (GTK_COMBO_BOX (combo));
  g_autofree char *text = factor > 1    ? g_strdup_printf (_ ("automatic: %d×"), factor)
                          : factor == 1 ? g_strdup (_ ("automatic: not needed"))
                                        : g_strdup (_ ("automatic"));
  GtkTreeIter      first;

  gtk_tree_model_get_iter_first (entries, &first);
  gtk_list_store_set (GTK_LIST_STORE (entries), &first,
                      gtk_combo_box_get_entry_text_column (GTK_COMBO_BOX (combo)), text, -1);
}
