/* Presets: one readable JSON file each (docs/recipe.md) in $XDG_CONFIG_HOME/gimp-dim/presets. No
 * GTK here.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A preset's name is its file's name without ".json", so that a file copied there by hand is a
 * preset. Files are written under a temporary name and renamed; nothing is replaced unless the
 * caller says so. */
#ifndef DIM_PRESETS_H
#define DIM_PRESETS_H

#include "engine/dim.h"

G_BEGIN_DECLS

/* Folder of the presets, whether or not it exists; g_free. */
char *dim_presets_folder (void);

/* Names of all presets, sorted for people; NULL-terminated, g_strfreev. Never fails. */
char **dim_presets_list (void);

/* The name that a preset gets when a person asks for `wanted`: what no file's name can hold is
 * replaced. NULL when nothing is left; g_free. */
char *dim_presets_safe_name (const char *wanted);

gboolean dim_presets_exists (const char *name);

/* `preset` is a name or, when it has a '/' or ends in ".json", a file. *recipe is initialised here;
 * on success the caller clears it. *unknown_keys (may be NULL) gets a list for people or NULL. */
gboolean dim_presets_load (const char *preset, DimRecipe *recipe, char **unknown_keys,
                           GError **error);

/* Settings of *recipe that are at their defaults are taken from the preset; so are its unknown
 * keys. */
void dim_presets_fill (DimRecipe *recipe, const DimRecipe *preset);

/* A procedure's argument `preset`: loads it and fills *recipe from it; "" does nothing. */
gboolean dim_presets_merge (const char *preset, DimRecipe *recipe, GError **error);

/* An existing preset is refused with G_FILE_ERROR_EXIST unless `replace`. The folder is made when
 * it is not there. */
gboolean dim_presets_save (const char *name, const DimRecipe *recipe, gboolean replace,
                           GError **error);
gboolean dim_presets_rename (const char *from, const char *to, GError **error);
gboolean dim_presets_remove (const char *name, GError **error);

/* Checks `file` and copies it in, under the name that it gives itself or its file's, with a number
 * when that is taken. Returns the name it has now, g_free. Nothing changes when it is refused. */
char    *dim_presets_import (const char *file, char **unknown_keys, GError **error);
gboolean dim_presets_export (const char *name, const char *file, GError **error);

G_END_DECLS
#endif
