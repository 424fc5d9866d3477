/* Settling: the panel's names are looked up, its recipe is shown, and what it costs is estimated.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-panel-private.h"

#include "ui/dim-i18n.h"
#include "ui/dim-options.h"
#include "ui/dim-presets.h"
#include "ui/dim-upsample-combo.h"

/* ---- what the names mean ---- */

static gboolean
same_settings (const DimRecipe *a, const DimRecipe *b)
{
  return g_str_equal (a->model, b->model) && g_str_equal (a->class_name, b->class_name)
         && g_str_equal (a->sampler, b->sampler) && g_str_equal (a->upsample, b->upsample)
         && g_str_equal (a->options, b->options) && a->width == b->width && a->height == b->height
         && a->steps == b->steps && a->guidance == b->guidance && a->seed == b->seed;
}

const DimModelInfo *
dim_panel_model (DimPanel *panel)
{
  return dim_models_get (panel->models, panel->model);
}

static void
add_notice (GString *notice, char *sentence)
{
  g_string_append_printf (notice, "%s%s", notice->len > 0 ? "\n" : "", sentence);
  g_free (sentence);
}

void
dim_panel_keep_preset (DimPanel *panel, const char *name, const DimRecipe *from)
{
  dim_recipe_clear (&panel->preset_recipe);
  dim_recipe_copy (&panel->preset_recipe, from);
  dim_panel_put_text (panel, PROP_PRESET, name);
  panel->preset_pending = FALSE;
}

/* The argument `preset` was set: the settings that are at their defaults come from it. */
static void
settle_preset (DimPanel *panel, GString *notice)
{
  g_autoptr (GError) error = NULL;
  DimRecipe merged, preset;

  if (!panel->preset_pending)
    return;
  panel->preset_pending = FALSE;
  if (!*panel->preset)
    return;
  if (!dim_presets_load (panel->preset, &preset, NULL, &error))
    {
      add_notice (notice, g_strdup (error->message));
      dim_panel_put_text (panel, PROP_PRESET, "");
      return;
    }
  dim_recipe_copy (&merged, &panel->recipe);
  dim_presets_fill (&merged, &preset);
  dim_panel_put_recipe (panel, &merged);
  dim_panel_keep_preset (panel, panel->preset, &preset);
  dim_recipe_clear (&merged);
  dim_recipe_clear (&preset);
}

/* The model that is named is gone or no good: the default one stands in, or the first good one. */
static void
fall_back (DimPanel *panel, const GError *error, GString *notice)
{
  g_autofree char    *why = dim_text_clean (error->message);
  const DimModelInfo *info;

  panel->model = dim_models_find (panel->models, "", NULL);
  dim_panel_put_text (panel, PROP_MODEL, "");
  if (panel->model < 0 && panel->models->infos->len > 0)
    {
      panel->model = 0;
      dim_panel_put_text (panel, PROP_MODEL, dim_models_name (panel->models, 0));
    }
  info = dim_panel_model (panel);
  if (info)
    add_notice (notice, g_strdup_printf (_ ("%s; “%s” is taken instead."), why, info->name));
}

/* The classes and the defaults of the model that the settings name. */
static void
settle_model (DimPanel *panel, GString *notice)
{
  g_autoptr (GError) error = NULL;
  int                 old = panel->model;
  const DimModelInfo *info;

  if (g_strcmp0 (panel->recipe.model, panel->model_name) == 0)
    return;
  panel->model = dim_models_find (panel->models, panel->recipe.model, &error);
  if (error)
    fall_back (panel, error, notice);
  g_free (panel->model_name);
  panel->model_name = g_strdup (panel->recipe.model);
  info = dim_panel_model (panel);
  if (!info || panel->model == old)
    return;
  dim_class_view_set_names (panel->class_view, info->classes, info->synonyms, info->n_classes,
                            info->n_labels);
  dim_size_box_set_model (panel->size_box, info->native_size,
                          MAX (1, info->backbone.factor * info->autoencoder.factor));
  dim_more_set_model (panel->more, info);
}

static void
settle_class (DimPanel *panel, GString *notice)
{
  const DimModelInfo *info = dim_panel_model (panel);
  g_autoptr (GError) error = NULL;
  const char *name = panel->recipe.class_name;
  int         label = -1;

  if (!info)
    return;
  if (*name || info->n_classes > 0) /* else "" is no class at all */
    label = dim_model_info_find_class (info, name, &error);
  if (label < 0 && *name)
    {
      g_autofree char *clean = dim_text_clean (name);
      g_autofree char *first
          = info->n_classes > 0 ? dim_text_clean (info->classes[0]) : g_strdup (_ ("none"));

      add_notice (notice, g_strdup_printf (_ ("“%s” has no class “%s”; “%s” is taken instead."),
                                           info->name, clean, first));
      dim_panel_put_text (panel, PROP_CLASS, "");
      label = info->n_classes > 0 ? 0 : -1;
    }
  dim_class_view_set_label (panel->class_view, label);
}

static void
settle_options (DimPanel *panel, GString *notice)
{
  g_autoptr (GError) error = NULL;
  DimOptions options;

  if (!dim_recipe_options (&panel->recipe, &options, &error))
    {
      add_notice (notice, g_strdup_printf (_ ("%s; the options are left out."), error->message));
      dim_panel_put_text (panel, PROP_OPTIONS, "");
    }
}

/* ---- what is shown ---- */

