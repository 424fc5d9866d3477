/* The backbones' configurations out of their tensors.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <stdio.h>

#include "json.h"
#include "net-diffussm.h"
#include "net-dim.h"
#include "net-dit.h"
#include "recognise.h"

static gint64 root(gint64 square)
{
    return (gint64)floor(sqrt((double)MAX(square, 0)));
}

/* ---- dim ------------------------------------------------------------------------------------- */

/* Where the first decoder block is; the blocks before those that feed it are plain. */
static void put_skips(json_t *config, const DimWeights *w, gint64 depth)
{
    gint64 first = 0;

    while (first < depth &&
           !dim_side_of(w, 0, "transformer_blocks.%d.skip_linear.weight", (int)first) &&
           !dim_side_of(w, 0, "transformer_blocks.%d.skip_linear.0.weight", (int)first))
        first++;
    const gint64 start = first < depth ? 2 * first - depth : depth % 2;
    if (start != 1)
        json_object_set_new(config, "encoder_start", json_integer((json_int_t)MAX(start, 0)));
    if (first == depth && depth > 1)
        json_object_set_new(config, "skip_connections", json_false());
}

/* Pads: how they are laid out is in no tensor. The published fine-tuning at 512 pixels, of 32 x 32
 * tokens, has rho_pad, the others lateral. */
static void put_sequence(json_t *config, const DimWeights *w, gint64 taps)
{
    const gint64 side = root(dim_side_of(w, 1, "additional_embed") - DIM_EXTRA_TOKENS);
    const gint64 split = dim_side_of(w, 1, "a4m_adapter.pad_token_dec_split");
    const gint64 pads = dim_side_of(w, 2, "a4m_adapter.pad_token");

    if (!pads)
        json_object_set_new(config, "pad_schedule", json_string("none"));
    else if (side == 32)
        json_object_set_new(config, "pad_schedule", json_string("rho_pad"));
    dim_put_unless(config, "pad_token_len", pads ? pads : split, taps);
    if (!split)
        json_object_set_new(config, "split_tokens", json_false());
    if (!dim_side_of(w, 0, "a4m_adapter.first_smoother.weight"))
        json_object_set_new(config, "depthwise_conv", json_false());
    if (dim_side_of(w, 0, "final_layer.weight"))
        json_object_set_new(config, "final_conv", json_true());
}

json_t *dim_mamba_recognise(const DimWeights *w, const json_t *given, GError **error)
{
    static const char block[] = "transformer_blocks.0.attn1.";
    static const DimRanked needed[] = {{"additional_embed", 3},
                                       {"pos_embed.proj.weight", 4},
                                       {"label_emb.weight", 2},
                                       {"transformer_blocks.0.norm1.norm.weight", 1},
                                       {"transformer_blocks.0.attn1.A_log", 2},
                                       {"transformer_blocks.0.attn1.conv1d.weight", 3},
                                       {"transformer_blocks.0.attn1.dt_proj.weight", 2},
                                       {"proj_out_2.weight", 2},
                                       {NULL, 0}};

    if (!dim_has_prefix(w, block) || !dim_need_ranks(w, needed, error))
        return NULL;
    json_t *config = json_object();
    const gint64 d = dim_side_of(w, 1, "label_emb.weight");
    const gint64 inner = dim_side_of(w, 0, "%sA_log", block);
    const gint64 taps = dim_side_of(w, 2, "%sconv1d.weight", block);
    const gint64 depth = dim_count_of(w, "transformer_blocks.%d.norm1.norm.weight");
    const gint64 channels = dim_side_of(w, 1, "pos_embed.proj.weight");
    const gint64 patch = dim_side_of(w, 2, "pos_embed.proj.weight");

    json_object_set_new(config, "hidden_size", json_integer((json_int_t)MAX(d, 1)));
    json_object_set_new(config, "depth", json_integer((json_int_t)MAX(depth, 1)));
    json_object_set_new(
        config, "num_classes",
        json_integer((json_int_t)MAX(dim_side_of(w, 0, "label_emb.weight") - 1, 0)));
    dim_put_unless(config, "patch_size", patch, 2);
    dim_put_unless(config, "in_channels", channels, 4);
    dim_put_unless(config, "out_channels",
                   dim_side_of(w, 0, "proj_out_2.weight") / MAX(patch * patch, 1), channels);
    dim_put_unless(config, "d_state", dim_side_of(w, 1, "%sA_log", block), 16);
    dim_put_unless(config, "d_conv", taps, 3);
    dim_put_unless(config, "dt_rank", dim_side_of(w, 1, "%sdt_proj.weight", block), (d + 15) / 16);
    if (inner > 0 && inner != 2 * d)
        json_object_set_new(config, "expand", json_real(dim_ratio_of(inner, d)));
    put_skips(config, w, depth);
    put_sequence(config, w, taps);
    return config;
}

/* ---- dit ------------------------------------------------------------------------------------- */

