/* The presets' row.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-preset-bar.h"

#include "ui/dim-i18n.h"
#include "ui/dim-presets.h"

enum
{
  SIGNAL_PICKED,
  SIGNAL_SAVE,
  SIGNAL_NOTICE,
  N_SIGNALS
};

/* What the popover under the menu button asks. */
typedef enum
{
  ASK_SAVE,
  ASK_RENAME,
  ASK_DELETE
} Ask;

struct _DimPresetBar
{
  GtkBox     parent;
  GtkWidget *combo, *menu_button;
  GtkWidget *need_preset[3]; /* the menu's entries that are about the preset picked */
  GtkWidget *popover, *question, *entry, *hint, *confirm;
  Ask        ask;
  char      *last;    /* the preset picked last, for Save as */
  gboolean   showing; /* the combo follows the settings, and not the other way round */
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimPresetBar, dim_preset_bar, GTK_TYPE_BOX)

static const char *
picked (DimPresetBar *bar)
{
  const char *name = gtk_combo_box_get_active_id (GTK_COMBO_BOX (bar->combo));

  return name ? name : "";
}

static void
notice (DimPresetBar *bar, const char *text)
{
  g_signal_emit (bar, signals[SIGNAL_NOTICE], 0, text);
}

static void
remember (DimPresetBar *bar, const char *name)
{
  char *copy = g_strdup (name);

  g_free (bar->last);
  bar->last = copy;
}

static void
refill (DimPresetBar *bar)
{
  g_auto (GStrv) names = dim_presets_list ();

  gtk_combo_box_text_remove_all (GTK_COMBO_BOX_TEXT (bar->combo));
  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (bar->combo), "", _ ("none"));
  for (char **name = names; *name; name++)
    gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (bar->combo), *name, *name);
}

/* A preset that is a file elsewhere. */
static void
append_file (DimPresetBar *bar, const char *file)
{
  g_autofree char *shown = g_filename_display_basename (file);

  gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (bar->combo), file, shown);
  gtk_combo_box_set_active_id (GTK_COMBO_BOX (bar->combo), file);
}

void
dim_preset_bar_show (DimPresetBar *bar, const char *name)
{
  bar->showing = TRUE;
  if (!gtk_combo_box_set_active_id (GTK_COMBO_BOX (bar->combo), name))
    {
      refill (bar); /* another program may have made it */
      if (!gtk_combo_box_set_active_id (GTK_COMBO_BOX (bar->combo), name))
        append_file (bar, name);
    }
  bar->showing = FALSE;
  if (*name)
    remember (bar, name);
  for (guint i = 0; i < G_N_ELEMENTS (bar->need_preset); i++)
    gtk_widget_set_sensitive (bar->need_preset[i], *picked (bar) != '\0');
}

/* Fills the list anew, and has the settings taken from one preset. */
static void
pick (DimPresetBar *bar, const char *name)
{
  g_autofree char *copy = g_strdup (name);

  bar->showing = TRUE;
  refill (bar);
  bar->showing = FALSE;
  dim_preset_bar_show (bar, copy);
  g_signal_emit (bar, signals[SIGNAL_PICKED], 0, copy);
}

static void
on_combo (DimPresetBar *bar)
{
  if (bar->showing)
    return;
  g_autofree char *name = g_strdup (picked (bar));

  dim_preset_bar_show (bar, name);
  g_signal_emit (bar, signals[SIGNAL_PICKED], 0, name);
}

/* ---- the popover ---- */

static gboolean
would_replace (DimPresetBar *bar)
{
  const char *name = gtk_entry_get_text (GTK_ENTRY (bar->entry));

  return bar->ask == ASK_SAVE && dim_presets_exists (name);
}

static void
hint (DimPresetBar *bar, const char *text)
{
  gtk_label_set_text (GTK_LABEL (bar->hint), text ? text : "");
  gtk_widget_set_visible (bar->hint, text != NULL);
}

