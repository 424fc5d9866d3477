/* Presets: one readable JSON file each.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-presets.h"

#include <errno.h>
#include <string.h>
#include <glib/gstdio.h>

#include "ui/dim-i18n.h"

#define SUFFIX ".json"
#define NAME_BYTES_MAX                                                                             \
  200 /* a file's name holds 255, the suffix and a temporary name's included                       \
       */

char *
dim_presets_folder (void)
{
  return g_build_filename (g_get_user_config_dir (), "gimp-dim", "presets", NULL);
}

static char *
file_of (const char *name)
{
  g_autofree char *folder = dim_presets_folder ();
  g_autofree char *file = g_strconcat (name, SUFFIX, NULL);

  return g_build_filename (folder, file, NULL);
}

static gboolean
is_file (const char *preset)
{
  return strchr (preset, G_DIR_SEPARATOR) || g_str_has_suffix (preset, SUFFIX);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_utf8_collate (*(char *const *)a, *(char *const *)b);
}

char **
dim_presets_list (void)
{
  g_autofree char *folder = dim_presets_folder ();
  GDir            *dir = g_dir_open (folder, 0, NULL);
  GPtrArray       *names = g_ptr_array_new ();
  const char      *file;

  while (dir && (file = g_dir_read_name (dir)))
    if (g_str_has_suffix (file, SUFFIX) && g_utf8_validate (file, -1, NULL))
      {
        g_autofree char *name = g_strndup (file, strlen (file) - strlen (SUFFIX));
        g_autofree char *safe = dim_presets_safe_name (name);

        if (g_strcmp0 (name, safe) == 0) /* else it cannot be asked for by name */
          g_ptr_array_add (names, g_steal_pointer (&name));
      }
  g_clear_pointer (&dir, g_dir_close);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (names, FALSE);
}

char *
dim_presets_safe_name (const char *wanted)
{
  g_autofree char *clean = g_strstrip (dim_text_clean (wanted));
  char            *name = clean;

  while (*name == '.' || *name == ' ')
    name++;
  if (strlen (name) > NAME_BYTES_MAX)
    *g_utf8_find_prev_char (name, name + NAME_BYTES_MAX + 1) = '\0';
  g_strdelimit (name, "/\\", '-');
  while (g_str_has_suffix (name, SUFFIX)) /* else the name would be taken for a file's */
    name[strlen (name) - strlen (SUFFIX)] = '\0';
  g_strchomp (name);
  return *name ? g_strdup (name) : NULL;
}

/* The file of a name as a person gives it; NULL and an error when no file can have it. */
static char *
checked_file_of (const char *wanted, GError **error)
{
  g_autofree char *name = dim_presets_safe_name (wanted);

  if (name)
    return file_of (name);
  g_set_error_literal (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                       _ ("A preset needs a name with at least one letter or digit."));
  return NULL;
}

gboolean
dim_presets_exists (const char *name)
{
  g_autofree char *safe = dim_presets_safe_name (name);
  g_autofree char *file = safe ? file_of (safe) : NULL;

  return file && g_file_test (file, G_FILE_TEST_EXISTS);
}

gboolean
dim_presets_load (const char *preset, DimRecipe *recipe, char **unknown_keys, GError **error)
{
  g_autofree char *file = is_file (preset) ? g_strdup (preset) : file_of (preset);

  if (!is_file (preset) && !g_file_test (file, G_FILE_TEST_EXISTS))
    {
      g_autofree char *folder = dim_presets_folder ();

      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, _ ("There is no preset “%s” in %s."),
                   preset, folder);
      return FALSE;
    }
  return dim_recipe_load (recipe, file, unknown_keys, error);
}

static void
merge_text (char **text, const char *from)
{
  if (!**text)
    {
      g_free (*text);
      *text = g_strdup (from);
    }
}

void
dim_presets_fill (DimRecipe *recipe, const DimRecipe *preset)
{
  merge_text (&recipe->model, preset->model);
  merge_text (&recipe->class_name, preset->class_name);
  merge_text (&recipe->sampler, preset->sampler);
  merge_text (&recipe->upsample, preset->upsample);
  merge_text (&recipe->options, preset->options);
  merge_text (&recipe->unknown, preset->unknown);
  recipe->width = recipe->width ? recipe->width : preset->width;
  recipe->height = recipe->height ? recipe->height : preset->height;
  recipe->steps = recipe->steps ? recipe->steps : preset->steps;
  recipe->guidance = recipe->guidance != 0 ? recipe->guidance : preset->guidance;
  recipe->seed = recipe->seed >= 0 ? recipe->seed : preset->seed;
}

