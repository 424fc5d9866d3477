/* Files that hold one JSON object.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_JSON_FILE_H
#define DIM_TOOL_JSON_FILE_H

#include <glib.h>
#include <jansson.h>

/* `what` is what was expected, for the error; json_decref. */
json_t *tool_json_load(const char *file, const char *what, GError **error);
/* Atomically. */
gboolean tool_json_save(const json_t *root, const char *file, GError **error);

#endif