static void
on_entry (DimPresetBar *bar)
{
  static const char *const labels[] = { N_ ("Save"), N_ ("Rename"), N_ ("Delete") };
  const char              *text = gtk_entry_get_text (GTK_ENTRY (bar->entry));
  g_autofree char         *wanted = g_strstrip (g_strdup (text));
  g_autofree char         *safe = dim_presets_safe_name (text);
  g_autofree char         *other = NULL;
  gboolean                 replace = would_replace (bar);

  if (safe && !g_str_equal (safe, wanted))
    other = g_strdup_printf (_ ("It will be called “%s”."), safe);
  hint (bar, replace ? _ ("There is a preset of this name already.") : other);
  gtk_button_set_label (GTK_BUTTON (bar->confirm), replace ? _ ("Replace") : _ (labels[bar->ask]));
  gtk_widget_set_sensitive (bar->confirm, safe != NULL);
}

static void
ask (DimPresetBar *bar, Ask what)
{
  const char      *name = *picked (bar) ? picked (bar) : bar->last;
  g_autofree char *question
      = what == ASK_SAVE     ? g_strdup (_ ("Save these settings as the preset"))
        : what == ASK_RENAME ? g_strdup_printf (_ ("New name of the preset “%s”"), picked (bar))
                             : g_strdup_printf (_ ("Delete the preset “%s”?"), picked (bar));

  bar->ask = what;
  gtk_label_set_text (GTK_LABEL (bar->question), question);
  gtk_entry_set_text (GTK_ENTRY (bar->entry), name ? name : "");
  gtk_widget_set_visible (bar->entry, what != ASK_DELETE);
  on_entry (bar);
  gtk_popover_popup (GTK_POPOVER (bar->popover));
  gtk_widget_grab_focus (what == ASK_DELETE ? bar->confirm : bar->entry);
}

static void
done (DimPresetBar *bar, const char *now, const GError *error)
{
  if (error)
    {
      hint (bar, error->message);
      return;
    }
  gtk_popover_popdown (GTK_POPOVER (bar->popover));
  pick (bar, now);
}

static void
on_confirm (DimPresetBar *bar)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = dim_presets_safe_name (gtk_entry_get_text (GTK_ENTRY (bar->entry)));

  if (!name) /* Enter on a name that no file can have */
    return;
  switch (bar->ask)
    {
    case ASK_DELETE:
      dim_presets_remove (picked (bar), &error);
      done (bar, "", error);
      break;
    case ASK_RENAME:
      dim_presets_rename (picked (bar), name, &error);
      done (bar, name, error);
      break;
    case ASK_SAVE:
      g_signal_emit (bar, signals[SIGNAL_SAVE], 0, name, would_replace (bar));
      break;
    }
}

void
dim_preset_bar_saved (DimPresetBar *bar, const char *name, const GError *error)
{
  done (bar, name, error);
}

static void
fill_popover (DimPresetBar *bar)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);

  bar->popover = gtk_popover_new (bar->menu_button);
  bar->question = gtk_label_new (NULL);
  bar->entry = gtk_entry_new ();
  bar->hint = gtk_label_new (NULL);
  bar->confirm = gtk_button_new ();

  gtk_label_set_xalign (GTK_LABEL (bar->question), 0);
  gtk_label_set_mnemonic_widget (GTK_LABEL (bar->question), bar->entry);
  gtk_label_set_xalign (GTK_LABEL (bar->hint), 0);
  gtk_label_set_line_wrap (GTK_LABEL (bar->hint), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (bar->hint), 40);
  gtk_widget_set_halign (bar->confirm, GTK_ALIGN_END);
  gtk_entry_set_width_chars (GTK_ENTRY (bar->entry), 32);
  gtk_widget_set_name (bar->entry, "preset-name");
  gtk_widget_set_name (bar->hint, "preset-hint");
  gtk_widget_set_name (bar->confirm, "preset-confirm");
  atk_object_set_name (gtk_widget_get_accessible (bar->entry), _ ("Name of the preset"));
  g_signal_connect_swapped (bar->entry, "changed", G_CALLBACK (on_entry), bar);
  g_signal_connect_swapped (bar->entry, "activate", G_CALLBACK (on_confirm), bar);
  g_signal_connect_swapped (bar->confirm, "clicked", G_CALLBACK (on_confirm), bar);

  gtk_container_set_border_width (GTK_CONTAINER (box), 12);
  gtk_box_pack_start (GTK_BOX (box), bar->question, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), bar->entry, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), bar->hint, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (box), bar->confirm, FALSE, FALSE, 0);
  gtk_container_add (GTK_CONTAINER (bar->popover), box);
  gtk_widget_show_all (box);
}

