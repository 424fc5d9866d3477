/* The procedures' arguments: the table, its values, and the recipe they make.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-arguments.h"

#include <math.h>
#include "ui/dim-panel.h"
#include "ui/dim-presets.h"
#include "ui/dim-train-start.h"

#define RECIPE(field) G_STRUCT_OFFSET (DimArguments, recipe.field)
#define REQUEST(field) G_STRUCT_OFFSET (DimTrainRequest, field)

/* clang-format off */
const DimArgument dim_arguments[DIM_N_ARGUMENTS] = {
  { "model", "_Model", "Model: the name of an installed one, or its folder; empty: the default model",
    DIM_ARGUMENT_TEXT, 0, 0, 0, RECIPE (model) },
  { "class", "C_lass", "Class: its name or index; empty: the model's first",
    DIM_ARGUMENT_TEXT, 0, 0, 0, RECIPE (class_name) },
  { "width", "_Width", "Width in pixels, from 16; 0: the image's, or the model's native size",
    DIM_ARGUMENT_COUNT, 0, DIM_PANEL_SIDE_MAX, 0, RECIPE (width) },
  { "height", "Hei_ght", "Height in pixels, from 16; 0: the image's, or the model's native size",
    DIM_ARGUMENT_COUNT, 0, DIM_PANEL_SIDE_MAX, 0, RECIPE (height) },
  { "steps", "S_teps", "Sampling steps; 0: the model's",
    DIM_ARGUMENT_COUNT, 0, DIM_PANEL_STEPS_MAX, 0, RECIPE (steps) },
  { "guidance", "G_uidance", "Scale of classifier-free guidance, 1 is off; 0: the model's",
    DIM_ARGUMENT_REAL, 0, DIM_PANEL_GUIDANCE_MAX, 0, RECIPE (guidance) },
  { "seed", "See_d", "Seed, a whole number up to 2^53 - 1; -1: a fresh one",
    DIM_ARGUMENT_SEED, -1, DIM_SEED_MAX, -1, RECIPE (seed) },
  { "sampler", "Sam_pler", "Sampler; empty: the model's",
    DIM_ARGUMENT_TEXT, 0, 0, 0, RECIPE (sampler) },
  { "upsample", "U_psample", "Upsample guidance: auto, off or a factor; empty: auto",
    DIM_ARGUMENT_TEXT, 0, 0, 0, RECIPE (upsample) },
  { "preset", "Pr_eset", "Preset: its name or file; arguments that differ from their defaults override it",
    DIM_ARGUMENT_TEXT, 0, 0, 0, G_STRUCT_OFFSET (DimArguments, preset) },
  { "options", "Opt_ions", "Further options: name=value, separated by spaces",
    DIM_ARGUMENT_TEXT, 0, 0, 0, RECIPE (options) },
};
const DimArgument dim_train_arguments[DIM_N_TRAIN_ARGUMENTS] = {
  { "model", "_Model", "Model that learns: the name of an installed one, or its folder; empty: the default model",
    DIM_ARGUMENT_TEXT, 0, 0, 0, REQUEST (model) },
  { "class", "C_lass", "Name of the new class",
    DIM_ARGUMENT_TEXT, 0, 0, 0, REQUEST (class_name) },
  { "folder", "_Folder", "Folder of its pictures; empty: the visible layers of the image",
    DIM_ARGUMENT_TEXT, 0, 0, 0, REQUEST (folder) },
  { "minutes", "M_inutes", "About how long it takes",
    DIM_ARGUMENT_REAL, DIM_TRAIN_MINUTES_LEAST, DIM_TRAIN_MINUTES_MOST, DIM_TRAIN_MINUTES, REQUEST (minutes) },
  { "output", "_Output", "The new model: its name, or a folder; empty: MODEL-CLASS",
    DIM_ARGUMENT_TEXT, 0, 0, 0, REQUEST (output) },
  { "options", "Opt_ions", "Further options of dim train: name=value, separated by spaces",
    DIM_ARGUMENT_TEXT, 0, 0, 0, REQUEST (options) },
};
/* clang-format on */

void
dim_arguments_init (DimArguments *arguments)
{
  dim_recipe_init (&arguments->recipe);
  arguments->preset = g_strdup ("");
}

void
dim_arguments_clear (DimArguments *arguments)
{
  dim_recipe_clear (&arguments->recipe);
  g_clear_pointer (&arguments->preset, g_free);
}

