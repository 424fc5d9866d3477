/* Weights without a file: every tensor that a configuration needs, of random numbers, in memory.
 * For known-answer runs.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_WEIGHTS_MADE_H
#define DIM_WEIGHTS_MADE_H

#include "autoencoder.h"

/* The names and shapes of a configuration, without values. `table_side`: of a dim's position table,
 * in tokens. dim_weights_close frees them. */
DimWeights *dim_weights_list_net(const DimNetClass *net, const void *config, int table_side,
                                 GError **error);
DimWeights *dim_weights_list_autoencoder(const DimAutoencoderClass *autoencoder, const void *config,
                                         GError **error);
/* Gives all of them values: of the seed's, the same on every machine, and such that activations
 * stay near 1. */
gboolean dim_weights_fill(DimWeights *weights, gint64 seed, GError **error);

#endif
