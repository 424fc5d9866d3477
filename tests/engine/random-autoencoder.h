/* Weight files of autoencoders with random numbers, for tests.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef RANDOM_AUTOENCODER_H
#define RANDOM_AUTOENCODER_H

#include "engine/autoencoder.h"
#include "engine/vae-kl.h"

typedef struct {
    GPtrArray *names; /* of char */
    GArray *arrays;   /* of DimArray */
    GRand *rand;
    const char *leave_out; /* a tensor that is not written, NULL: none */
} RandomFile;

void random_file_begin(RandomFile *m, guint32 seed);
/* Numbers within mean - scale and mean + scale. */
void random_file_add(RandomFile *m, const char *name, int rank, const gint64 *sizes, double scale,
                     double mean);
void random_file_add_kl(RandomFile *m, const DimKlConfig *config, DimKlLayout layout,
                        gboolean encoder);
/* Layers by their numbers as TAESD's tables have them: c a convolution, d one without bias, b a
 * block, . nothing. first and last: channels in and out. */
void random_file_add_tae(RandomFile *m, const char *prefix, const char *layers, gint64 width,
                         gint64 first, gint64 last);
#define RANDOM_TAE_ENCODER "cbdbbbdbbbdbbbc"
#define RANDOM_TAE_DECODER ".c.bbb.dbbb.dbbb.dbc"
/* Writes what was added as safetensors and opens it; the file is gone when the weights are closed.
 */
DimWeights *random_file_end(RandomFile *m);

/* Small, and with every kind of step. */
#define RANDOM_KL_CONFIG                                                                           \
    "{\"ch\": 16, \"ch_mult\": [1, 2, 1], \"num_res_blocks\": 1, \"norm_groups\": 8}"
/* Both parts, whole. tae: width 12, diffusers names. */
DimWeights *random_kl_weights(const DimKlConfig *config, DimKlLayout layout);
DimWeights *random_tae_weights(void);

void random_fill(GRand *rand, DimArray *array, double scale, double mean);
/* A configuration from its JSON; g_free. */
void *parse_config(const DimAutoencoderClass *class, const char *text, GError **error);

#endif
