/* Family `kl`: the configuration, and the steps that it stands for.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The Stable Diffusion autoencoder (arXiv 2112.10752): a residual network with GroupNorm and SiLU,
 * one attention in the middle, halving and doubling the resolution between levels. */
#include <float.h>

#include "error.h"
#include "json.h"
#include "vae-kl.h"

enum { MAX_WIDTH = 8192, MAX_MULT = 64, MAX_BLOCKS = 8192 };

static int width(const DimKlConfig *c, int level)
{
    return c->ch * c->mult[level];
}

/* One of the channel counts and its like: 1 to MAX_WIDTH. */
static gboolean get_count(const json_t *json, const char *key, int *value, const char *origin,
                          GError **error)
{
    gint64 number = *value;

    if (!dim_json_get_int(json, key, 1, MAX_WIDTH, &number, origin, error))
        return FALSE;
    *value = (int)number;
    return TRUE;
}

static gboolean get_mult(const json_t *json, DimKlConfig *c, const char *origin, GError **error)
{
    gint64 mult[DIM_KL_LEVELS] = {1, 2, 4, 4};

    c->n_levels = 4;
    if (!dim_json_get_ints(json, "ch_mult", 1, DIM_KL_LEVELS, 1, MAX_MULT, mult, &c->n_levels,
                           origin, error))
        return FALSE;
    for (int i = 0; i < c->n_levels; i++)
        c->mult[i] = (int)mult[i];
    return TRUE;
}

/* Every width is a norm's number of channels. */
static gboolean check_widths(const DimKlConfig *c, const char *origin, GError **error)
{
    for (int i = 0; i < c->n_levels; i++) {
        if (width(c, i) > MAX_WIDTH)
            return dim_fail(error, DIM_ERROR_UNSUPPORTED, origin,
                            "ch times ch_mult[%d] is %d; expected at most %d", i, width(c, i),
                            MAX_WIDTH);
        if (width(c, i) % c->norm_groups)
            return dim_fail(error, DIM_ERROR_FORMAT, origin,
                            "ch times ch_mult[%d] is %d; expected a multiple of norm_groups, %d", i,
                            width(c, i), c->norm_groups);
    }
    return TRUE;
}

void *dim_kl_parse(const json_t *json, const char *origin, GError **error)
{
    static const char *const keys[] = {"ch",        "ch_mult", "num_res_blocks", "z_channels",
                                       "embed_dim", "out_ch",  "in_channels",    "norm_groups",
                                       "norm_eps",  NULL};
    DimKlConfig c = {.ch = 128,
                     .z_channels = 4,
                     .in_channels = 3,
                     .out_channels = 3,
                     .norm_groups = 32,
                     .norm_eps = 1e-6};
    gint64 n_blocks = 2;

    if (!dim_json_only(json, keys, origin, error) || !get_count(json, "ch", &c.ch, origin, error) ||
        !get_mult(json, &c, origin, error) ||
        !dim_json_get_int(json, "num_res_blocks", 1, MAX_BLOCKS, &n_blocks, origin, error) ||
        !get_count(json, "z_channels", &c.z_channels, origin, error))
        return NULL;
    c.n_blocks = (int)n_blocks;
    c.embed_dim = c.z_channels;
    if (!get_count(json, "embed_dim", &c.embed_dim, origin, error) ||
        !get_count(json, "in_channels", &c.in_channels, origin, error) ||
        !get_count(json, "out_ch", &c.out_channels, origin, error) ||
        !get_count(json, "norm_groups", &c.norm_groups, origin, error) ||
        !dim_json_get_double(json, "norm_eps", DBL_MIN, 1, &c.norm_eps, origin, error) ||
        !check_widths(&c, origin, error))
        return NULL;
    return g_memdup2(&c, sizeof c);
}

static void add_mid(DimChain *chain, int w)
{
    const DimStep block = {.kind = DIM_STEP_RESIDUAL, .in = w, .out = w, .place = DIM_KL_MID};
    DimStep second = block;

    second.index = 1;
    dim_chain_add(chain, block);
    dim_chain_add(chain,
                  (DimStep){.kind = DIM_STEP_ATTENTION, .in = w, .out = w, .place = DIM_KL_MID});
    dim_chain_add(chain, second);
}

/* A level's blocks, the first of which changes the width; answers the width behind them. */
static int add_blocks(DimChain *chain, int level, int n, int in, int out)
{
    for (int i = 0; i < n; i++)
        dim_chain_add(chain, (DimStep){.kind = DIM_STEP_RESIDUAL,
                                       .in = i ? out : in,
                                       .out = out,
                                       .place = DIM_KL_LEVEL,
                                       .level = level,
                                       .index = i});
    return out;
}

static void add_conv(DimChain *chain, DimKlPlace place, int kernel, int in, int out, int unused)
{
    dim_chain_add(chain, (DimStep){.kind = DIM_STEP_CONV,
                                   .in = in,
                                   .out = out,
                                   .kernel = kernel,
                                   .unused = unused,
                                   .place = place});
}

static void begin(DimChain *chain, const DimKlConfig *c)
{
    dim_chain_init(chain);
    chain->norm_groups = c->norm_groups;
    chain->norm_eps = c->norm_eps;
}

void dim_kl_decoder(DimChain *chain, const DimKlConfig *c)
{
    int w = width(c, c->n_levels - 1);

    begin(chain, c);
    add_conv(chain, DIM_KL_OUTER, 1, c->embed_dim, c->z_channels, 0);
    add_conv(chain, DIM_KL_CONV_IN, 3, c->z_channels, w, 0);
    add_mid(chain, w);
    for (int level = c->n_levels - 1; level >= 0; level--) {
        w = add_blocks(chain, level, c->n_blocks + 1, w, width(c, level));
        if (level > 0)
            dim_chain_add(
                chain,
                (DimStep){
                    .kind = DIM_STEP_UP, .in = w, .out = w, .place = DIM_KL_LEVEL, .level = level});
    }
    dim_chain_add(chain, (DimStep){.kind = DIM_STEP_NORM_CONV,
                                   .in = w,
                                   .out = c->out_channels,
                                   .place = DIM_KL_OUT});
}

void dim_kl_encoder(DimChain *chain, const DimKlConfig *c, DimKlLayout layout)
{
    const gboolean is_ldm = layout == DIM_KL_LDM || layout == DIM_KL_LDM_WHOLE;
    int w = is_ldm ? c->ch : width(c, 0);

    begin(chain, c);
    add_conv(chain, DIM_KL_CONV_IN, 3, c->in_channels, w, 0);
    for (int level = 0; level < c->n_levels; level++) {
        w = add_blocks(chain, level, c->n_blocks, w, width(c, level));
        if (level < c->n_levels - 1)
            dim_chain_add(chain, (DimStep){.kind = DIM_STEP_DOWN,
                                           .in = w,
                                           .out = w,
                                           .place = DIM_KL_LEVEL,
                                           .level = level});
    }
    add_mid(chain, w);
    dim_chain_add(chain, (DimStep){.kind = DIM_STEP_NORM_CONV,
                                   .in = w,
                                   .out = 2 * c->z_channels,
                                   .place = DIM_KL_OUT});
    /* The mean; the log-variance behind it is for training. */
    add_conv(chain, DIM_KL_OUTER, 1, 2 * c->z_channels, c->embed_dim, c->embed_dim);
}
