/* Family `dim`: Diffusion Mamba, a backbone whose blocks scan the picture's tokens in four
 * directions in turn.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2405.14224; where it and the authors' program differ, the program is followed, since
 * published weights only work with it. The residual stream is one tensor [B, L, d] that stays in
 * image order and is added to in place. A block is
 *
 *     v = A0 v + A1 kept + b                                  decoder blocks: the long skip
 *     v += gate · Mamba (rmsnorm (v) (1 + scale) + shift)     scanned in the block's own order
 */
#include "net-dim.h"

#include <math.h>

#include "error.h"

enum { N_DIRECTIONS = 4 };

/* All of one batch and grid. Tensors that are not alive at the same time share their place. */
typedef struct {
    const DimMambaConfig *config;
    int batch;
    DimMambaGrid grid;
    float *sinusoids; /* [B, max (d, 256)], on the host */
    gint32 *labels;   /* [B], on the host */

    DkTensor order[N_DIRECTIONS]; /* [L] */
    DkTensor from[DIM_N_SOURCES]; /* [L], dk_gather's rows */
    DkTensor crop;                /* [H·W] */
    DkTensor positions;           /* [H·W, d] */

    DkTensor label_rows;                         /* [B] */
    DkTensor time, class_vector, head_vector;    /* [B, d]: e, l, silu (e + l) */
    DkTensor extra;                              /* [B, X, d] */
    DkTensor sinusoid, time_hidden, time_vector; /* [B, 256], [B, d], [B, d] */
    DkTensor modulation, block_modulation;       /* [B, 3d] */
    DkTensor head_modulation;                    /* [B, 2d] */
    DkTensor stream, other;                      /* [B, L, d]: v, and room for what a block makes */
    DkTensor *kept;                              /* n of [B, L, d] */

    DkTensor patches, image, smoothed; /* [B, H·W, C·p²], [B, H, W, d], the same */
    DkTensor xz, u, dbc;               /* [B, L, 2E], [B, L, E], [B, L, R + 2N] */
    DkTensor head, head_image;         /* [B, H·W, p²·Co], [B, h·w, Co] */
    DkTensor head_smooth;              /* [B, h·w, Co] */
} Plan;

/* ---- sizes ----------------------------------------------------------------------------------- */

static void dim_facts(const void *config, DimNetFacts *facts)
{
    const DimMambaConfig *c = config;

    *facts = (DimNetFacts){
        .in_channels = c->in_channels,
        .out_channels = c->out_channels,
        .patch = c->patch,
        .n_labels = c->n_classes,
        .has_null_label = TRUE,
        .width_multiple = c->patch,
        .height_multiple = c->patch,
        .first_time = 1,
    };
}

static double dim_flop(const void *config, int batch, int h, int w)
{
    const DimMambaConfig *c = config;
    const DimMambaGrid grid = dim_mamba_grid(c, h / c->patch, w / c->patch);
    const double d = c->width, e = c->inner, n = c->n_states, r = c->rank,
                 p2 = (double)c->patch * c->patch;
    const double block = 3 * d * e + c->n_taps * e + e * (r + 2 * n) + r * e + 4 * e * n;
    const double skips = c->skip_connections ? dim_mamba_pairs(c) * 2 * d * d : 0;
    const double patch = (c->in_channels + c->out_channels) * p2 * d + (c->smoothers ? 18 * d : 0) +
                         (c->final_conv ? 9 * p2 * c->out_channels * c->out_channels : 0);

    return 2 * batch *
           ((double)grid.length * (c->depth * block + skips) + 6 * d * d + DIM_TIME_SINUSOID * d +
            (double)grid.height * (double)grid.width * patch);
}

/* Unused sides are 0. */
static DkTensor take(DimArena *arena, gint64 s0, gint64 s1, gint64 s2, gint64 s3)
{
    return dim_arena_take(arena, DK_F32, s3 ? 4 : s2 ? 3 : s1 ? 2 : 1, (gint64[]){s0, s1, s2, s3});
}

static DkTensor take_table(DimArena *arena, gint64 length)
{
    return dim_arena_take(arena, DK_I32, 1, &length);
}

