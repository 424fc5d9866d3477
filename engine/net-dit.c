/* Family `dit`: Diffusion Transformer, a backbone whose blocks attend from every token of the
 * picture to every other.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2212.09748; where it and the authors' program differ, the program is followed, since
 * published weights only work with it. Time and class are one vector c a picture, which modulates
 * all tokens alike. A block is
 *
 *     (s1, a1, g1, s2, a2, g2) = linear (silu (c))
 *     v += g1 · attention (layernorm (v) (1 + a1) + s1)
 *     v += g2 · mlp (layernorm (v) (1 + a2) + s2)
 */
#include "net-dit.h"

#include "error.h"

static const float EPS = 1e-6f; /* of every norm */

/* All of one batch and grid. Tensors that are not alive at the same time share their place. */
typedef struct {
    const DimDitConfig *config;
    gint64 batch, length; /* B, L */
    float *sinusoids;     /* [B, 256], on the host */
    gint32 *labels;       /* [B], on the host */

    DkTensor label_rows;                 /* [B] */
    DkTensor positions;                  /* [L·D] */
    DkTensor sinusoid, time, condition;  /* [B, 256], [B, D], [1, B, D]: silu (c) */
    DkTensor modulation;                 /* [B, 6D] */
    DkTensor stream, normed;             /* [B, L, D]: v, and what a layer is given */
    DkTensor patches, qkv, hidden, head; /* [B, L, C·p²], [B, L, 3D], [B, L, E], [B, L, p²·Co] */
} Plan;

/* ---- sizes ----------------------------------------------------------------------------------- */

static void dit_facts(const void *config, DimNetFacts *facts)
{
    const DimDitConfig *c = config;

    *facts = (DimNetFacts){
        .in_channels = c->in_channels,
        .out_channels = c->out_channels,
        .guided_channels = c->guided_channels,
        .patch = c->patch,
        .n_labels = c->n_classes,
        .has_null_label = c->has_null_label,
        .width_multiple = c->patch,
        .height_multiple = c->patch,
        .first_time = 0,
    };
}

static double dit_flop(const void *config, int batch, int h, int w)
{
    const DimDitConfig *c = config;
    const double d = c->width, e = c->inner, p = c->patch, l = (h / p) * (w / p);
    const double block = l * (4 * d * d + 2 * d * e) + 2 * l * l * d + 6 * d * d;

    return 2 * batch *
           (c->depth * block + l * d * p * p * (c->in_channels + c->out_channels) + 3 * d * d +
            DIM_DIT_SINUSOID * d);
}

/* Unused sides are 0. */
static DkTensor take(DimArena *arena, gint64 s0, gint64 s1, gint64 s2)
{
    return dim_arena_take(arena, DK_F32, s2 ? 3 : s1 ? 2 : 1, (gint64[]){s0, s1, s2});
}

/* One that shares its place with the others taken so; *end is where the longest of them ends. */
static DkTensor take_passing(const Plan *plan, DimArena *arena, gint64 columns, gsize *end)
{
    const gsize mark = dim_arena_mark(arena);
    const DkTensor t = take(arena, plan->batch, plan->length, columns);

    *end = MAX(*end, dim_arena_mark(arena));
    dim_arena_release(arena, mark);
    return t;
}

static void take_all(Plan *plan, DimArena *arena)
{
    const DimDitConfig *c = plan->config;
    const gint64 b = plan->batch, l = plan->length, d = c->width, p2 = (gint64)c->patch * c->patch;
    gsize end = 0;

    plan->label_rows = dim_arena_take(arena, DK_I32, 1, &b);
    plan->positions = take(arena, l * d, 0, 0);
    plan->sinusoid = take(arena, b, DIM_DIT_SINUSOID, 0);
    plan->time = take(arena, b, d, 0);
    plan->condition = take(arena, 1, b, d);
    plan->modulation = take(arena, b, 6 * d, 0);
    plan->stream = take(arena, b, l, d);
    plan->normed = take(arena, b, l, d);
    plan->patches = take_passing(plan, arena, c->in_channels * p2, &end);
    plan->qkv = take_passing(plan, arena, 3 * d, &end);
    plan->hidden = take_passing(plan, arena, c->inner, &end);
    plan->head = take_passing(plan, arena, c->out_channels * p2, &end);
    dim_arena_keep(arena, end);
}

