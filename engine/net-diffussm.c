/* Family `diffussm`: Diffusion State Space Model, a backbone without attention or patches whose
 * blocks scan all positions of the latent in both directions.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2311.18257, made definite where the paper leaves it open. The residual stream I is [B, J,
 * D] with M positions a token; only the scan sees single positions. A block is
 *
 *     H = layernorm (I) (1 + scale) + shift
 *     U = gelu (gelu (H W0) Wup)                              [B, J, M D], read as [B, L, D]
 *     Y = ahead (U), back (U) side by side                    [B, L, 2D]
 *     I'= gelu (Y at position m of each token · Wdown m)      M pieces side by side, [B, J, 2D]
 *     I += gate · ((gelu (I' W2) · gelu (H W1)) W3)
 */
#include "net-diffussm.h"

#include "error.h"
#include "net-dim.h"
#include "net-dit.h"

static const float EPSILON = 1e-6f;

/* All of one batch and grid. Tensors that are not alive at the same time share their place. */
typedef struct {
    const DimSsmConfig *config;
    int batch;
    gint64 n_tokens, n_places; /* J, L */
    float *sinusoids;          /* [B, 256], on the host */
    gint32 *rows;              /* [B], on the host */

    DkTensor positions;                   /* [J, D], or empty */
    DkTensor label_rows;                  /* [B] */
    DkTensor sinusoid, hidden;            /* [B, 256], [B, D] */
    DkTensor condition;                   /* [1, B, D]: silu (time + class) */
    DkTensor modulation, head_modulation; /* [B, 3D], [B, 2D] */
    DkTensor stream, normed;              /* [B, J, D]: I, H */

    DkTensor patches, head;                 /* [B, L, C·p²], [B, J, M·p²·Co] */
    DkTensor wide, scanned, both;           /* [B, J, 2D], [B, J, M D], [B, L, 2D] */
    DkTensor scan_branch, in_branch, fused; /* [B, J, D] */
} Plan;

/* ---- sizes ----------------------------------------------------------------------------------- */

static void ssm_facts(const void *config, DimNetFacts *facts)
{
    const DimSsmConfig *c = config;

    *facts = (DimNetFacts){
        .in_channels = c->in_channels,
        .out_channels = c->out_channels,
        .guided_channels = c->in_channels,
        .patch = c->patch,
        .n_labels = c->n_classes,
        .has_null_label = c->has_null_label,
        .width_multiple = c->patch * c->hourglass,
        .height_multiple = c->patch,
        .first_time = 0,
    };
}

static double ssm_flop(const void *config, int batch, int h, int w)
{
    const DimSsmConfig *c = config;
    const double d = c->width, m = c->hourglass, p2 = (double)c->patch * c->patch;
    const double places = (double)h * w / p2, tokens = places / m;
    const double block = tokens * (10 + 2 * m) * d * d + 3 * d * d + places * 12 * d * c->n_states;

    return 2 * batch *
           (c->depth * block + tokens * d * m * p2 * (c->in_channels + c->out_channels) +
            3 * d * d + DIM_SSM_SINUSOID * d);
}

/* Unused sides are 0. */
static DkTensor take(DimArena *arena, gint64 s0, gint64 s1, gint64 s2)
{
    return dim_arena_take(arena, DK_F32, s2 ? 3 : s1 ? 2 : 1, (gint64[]){s0, s1, s2});
}

