/* What a person does in the panel's controls, and what comes of it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-panel-private.h"

#include "ui/dim-i18n.h"
#include "ui/dim-presets.h"

static void
on_preset_picked (DimPanel *panel, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *notice = NULL;
  DimRecipe        recipe;

  dim_foot_show_message (panel->foot, NULL);
  if (!*name)
    dim_panel_put_text (panel, PROP_PRESET, "");
  else if (!dim_presets_load (name, &recipe, NULL, &error))
    {
      dim_foot_show_message (panel->foot, error->message);
      dim_preset_bar_show (panel->preset_bar, panel->preset);
    }
  else
    {
      dim_panel_put_recipe (panel, &recipe);
      dim_panel_keep_preset (panel, name, &recipe);
      dim_recipe_clear (&recipe);
      dim_panel_settle_pending (panel);
    }
}

/* A preset names what is shown: "the default model" may be another one elsewhere, and so may its
 * first class. */
static void
on_preset_save (DimPanel *panel, const char *name, gboolean replace)
{
  const DimModelInfo *info = dim_panel_model (panel);
  int                 label = dim_class_view_get_label (panel->class_view);
  g_autoptr (GError) error = NULL;
  DimRecipe recipe;

  dim_recipe_copy (&recipe, &panel->recipe);
  if (info && !*recipe.model)
    {
      g_free (recipe.model);
      recipe.model = g_strdup (dim_models_name (panel->models, panel->model));
    }
  if (info && !*recipe.class_name && label >= 0)
    {
      g_free (recipe.class_name);
      recipe.class_name = dim_models_class_name (info, label);
    }
  dim_presets_save (name, &recipe, replace, &error);
  dim_recipe_clear (&recipe);
  dim_preset_bar_saved (panel->preset_bar, name, error);
}

static void
on_notice (DimPanel *panel, const char *text)
{
  dim_foot_show_message (panel->foot, text);
}

static void
on_model (DimPanel *panel, int index)
{
  dim_panel_put_text (panel, PROP_MODEL, dim_models_name (panel->models, index));
}

static void
on_model_popup (DimPanel *panel)
{
  dim_panel_refresh_models (panel);
}

static void
on_train (DimPanel *panel)
{
  g_signal_emit_by_name (panel, "train");
}

static void
on_import (DimPanel *panel)
{
  g_signal_emit_by_name (panel, "import");
}

static void
on_class (DimPanel *panel)
{
  g_autofree char *name = NULL;

  if (panel->showing)
    return;
  name = dim_models_class_name (dim_panel_model (panel),
                                dim_class_view_get_label (panel->class_view));
  dim_panel_put_text (panel, PROP_CLASS, name);
}

static void
on_size (DimPanel *panel)
{
  int width, height;

  if (panel->showing)
    return;
  dim_size_box_get (panel->size_box, &width, &height);
  dim_panel_put_count (panel, PROP_WIDTH, width);
  dim_panel_put_count (panel, PROP_HEIGHT, height);
}

static void
on_upsample (DimPanel *panel)
{
  const char *id = gtk_combo_box_get_active_id (GTK_COMBO_BOX (panel->upsample));

  if (!panel->showing && id)
    dim_panel_put_text (panel, PROP_UPSAMPLE, id);
}

static void
on_seed (DimPanel *panel)
{
  if (!panel->showing)
    dim_panel_put_seed (panel, dim_seed_box_get (panel->seed_box));
}

static void
on_more (DimPanel *panel)
{
  DimRecipe recipe;

  if (panel->showing)
    return;
  dim_recipe_copy (&recipe, &panel->recipe);
  dim_more_read (panel->more, &recipe);
  dim_panel_put_recipe (panel, &recipe);
  dim_recipe_clear (&recipe);
}

static void
on_use_size (DimPanel *panel, int width, int height)
{
  dim_panel_put_count (panel, PROP_WIDTH, width);
  dim_panel_put_count (panel, PROP_HEIGHT, height);
}

