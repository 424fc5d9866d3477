/* The autoencoders' configurations out of their tensors.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <stdio.h>

#include "json.h"
#include "recognise.h"
#include "vae-kl.h"

/* ---- kl -------------------------------------------------------------------------------------- */

/* What a part's tensors say; 0: there is none. */
typedef struct {
    int n_levels, n_blocks;
    gint64 widths[DIM_KL_LEVELS]; /* level 0: full resolution */
    gint64 first, z, embed, image;
} KlPart;

static gint64 greatest_divisor(gint64 a, gint64 b)
{
    while (b) {
        const gint64 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Layouts differ in how blocks are named and, of the decoder, counted. */
static void look_at_blocks(KlPart *part, const DimWeights *w, const char *prefix,
                           gboolean is_encoder, gboolean is_ldm)
{
    const char *way = is_encoder ? "down" : "up", *of = is_encoder ? "encoder" : "decoder";
    g_autofree char *stem = g_strdup_printf("%s%s.%s%s.", prefix, of, way, is_ldm ? "" : "_blocks");
    const char *block = is_ldm ? "block" : "resnets";
    g_autofree char *levels = g_strdup_printf("%s%%d.%s.0.conv1.weight", stem, block);
    g_autofree char *blocks = g_strdup_printf("%s0.%s.%%d.conv1.weight", stem, block);
    const int n = dim_count_of(w, levels);

    part->n_levels = MIN(n, DIM_KL_LEVELS);
    part->n_blocks = dim_count_of(w, blocks) - (is_encoder ? 0 : 1);
    for (int i = 0; i < part->n_levels; i++)
        part->widths[is_encoder || is_ldm ? i : n - 1 - i] =
            dim_side_of(w, 0, "%s%d.%s.0.conv1.weight", stem, i, block);
}

static KlPart look_at_part(const DimWeights *w, const char *prefix, gboolean is_encoder)
{
    const char *of = is_encoder ? "encoder" : "decoder";
    KlPart part = {0};

    if (!w || !dim_side_of(w, 0, "%s%s.conv_in.weight", prefix, of))
        return part;
    look_at_blocks(&part, w, prefix, is_encoder, TRUE);
    if (!part.n_levels)
        look_at_blocks(&part, w, prefix, is_encoder, FALSE);
    part.first = dim_side_of(w, 0, "%s%s.conv_in.weight", prefix, of);
    if (is_encoder) {
        part.image = dim_side_of(w, 1, "%sencoder.conv_in.weight", prefix);
        part.z = dim_side_of(w, 0, "%sencoder.conv_out.weight", prefix) / 2;
        part.embed = dim_side_of(w, 0, "%squant_conv.weight", prefix) / 2;
    } else {
        part.image = dim_side_of(w, 0, "%sdecoder.conv_out.weight", prefix);
        part.z = dim_side_of(w, 1, "%sdecoder.conv_in.weight", prefix);
        part.embed = dim_side_of(w, 1, "%spost_quant_conv.weight", prefix);
    }
    return part;
}

/* ch and ch_mult: all widths are multiples of it. ldm's encoder starts with ch channels. */
static void put_widths(json_t *config, const KlPart *part, gint64 first)
{
    static const gint64 published[] = {1, 2, 4, 4};
    json_t *mult = json_array();
    gint64 ch = first;
    gboolean is_published = part->n_levels == G_N_ELEMENTS(published);

    for (int i = 0; i < part->n_levels; i++)
        ch = greatest_divisor(part->widths[i], ch);
    for (int i = 0; i < part->n_levels; i++) {
        const gint64 times = part->widths[i] / MAX(ch, 1);
        json_array_append_new(mult, json_integer((json_int_t)times));
        is_published = is_published && times == published[i];
    }
    dim_put_unless(config, "ch", ch, 128);
    if (!is_published && part->n_levels)
        json_object_set(config, "ch_mult", mult);
    json_decref(mult);
    /* How many channels a norm takes together is in no tensor. */
    dim_put_unless(config, "norm_groups", greatest_divisor(32, MAX(ch, 1)), 32);
}

json_t *dim_kl_recognise(const DimAutoencoderFiles *files)
{
    static const char *const prefixes[] = {"", "first_stage_model."};

    for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        const KlPart encoder = look_at_part(files->encoder, prefixes[i], TRUE);
        const KlPart decoder = look_at_part(files->decoder, prefixes[i], FALSE);
        const KlPart *part = decoder.first ? &decoder : &encoder;
        if (!part->first)
            continue;
        json_t *config = json_object();
        put_widths(config, part, encoder.first ? encoder.first : decoder.widths[0]);
        dim_put_unless(config, "num_res_blocks", part->n_blocks, 2);
        dim_put_unless(config, "z_channels", part->z, 4);
        dim_put_unless(config, "embed_dim", part->embed, part->z);
        dim_put_unless(config, "in_channels", encoder.image, 3);
        dim_put_unless(config, "out_ch", decoder.image, 3);
        return config;
    }
    return NULL;
}

/* ---- tae ------------------------------------------------------------------------------------- */

json_t *dim_tae_recognise(const DimAutoencoderFiles *files)
{
    /* First and last convolution of each part, as diffusers and as the author names them. */
    static const char *const names[2][2][2] = {
        {{"encoder.layers.0.weight", "0.weight"}, {"encoder.layers.14.weight", "14.weight"}},
        {{"decoder.layers.0.weight", "1.weight"}, {"decoder.layers.18.weight", "19.weight"}}};
    gint64 width = 0, channels = 0;

    for (int part = 0; part < 2; part++)
        for (int layout = 0; layout < 2; layout++) {
            const DimWeights *w = part ? files->decoder : files->encoder;
            const char *first = names[part][0][layout], *last = names[part][1][layout];
            if (!w || !dim_side_of(w, 2, "%s", first) || !dim_side_of(w, 2, "%s", last))
                continue;
            width = dim_side_of(w, 0, "%s", first);
            channels = part ? dim_side_of(w, 1, "%s", first) : dim_side_of(w, 0, "%s", last);
        }
    if (!width)
        return NULL;
    json_t *config = json_object();
    dim_put_unless(config, "width", width, 64);
    dim_put_unless(config, "latent_channels", channels, 4);
    return config;
}

/* ---- linear ---------------------------------------------------------------------------------- */

json_t *dim_linear_recognise(const DimAutoencoderFiles *files)
{
    const DimWeights *w = files->decoder ? files->decoder : files->encoder;
    const gint64 numbers = dim_side_of(w, 0, "mean"), channels = dim_side_of(w, 1, "basis");

    if (!numbers || !channels)
        return NULL;
    json_t *config = json_object();
    dim_put_unless(config, "block", (gint64)floor(sqrt((double)numbers / 3)), 8);
    dim_put_unless(config, "latent_channels", channels, 16);
    return config;
}
