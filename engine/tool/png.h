/* Pictures as PNG files, with the recipe that makes them again.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_PNG_H
#define DIM_TOOL_PNG_H

#include <glib.h>

/* Writes rgb [height][width][3], sRGB in [0, 1], as an 8-bit picture with `recipe` (JSON, UTF-8) as
 * text, under a temporary name, then renames: `file` is the whole picture or what it was before. */
gboolean tool_png_save(const char *file, const float *rgb, int width, int height,
                       const char *recipe, GError **error);
/* The recipe in a picture: *json, g_free. DIM_ERROR_FORMAT when the file is no PNG, is broken, or
 * has no recipe. Pixels are not read. */
gboolean tool_png_read_recipe(const char *file, char **json, GError **error);
/* The same where the rest of the picture is sound, too: every row and checksum. */
gboolean tool_png_read_whole(const char *file, char **json, GError **error);
/* Whether this is a regular file that starts as a PNG does; FALSE also when it cannot be read. */
gboolean tool_png_is(const char *file);

#endif
