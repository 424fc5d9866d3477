/* Model folders with random weights.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "random-model.h"

#include <string.h>

#include "engine/json.h"
#include "engine/net-dim.h"
#include "engine/weights-made.h"
#include "engine/weights.h"

/* The numbers are as in a file, little-endian: so are the machines that this runs on. */
gboolean random_weights_save(const DimWeights *weights, const char *file, GError **error)
{
    const int n = weights->n_entries;
    g_autofree const char **names = g_new(const char *, n);
    g_autofree DimArray *arrays = g_new0(DimArray, n);

    for (int i = 0; i < n; i++) {
        const DimEntry *entry = &weights->entries[i];
        names[i] = entry->tensor.name;
        arrays[i].data = (float *)(void *)entry->data;
        arrays[i].rank = entry->tensor.rank;
        memcpy(arrays[i].sizes, entry->tensor.sizes, sizeof arrays[i].sizes);
    }
    return dim_tensors_save(file, n, names, arrays, error);
}

static gboolean write_weights(const char *file, const DimMambaConfig *config, int table_side,
                              gint64 seed, GError **error)
{
    DimWeights *weights = dim_weights_list_net(&dim_net_dim, config, table_side, error);
    const gboolean good = weights && dim_weights_fill(weights, seed, error) &&
                          random_weights_save(weights, file, error);

    dim_weights_close(&weights);
    return good;
}

gboolean random_model_write(const char *folder, const char *config, int table_side, gint64 seed,
                            GError **error)
{
    json_t *json = dim_json_parse(config, strlen(config), "config", error);
    g_autofree DimMambaConfig *c = json ? dim_net_dim.parse(json, "config", error) : NULL;
    g_autofree char *weights = g_build_filename(folder, "weights.safetensors", NULL);
    g_autofree char *model = g_build_filename(folder, "model.json", NULL);

    json_decref(json);
    if (!c || !write_weights(weights, c, table_side, seed, error))
        return FALSE;
    g_autofree char *text = g_strdup_printf(
        "{\"format\": \"gimp-dim-model\", \"version\": 1, \"name\": \"random weights\",\n"
        " \"backbone\": {\"family\": \"dim\", \"weights\": \"weights.safetensors\",\n  \"config\": "
        "%s},\n"
        " \"noise_schedule\": {\"type\": \"scaled_linear\", \"beta_start\": 0.00085, \"beta_end\": "
        "0.012,"
        " \"timesteps\": 1000},\n"
        " \"prediction\": \"epsilon\", \"unconditional_class\": %d, \"native_size\": %d}\n",
        config, c->n_classes, table_side * c->patch);
    return g_file_set_contents(model, text, -1, error);
}