/* What lives through a whole forward, or from one to the next. */
static void take_lasting(Plan *plan, DimArena *arena)
{
    const DimMambaConfig *c = plan->config;
    const gint64 b = plan->batch, l = plan->grid.length, d = c->width,
                 patches = plan->grid.height * plan->grid.width;

    for (int i = 0; i < c->n_directions; i++)
        plan->order[i] = take_table(arena, l);
    for (int i = 0; i < DIM_N_SOURCES; i++)
        plan->from[i] = take_table(arena, l);
    plan->crop = take_table(arena, patches);
    plan->label_rows = take_table(arena, b);
    plan->positions = take(arena, 1, plan->grid.height, plan->grid.width, d);
    plan->time = take(arena, b, d, 0, 0);
    plan->class_vector = take(arena, 1, b, d, 0);
    plan->head_vector = take(arena, b, d, 0, 0);
    plan->extra = take(arena, b, DIM_EXTRA_TOKENS * d, 0, 0);
    plan->sinusoid = take(arena, b, DIM_TIME_SINUSOID, 0, 0);
    plan->time_hidden = take(arena, b, d, 0, 0);
    plan->time_vector = take(arena, 1, b, d, 0);
    plan->modulation = take(arena, b, 3 * d, 0, 0);
    plan->block_modulation = take(arena, b, 3 * d, 0, 0);
    plan->head_modulation = take(arena, b, 2 * d, 0, 0);
    plan->stream = take(arena, b, l, d, 0);
    plan->other = take(arena, b, l, d, 0);
    for (int i = 0; c->skip_connections && i < dim_mamba_pairs(c); i++)
        plan->kept[i] = take(arena, b, l, d, 0);
}

/* The way in, the blocks and the way out follow one another, and so share their place. */
static void take_passing(Plan *plan, DimArena *arena)
{
    const DimMambaConfig *c = plan->config;
    const gint64 b = plan->batch, l = plan->grid.length, h = plan->grid.height,
                 w = plan->grid.width;
    const gint64 d = c->width, p2 = (gint64)c->patch * c->patch;
    const gsize mark = dim_arena_mark(arena);

    plan->image = take(arena, b, h, w, d);
    plan->smoothed = take(arena, b, h, w, d);
    plan->patches = take(arena, b, h * w, c->in_channels * p2, 0);
    plan->head = take(arena, b, h * w, c->out_channels * p2, 0);
    if (c->final_conv) {
        plan->head_image = take(arena, b, h * c->patch, w * c->patch, c->out_channels);
        plan->head_smooth = take(arena, b, h * c->patch, w * c->patch, c->out_channels);
    }
    const gsize end = dim_arena_mark(arena);

    dim_arena_release(arena, mark);
    plan->xz = take(arena, b, l, 2 * c->inner, 0);
    plan->u = take(arena, b, l, c->inner, 0);
    plan->dbc = take(arena, b, l, c->rank + 2 * c->n_states, 0);
    dim_arena_keep(arena, end);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static gboolean write_tables(Plan *plan, DkDevice *dk, GError **error)
{
    const DimMambaGrid *grid = &plan->grid;
    const gint64 length = grid->length;
    g_autofree gint32 *host = g_try_new(gint32, DIM_N_SOURCES * length);

    if (!host)
        return dim_fail_memory(error, "order tables",
                               DIM_N_SOURCES * (guint64)length * sizeof *host);
    dim_mamba_sources(
        plan->config, grid,
        (gint32 *const[DIM_N_SOURCES]){host, host + length, host + 2 * length, host + 3 * length});
    for (int i = 0; i < DIM_N_SOURCES; i++)
        dk_write(dk, plan->from[i], host + i * length);
    for (int i = 0; i < plan->config->n_directions; i++) {
        dim_mamba_order(grid, i, host);
        dk_write(dk, plan->order[i], host);
    }
    dim_mamba_crop(grid, host);
    dk_write(dk, plan->crop, host);
    return TRUE;
}

/* The position table on the plan's grid, by way of the grid that the model was made for, if it has
 * such a one. To the same size a resize is a copy. */
static void resize_positions(Plan *plan, DkDevice *dk, const DimMambaNet *net, DkTensor base)
{
    const gint64 side = net->table_side, d = plan->config->width;
    const DkTensor rows = dk_tensor_slice(net->positions, DIM_EXTRA_TOKENS, side * side);
    DkTensor table = dk_tensor_reshape(rows, 4, (gint64[]){1, side, side, d});

    if (!dk_tensor_is_empty(base)) {
        dk_resize(dk, base, table, DK_RESIZE_BILINEAR);
        table = base;
    }
    dk_resize(dk, plan->positions, table, DK_RESIZE_BILINEAR);
}

static void dim_plan_free(DimNetPlan *base)
{
    Plan *plan = (Plan *)base;

    if (!plan)
        return;
    g_free(plan->sinusoids);
    g_free(plan->labels);
    g_free(plan->kept);
    g_free(plan);
}

static gboolean check_grid(const DimMambaConfig *c, int h, int w, GError **error)
{
    if (h < 1 || w < 1 || h % c->patch || w % c->patch)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "backbone",
                        "a grid of %d x %d; expected sides that are multiples of %d, the patch", h,
                        w, c->patch);
    /* The tables count rows in 32 bits. */
    if (dim_mamba_grid(c, h / c->patch, w / c->patch).length > G_MAXINT32)
        return dim_fail(error, DIM_ERROR_NO_MEMORY, "backbone",
                        "a grid of %d x %d makes too long a sequence", h, w);
    return TRUE;
}

