/* Weights without a file, of random numbers.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "weights-made.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "net-dim.h"
#include "rng.h"
#include "weights.h"

static gboolean add_tensor(const char *name, int rank, const gint64 *sizes, void *data,
                           GError **error)
{
    DimEntry entry = {.tensor.rank = rank, .type = DIM_TYPE_F32};

    memcpy(entry.tensor.sizes, sizes, (gsize)rank * sizeof *sizes);
    dim_shape_count(rank, sizes, &entry.tensor.count);
    dim_shape_strides(rank, sizes, entry.strides);
    return dim_weights_add(data, &entry, name, strlen(name), error);
}

/* What the numbers of one tensor are made of. */
typedef struct {
    double middle, spread;
    gint64 counts;    /* the logarithms of 1 to so many, over and over, are added; 0: none */
    gboolean is_step; /* of the exponential, through the inverse softplus */
} Range;

/* The ranges that training starts from, where a number is no plain weight: a gain about 1, a scan's
 * decay, a step of 0.001 to 1. */
static Range range_of(const DimTensor *t)
{
    const gboolean is_weight = g_str_has_suffix(t->name, ".weight");
    const gboolean is_gain =
        is_weight || !strcmp(t->name, "scale") || g_str_has_suffix(t->name, "attn1.D");
    const double fan_in = (double)t->count / (double)MAX(t->sizes[0], 1);

    if (g_str_has_suffix(t->name, "A_log") || g_str_has_suffix(t->name, "A_imag"))
        return (Range){.spread = 0.1, .counts = t->sizes[1]};
    if (g_str_has_suffix(t->name, "log_A_real"))
        return (Range){.middle = log(0.5), .spread = 0.1};
    if (g_str_has_suffix(t->name, "log_dt"))
        return (Range){.middle = log(0.05), .spread = 1};
    if (g_str_has_suffix(t->name, "dt_proj.bias"))
        return (Range){.middle = log(0.01), .spread = log(10), .is_step = TRUE};
    if (t->rank == 1)
        return (Range){.middle = is_gain ? 1 : 0, .spread = 0.3};
    return (Range){.spread = is_weight ? sqrt(3 / fan_in) : 0.5};
}

/* Number i of a tensor; `u` is uniform in (-1, 1). */
static double value_of(const Range *range, gint64 i, double u)
{
    const double value = range->middle + range->spread * u;

    if (range->counts)
        return log(1 + (double)(i % range->counts)) + value;
    return range->is_step ? log(expm1(exp(value))) : value;
}

/* As in a file: little-endian. Answers where the next tensor goes. */
static float *fill_tensor(DimEntry *entry, gint64 seed, int index, float *p)
{
    const Range range = range_of(&entry->tensor);

    entry->data = (const guint8 *)p;
    for (gint64 k = 0; k < entry->tensor.count; k++) {
        const double u = 2 * dim_random_uniform(seed, DIM_RANDOM_WEIGHTS, index, (guint32)k) - 1;
        const float value = (float)value_of(&range, k, u);
        guint32 bits;
        memcpy(&bits, &value, sizeof bits);
        bits = GUINT32_TO_LE(bits);
        memcpy(p++, &bits, sizeof bits);
    }
    return p;
}

/* The position table's side is the file's to say: that one tensor comes first. */
static gboolean add_table(DimWeights *weights, const DimMambaConfig *config, gint64 side,
                          GError **error)
{
    const gint64 sizes[] = {1, DIM_EXTRA_TOKENS + side * side, config->width};

    return add_tensor("additional_embed", 3, sizes, weights, error) &&
           dim_weights_index(weights, error);
}

DimWeights *dim_weights_list_net(const DimNetClass *net, const void *config, int table_side,
                                 GError **error)
{
    DimWeights *names = dim_weights_new(net->family), *weights = dim_weights_new(net->family);

    const gboolean made = (net == &dim_net_dim ? add_table(names, config, table_side, error)
                                               : dim_weights_index(names, error)) &&
                          net->walk(config, names, add_tensor, weights, error) &&
                          dim_weights_index(weights, error);
    dim_weights_close(&names);
    if (!made)
        dim_weights_close(&weights);
    return weights;
}

DimWeights *dim_weights_list_autoencoder(const DimAutoencoderClass *autoencoder, const void *config,
                                         GError **error)
{
    DimWeights *weights = dim_weights_new(autoencoder->family);

    if (!autoencoder->walk(config, add_tensor, weights, error) ||
        !dim_weights_index(weights, error))
        dim_weights_close(&weights);
    return weights;
}

gboolean dim_weights_fill(DimWeights *weights, gint64 seed, GError **error)
{
    gint64 total = 0;

    for (int i = 0; i < weights->n_entries; i++)
        total += weights->entries[i].tensor.count;
    float *p = weights->values = g_try_new(float, (gsize)total);
    if (!p)
        return dim_fail_memory(error, weights->origin, (guint64)total * sizeof *p);
    for (int i = 0; i < weights->n_entries; i++)
        p = fill_tensor(&weights->entries[i], seed, i, p);
    return TRUE;
}
