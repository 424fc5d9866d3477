/* Writes a checkpoint of any family with random weights, a bare state dict as safetensors.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 *     make-checkpoint FAMILY CONFIG TABLE_SIDE FILE
 *
 * CONFIG is the family's as JSON, TABLE_SIDE of a dim the side of the position table in tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/json.h"
#include "engine/weights-made.h"
#include "tests/engine/random-model.h"

/* The tensors of a family; NULL and no error: there is no such family. */
static DimWeights *list(const char *family, const json_t *json, int table_side, GError **error)
{
    const DimNetClass *net = dim_net_class(family);
    const DimAutoencoderClass *autoencoder = dim_autoencoder_class(family);

    if (net) {
        g_autofree void *config = net->parse(json, "CONFIG", error);
        return config ? dim_weights_list_net(net, config, table_side, error) : NULL;
    }
    if (!autoencoder)
        return NULL;
    g_autofree void *config = autoencoder->parse(json, "CONFIG", error);
    return config ? dim_weights_list_autoencoder(autoencoder, config, error) : NULL;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    json_t *json = argc == 5 ? dim_json_parse(argv[2], strlen(argv[2]), "CONFIG", &error) : NULL;
    DimWeights *weights = json ? list(argv[1], json, atoi(argv[3]), &error) : NULL;

    json_decref(json);
    if (!weights && !error) {
        fprintf(stderr, "usage: make-checkpoint dim|dit|diffussm|kl|tae|linear CONFIG TABLE_SIDE "
                        "FILE\n");
        return 2;
    }
    const gboolean good = weights && dim_weights_fill(weights, 0, &error) &&
                          random_weights_save(weights, argv[4], &error);
    if (!good)
        fprintf(stderr, "make-checkpoint: %s\n", error->message);
    dim_weights_close(&weights);
    return good ? 0 : 1;
}