static DimNetPlan *dim_plan(DimArena *arena, const void *config, DimNet *net, int batch, int h,
                            int w, int base_h, int base_w, GError **error)
{
    const DimMambaConfig *c = config;
    const int table_h = base_h ? base_h / c->patch : c->table_h,
              table_w = base_h ? base_w / c->patch : c->table_w;

    if (!check_grid(c, h, w, error))
        return NULL;
    Plan *plan = g_new0(Plan, 1);
    plan->config = c;
    plan->batch = batch;
    plan->grid = dim_mamba_grid(c, h / c->patch, w / c->patch);
    plan->kept = g_new0(DkTensor, dim_mamba_pairs(c));
    plan->sinusoids = g_new(float, (gsize)batch *MAX(c->width, DIM_TIME_SINUSOID));
    plan->labels = g_new(gint32, batch);

    take_lasting(plan, arena);
    const gsize mark = dim_arena_mark(arena);
    const DkTensor base = table_h ? take(arena, 1, table_h, table_w, c->width) : (DkTensor){0};
    dim_arena_release(arena, mark);
    take_passing(plan, arena);
    if (arena->dk) {
        if (!write_tables(plan, arena->dk, error)) {
            dim_plan_free((DimNetPlan *)plan);
            return NULL;
        }
        resize_positions(plan, arena->dk, (DimMambaNet *)net, base);
    }
    return (DimNetPlan *)plan;
}

/* ---- forward --------------------------------------------------------------------------------- */

static const DkTensor nothing;

static void write_sinusoids(const Plan *plan, DkDevice *dk, DkTensor y, int size, const double *t)
{
    for (int b = 0; b < plan->batch; b++)
        dim_mamba_sinusoid(plan->sinusoids + (gsize)b * size, size, t[b]);
    dk_write(dk, y, plan->sinusoids);
}

static void dim_ask(DkDevice *dk, DimNetPlan *base, const double *t, const gint64 *y)
{
    const Plan *plan = (Plan *)base;

    for (int i = 0; i < plan->batch; i++)
        plan->labels[i] = y ? (gint32)y[i] : plan->config->n_classes;
    dk_write(dk, plan->label_rows, plan->labels);
    write_sinusoids(plan, dk, plan->time, plan->config->width, t);
    write_sinusoids(plan, dk, plan->sinusoid, DIM_TIME_SINUSOID, t);
}

/* Time and class: as two tokens, as the vector of the head, and as the modulation that all blocks
 * share. */
static void embed_vectors(const Plan *plan, DkDevice *dk, const DimMambaNet *net)
{
    const gint64 b = plan->batch, d = plan->config->width;
    const DkTensor class_vector = dk_tensor_reshape(plan->class_vector, 2, (gint64[]){b, d});
    const DkTensor time_vector = dk_tensor_reshape(plan->time_vector, 2, (gint64[]){b, d});

    dk_gather(dk, plan->class_vector, net->labels, plan->label_rows);

    for (int i = 0; i < DIM_EXTRA_TOKENS; i++) {
        const DkTensor position = dk_tensor_reshape(dk_tensor_slice(net->positions, i, 1), 1, &d);
        dk_add_row(dk, dk_tensor_columns(plan->extra, i * d, d), i ? class_vector : plan->time,
                   position);
    }

    dk_axpby(dk, plan->head_vector, 1, plan->time, 0);
    dk_axpby(dk, plan->head_vector, 1, class_vector, 1);
    dk_act(dk, plan->head_vector, plan->head_vector, DK_ACT_SILU);
    dk_linear(dk, plan->head_modulation, plan->head_vector, net->head_modulation,
              net->head_modulation_bias, DK_ACT_NONE, false);

    /* modulation = linear (silu (mlp (t) + label)) */
    dk_gather(dk, plan->time_vector, net->modulation_labels, plan->label_rows);
    dk_linear(dk, plan->time_hidden, plan->sinusoid, net->time_1, net->time_1_bias, DK_ACT_SILU,
              false);
    dk_linear(dk, time_vector, plan->time_hidden, net->time_2, net->time_2_bias, DK_ACT_SILU, true);
    dk_linear(dk, plan->modulation, time_vector, net->modulation, net->modulation_bias, DK_ACT_NONE,
              false);
}