static void
show_recipe (DimPanel *panel)
{
  const DimModelInfo *info = dim_panel_model (panel);

  dim_preset_bar_show (panel->preset_bar, panel->preset);
  dim_model_box_show (panel->model_box, panel->models, panel->model);
  dim_size_box_set (panel->size_box, panel->recipe.width, panel->recipe.height);
  dim_seed_box_set (panel->seed_box, panel->recipe.seed);
  dim_upsample_combo_show (panel->upsample, panel->recipe.upsample);
  if (info)
    dim_more_show (panel->more, &panel->recipe);
  gtk_stack_set_visible_child_name (GTK_STACK (panel->class_stack), !info ? "no-model"
                                                                    : info->n_labels == 0
                                                                        ? "no-classes"
                                                                        : "classes");
}

static char *
memory_text (gint64 bytes)
{
  return bytes < 1000 * 1000 * 1000 ? g_strdup_printf (_ ("%.0f MB"), bytes * 1e-6)
                                    : g_strdup_printf (_ ("%.1f GB"), bytes * 1e-9);
}

static char *
estimate_text (const DimEstimate *estimate)
{
  g_autofree char *memory = memory_text (estimate->bytes);

  return g_strdup_printf (
      g_dngettext (DIM_TEXT_DOMAIN, "About %s of memory; the network runs %d time.",
                   "About %s of memory; the network runs %d times.", estimate->evaluations),
      memory, estimate->evaluations);
}

/* Why the parameters were refused; of width 0: without having come to the size. */
static char *
refusal_text (const GError *error, const DimParams *params, const DimEstimate *estimate)
{
  g_autofree char *memory = memory_text (estimate->bytes);

  if (params->width == 0 || !g_error_matches (error, DIM_ERROR, DIM_ERROR_NO_MEMORY))
    return dim_text_clean (error->message);
  if (estimate->bytes == G_MAXINT64)
    return g_strdup_printf (_ ("%d × %d is too large: there is not that much memory."),
                            params->width, params->height);
  return g_strdup_printf (_ ("%d × %d is too large: it takes %s of memory, more than is free."),
                          params->width, params->height, memory);
}

/* The parameters, at the native size: a size that does not fit, or that cannot be seamless, is told
 * apart from all other mistakes. */
static gboolean
resolve (DimPanel *panel, DimParams *params, GError **error)
{
  DimRecipe  recipe;
  DimOptions options;
  gboolean   resolved;

  if (!dim_recipe_options (&panel->recipe, &options, error))
    return FALSE;
  dim_recipe_copy (&recipe, &panel->recipe);
  recipe.width = recipe.height = 0;
  g_free (recipe.options);
  recipe.options = dim_options_set (panel->recipe.options, "seamless", "");
  resolved = dim_recipe_resolve (&recipe, dim_panel_model (panel), params, error);
  dim_recipe_clear (&recipe);
  if (resolved && options.seamless >= 0)
    params->seamless = (DimSeamless)options.seamless;
  return resolved;
}

/* What "automatic" means for the parameters. */
static int
automatic_factor (const DimModelInfo *info, const DimParams *params, const DimEstimate *estimate)
{
  DimParams   automatic = *params;
  DimEstimate result = *estimate;

  if (params->upsample != DIM_UPSAMPLE_AUTO)
    {
      automatic.upsample = DIM_UPSAMPLE_AUTO;
      dim_estimate (info, &automatic, &result);
    }
  return result.upsample;
}

/* The size to offer in place of one that was refused; FALSE: there is none. */
static gboolean
find_other_size (const DimModelInfo *info, const GError *refused, DimParams *params)
{
  if (params->width == 0)
    return FALSE;
  if (g_error_matches (refused, DIM_ERROR, DIM_ERROR_NO_MEMORY))
    return dim_params_shrink (params, info);
  return g_error_matches (refused, DIM_ERROR, DIM_ERROR_ARGUMENT) && dim_params_fit (params, info)
         && dim_params_check (params, info, NULL);
}

static void
show_estimate (DimPanel *panel)
{
  const DimModelInfo *info = dim_panel_model (panel);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  DimParams        params = { 0 };
  DimEstimate      estimate = { 0 };
  gboolean         has_other;

  if (!info)
    {
      dim_foot_show_estimate (panel->foot, "", FALSE, 0, 0);
      return;
    }
  if (resolve (panel, &params, &error))
    {
      dim_size_box_shown (panel->size_box, &params.width, &params.height);
      dim_estimate (info, &params, &estimate);
      dim_upsample_combo_set_auto (panel->upsample, automatic_factor (info, &params, &estimate));
      dim_params_check (&params, info, &error);
    }
  text = error ? refusal_text (error, &params, &estimate) : estimate_text (&estimate);
  has_other = find_other_size (info, error, &params);
  dim_foot_show_estimate (panel->foot, text, !error, has_other ? params.width : 0,
                          has_other ? params.height : 0);
}

char *
dim_panel_settle (DimPanel *panel)
{
  GString *notice = g_string_new (NULL);

  panel->showing = TRUE;
  settle_preset (panel, notice);
  settle_model (panel, notice);
  settle_class (panel, notice);
  settle_options (panel, notice);
  if (*panel->preset && !same_settings (&panel->recipe, &panel->preset_recipe))
    dim_panel_put_text (panel, PROP_PRESET, "");
  show_recipe (panel);
  show_estimate (panel);
  panel->showing = FALSE;

  g_clear_handle_id (&panel->settling, g_source_remove);
  if (notice->len > 0)
    dim_foot_show_message (panel->foot, notice->str);
  return g_string_free (notice, notice->len == 0);
}