/* ---- files ---- */

void
dim_preset_bar_import (DimPresetBar *bar, const char *file)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *unknown = NULL;
  g_autofree char *name = dim_presets_import (file, &unknown, &error);
  g_autofree char *text = NULL;

  if (name)
    pick (bar, name);
  if (!name)
    text = g_strdup (error->message);
  else if (unknown)
    text = g_strdup_printf (_ ("“%s” has settings that this version does not know, and keeps: %s."),
                            name, unknown);
  if (text)
    notice (bar, text);
}

void
dim_preset_bar_export (DimPresetBar *bar, const char *file)
{
  g_autoptr (GError) error = NULL;

  if (!dim_presets_export (picked (bar), file, &error))
    notice (bar, error->message);
}

static void
on_file (GtkNativeDialog *dialog, int response, DimPresetBar *bar)
{
  g_autofree char *file = gtk_file_chooser_get_filename (GTK_FILE_CHOOSER (dialog));

  if (response == GTK_RESPONSE_ACCEPT && file)
    {
      if (gtk_file_chooser_get_action (GTK_FILE_CHOOSER (dialog)) == GTK_FILE_CHOOSER_ACTION_OPEN)
        dim_preset_bar_import (bar, file);
      else
        dim_preset_bar_export (bar, file);
    }
  gtk_native_dialog_destroy (dialog);
  g_object_unref (dialog);
}

static void
choose_file (DimPresetBar *bar, GtkFileChooserAction action)
{
  gboolean              save = action == GTK_FILE_CHOOSER_ACTION_SAVE;
  GtkWidget            *window = gtk_widget_get_toplevel (GTK_WIDGET (bar));
  GtkFileChooserNative *dialog
      = gtk_file_chooser_native_new (save ? _ ("Export Preset") : _ ("Import Preset"),
                                     GTK_IS_WINDOW (window) ? GTK_WINDOW (window) : NULL, action,
                                     save ? _ ("_Export") : _ ("_Import"), NULL);
  GtkFileFilter *filter = gtk_file_filter_new ();

  gtk_file_filter_set_name (filter, _ ("Presets (*.json)"));
  gtk_file_filter_add_pattern (filter, "*.json");
  gtk_file_chooser_add_filter (GTK_FILE_CHOOSER (dialog), filter);
  gtk_file_chooser_set_do_overwrite_confirmation (GTK_FILE_CHOOSER (dialog), TRUE);
  if (save)
    {
      g_autofree char *file = g_strconcat (picked (bar), ".json", NULL);

      gtk_file_chooser_set_current_name (GTK_FILE_CHOOSER (dialog), file);
    }
  gtk_native_dialog_set_modal (GTK_NATIVE_DIALOG (dialog), TRUE);
  g_signal_connect_object (dialog, "response", G_CALLBACK (on_file), bar, 0);
  gtk_native_dialog_show (GTK_NATIVE_DIALOG (dialog));
}

/* ---- the menu ---- */

static void
on_save_as (DimPresetBar *bar)
{
  ask (bar, ASK_SAVE);
}

static void
on_rename (DimPresetBar *bar)
{
  ask (bar, ASK_RENAME);
}

static void
on_delete (DimPresetBar *bar)
{
  ask (bar, ASK_DELETE);
}

static void
on_import (DimPresetBar *bar)
{
  choose_file (bar, GTK_FILE_CHOOSER_ACTION_OPEN);
}

static void
on_export (DimPresetBar *bar)
{
  choose_file (bar, GTK_FILE_CHOOSER_ACTION_SAVE);
}