static void take_all(Plan *plan, DimArena *arena)
{
    const DimSsmConfig *c = plan->config;
    const gint64 b = plan->batch, j = plan->n_tokens, l = plan->n_places, d = c->width,
                 m = c->hourglass, p2 = (gint64)c->patch * c->patch;

    if (c->has_positions)
        plan->positions = take(arena, j, d, 0);
    plan->label_rows = dim_arena_take(arena, DK_I32, 1, &b);
    plan->sinusoid = take(arena, b, DIM_SSM_SINUSOID, 0);
    plan->hidden = take(arena, b, d, 0);
    plan->condition = take(arena, 1, b, d);
    plan->modulation = take(arena, b, 3 * d, 0);
    plan->head_modulation = take(arena, b, 2 * d, 0);
    plan->stream = take(arena, b, j, d);
    plan->normed = take(arena, b, j, d);

    /* The way in, the blocks and the way out follow one another. */
    const gsize mark = dim_arena_mark(arena);
    plan->patches = take(arena, b, l, c->in_channels * p2);
    plan->head = take(arena, b, j, m * p2 * c->out_channels);
    const gsize end = dim_arena_mark(arena);
    dim_arena_release(arena, mark);
    plan->wide = take(arena, b, j, 2 * d);
    plan->scanned = take(arena, b, j, m * d);
    plan->both = take(arena, b, l, 2 * d);
    plan->scan_branch = take(arena, b, j, d);
    plan->in_branch = take(arena, b, j, d);
    plan->fused = take(arena, b, j, d);
    dim_arena_keep(arena, end);
}

/* ---- the plan -------------------------------------------------------------------------------- */

static gboolean check_grid(const DimSsmConfig *c, int h, int w, GError **error)
{
    const int p = c->patch, m = c->hourglass;

    if (h < 1 || w < 1 || h % p || w % p)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "backbone",
                        "a grid of %d x %d; expected sides that are multiples of %d, the patch", h,
                        w, p);
    const gint64 columns = w / p, places = h / p * columns;
    if (places % m)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "backbone",
                        "a grid of %d x %d; expected a number of patches that is a multiple of "
                        "hourglass_ratio, %d",
                        h, w, m);
    if (c->has_positions && columns % m)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "backbone",
                        "a grid of %d x %d; expected a width that is a multiple of %d, patch times "
                        "hourglass_ratio, as pos_embed is sincos",
                        h, w, p * m);
    return TRUE;
}

static gboolean write_positions(const Plan *plan, DkDevice *dk, int rows, GError **error)
{
    const gint64 d = plan->config->width;
    g_autofree float *host = g_try_new(float, plan->n_tokens *d);

    if (!host)
        return dim_fail_memory(error, "positions", (guint64)(plan->n_tokens * d) * sizeof *host);
    dim_dit_positions(host, rows, (int)(plan->n_tokens / rows), (int)d);
    dk_write(dk, plan->positions, host);
    return TRUE;
}

static void ssm_plan_free(DimNetPlan *base)
{
    Plan *plan = (Plan *)base;

    if (!plan)
        return;
    g_free(plan->sinusoids);
    g_free(plan->rows);
    g_free(plan);
}

static DimNetPlan *ssm_plan(DimArena *arena, const void *config, DimNet *net, int batch, int h,
                            int w, int base_h, int base_w, GError **error)
{
    const DimSsmConfig *c = config;

    if (!check_grid(c, h, w, error))
        return NULL;
    Plan *plan = g_new0(Plan, 1);
    plan->config = c;
    plan->batch = batch;
    plan->n_places = (gint64)(h / c->patch) * (w / c->patch);
    plan->n_tokens = plan->n_places / c->hourglass;
    plan->sinusoids = g_new(float, (gsize)batch *DIM_SSM_SINUSOID);
    plan->rows = g_new(gint32, batch);
    take_all(plan, arena);
    if (arena->dk && c->has_positions && !write_positions(plan, arena->dk, h / c->patch, error)) {
        ssm_plan_free((DimNetPlan *)plan);
        return NULL;
    }
    return (DimNetPlan *)plan;
}

/* ---- forward --------------------------------------------------------------------------------- */

static const DkTensor nothing;

static void apply(DkDevice *dk, DkTensor y, DkTensor x, const DimSsmLinear *layer, DkAct act)
{
    dk_linear(dk, y, x, layer->weight, layer->bias, act, false);
}