gboolean
dim_presets_merge (const char *preset, DimRecipe *recipe, GError **error)
{
  DimRecipe from;

  if (!*preset)
    return TRUE;
  if (!dim_presets_load (preset, &from, NULL, error))
    return FALSE;
  dim_presets_fill (recipe, &from);
  dim_recipe_clear (&from);
  return TRUE;
}

static gboolean
fail_exists (const char *name, GError **error)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_EXIST, _ ("There is a preset “%s” already."),
               name);
  return FALSE;
}

static gboolean
make_folder (GError **error)
{
  g_autofree char *folder = dim_presets_folder ();
  int              code;

  if (g_mkdir_with_parents (folder, 0700) == 0)
    return TRUE;
  code = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (code),
               _ ("The folder %s cannot be made: %s."), folder, g_strerror (code));
  return FALSE;
}

gboolean
dim_presets_save (const char *name, const DimRecipe *recipe, gboolean replace, GError **error)
{
  g_autofree char *file = checked_file_of (name, error);
  DimRecipe        named;
  gboolean         saved;

  if (!file)
    return FALSE;
  if (!replace && g_file_test (file, G_FILE_TEST_EXISTS))
    return fail_exists (name, error);
  if (!make_folder (error))
    return FALSE;

  dim_recipe_copy (&named, recipe);
  g_free (named.name);
  named.name = g_strdup (name);
  saved = dim_recipe_save (&named, file, error);
  dim_recipe_clear (&named);
  return saved;
}

gboolean
dim_presets_rename (const char *from, const char *to, GError **error)
{
  g_autofree char *old_name = dim_presets_safe_name (from);
  g_autofree char *new_name = dim_presets_safe_name (to);
  DimRecipe        recipe;
  gboolean         saved;

  if (g_strcmp0 (old_name, new_name) == 0)
    return TRUE;
  if (!dim_presets_load (from, &recipe, NULL, error))
    return FALSE;
  saved = dim_presets_save (to, &recipe, FALSE, error);
  dim_recipe_clear (&recipe);
  return saved && dim_presets_remove (from, error);
}

gboolean
dim_presets_remove (const char *name, GError **error)
{
  g_autofree char *file = checked_file_of (name, error);
  int              code;

  if (!file)
    return FALSE;
  if (g_unlink (file) == 0)
    return TRUE;
  code = errno;
  g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (code),
               _ ("The preset “%s” cannot be deleted: %s."), name, g_strerror (code));
  return FALSE;
}

/* `wanted`, or "wanted (2)" and so on when that is taken. */
static char *
free_name (const char *wanted)
{
  char *name = g_strdup (wanted);

  for (int i = 2; dim_presets_exists (name); i++)
    {
      g_free (name);
      name = g_strdup_printf ("%s (%d)", wanted, i);
    }
  return name;
}

char *
dim_presets_import (const char *file, char **unknown_keys, GError **error)
{
  g_autofree char *base = g_path_get_basename (file);
  g_autofree char *shown = g_filename_display_name (base);
  g_autofree char *wanted = NULL;
  g_autofree char *name = NULL;
  DimRecipe        recipe;

  if (!dim_recipe_load (&recipe, file, unknown_keys, error))
    return NULL;
  wanted = dim_presets_safe_name (*recipe.name ? recipe.name : shown);
  name = free_name (wanted ? wanted : _ ("Imported"));
  if (!dim_presets_save (name, &recipe, FALSE, error))
    {
      g_clear_pointer (&name, g_free);
      if (unknown_keys)
        g_clear_pointer (unknown_keys, g_free);
    }
  dim_recipe_clear (&recipe);
  return g_steal_pointer (&name);
}

gboolean
dim_presets_export (const char *name, const char *file, GError **error)
{
  DimRecipe recipe;
  gboolean  saved;

  if (!dim_presets_load (name, &recipe, NULL, error))
    return FALSE;
  saved = dim_recipe_save (&recipe, file, error);
  dim_recipe_clear (&recipe);
  return saved;
}