/* Heads leave no trace. The published widths have 64 channels a head but for 1152, which has 72. */
static gint64 heads_of(gint64 width)
{
    gint64 n = width == 1152 ? 16 : MAX(width / 64, 1);

    while (width % n)
        n--;
    return n;
}

json_t *dim_dit_recognise(const DimWeights *w, const json_t *given, GError **error)
{
    static const DimRanked needed[] = {
        {"x_embedder.proj.weight", 4},    {"y_embedder.embedding_table.weight", 2},
        {"blocks.0.attn.qkv.weight", 2},  {"blocks.0.mlp.fc1.weight", 2},
        {"final_layer.linear.weight", 2}, {NULL, 0}};

    if (!dim_has_prefix(w, "blocks.0.attn.qkv.") || !dim_need_ranks(w, needed, error))
        return NULL;
    json_t *config = json_object();
    const gint64 d = dim_side_of(w, 0, "x_embedder.proj.weight");
    const gint64 channels = dim_side_of(w, 1, "x_embedder.proj.weight");
    const gint64 patch = MAX(dim_side_of(w, 2, "x_embedder.proj.weight"), 1);
    const gint64 inner = dim_side_of(w, 0, "blocks.0.mlp.fc1.weight");
    const gint64 outputs = dim_side_of(w, 0, "final_layer.linear.weight") / (patch * patch);
    const gint64 table = root(dim_side_of(w, 1, "pos_embed"));

    dim_put_unless(config, "input_size", table ? table * patch : (32 + patch - 1) / patch * patch,
                   32);
    dim_put_unless(config, "patch_size", patch, 2);
    dim_put_unless(config, "in_channels", channels, 4);
    dim_put_unless(config, "hidden_size", d, 1152);
    dim_put_unless(config, "depth", dim_count_of(w, "blocks.%d.attn.qkv.weight"), 28);
    dim_put_unless(config, "num_heads", heads_of(MAX(d, 1)), 16);
    if (inner > 0 && inner != 4 * d)
        json_object_set_new(config, "mlp_ratio", json_real(dim_ratio_of(inner, d)));
    dim_put_classes(config, given, dim_side_of(w, 0, "y_embedder.embedding_table.weight"), 1000);
    if (outputs == channels)
        json_object_set_new(config, "learn_sigma", json_false());
    /* As the published figures were made. */
    if (channels > 3 && outputs == 2 * channels)
        json_object_set_new(config, "guidance_channels", json_integer(3));
    return config;
}

/* ---- diffussm -------------------------------------------------------------------------------- */

/* Of C p² numbers a position, how many are channels: the latents have 4, pictures 3. */
static gint64 channels_of(gint64 numbers, const json_t *given)
{
    static const gint64 usual[] = {4, 3};
    const gint64 patch = dim_given(given, "patch_size", 0);

    if (patch > 0)
        return numbers / (patch * patch);
    for (gsize i = 0; i < G_N_ELEMENTS(usual); i++) {
        const gint64 side = root(numbers / usual[i]);
        if (usual[i] * side * side == numbers)
            return usual[i];
    }
    return numbers;
}

json_t *dim_ssm_recognise(const DimWeights *w, const json_t *given, GError **error)
{
    static const DimRanked needed[] = {
        {"x_embedder.proj.weight", 2},    {"blocks.0.dense_in.weight", 2},
        {"blocks.0.dense_up.weight", 2},  {"blocks.0.ssm.fwd.log_A_real", 2},
        {"final_layer.linear.weight", 2}, {NULL, 0}};

    if (!dim_has_prefix(w, "blocks.0.ssm.") || !dim_need_ranks(w, needed, error))
        return NULL;
    json_t *config = json_object();
    const gint64 d = dim_side_of(w, 0, "x_embedder.proj.weight");
    const gint64 hourglass = MAX(dim_side_of(w, 0, "blocks.0.dense_up.weight") / MAX(d, 1), 1);
    const gint64 inputs = dim_side_of(w, 1, "x_embedder.proj.weight");
    const gint64 numbers = MAX(inputs / hourglass, 1);
    const gint64 channels = dim_given(given, "in_channels", channels_of(numbers, given));
    const gint64 labels = dim_side_of(w, 0, "y_embedder.embedding_table.weight");

    dim_put_unless(config, "patch_size", root(numbers / MAX(channels, 1)), 1);
    dim_put_unless(config, "in_channels", channels, 4);
    dim_put_unless(config, "hidden_size", d, 1152);
    dim_put_unless(config, "depth", dim_count_of(w, "blocks.%d.dense_in.weight"), 29);
    dim_put_unless(config, "hourglass_ratio", hourglass, 2);
    dim_put_unless(config, "d_state", 2 * dim_side_of(w, 1, "blocks.0.ssm.fwd.log_A_real"), 64);
    if (labels)
        dim_put_classes(config, given, labels, 1000);
    else
        json_object_set_new(config, "num_classes", json_integer(0));
    if (dim_side_of(w, 0, "final_layer.linear.weight") == inputs)
        json_object_set_new(config, "learn_sigma", json_false());
    return config;
}
