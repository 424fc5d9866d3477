/* Files that hold one JSON object.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "json-file.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/dim.h"

json_t *tool_json_load(const char *file, const char *what, GError **error)
{
    json_error_t fault;
    g_autofree char *text = NULL;
    g_autoptr(GError) reading = NULL;
    gsize length;

    if (!g_file_get_contents(file, &text, &length, &reading)) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be read: %s; expected %s", file,
                    reading->message, what);
        return NULL;
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &fault);
    if (json_is_object(root))
        return root;
    g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT, "%s: %s; expected %s", file,
                root ? "is no JSON object" : fault.text, what);
    json_decref(root);
    return NULL;
}

gboolean tool_json_save(const json_t *root, const char *file, GError **error)
{
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    DimOutput *output = dim_output_open(file, error);

    if (output) {
        fprintf(dim_output_stream(output), "%s\n", text);
        free(text);
        return dim_output_commit(&output, error);
    }
    free(text);
    return FALSE;
}