/* The file's table on the grid that it was made for, the formula on every other. */
static gboolean write_positions(const Plan *plan, DkDevice *dk, const DimDitNet *net, int rows,
                                int columns, GError **error)
{
    const DimDitConfig *c = plan->config;
    const int side = c->input_size / c->patch;
    const gint64 count = plan->length * c->width;

    if (net->has_positions && rows == side && columns == side) {
        dk_axpby(dk, plan->positions, 1, net->positions, 0);
        return TRUE;
    }
    g_autofree float *host = g_try_new(float, count);
    if (!host)
        return dim_fail_memory(error, "positions", (guint64)count * sizeof *host);
    dim_dit_positions(host, rows, columns, c->width);
    dk_write(dk, plan->positions, host);
    return TRUE;
}

static void dit_plan_free(DimNetPlan *base)
{
    Plan *plan = (Plan *)base;

    if (!plan)
        return;
    g_free(plan->sinusoids);
    g_free(plan->labels);
    g_free(plan);
}

/* Positions count patches from the top left on every grid, so there is nothing that base_h and
 * base_w could change: the small pass of upsample guidance runs as the picture of its size would.
 */
static DimNetPlan *dit_plan(DimArena *arena, const void *config, DimNet *net, int batch, int h,
                            int w, int base_h, int base_w, GError **error)
{
    const DimDitConfig *c = config;

    if (h < 1 || w < 1 || h % c->patch || w % c->patch) {
        dim_fail(error, DIM_ERROR_ARGUMENT, "backbone",
                 "a grid of %d x %d; expected sides that are multiples of %d, the patch", h, w,
                 c->patch);
        return NULL;
    }
    Plan *plan = g_new0(Plan, 1);
    plan->config = c;
    plan->batch = batch;
    plan->length = (gint64)(h / c->patch) * (w / c->patch);
    plan->sinusoids = g_new(float, (gsize)batch *DIM_DIT_SINUSOID);
    plan->labels = g_new(gint32, batch);
    take_all(plan, arena);
    if (arena->dk && !write_positions(plan, arena->dk, (const DimDitNet *)net, h / c->patch,
                                      w / c->patch, error)) {
        dit_plan_free((DimNetPlan *)plan);
        return NULL;
    }
    return (DimNetPlan *)plan;
}

/* ---- forward --------------------------------------------------------------------------------- */

static const DkTensor nothing;

static DkTensor condition(const Plan *plan)
{
    return dk_tensor_reshape(plan->condition, 2, (gint64[]){plan->batch, plan->config->width});
}

static void dit_ask(DkDevice *dk, DimNetPlan *base, const double *t, const gint64 *y)
{
    const Plan *plan = (Plan *)base;

    for (gint64 i = 0; i < plan->batch; i++) {
        plan->labels[i] = y ? (gint32)y[i] : plan->config->n_classes;
        dim_dit_sinusoid(plan->sinusoids + i * DIM_DIT_SINUSOID, t[i]);
    }
    dk_write(dk, plan->label_rows, plan->labels);
    dk_write(dk, plan->sinusoid, plan->sinusoids);
}

/* silu (mlp (t) + label) */
static void embed_condition(const Plan *plan, DkDevice *dk, const DimDitNet *net)
{
    dk_gather(dk, plan->condition, net->labels, plan->label_rows);
    dk_linear(dk, plan->time, plan->sinusoid, net->time_1, net->time_1_bias, DK_ACT_SILU, false);
    dk_linear(dk, condition(plan), plan->time, net->time_2, net->time_2_bias, DK_ACT_SILU, true);
}

/* Patches with their positions. */
static void embed_image(const Plan *plan, DkDevice *dk, const DimDitNet *net, DkTensor x)
{
    const gint64 all = plan->length * plan->config->width;
    const DkTensor flat = dk_tensor_reshape(plan->stream, 2, (gint64[]){plan->batch, all});

    dk_patchify(dk, plan->patches, x, plan->config->patch);
    dk_linear(dk, plan->stream, plan->patches, net->patch, net->patch_bias, DK_ACT_NONE, false);
    dk_add_row(dk, flat, flat, plan->positions);
}

/* Part i of the modulation: shift, scale, gate and so on. */
static DkTensor part(const Plan *plan, int i)
{
    const gint64 d = plan->config->width;
    return dk_tensor_columns(plan->modulation, i * d, d);
}

