/* What the panels' forms are made of.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-form.h"

#include "ui/dim-i18n.h"

#define TEXT_CHARS 40

void
dim_form_add_row (GtkGrid *grid, int row, const char *title, GtkWidget *widget, GtkWidget *control)
{
  GtkWidget *label = gtk_label_new_with_mnemonic (title);

  gtk_label_set_xalign (GTK_LABEL (label), 1);
  if (GTK_IS_LABEL (widget)) /* of several lines, maybe */
    gtk_widget_set_valign (label, GTK_ALIGN_START);
  if (control)
    {
      gtk_label_set_mnemonic_widget (GTK_LABEL (label), control);
      atk_object_set_name (gtk_widget_get_accessible (control),
                           gtk_label_get_text (GTK_LABEL (label)));
    }
  gtk_grid_attach (grid, label, 0, row, 1, 1);
  gtk_grid_attach (grid, widget, 1, row, 1, 1);
  gtk_widget_set_hexpand (widget, TRUE);
}

GtkWidget *
dim_form_entry (const char *name, const char *tooltip)
{
  GtkWidget *entry = gtk_entry_new ();

  gtk_widget_set_name (entry, name);
  gtk_widget_set_tooltip_text (entry, tooltip);
  gtk_entry_set_activates_default (GTK_ENTRY (entry), TRUE);
  return entry;
}

GtkWidget *
dim_form_text (const char *name)
{
  GtkWidget *label = gtk_label_new (NULL);

  gtk_widget_set_name (label, name);
  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_line_wrap_mode (GTK_LABEL (label), PANGO_WRAP_WORD_CHAR);
  gtk_label_set_max_width_chars (GTK_LABEL (label), TEXT_CHARS);
  return label;
}

GtkWidget *
dim_form_row (int wide, GtkWidget *first, ...)
{
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6), *widget = first;
  va_list    rest;

  va_start (rest, first);
  for (int i = 0; widget; i++, widget = va_arg (rest, GtkWidget *))
    gtk_box_pack_start (GTK_BOX (row), widget, i == wide, i == wide, 0);
  va_end (rest);
  return row;
}

/* ---- paths ---- */

static const DimFormBrowse *
browse_of (GtkWidget *button)
{
  return g_object_get_data (G_OBJECT (button), "browse");
}

static void
on_chosen (GtkNativeDialog *dialog, int response, GtkWidget *entry)
{
  g_autofree char *file = gtk_file_chooser_get_filename (GTK_FILE_CHOOSER (dialog));
  g_autofree char *text = file ? g_filename_to_utf8 (file, -1, NULL, NULL, NULL) : NULL;

  if (response == GTK_RESPONSE_ACCEPT)
    gtk_entry_set_text (GTK_ENTRY (entry), text ? text : "");
  gtk_native_dialog_destroy (dialog);
  g_object_unref (dialog);
}

static void
add_filter (GtkFileChooser *chooser, const DimFormBrowse *browse)
{
  GtkFileFilter *filter = gtk_file_filter_new ();

  gtk_file_filter_set_name (filter, _ (browse->filter));
  for (const char *const *pattern = browse->patterns; *pattern; pattern++)
    gtk_file_filter_add_pattern (filter, *pattern);
  gtk_file_chooser_add_filter (chooser, filter);
  filter = gtk_file_filter_new ();
  gtk_file_filter_set_name (filter, _ ("All files"));
  gtk_file_filter_add_pattern (filter, "*");
  gtk_file_chooser_add_filter (chooser, filter);
}

/* No loop of its own: this may come from assistive technology, whose calls would then wait. */
static void
on_browse (GtkWidget *button, GtkWidget *entry)
{
  const DimFormBrowse  *browse = browse_of (button);
  GtkWidget            *window = gtk_widget_get_toplevel (button);
  g_autofree char      *before = dim_form_path (entry);
  GtkFileChooserNative *chooser = gtk_file_chooser_native_new (
      _ (browse->title), GTK_WINDOW (window),
      browse->patterns ? GTK_FILE_CHOOSER_ACTION_OPEN : GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER,
      _ ("_Open"), _ ("_Cancel"));

  if (browse->patterns)
    add_filter (GTK_FILE_CHOOSER (chooser), browse);
  if (*before)
    gtk_file_chooser_set_filename (GTK_FILE_CHOOSER (chooser), before);
  gtk_native_dialog_set_modal (GTK_NATIVE_DIALOG (chooser), TRUE);
  g_signal_connect_object (chooser, "response", G_CALLBACK (on_chosen), entry, 0);
  gtk_native_dialog_show (GTK_NATIVE_DIALOG (chooser));
}

GtkWidget *
dim_form_browse (GtkWidget *entry, const DimFormBrowse *browse)
{
  GtkWidget *button
      = gtk_button_new_from_icon_name ("document-open-symbolic", GTK_ICON_SIZE_BUTTON);

  gtk_widget_set_name (button, browse->name);
  gtk_widget_set_tooltip_text (button, _ (browse->tooltip));
  atk_object_set_name (gtk_widget_get_accessible (button), _ (browse->tooltip));
  g_object_set_data (G_OBJECT (button), "browse", (gpointer)browse);
  g_signal_connect (button, "clicked", G_CALLBACK (on_browse), entry);
  return button;
}

char *
dim_form_path (GtkWidget *entry)
{
  g_autofree char *text = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (entry))));
  char            *path = g_str_has_prefix (text, "file://")
                              ? g_filename_from_uri (text, NULL, NULL)
                              : g_filename_from_utf8 (text, -1, NULL, NULL, NULL);

  return path ? path : g_strdup ("");
}