/* A preset's file dropped anywhere on the panel is imported. */
static void
on_drop (DimPanel *panel, GdkDragContext *context, int x, int y, GtkSelectionData *data)
{
  g_auto (GStrv) uris = gtk_selection_data_get_uris (data);

  for (char **uri = uris; uri && *uri && !panel->running; uri++)
    {
      g_autofree char *file = g_filename_from_uri (*uri, NULL, NULL);

      if (file)
        dim_preset_bar_import (panel->preset_bar, file);
    }
}

static void
on_open_models (DimPanel *panel)
{
  GtkWidget *window = gtk_widget_get_toplevel (GTK_WIDGET (panel));
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = dim_models_folder ();
  g_autofree char *uri = g_filename_to_uri (folder, NULL, NULL);

  g_mkdir_with_parents (folder, 0777); /* if it cannot be made, opening it says so */
  if (!gtk_show_uri_on_window (GTK_IS_WINDOW (window) ? GTK_WINDOW (window) : NULL, uri,
                               GDK_CURRENT_TIME, &error))
    {
      g_autofree char *text
          = g_strdup_printf (_ ("%s cannot be opened: %s."), folder, error->message);

      dim_foot_show_message (panel->foot, text);
    }
}

/* What was typed last may not have been looked at yet. */
static void
on_generate (DimPanel *panel)
{
  dim_panel_settle_pending (panel);
  if (gtk_widget_get_sensitive (dim_foot_generate (panel->foot)))
    g_signal_emit_by_name (panel, "generate");
}

static void
on_stop (DimPanel *panel)
{
  g_signal_emit_by_name (panel, "stop");
}

static void
on_close (DimPanel *panel)
{
  g_signal_emit_by_name (panel, "close");
}

/* Escape in the search field takes the search away first. */
static void
on_stop_search (DimPanel *panel)
{
  GtkEntry *search = GTK_ENTRY (dim_class_view_search (panel->class_view));

  if (*gtk_entry_get_text (search))
    gtk_entry_set_text (search, "");
  else
    on_close (panel);
}

void
dim_panel_connect (DimPanel *panel)
{
  static const struct
  {
    gsize       sender;
    const char *signal;
    GCallback   handler;
  } table[] = {
#define SENDER(field) G_STRUCT_OFFSET (DimPanel, field)
    { SENDER (preset_bar), "picked", G_CALLBACK (on_preset_picked) },
    { SENDER (preset_bar), "save", G_CALLBACK (on_preset_save) },
    { SENDER (preset_bar), "notice", G_CALLBACK (on_notice) },
    { SENDER (model_box), "picked", G_CALLBACK (on_model) },
    { SENDER (model_box), "popup", G_CALLBACK (on_model_popup) },
    { SENDER (class_view), "notify::label", G_CALLBACK (on_class) },
    { SENDER (size_box), "notify::width", G_CALLBACK (on_size) },
    { SENDER (size_box), "notify::height", G_CALLBACK (on_size) },
    { SENDER (upsample), "changed", G_CALLBACK (on_upsample) },
    { SENDER (seed_box), "notify::seed", G_CALLBACK (on_seed) },
    { SENDER (more), "changed", G_CALLBACK (on_more) },
    { SENDER (import), "clicked", G_CALLBACK (on_import) },
    { SENDER (import_first), "clicked", G_CALLBACK (on_import) },
    { SENDER (open_models), "clicked", G_CALLBACK (on_open_models) },
    { SENDER (foot), "generate", G_CALLBACK (on_generate) },
    { SENDER (foot), "stop", G_CALLBACK (on_stop) },
    { SENDER (foot), "close", G_CALLBACK (on_close) },
    { SENDER (foot), "accepted", G_CALLBACK (dim_panel_take_news) },
    { SENDER (foot), "use-size", G_CALLBACK (on_use_size) },
#undef SENDER
  };

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    g_signal_connect_swapped (G_STRUCT_MEMBER (gpointer, panel, table[i].sender), table[i].signal,
                              table[i].handler, panel);
  g_signal_connect_swapped (dim_class_view_search (panel->class_view), "stop-search",
                            G_CALLBACK (on_stop_search), panel);
  g_signal_connect_swapped (dim_class_view_train (panel->class_view), "clicked",
                            G_CALLBACK (on_train), panel);
  g_signal_connect (panel, "drag-data-received", G_CALLBACK (on_drop), NULL);
}
