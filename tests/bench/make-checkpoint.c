/* Writes a checkpoint of any backbone family with random weights, a bare state dict as safetensors.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 *     make-checkpoint FAMILY CONFIG TABLE_SIDE FILE
 *
 * CONFIG is backbone.config as JSON, TABLE_SIDE of a dim the side of the position table in tokens.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/json.h"
#include "engine/weights-made.h"
#include "engine/weights.h"

static gboolean save(const DimWeights *weights, const char *file, GError **error)
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

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    const DimNetClass *net = argc == 5 ? dim_net_class(argv[1]) : NULL;

    if (!net) {
        fprintf(stderr, "usage: make-checkpoint dim|dit|diffussm CONFIG TABLE_SIDE FILE\n");
        return 2;
    }
    json_t *json = dim_json_parse(argv[2], strlen(argv[2]), "CONFIG", &error);
    g_autofree void *config = json ? net->parse(json, "CONFIG", &error) : NULL;
    DimWeights *weights = config ? dim_weights_list_net(net, config, atoi(argv[3]), &error) : NULL;
    const gboolean good =
        weights && dim_weights_fill(weights, &error) && save(weights, argv[4], &error);

    if (!good)
        fprintf(stderr, "make-checkpoint: %s\n", error->message);
    dim_weights_close(&weights);
    json_decref(json);
    return good ? 0 : 1;
}
