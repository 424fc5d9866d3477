/* A model folder with some of its model.json changed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "model-copy.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <jansson.h>

static const char *const files[] = {"model.json", "model.safetensors"};

char *model_copy(const char *folder, const char *changes, const char *without)
{
    char *to = g_dir_make_tmp("dim-model-XXXXXX", NULL);
    g_autofree char *json_from = g_build_filename(folder, files[0], NULL);
    g_autofree char *json_to = g_build_filename(to, files[0], NULL);
    g_autofree char *weights_from = g_build_filename(folder, files[1], NULL);
    g_autofree char *weights_to = g_build_filename(to, files[1], NULL);
    g_autofree char *weights = NULL;
    json_t *model = json_load_file(json_from, 0, NULL), *set = json_loads(changes, 0, NULL);
    gsize length;

    g_assert_true(model && set && !json_object_update(model, set));
    if (without)
        g_assert_true(!json_object_del(model, without));
    g_assert_true(!json_dump_file(model, json_to, JSON_INDENT(1)));
    g_assert_true(g_file_get_contents(weights_from, &weights, &length, NULL));
    g_assert_true(g_file_set_contents(weights_to, weights, length, NULL));
    json_decref(model);
    json_decref(set);
    return to;
}

void model_copy_remove(const char *folder)
{
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *file = g_build_filename(folder, files[i], NULL);
        g_unlink(file);
    }
    g_rmdir(folder);
}
