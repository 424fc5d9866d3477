/* `dim hash DIR`: sha256 of each file that a model folder names.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

/* All lines, or none when one file cannot be read. */
static char *make_lines(const char *folder, GError **error)
{
    g_auto(GStrv) files = dim_model_files(folder, error);
    GString *lines = g_string_new(NULL);

    for (int i = 0; files && files[i]; i++) {
        g_autofree char *hash = dim_model_file_hash(folder, files[i], NULL, error);
        if (!hash) {
            g_string_free(lines, TRUE);
            return NULL;
        }
        g_autofree char *clean = dim_text_clean(files[i]);
        g_string_append_printf(lines, "%s  %s\n", hash, clean);
    }
    return g_string_free(lines, files == NULL);
}

int tool_hash(int argc, char **argv)
{
    g_autofree char *lines = NULL;
    ToolCommon common;
    GError *error = NULL;
    int status = TOOL_USAGE;

    if (tool_parse(&argc, &argv, NULL, "DIR", 1, &common)) {
        lines = make_lines(argv[1], &error);
        status = lines ? TOOL_DONE : tool_failed(error);
    }
    if (lines)
        fputs(lines, stdout);
    tool_common_clear(&common);
    return status;
}