static void ssm_ask(DkDevice *dk, DimNetPlan *base, const double *t, const gint64 *y)
{
    const Plan *plan = (Plan *)base;
    const DimSsmConfig *c = plan->config;

    for (int i = 0; i < plan->batch; i++) {
        dim_mamba_sinusoid(plan->sinusoids + i * DIM_SSM_SINUSOID, DIM_SSM_SINUSOID, t[i]);
        plan->rows[i] = y ? (gint32)y[i] : c->n_classes;
    }
    dk_write(dk, plan->sinusoid, plan->sinusoids);
    if (c->n_classes)
        dk_write(dk, plan->label_rows, plan->rows);
}

/* silu (time + class), which every modulation starts from. */
static void embed_condition(const Plan *plan, DkDevice *dk, const DimSsmNet *net)
{
    const DimSsmConfig *c = plan->config;
    const gint64 sizes[] = {plan->batch, c->width};
    const DkTensor condition = dk_tensor_reshape(plan->condition, 2, sizes);

    if (c->n_classes)
        dk_gather(dk, plan->condition, net->labels, plan->label_rows);
    apply(dk, plan->hidden, plan->sinusoid, &net->time_1, DK_ACT_SILU);
    dk_linear(dk, condition, plan->hidden, net->time_2.weight, net->time_2.bias, DK_ACT_SILU,
              c->n_classes > 0);
}

static void embed_sequence(const Plan *plan, DkDevice *dk, const DimSsmNet *net, DkTensor x)
{
    const DimSsmConfig *c = plan->config;
    const gint64 b = plan->batch, j = plan->n_tokens, d = c->width, all = j * d,
                 m = (gint64)c->hourglass * c->patch * c->patch * c->in_channels;
    const DkTensor flat = dk_tensor_reshape(plan->stream, 2, (gint64[]){b, all});

    dk_patchify(dk, plan->patches, x, c->patch);
    apply(dk, plan->stream, dk_tensor_reshape(plan->patches, 3, (gint64[]){b, j, m}), &net->embed,
          DK_ACT_NONE);
    if (c->has_positions)
        dk_add_row(dk, flat, flat, dk_tensor_reshape(plan->positions, 1, &all));
}

/* H and what the scan makes of it: plan->wide. */
static void run_scan(const Plan *plan, DkDevice *dk, const DimSsmBlock *block)
{
    const gint64 b = plan->batch, j = plan->n_tokens, l = plan->n_places, d = plan->config->width,
                 m = plan->config->hourglass, piece = 2 * d / m;
    const DkTensor by_token = dk_tensor_reshape(plan->both, 3, (gint64[]){b, j, m * 2 * d});

    apply(dk, plan->wide, plan->normed, &block->in, DK_ACT_GELU);
    apply(dk, plan->scanned, plan->wide, &block->up, DK_ACT_GELU);
    dk_s4d_scan(dk, plan->both, dk_tensor_reshape(plan->scanned, 3, (gint64[]){b, l, d}),
                block->scan[DIM_SSM_AHEAD], block->scan[DIM_SSM_BACK]);
    for (gint64 i = 0; i < m; i++)
        dk_linear(dk, dk_tensor_columns(plan->wide, i * piece, piece),
                  dk_tensor_columns(by_token, i * 2 * d, 2 * d), block->down[i],
                  dk_tensor_columns(block->down_bias, i * piece, piece), DK_ACT_GELU, false);
}

/* y = a · b, one by one: a row's gate on a sum that is 0. */
static void multiply(const Plan *plan, DkDevice *dk, DkTensor y, DkTensor a, DkTensor b)
{
    const gint64 n = plan->batch * plan->n_tokens, d = plan->config->width;
    const gint64 rows[] = {n, 1, d}, gate[] = {n, d};

    dk_clear(dk, y);
    dk_gate_add(dk, dk_tensor_reshape(y, 3, rows), dk_tensor_reshape(a, 2, gate),
                dk_tensor_reshape(b, 3, rows));
}

