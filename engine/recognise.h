/* What a weight file is, told by the names and shapes of its tensors alone.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A family's `recognise` answers the configuration that fits, with the keys that differ from their
 * defaults, or NULL where the file is not of its family. It trusts what it looks at: whether every
 * tensor fits is then the family's own check. Where several configurations fit, keys that were
 * `given` decide, else the published model's. */
#ifndef DIM_RECOGNISE_H
#define DIM_RECOGNISE_H

#include "autoencoder.h"

typedef struct {
    const DimNetClass *net; /* one of the two is NULL */
    const DimAutoencoderClass *autoencoder;
    json_t *config; /* what was given, over what was found */
    void *parsed;   /* the same as the family reads it; g_free */
} DimRecognised;

/* Every tensor is there with its shape and, but for autoencoders, which are often part of a larger
 * file, there is no other. `given` (may be NULL): keys over those recognised. */
gboolean dim_recognise_net(const DimWeights *weights, const json_t *given, DimRecognised *found,
                           GError **error);
/* The parts may be in one file or, of a tae, in two. */
gboolean dim_recognise_autoencoder(const DimAutoencoderFiles *files, const json_t *given,
                                   DimRecognised *found, GError **error);
gboolean dim_recognise_is_autoencoder(const DimWeights *weights); /* by its names */
void dim_recognised_clear(DimRecognised *found);

/* ---- for the families ------------------------------------------------------------------------ */

gboolean dim_has_prefix(const DimWeights *weights, const char *prefix); /* some tensor's name */
/* The tensors that a configuration is read from, and how many sides each has; a NULL at the end. */
typedef struct {
    const char *name;
    int rank;
} DimRanked;

/* They are all there, no side is 0. */
gboolean dim_need_ranks(const DimWeights *weights, const DimRanked *needed, GError **error);
/* A side of a tensor; 0 where the tensor is not there or has none such. `format` is of its name. */
gint64 dim_side_of(const DimWeights *weights, int side, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* How many of the names that `format` makes of 0, 1, .. are there, without a gap. */
int dim_count_of(const DimWeights *weights, const char *format);
/* Sets a key unless value is the default or not positive. */
void dim_put_unless(json_t *config, const char *key, gint64 value, gint64 initial);
/* The shortest number x with (int) (x * width) = inner; for keys that are ratios. */
double dim_ratio_of(gint64 inner, gint64 width);
/* The integer that is given for a key, else `otherwise`. */
gint64 dim_given(const json_t *given, const char *key, gint64 otherwise);
/* Rows of a label table: the classes, and "no class" unless class_dropout_prob is given as 0. */
void dim_put_classes(json_t *config, const json_t *given, gint64 rows, gint64 initial);

#endif