static void run_norm(const Plan *plan, DkDevice *dk, DkTensor shift, DkTensor scale)
{
    dk_norm_modulate(dk, plan->normed, plan->stream, nothing, scale, shift, DK_NORM_LAYER, EPS);
}

static void run_attention(const Plan *plan, DkDevice *dk, const DimDitBlock *block, DkTensor gate)
{
    const gint64 d = plan->config->width;
    const DkTensor q = dk_tensor_columns(plan->qkv, 0, d), k = dk_tensor_columns(plan->qkv, d, d);
    const DkTensor v = dk_tensor_columns(plan->qkv, 2 * d, d);
    const DkTensor out = q; /* q is spent once it has attended */

    dk_linear(dk, plan->qkv, plan->normed, block->qkv, block->qkv_bias, DK_ACT_NONE, false);
    dk_attention(dk, plan->normed, q, k, v, plan->config->n_heads, dk_weight_products(block->qkv));
    dk_linear(dk, out, plan->normed, block->proj, block->proj_bias, DK_ACT_NONE, false);
    dk_gate_add(dk, plan->stream, gate, out);
}

static void run_mlp(const Plan *plan, DkDevice *dk, const DimDitBlock *block, DkTensor gate)
{
    const DkTensor out = plan->normed; /* spent once the hidden layer is made of it */

    dk_linear(dk, plan->hidden, plan->normed, block->fc1, block->fc1_bias, DK_ACT_GELU, false);
    dk_linear(dk, out, plan->hidden, block->fc2, block->fc2_bias, DK_ACT_NONE, false);
    dk_gate_add(dk, plan->stream, gate, out);
}

static void run_block(const Plan *plan, DkDevice *dk, const DimDitBlock *block)
{
    dk_linear(dk, plan->modulation, condition(plan), block->modulation, block->modulation_bias,
              DK_ACT_NONE, false);
    run_norm(plan, dk, part(plan, 0), part(plan, 1));
    run_attention(plan, dk, block, part(plan, 2));
    run_norm(plan, dk, part(plan, 3), part(plan, 4));
    run_mlp(plan, dk, block, part(plan, 5));
}

static void run_head(const Plan *plan, DkDevice *dk, const DimDitNet *net, DkTensor output)
{
    const DkTensor both = dk_tensor_columns(plan->modulation, 0, 2 * (gint64)plan->config->width);

    dk_linear(dk, both, condition(plan), net->head_modulation, net->head_modulation_bias,
              DK_ACT_NONE, false);
    run_norm(plan, dk, part(plan, 0), part(plan, 1));
    dk_linear(dk, plan->head, plan->normed, net->head, net->head_bias, DK_ACT_NONE, false);
    dk_unpatchify(dk, output, plan->head, plan->config->patch);
}

static void dit_forward(DkDevice *dk, DimNet *base, const DimNetPlan *base_plan, DkTensor output,
                        DkTensor x, const DimNetProgress *progress)
{
    const DimDitNet *net = (const DimDitNet *)base;
    const Plan *plan = (const Plan *)base_plan;
    const int depth = plan->config->depth;

    embed_condition(plan, dk, net);
    embed_image(plan, dk, net, x);
    for (int i = 0; i < depth; i++) {
        run_block(plan, dk, &net->blocks[i]);
        dim_net_progress(progress, (i + 1.0) / depth);
    }
    run_head(plan, dk, net, output);
}

/* ---- the class ------------------------------------------------------------------------------- */

static gboolean dit_walk(const void *config, const DimWeights *weights, DimNeedFn need, void *data,
                         GError **error)
{
    DimDitNet names_only = {.has_positions = dim_dit_has_positions(weights)};
    DimNetNeed needed = {need, data};

    return dim_dit_walk(config, &names_only, dim_net_need, &needed, error);
}

const DimNetClass dim_net_dit = {
    .family = "dit",
    .parse = dim_dit_config_parse,
    .recognise = dim_dit_recognise,
    .facts = dit_facts,
    .walk = dit_walk,
    .flop = dit_flop,
    .load = dim_dit_load,
    .free = dim_dit_free,
    .plan = dit_plan,
    .plan_free = dit_plan_free,
    .ask = dit_ask,
    .forward = dit_forward,
};