/* Patches with their positions, then all tokens in their rows. */
static void embed_sequence(const Plan *plan, DkDevice *dk, const DimMambaNet *net, DkTensor x)
{
    const DimMambaConfig *c = plan->config;
    const gint64 b = plan->batch, d = c->width, n = plan->grid.height * plan->grid.width,
                 all = n * d;
    const gint64 tokens[] = {b, n, d}, rows[] = {b, all};
    const DkTensor flat = dk_tensor_reshape(plan->image, 2, rows);
    DkTensor image = plan->image;

    dk_patchify(dk, plan->patches, x, c->patch);
    dk_linear(dk, dk_tensor_reshape(plan->image, 3, tokens), plan->patches, net->patch,
              net->patch_bias, DK_ACT_NONE, false);
    dk_add_row(dk, flat, flat, dk_tensor_reshape(plan->positions, 1, &all));
    if (c->smoothers) {
        dk_conv2d_dw(dk, plan->smoothed, plan->image, net->first_w, net->first_b);
        image = plan->smoothed;
    }
    const DkTensor sources[DIM_N_SOURCES] = {
        [DIM_FROM_EXTRA] = dk_tensor_reshape(plan->extra, 3, (gint64[]){b, DIM_EXTRA_TOKENS, d}),
        [DIM_FROM_SPLIT] = net->split,
        [DIM_FROM_PADS] = net->pads,
        [DIM_FROM_IMAGE] = dk_tensor_reshape(image, 3, tokens),
    };
    for (int i = 0; i < DIM_N_SOURCES; i++)
        if (!dk_tensor_is_empty(sources[i]))
            dk_gather(dk, plan->stream, sources[i], plan->from[i]);
}

/* v = A0 v + A1 kept + b; the kept tensor's factor is in A1. */
static void join_skip(Plan *plan, DkDevice *dk, const DimMambaBlock *block, DkTensor kept)
{
    const DkTensor joined = plan->other;

    dk_linear(dk, joined, plan->stream, block->skip[0], block->skip_bias[0], DK_ACT_NONE, false);
    dk_linear(dk, joined, kept, block->skip[1], block->skip_bias[1], DK_ACT_NONE, true);
    plan->other = plan->stream;
    plan->stream = joined;
}

/* y = Mamba (y) along the tokens in `order`, arXiv 2312.00752. */
static void run_mamba(const Plan *plan, DkDevice *dk, const DimMambaBlock *block, DkTensor y,
                      DkTensor order)
{
    const gint64 e = plan->config->inner, n = plan->config->n_states, r = plan->config->rank;
    const DkTensor x = dk_tensor_columns(plan->xz, 0, e), z = dk_tensor_columns(plan->xz, e, e);
    const DkTensor low = dk_tensor_columns(plan->dbc, 0, r);
    const DkTensor b = dk_tensor_columns(plan->dbc, r, n),
                   c = dk_tensor_columns(plan->dbc, r + n, n);
    const DkTensor dt = x; /* x is spent once it is convolved */

    dk_linear(dk, plan->xz, y, block->in_proj, nothing, DK_ACT_NONE, false);
    dk_conv1d_dw(dk, plan->u, x, block->conv_w, block->conv_b, order, DK_ACT_SILU);
    dk_linear(dk, plan->dbc, plan->u, block->x_proj, nothing, DK_ACT_NONE, false);
    dk_linear(dk, dt, low, block->dt_proj, block->dt_bias, DK_ACT_NONE, false);
    dk_selective_scan(dk, plan->u, plan->u, dt, block->a, b, c, block->d, z, order);
    dk_linear(dk, y, plan->u, block->out_proj, nothing, DK_ACT_NONE, false);
}

