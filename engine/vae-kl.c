/* Family `kl`: the Stable Diffusion autoencoder (arXiv 2112.10752).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "vae-kl.h"

#include "error.h"
#include "weights.h"

/* Convolutions see 18 latent pixels far; what is farther away than this changes a picture by less
 * than a tenth of a step of 8 bits (tests/engine/seamless.c). Attention and norms see everything,
 * and so the same on both sides of a seam. */
enum { KL_MARGIN = 10 };

typedef struct {
    DimKlConfig config;
    DimChain encoder, decoder; /* no steps: not loaded */
} Kl;

static void kl_facts(const void *config, DimAutoencoderFacts *facts)
{
    const DimKlConfig *c = config;

    *facts = (DimAutoencoderFacts){.channels = c->embed_dim,
                                   .factor = 1 << (c->n_levels - 1),
                                   .in_channels = c->in_channels,
                                   .out_channels = c->out_channels,
                                   .default_scale_factor = 0.18215,
                                   .has_files = TRUE,
                                   .margin = KL_MARGIN};
}

static void make_chain(DimChain *chain, const DimKlConfig *config, const DimKlNames *names)
{
    if (names->is_encoder)
        dim_kl_encoder(chain, config, names->layout);
    else
        dim_kl_decoder(chain, config);
}

/* ldm's encoder starts with `ch` channels, whatever the width of level 0. */
static gboolean check_first_norm(const DimKlConfig *config, const DimKlNames *names,
                                 const DimWeights *weights, GError **error)
{
    DimChain chain;

    make_chain(&chain, config, names);
    const int w = chain.steps[0].out;
    dim_chain_clear(&chain);
    return !names->is_encoder || w % config->norm_groups == 0 ||
           dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                    "the encoder starts with %d channels; expected a multiple of norm_groups, %d",
                    w, config->norm_groups);
}

/* 1: the part is there, whole and of the right shapes; 0: nothing of it is; -1: an error. */
static int check_part(const DimKlConfig *config, const DimKlNames *names, const DimWeights *weights,
                      gint64 *parameters, GError **error)
{
    DimChain chain;
    int there = 0;

    make_chain(&chain, config, names);
    if (dim_chain_present(&chain, weights, dim_kl_name, names) > 0)
        there = dim_chain_check(&chain, weights, dim_kl_name, names, parameters, error) ? 1 : -1;
    dim_chain_clear(&chain);
    if (there == 1 && !check_first_norm(config, names, weights, error))
        there = -1;
    return there;
}

static int kl_check(const void *config, const DimAutoencoderFiles *files, gint64 *parameters,
                    GError **error)
{
    const DimKlConfig *c = config;
    const DimWeights *weights = files->decoder ? files->decoder : files->encoder;
    DimKlNames names = {.is_encoder = TRUE, .n_levels = c->n_levels};

    *parameters = 0;
    if (!dim_kl_find_layout(c, weights, &names.layout, error))
        return 0;
    const int encoder = check_part(c, &names, weights, parameters, error);
    names.is_encoder = FALSE;
    const int decoder = encoder < 0 ? -1 : check_part(c, &names, weights, parameters, error);
    if (decoder < 0)
        return 0;
    if (!encoder && !decoder)
        dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                 "holds no autoencoder; expected tensors like \"decoder.conv_in.weight\"");
    return (encoder ? DIM_PARTS_ENCODER : 0) | (decoder ? DIM_PARTS_DECODER : 0);
}

/* As ldm has it. */
static gboolean kl_walk(const void *config, DimNeedFn need, void *data, GError **error)
{
    gboolean going = TRUE;

    for (int part = 0; going && part < 2; part++) {
        const DimKlNames names = {.is_encoder = part == 0,
                                  .n_levels = ((const DimKlConfig *)config)->n_levels};
        DimChain chain;
        make_chain(&chain, config, &names);
        going = dim_chain_needs(&chain, dim_kl_name, &names, need, data, error);
        dim_chain_clear(&chain);
    }
    return going;
}

static void kl_free(DkDevice *dk, DimAutoencoder *autoencoder)
{
    Kl *ae = (Kl *)autoencoder;

    dim_chain_unload(&ae->encoder, dk);
    dim_chain_unload(&ae->decoder, dk);
    dim_chain_clear(&ae->encoder);
    dim_chain_clear(&ae->decoder);
    g_free(ae);
}

static DimAutoencoder *kl_load(DkDevice *dk, const void *config, double scale_factor,
                               const DimAutoencoderFiles *files, DimParts parts, DimTask *task,
                               GError **error)
{
    DimWeights *weights = files->decoder ? files->decoder : files->encoder;
    Kl *ae = g_new0(Kl, 1);
    DimKlNames names = {.n_levels = ((const DimKlConfig *)config)->n_levels};
    gboolean ok = dim_kl_find_layout(config, weights, &names.layout, error);

    ae->config = *(const DimKlConfig *)config;
    if (ok && parts & DIM_PARTS_DECODER) {
        make_chain(&ae->decoder, &ae->config, &names);
        ae->decoder.in_gain = 1 / scale_factor;
        ok = dim_chain_load(&ae->decoder, dk, weights, dim_kl_name, &names, task, error);
    }
    if (ok && parts & DIM_PARTS_ENCODER) {
        names.is_encoder = TRUE;
        make_chain(&ae->encoder, &ae->config, &names);
        ae->encoder.out_gain = scale_factor;
        ok = dim_chain_load(&ae->encoder, dk, weights, dim_kl_name, &names, task, error);
    }
    if (ok)
        return (DimAutoencoder *)ae;
    kl_free(dk, (DimAutoencoder *)ae);
    return NULL;
}

static gboolean kl_decode(DkDevice *dk, DimAutoencoder *ae, const DimArray *z, int tile,
                          DimArray *image, const DimNetProgress *progress, GError **error)
{
    const double share = dim_tile_share(tile, (int)z->sizes[2], (int)z->sizes[3]);

    return dim_chain_run(&((Kl *)ae)->decoder, dk, z, image, share, "decoding", progress, error);
}

static gboolean kl_encode(DkDevice *dk, DimAutoencoder *ae, const DimArray *image, DimArray *z,
                          const DimNetProgress *progress, GError **error)
{
    return dim_chain_run(&((Kl *)ae)->encoder, dk, image, z, 0, "encoding", progress, error);
}

static void kl_estimate(const void *config, int h, int w, int tile, gint64 *bytes, double *flop)
{
    DimChain chain;

    dim_kl_decoder(&chain, config);
    *bytes = (gint64)MIN(dim_chain_bytes(&chain, h, w, dim_tile_share(tile, h, w)), G_MAXINT64);
    *flop = dim_chain_flop(&chain, h, w);
    dim_chain_clear(&chain);
}

const DimAutoencoderClass dim_vae_kl = {
    .family = "kl",
    .parse = dim_kl_parse,
    .recognise = dim_kl_recognise,
    .facts = kl_facts,
    .check = kl_check,
    .walk = kl_walk,
    .load = kl_load,
    .free = kl_free,
    .decode = kl_decode,
    .encode = kl_encode,
    .estimate = kl_estimate,
};
