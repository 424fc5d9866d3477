/* Model folders of family dim with random weights, for tests and benchmarks.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

#include "engine/dim.h"

/* Writes model.json and weights.safetensors (F32) into an existing folder. `config` is
 * backbone.config as JSON; the position table has table_side x table_side rows, and native_size is
 * the grid that fits it, without an autoencoder. */
gboolean random_model_write(const char *folder, const char *config, int table_side, gint64 seed,
                            GError **error);

/* Weights that were made in memory (engine/weights-made.h), as safetensors. */
gboolean random_weights_save(const DimWeights *weights, const char *file, GError **error);

#endif
