/* Fuzz target: a model.json, with all that its families check of their configurations.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include <glib/gstdio.h>

#include "engine/dim.h"
#include "fuzz.h"

/* Whatever the folder holds, what is answered is whole. */
static void look_at(const char *folder)
{
    GError *error = NULL;
    DimModelInfo *info = dim_model_info_read(folder, &error);

    fuzz_check(info != NULL, &error);
    char **files = dim_model_files(folder, &error);
    fuzz_check(files != NULL, &error);
    g_strfreev(files);
    if (info) {
        fuzz_check(dim_model_info_find_class(info, "7", &error) >= 0, &error);
    }
    dim_model_info_free(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *folder = g_dir_make_tmp("fuzz-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);

    g_assert_true(g_file_set_contents_full(file, (const char *)data, (gssize)size,
                                           G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    look_at(folder);
    g_unlink(file);
    g_rmdir(folder);
    return 0;
}
