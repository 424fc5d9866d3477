/* Family `tae`: the tiny autoencoder (TAESD), convolutions and ReLU only.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Published by its author as two files whose names are bare numbers of a torch.nn.Sequential;
 * diffusers has both parts in one file, behind `encoder.layers.` and `decoder.layers.`, the
 * decoder's numbers one lower as it has no module for the clamp. */
#include <string.h>

#include "autoencoder.h"
#include "error.h"
#include "json.h"
#include "vae-chain.h"
#include "weights.h"

enum { LEVELS = 3, BLOCKS = 3 };
/* Convolutions see 19 latent pixels far; what is farther away than this changes a picture by less
 * than a tenth of a step of 8 bits (tests/engine/seamless.c). */
enum { TAE_MARGIN = 8 };

typedef struct {
    int width, channels;
} TaeConfig;

typedef struct {
    DimChain encoder, decoder; /* no steps: not loaded */
} Tae;

/* How a part's tensors are named: DimStep.index is the number in the original file. */
typedef struct {
    const char *prefix;
    int lower; /* how much the file's numbers are below the original ones */
} TaeNames;

static const TaeNames original = {"", 0};
static const TaeNames diffusers_encoder = {"encoder.layers.", 0};
static const TaeNames diffusers_decoder = {"decoder.layers.", 1};

static void *tae_parse(const json_t *json, const char *origin, GError **error)
{
    static const char *const keys[] = {"width", "latent_channels", NULL};
    gint64 width = 64, channels = 4;

    if (!dim_json_only(json, keys, origin, error) ||
        !dim_json_get_int(json, "width", 1, 8192, &width, origin, error) ||
        !dim_json_get_int(json, "latent_channels", 1, 8192, &channels, origin, error))
        return NULL;
    TaeConfig *config = g_new(TaeConfig, 1);
    *config = (TaeConfig){(int)width, (int)channels};
    return config;
}

static void tae_facts(const void *config, DimAutoencoderFacts *facts)
{
    *facts = (DimAutoencoderFacts){.channels = ((const TaeConfig *)config)->channels,
                                   .factor = 1 << LEVELS,
                                   .in_channels = 3,
                                   .out_channels = 3,
                                   .default_scale_factor = 1,
                                   .has_files = TRUE,
                                   .margin = TAE_MARGIN};
}

/* ---- steps and names
 * --------------------------------------------------------------------------------- */

/* Adds n blocks with the numbers from `number` on; answers the next one. */
static int add_blocks(DimChain *chain, int n, int width, int number)
{
    for (int i = 0; i < n; i++)
        dim_chain_add(
            chain,
            (DimStep){.kind = DIM_STEP_BLOCK, .in = width, .out = width, .index = number + i});
    return number + n;
}

static void add_conv(DimChain *chain, int in, int out, DkAct act, int number)
{
    dim_chain_add(
        chain,
        (DimStep){
            .kind = DIM_STEP_CONV, .in = in, .out = out, .kernel = 3, .act = act, .index = number});
}

static void make_decoder(DimChain *chain, const TaeConfig *c, double scale_factor)
{
    dim_chain_init(chain);
    chain->in_gain = 1 / scale_factor;
    dim_chain_add(chain, (DimStep){.kind = DIM_STEP_CLAMP, .in = c->channels, .out = c->channels});
    add_conv(chain, c->channels, c->width, DK_ACT_RELU, 1);
    int number = 3;
    for (int level = 0; level < LEVELS; level++) {
        number = add_blocks(chain, BLOCKS, c->width, number) + 1;
        dim_chain_add(chain, (DimStep){.kind = DIM_STEP_UP,
                                       .in = c->width,
                                       .out = c->width,
                                       .no_bias = TRUE,
                                       .index = number++});
    }
    number = add_blocks(chain, 1, c->width, number);
    add_conv(chain, c->width, 3, DK_ACT_NONE, number);
    /* Its own pictures are in [0, 1]. */
    chain->out_gain = 2;
    chain->out_shift = -1;
}