static void run_block(const Plan *plan, DkDevice *dk, const DimSsmBlock *block)
{
    const gint64 d = plan->config->width;
    const DkTensor condition = dk_tensor_reshape(plan->condition, 2, (gint64[]){plan->batch, d});
    const DkTensor shift = dk_tensor_columns(plan->modulation, 0, d);
    const DkTensor scale = dk_tensor_columns(plan->modulation, d, d);
    const DkTensor gate = dk_tensor_columns(plan->modulation, 2 * d, d);

    apply(dk, plan->modulation, condition, &block->modulation, DK_ACT_NONE);
    dk_norm_modulate(dk, plan->normed, plan->stream, nothing, scale, shift, DK_NORM_LAYER, EPSILON);
    run_scan(plan, dk, block);
    apply(dk, plan->scan_branch, plan->wide, &block->fuse_scan, DK_ACT_GELU);
    apply(dk, plan->in_branch, plan->normed, &block->fuse_in, DK_ACT_GELU);
    multiply(plan, dk, plan->fused, plan->scan_branch, plan->in_branch);
    apply(dk, plan->scan_branch, plan->fused, &block->fuse_out, DK_ACT_NONE);
    dk_gate_add(dk, plan->stream, gate, plan->scan_branch);
}

static void run_head(const Plan *plan, DkDevice *dk, const DimSsmNet *net, DkTensor output)
{
    const DimSsmConfig *c = plan->config;
    const gint64 b = plan->batch, d = c->width,
                 places[] = {b, plan->n_places, (gint64)c->patch * c->patch * c->out_channels};
    const DkTensor condition = dk_tensor_reshape(plan->condition, 2, (gint64[]){b, d});
    const DkTensor shift = dk_tensor_columns(plan->head_modulation, 0, d);
    const DkTensor scale = dk_tensor_columns(plan->head_modulation, d, d);

    apply(dk, plan->head_modulation, condition, &net->head_modulation, DK_ACT_NONE);
    dk_norm_modulate(dk, plan->normed, plan->stream, nothing, scale, shift, DK_NORM_LAYER, EPSILON);
    apply(dk, plan->head, plan->normed, &net->head, DK_ACT_NONE);
    dk_unpatchify(dk, output, dk_tensor_reshape(plan->head, 3, places), c->patch);
}

static void ssm_forward(DkDevice *dk, DimNet *base, const DimNetPlan *base_plan, DkTensor output,
                        DkTensor x, const DimNetProgress *progress)
{
    const DimSsmNet *net = (DimSsmNet *)base;
    const Plan *plan = (const Plan *)base_plan;
    const int depth = plan->config->depth;

    embed_condition(plan, dk, net);
    embed_sequence(plan, dk, net, x);
    for (int i = 0; i < depth; i++) {
        run_block(plan, dk, &net->blocks[i]);
        dim_net_progress(progress, (i + 1.0) / depth);
    }
    run_head(plan, dk, net, output);
}

/* ---- the class ------------------------------------------------------------------------------- */

static gboolean ssm_walk(const void *config, const DimWeights *weights, DimNeedFn need, void *data,
                         GError **error)
{
    DimSsmNet names_only = {0};
    DimNetNeed needed = {need, data};

    return dim_ssm_walk(config, &names_only, dim_net_need, &needed, error);
}

const DimNetClass dim_net_diffussm = {
    .family = "diffussm",
    .parse = dim_ssm_config_parse,
    .recognise = dim_ssm_recognise,
    .facts = ssm_facts,
    .walk = ssm_walk,
    .flop = ssm_flop,
    .load = dim_ssm_load,
    .free = dim_ssm_free,
    .plan = ssm_plan,
    .plan_free = ssm_plan_free,
    .ask = ssm_ask,
    .forward = ssm_forward,
};