static void run_block(Plan *plan, DkDevice *dk, const DimMambaNet *net, int i)
{
    const DimMambaConfig *c = plan->config;
    const DimMambaBlock *block = &net->blocks[i];
    const gint64 d = c->width;
    const DkTensor shift = dk_tensor_columns(plan->block_modulation, 0, d);
    const DkTensor scale = dk_tensor_columns(plan->block_modulation, d, d);
    const DkTensor gate = dk_tensor_columns(plan->block_modulation, 2 * d, d);

    if (c->skip_connections && dim_mamba_is_decoder(c, i))
        join_skip(plan, dk, block, plan->kept[c->depth - 1 - i]);
    dk_add_row(dk, plan->block_modulation, plan->modulation, block->modulation);
    dk_norm_modulate(dk, plan->other, plan->stream, block->norm, scale, shift, DK_NORM_RMS,
                     (float)c->eps);
    run_mamba(plan, dk, block, plan->other, plan->order[dim_mamba_direction(c, i)]);
    dk_gate_add(dk, plan->stream, gate, plan->other);
    if (c->skip_connections && dim_mamba_is_encoder(c, i))
        dk_axpby(dk, plan->kept[i - c->encoder_start], 1, plan->stream, 0);
}

static void run_head(const Plan *plan, DkDevice *dk, const DimMambaNet *net, DkTensor output)
{
    const DimMambaConfig *c = plan->config;
    const gint64 b = plan->batch, d = c->width,
                 tokens[] = {b, plan->grid.height * plan->grid.width, d};
    const gint64 pixels[] = {b, output.sizes[2] * output.sizes[3], c->out_channels};
    const DkTensor shift = dk_tensor_columns(plan->head_modulation, 0, d);
    const DkTensor scale = dk_tensor_columns(plan->head_modulation, d, d);
    DkTensor image = plan->image;

    dk_gather(dk, dk_tensor_reshape(image, 3, tokens), plan->stream, plan->crop);
    if (c->smoothers) {
        dk_conv2d_dw(dk, plan->smoothed, image, net->last_w, net->last_b);
        image = plan->smoothed;
    }
    image = dk_tensor_reshape(image, 3, tokens);
    dk_norm_modulate(dk, image, image, net->head_norm, scale, shift, DK_NORM_RMS, (float)c->eps);
    dk_linear(dk, plan->head, image, net->head, net->head_bias, DK_ACT_NONE, false);
    dk_unpatchify(dk, output, plan->head, c->patch);
    if (!c->final_conv)
        return;
    dk_patchify(dk, dk_tensor_reshape(plan->head_image, 3, pixels), output, 1);
    dk_conv2d(dk, plan->head_smooth, plan->head_image, net->final_conv, net->final_bias, 1,
              (DkPad){1, 1, 1, 1}, DK_ACT_NONE, false);
    dk_unpatchify(dk, output, dk_tensor_reshape(plan->head_smooth, 3, pixels), 1);
}

static void dim_forward(DkDevice *dk, DimNet *base, const DimNetPlan *base_plan, DkTensor output,
                        DkTensor x, const DimNetProgress *progress)
{
    const DimMambaNet *net = (DimMambaNet *)base;
    Plan plan = *(const Plan *)base_plan; /* two of its tensors take turns (join_skip) */
    const int depth = plan.config->depth;

    embed_vectors(&plan, dk, net);
    embed_sequence(&plan, dk, net, x);
    for (int i = 0; i < depth; i++) {
        run_block(&plan, dk, net, i);
        dim_net_progress(progress, (i + 1.0) / depth);
    }
    run_head(&plan, dk, net, output);
}

/* ---- the class ------------------------------------------------------------------------------- */

static gboolean dim_walk(const void *config, const DimWeights *weights, DimNeedFn need, void *data,
                         GError **error)
{
    const gint64 side = dim_mamba_table_side(config, weights, error);
    DimMambaNet names_only = {0};
    DimNetNeed needed = {need, data};

    return side && dim_mamba_walk(config, side, &names_only, dim_net_need, &needed, error);
}

const DimNetClass dim_net_dim = {
    .family = "dim",
    .parse = dim_mamba_config_parse,
    .recognise = dim_mamba_recognise,
    .facts = dim_facts,
    .walk = dim_walk,
    .flop = dim_flop,
    .load = dim_mamba_load,
    .free = dim_mamba_free,
    .plan = dim_plan,
    .plan_free = dim_plan_free,
    .ask = dim_ask,
    .forward = dim_forward,
};