static void make_encoder(DimChain *chain, const TaeConfig *c, double scale_factor)
{
    dim_chain_init(chain);
    chain->in_gain = 0.5;
    chain->in_shift = 0.5;
    add_conv(chain, 3, c->width, DK_ACT_NONE, 0);
    int number = add_blocks(chain, 1, c->width, 1);
    for (int level = 0; level < LEVELS; level++) {
        dim_chain_add(chain, (DimStep){.kind = DIM_STEP_DOWN,
                                       .in = c->width,
                                       .out = c->width,
                                       .no_bias = TRUE,
                                       .pad_all = TRUE,
                                       .index = number++});
        number = add_blocks(chain, BLOCKS, c->width, number);
    }
    add_conv(chain, c->width, c->channels, DK_ACT_NONE, number);
    chain->out_gain = scale_factor;
}

static void tae_name(GString *name, const DimStep *step, DimRole role, const void *data)
{
    const TaeNames *names = data;

    g_string_append_printf(name, "%s%d", names->prefix, step->index - names->lower);
    if (role == DIM_ROLE_BLOCK0)
        g_string_append(name, ".conv.0");
    else if (role == DIM_ROLE_BLOCK2)
        g_string_append(name, ".conv.2");
    else if (role == DIM_ROLE_BLOCK4)
        g_string_append(name, ".conv.4");
}

/* ---- files
 * ------------------------------------------------------------------------------------------- */

static gboolean has_prefix(const DimWeights *weights, const char *prefix)
{
    for (int i = 0; i < dim_weights_count(weights); i++)
        if (g_str_has_prefix(dim_weights_tensor(weights, i)->name, prefix))
            return TRUE;
    return FALSE;
}

static gboolean is_diffusers(const DimWeights *weights)
{
    return has_prefix(weights, diffusers_encoder.prefix) ||
           has_prefix(weights, diffusers_decoder.prefix);
}

/* Variants of the family whose blocks are built otherwise. */
static gboolean refuse_variants(const DimWeights *weights, GError **error)
{
    for (int i = 0; i < dim_weights_count(weights); i++) {
        const char *name = dim_weights_tensor(weights, i)->name;
        if (strstr(name, ".pool.") || strstr(name, ".skip."))
            return dim_fail(error, DIM_ERROR_UNSUPPORTED, weights->origin,
                            "tensor " DIM_NAME " is of a variant of the tiny autoencoder that is "
                            "not supported; expected plain blocks",
                            name);
    }
    return TRUE;
}

/* How the part is named in its file, NULL: it is not in there. Bare numbers mean the part that the
 * file was named for, or, when it was named for both, an encoder if there is a first convolution
 * with the number 0. */
static const TaeNames *names_of(const DimWeights *weights, gboolean is_encoder,
                                gboolean is_for_both)
{
    if (!weights)
        return NULL;
    if (is_diffusers(weights)) {
        const TaeNames *names = is_encoder ? &diffusers_encoder : &diffusers_decoder;
        return has_prefix(weights, names->prefix) ? names : NULL;
    }
    if (is_for_both && is_encoder != (dim_weights_find(weights, "0.weight") != NULL))
        return NULL;
    return &original;
}

static gboolean check_part(const TaeConfig *c, const DimWeights *weights, gboolean is_encoder,
                           const TaeNames *names, gint64 *parameters, GError **error)
{
    DimChain chain;

    if (is_encoder)
        make_encoder(&chain, c, 1);
    else
        make_decoder(&chain, c, 1);
    const gboolean ok = refuse_variants(weights, error) &&
                        dim_chain_check(&chain, weights, tae_name, names, parameters, error);
    dim_chain_clear(&chain);
    return ok;
}

static int tae_check(const void *config, const DimAutoencoderFiles *files, gint64 *parameters,
                     GError **error)
{
    const gboolean one = files->encoder == files->decoder;
    const TaeNames *encoder = names_of(files->encoder, TRUE, one);
    const TaeNames *decoder = names_of(files->decoder, FALSE, one);

    *parameters = 0;
    if (encoder && !check_part(config, files->encoder, TRUE, encoder, parameters, error))
        return 0;
    if (decoder && !check_part(config, files->decoder, FALSE, decoder, parameters, error))
        return 0;
    if (!encoder && !decoder)
        dim_fail(error, DIM_ERROR_FORMAT,
                 (files->decoder ? files->decoder : files->encoder)->origin,
                 "holds no part of a tiny autoencoder that it is named for");
    return (encoder ? DIM_PARTS_ENCODER : 0) | (decoder ? DIM_PARTS_DECODER : 0);
}