static GtkWidget *
add_item (DimPresetBar *bar, GtkWidget *menu, const char *text, const char *name,
          void (*act) (DimPresetBar *))
{
  GtkWidget *item = gtk_menu_item_new_with_mnemonic (text);

  gtk_widget_set_name (item, name);
  g_signal_connect_swapped (item, "activate", G_CALLBACK (act), bar);
  gtk_menu_shell_append (GTK_MENU_SHELL (menu), item);
  return item;
}

static void
fill_menu (DimPresetBar *bar)
{
  GtkWidget *menu = gtk_menu_new ();

  add_item (bar, menu, _ ("_Save As…"), "preset-save", on_save_as);
  bar->need_preset[0] = add_item (bar, menu, _ ("_Rename…"), "preset-rename", on_rename);
  bar->need_preset[1] = add_item (bar, menu, _ ("_Delete…"), "preset-delete", on_delete);
  gtk_menu_shell_append (GTK_MENU_SHELL (menu), gtk_separator_menu_item_new ());
  add_item (bar, menu, _ ("_Import…"), "preset-import", on_import);
  bar->need_preset[2] = add_item (bar, menu, _ ("_Export…"), "preset-export", on_export);
  gtk_widget_show_all (menu);
  gtk_menu_button_set_popup (GTK_MENU_BUTTON (bar->menu_button), menu);
}

static void
dim_preset_bar_finalize (GObject *object)
{
  g_free (DIM_PRESET_BAR (object)->last);
  G_OBJECT_CLASS (dim_preset_bar_parent_class)->finalize (object);
}

static void
dim_preset_bar_class_init (DimPresetBarClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = dim_preset_bar_finalize;
  signals[SIGNAL_PICKED] = g_signal_new ("picked", DIM_TYPE_PRESET_BAR, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
  signals[SIGNAL_SAVE] = g_signal_new ("save", DIM_TYPE_PRESET_BAR, G_SIGNAL_RUN_LAST, 0, NULL,
                                       NULL, NULL, G_TYPE_NONE, 2, G_TYPE_STRING, G_TYPE_BOOLEAN);
  signals[SIGNAL_NOTICE] = g_signal_new ("notice", DIM_TYPE_PRESET_BAR, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void
dim_preset_bar_init (DimPresetBar *bar)
{
  GtkWidget *image = gtk_image_new_from_icon_name ("open-menu-symbolic", GTK_ICON_SIZE_BUTTON);

  gtk_box_set_spacing (GTK_BOX (bar), 6);
  bar->combo = gtk_combo_box_text_new ();
  gtk_widget_set_name (bar->combo, "preset");
  gtk_widget_set_tooltip_text (bar->combo, _ ("Settings that were saved under a name"));
  atk_object_set_name (gtk_widget_get_accessible (bar->combo), _ ("Preset"));
  gtk_box_pack_start (GTK_BOX (bar), bar->combo, TRUE, TRUE, 0);

  bar->menu_button = gtk_menu_button_new ();
  gtk_button_set_image (GTK_BUTTON (bar->menu_button), image);
  gtk_widget_set_name (bar->menu_button, "preset-menu");
  gtk_widget_set_tooltip_text (bar->menu_button,
                               _ ("Save, rename, delete, import and export presets"));
  atk_object_set_name (gtk_widget_get_accessible (bar->menu_button), _ ("Presets' menu"));
  gtk_box_pack_start (GTK_BOX (bar), bar->menu_button, FALSE, FALSE, 0);

  fill_menu (bar);
  fill_popover (bar);
  refill (bar);
  dim_preset_bar_show (bar, "");
  g_signal_connect_swapped (bar->combo, "changed", G_CALLBACK (on_combo), bar);
}

DimPresetBar *
dim_preset_bar_new (void)
{
  return g_object_new (DIM_TYPE_PRESET_BAR, NULL);
}

GtkWidget *
dim_preset_bar_combo (DimPresetBar *bar)
{
  return bar->combo;
}