static gpointer
place (gconstpointer values, const DimArgument *argument)
{
  return G_STRUCT_MEMBER_P (values, argument->offset);
}

void
dim_arguments_set_text (gpointer values, const DimArgument *argument, const char *text)
{
  char **field = place (values, argument);

  g_assert (argument->kind == DIM_ARGUMENT_TEXT);
  g_free (*field);
  *field = g_strdup (text != NULL ? text : "");
}

const char *
dim_arguments_get_text (gconstpointer values, const DimArgument *argument)
{
  g_assert (argument->kind == DIM_ARGUMENT_TEXT);
  return *(char **)place (values, argument);
}

gboolean
dim_arguments_set_number (gpointer values, const DimArgument *argument, double number,
                          GError **error)
{
  if (!(number >= argument->least && number <= argument->most)
      || (argument->kind != DIM_ARGUMENT_REAL && number != floor (number)))
    {
      g_set_error (error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                   "%s must be a %s from %.15g to %.15g, not %.17g", argument->name,
                   argument->kind == DIM_ARGUMENT_REAL ? "number" : "whole number", argument->least,
                   argument->most, number);
      return FALSE;
    }
  switch (argument->kind)
    {
    case DIM_ARGUMENT_COUNT:
      *(int *)place (values, argument) = (int)number;
      break;
    case DIM_ARGUMENT_REAL:
      *(double *)place (values, argument) = number;
      break;
    case DIM_ARGUMENT_SEED:
      *(gint64 *)place (values, argument) = (gint64)number;
      break;
    case DIM_ARGUMENT_TEXT:
      g_assert_not_reached ();
    }
  return TRUE;
}

double
dim_arguments_get_number (gconstpointer values, const DimArgument *argument)
{
  switch (argument->kind)
    {
    case DIM_ARGUMENT_COUNT:
      return *(int *)place (values, argument);
    case DIM_ARGUMENT_REAL:
      return *(double *)place (values, argument);
    case DIM_ARGUMENT_SEED:
      return (double)*(gint64 *)place (values, argument);
    case DIM_ARGUMENT_TEXT:
      break;
    }
  g_assert_not_reached ();
}

static double
get_property_number (GObject *object, const DimArgument *argument)
{
  int    count;
  double number;

  if (argument->kind != DIM_ARGUMENT_COUNT)
    {
      g_object_get (object, argument->name, &number, NULL);
      return number;
    }
  g_object_get (object, argument->name, &count, NULL);
  return count;
}

gboolean
dim_arguments_from_object (gpointer values, const DimArgument *table, int n, GObject *object,
                           GError **error)
{
  for (int i = 0; i < n; i++)
    {
      const DimArgument *argument = &table[i];
      g_autofree char   *text = NULL;

      if (argument->kind == DIM_ARGUMENT_TEXT)
        {
          g_object_get (object, argument->name, &text, NULL);
          dim_arguments_set_text (values, argument, text);
        }
      else if (!dim_arguments_set_number (values, argument, get_property_number (object, argument),
                                          error))
        return FALSE;
    }
  return TRUE;
}

void
dim_arguments_to_object (const DimArguments *arguments, GObject *object)
{
  for (int i = 0; i < DIM_N_ARGUMENTS; i++)
    {
      const DimArgument *argument = &dim_arguments[i];

      if (argument->kind == DIM_ARGUMENT_TEXT)
        g_object_set (object, argument->name, dim_arguments_get_text (arguments, argument), NULL);
      else if (argument->kind == DIM_ARGUMENT_COUNT)
        g_object_set (object, argument->name, (int)dim_arguments_get_number (arguments, argument),
                      NULL);
      else
        g_object_set (object, argument->name, dim_arguments_get_number (arguments, argument), NULL);
    }
}

gboolean
dim_arguments_recipe (const DimArguments *arguments, int canvas_width, int canvas_height,
                      DimRecipe *recipe, GError **error)
{
  dim_recipe_copy (recipe, &arguments->recipe);
  if (!dim_presets_merge (arguments->preset, recipe, error))
    {
      dim_recipe_clear (recipe);
      return FALSE;
    }
  if (recipe->width == 0)
    recipe->width = canvas_width;
  if (recipe->height == 0)
    recipe->height = canvas_height;
  return TRUE;
}