/* As diffusers has it, in one file. */
static gboolean tae_walk(const void *config, DimNeedFn need, void *data, GError **error)
{
    DimChain encoder, decoder;

    make_encoder(&encoder, config, 1);
    make_decoder(&decoder, config, 1);
    const gboolean going =
        dim_chain_needs(&encoder, tae_name, &diffusers_encoder, need, data, error) &&
        dim_chain_needs(&decoder, tae_name, &diffusers_decoder, need, data, error);
    dim_chain_clear(&encoder);
    dim_chain_clear(&decoder);
    return going;
}

/* ---- loading and running
 * ----------------------------------------------------------------------------- */

static void tae_free(DkDevice *dk, DimAutoencoder *autoencoder)
{
    Tae *ae = (Tae *)autoencoder;

    dim_chain_unload(&ae->encoder, dk);
    dim_chain_unload(&ae->decoder, dk);
    dim_chain_clear(&ae->encoder);
    dim_chain_clear(&ae->decoder);
    g_free(ae);
}

static gboolean load_part(DimChain *chain, DkDevice *dk, DimWeights *weights, gboolean is_encoder,
                          DimTask *task, GError **error)
{
    const TaeNames *names = names_of(weights, is_encoder, FALSE);

    return dim_chain_load(chain, dk, weights, tae_name, names, task, error);
}

static DimAutoencoder *tae_load(DkDevice *dk, const void *config, double scale_factor,
                                const DimAutoencoderFiles *files, DimParts parts, DimTask *task,
                                GError **error)
{
    Tae *ae = g_new0(Tae, 1);
    gboolean ok = TRUE;

    if (parts & DIM_PARTS_DECODER) {
        make_decoder(&ae->decoder, config, scale_factor);
        ok = load_part(&ae->decoder, dk, files->decoder, FALSE, task, error);
    }
    if (ok && parts & DIM_PARTS_ENCODER) {
        make_encoder(&ae->encoder, config, scale_factor);
        ok = load_part(&ae->encoder, dk, files->encoder, TRUE, task, error);
    }
    if (ok)
        return (DimAutoencoder *)ae;
    tae_free(dk, (DimAutoencoder *)ae);
    return NULL;
}

static gboolean tae_decode(DkDevice *dk, DimAutoencoder *ae, const DimArray *z, int tile,
                           DimArray *image, const DimNetProgress *progress, GError **error)
{
    const double share = dim_tile_share(tile, (int)z->sizes[2], (int)z->sizes[3]);

    return dim_chain_run(&((Tae *)ae)->decoder, dk, z, image, share, "decoding", progress, error);
}

static gboolean tae_encode(DkDevice *dk, DimAutoencoder *ae, const DimArray *image, DimArray *z,
                           const DimNetProgress *progress, GError **error)
{
    return dim_chain_run(&((Tae *)ae)->encoder, dk, image, z, 0, "encoding", progress, error);
}

static void tae_estimate(const void *config, int h, int w, int tile, gint64 *bytes, double *flop)
{
    DimChain chain;

    make_decoder(&chain, config, 1);
    *bytes = (gint64)MIN(dim_chain_bytes(&chain, h, w, dim_tile_share(tile, h, w)), G_MAXINT64);
    *flop = dim_chain_flop(&chain, h, w);
    dim_chain_clear(&chain);
}

const DimAutoencoderClass dim_vae_tae = {
    .family = "tae",
    .parse = tae_parse,
    .recognise = dim_tae_recognise,
    .facts = tae_facts,
    .check = tae_check,
    .walk = tae_walk,
    .load = tae_load,
    .free = tae_free,
    .decode = tae_decode,
    .encode = tae_encode,
    .estimate = tae_estimate,
};
