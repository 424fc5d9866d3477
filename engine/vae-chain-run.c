/* Runs a chain of steps over pictures, in bands of rows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * One buffer has all: the statistics in front, then the activation that a step reads at one end and
 * the one that it writes at the other, its band in between. So the room needed is that of the
 * widest step, and none is lost to gaps. */
#include "vae-chain.h"

#include "error.h"
#include "model.h"

typedef enum { FRONT, BACK } End;

typedef struct {
    const DimChain *chain;
    DkDevice *dk;
    DkBuffer *buffer;
    gsize bytes;
    double share;
    DkTensor stats, inner_stats; /* [1, G, 3]: of x; of the activation inside a residual block */

    DkTensor x; /* [1, H, W, C], what the steps so far made */
    End end;    /* where it lies */
    int at;     /* the step that runs */
    DimStepRoom room;

    const DimNetProgress *progress;
    double flop, total_flop; /* of the batch */
    const char *what;
    GError **error;
} Run;

/* ---- views
 * ------------------------------------------------------------------------------------------- */

static int height(DkTensor x)
{
    return (int)x.sizes[1];
}

static int width(DkTensor x)
{
    return (int)x.sizes[2];
}

static DkTensor picture(const Run *r, gsize offset, int h, int w, int c)
{
    return dk_tensor(r->buffer, offset, DK_F32, 4, (int64_t[]){1, h, w, c});
}

/* An activation whose last byte, or first, is that of the room. */
static DkTensor at_end(const Run *r, End end, int h, int w, int c)
{
    const gsize size = ((gsize)h * w * c * sizeof(float) + 63) & ~(gsize)63;

    return picture(r, end == BACK ? r->bytes - size : 2 * dim_chain_stats_bytes(r->chain), h, w, c);
}

/* What the step writes besides x. */
static DkTensor opposite(const Run *r, int h, int w, int c)
{
    return at_end(r, r->end == FRONT ? BACK : FRONT, h, w, c);
}

static DkTensor in_band(const Run *r, int h, int w, int c)
{
    return picture(r,
                   2 * dim_chain_stats_bytes(r->chain) + (r->end == FRONT ? r->room.x : r->room.y),
                   h, w, c);
}

/* Rows a..b-1 of a picture. */
static DkTensor rows(DkTensor x, int a, int b)
{
    x.offset += (gsize)a * width(x) * x.sizes[3] * sizeof(float);
    x.sizes[1] = b - a;
    return x;
}

/* [1, H W, C] */
static DkTensor tokens(DkTensor x)
{
    return dk_tensor_reshape(x, 3, (int64_t[]){1, (int64_t)height(x) * width(x), x.sizes[3]});
}

/* ---- bands
 * ------------------------------------------------------------------------------------------- */

/* Rows from..to-1 of what is written; above..below-1 are what a 3 x 3 kernel reads for them, and
 * what it misses is padding. */
typedef struct {
    int from, to, above, below;
    DkPad pad;
} Band;

static Band band_at(int from, int n_rows, int h)
{
    const int to = MIN(from + n_rows, h);

    return (Band){
        from, to, MAX(from - 1, 0), MIN(to + 1, h), .pad = {from == 0, to == h, 1, 1},
    };
}

#define FOR_BANDS(b, r, h)                                                                         \
    for (Band b = band_at(0, (r)->room.rows, h); b.from < (h); b = band_at(b.to, (r)->room.rows, h))

static const DimStep *step(const Run *r)
{
    return &r->chain->steps[r->at];
}

static const DimLayerData *layers(const Run *r)
{
    return r->chain->data[r->at];
}

/* A band with `flop` of work is done: progress, and a look whether to go on. */
static gboolean band_done(Run *r, double flop)
{
    r->flop += flop;
    if (!dim_dk_check(r->dk, r->what, r->error))
        return FALSE;
    dim_net_progress(r->progress, r->flop / r->total_flop);
    return TRUE;
}

static double conv_flop(DkTensor y, int in)
{
    return 18.0 * in * dk_tensor_count(y);
}

static gboolean starts_with_norm(const DimStep *s)
{
    return s->kind == DIM_STEP_RESIDUAL || s->kind == DIM_STEP_ATTENTION ||
           s->kind == DIM_STEP_NORM_CONV;
}

static gboolean next_has_norm(const Run *r)
{
    return r->at + 1 < r->chain->n_steps && starts_with_norm(&r->chain->steps[r->at + 1]);
}

/* Statistics of rows that were written, where the next step asks for them. */
static void sum_stats(const Run *r, DkTensor written)
{
    if (next_has_norm(r))
        dk_group_stats(r->dk, r->stats, written);
}

static void clear_stats(const Run *r)
{
    if (next_has_norm(r))
        dk_clear(r->dk, r->stats);
}

static void conv3(const Run *r, DkTensor y, DkTensor x, const DimLayerData *layer, DkPad pad,
                  DkAct act, gboolean add)
{
    dk_conv2d(r->dk, y, x, layer->weight, layer->bias, 1, pad, act, add);
}

/* act (norm (rows above..below-1 of x)) in the band's room */
static DkTensor normed(const Run *r, DkTensor x, int a, int b, DkTensor stats,
                       const DimLayerData *norm, DkAct act)
{
    const DkTensor y = in_band(r, b - a, width(x), (int)x.sizes[3]);

    dk_group_apply(r->dk, y, rows(x, a, b), stats, norm->gain, norm->bias,
                   (float)r->chain->norm_eps, act);
    return y;
}

/* The step's result is y, at the other end. */
static void turn(Run *r, DkTensor y)
{
    r->x = y;
    r->end = r->end == FRONT ? BACK : FRONT;
}

/* ---- steps
 * ------------------------------------------------------------------------------------------- */

static gboolean run_conv(Run *r)
{
    const int h = height(r->x), w = width(r->x);
    const DkTensor y = opposite(r, h, w, step(r)->out);
    const DimLayerData *conv = layers(r);

    clear_stats(r);
    FOR_BANDS(b, r, h)
    {
        const DkTensor part = rows(y, b.from, b.to);
        if (step(r)->kernel == 1)
            dk_linear(r->dk, tokens(part), tokens(rows(r->x, b.from, b.to)), conv->weight,
                      conv->bias, step(r)->act, FALSE);
        else
            conv3(r, part, rows(r->x, b.above, b.below), conv, b.pad, step(r)->act, FALSE);
        sum_stats(r, part);
        if (!band_done(r, dim_step_flop(step(r), b.to - b.from, w)))
            return FALSE;
    }
    turn(r, y);
    return TRUE;
}

static gboolean run_norm_conv(Run *r)
{
    const int h = height(r->x), w = width(r->x);
    const DkTensor y = opposite(r, h, w, step(r)->out);
    const DimLayerData *norm = layers(r), *conv = norm + 1;

    FOR_BANDS(b, r, h)
    {
        const DkTensor t = normed(r, r->x, b.above, b.below, r->stats, norm, DK_ACT_SILU);
        conv3(r, rows(y, b.from, b.to), t, conv, b.pad, DK_ACT_NONE, FALSE);
        if (!band_done(r, dim_step_flop(step(r), b.to - b.from, w)))
            return FALSE;
    }
    turn(r, y);
    return TRUE;
}

/* x = shortcut (x) at the same end. Band by band, in the direction in which what is written has
 * been read before: from the end's side when pixels shrink, from the far side when they grow. */
static gboolean shortcut_in_place(Run *r, const DimLayerData *shortcut)
{
    const int h = height(r->x), w = width(r->x), out = step(r)->out;
    const DkTensor y = at_end(r, r->end, h, w, out);
    const gboolean down = (out <= r->x.sizes[3]) == (r->end == FRONT);
    const int n = r->room.rows, n_bands = (h + n - 1) / n;

    for (int i = 0; i < n_bands; i++) {
        const Band b = band_at((down ? i : n_bands - 1 - i) * n, n, h);
        const DkTensor from = rows(r->x, b.from, b.to);
        const DkTensor t = in_band(r, b.to - b.from, w, out);
        dk_linear(r->dk, tokens(t), tokens(from), shortcut->weight, shortcut->bias, DK_ACT_NONE,
                  FALSE);
        dk_axpby(r->dk, rows(y, b.from, b.to), 1, t, 0);
        if (!band_done(r, 2.0 * dk_tensor_count(t) * from.sizes[3]))
            return FALSE;
    }
    r->x = y;
    return TRUE;
}

static gboolean run_residual(Run *r)
{
    const DimStep *s = step(r);
    const DimLayerData *norm1 = layers(r), *conv1 = norm1 + 1, *norm2 = norm1 + 2,
                       *conv2 = norm1 + 3, *shortcut = norm1 + 4;
    const int h = height(r->x);
    const DkTensor inner = opposite(r, h, width(r->x), s->out);

    dk_clear(r->dk, r->inner_stats);
    FOR_BANDS(b, r, h)
    {
        const DkTensor part = rows(inner, b.from, b.to);
        const DkTensor t = normed(r, r->x, b.above, b.below, r->stats, norm1, DK_ACT_SILU);
        conv3(r, part, t, conv1, b.pad, DK_ACT_NONE, FALSE);
        dk_group_stats(r->dk, r->inner_stats, part);
        if (!band_done(r, conv_flop(part, s->in)))
            return FALSE;
    }
    if (s->in != s->out && !shortcut_in_place(r, shortcut))
        return FALSE;
    clear_stats(r);
    FOR_BANDS(b, r, h)
    {
        const DkTensor part = rows(r->x, b.from, b.to);
        const DkTensor t = normed(r, inner, b.above, b.below, r->inner_stats, norm2, DK_ACT_SILU);
        conv3(r, part, t, conv2, b.pad, DK_ACT_NONE, TRUE);
        sum_stats(r, part);
        if (!band_done(r, conv_flop(part, s->out)))
            return FALSE;
    }
    return TRUE;
}

/* Keys and values of all pixels first; then queries band by band, each replaced by its result. */
static gboolean run_attention(Run *r)
{
    const int h = height(r->x), w = width(r->x), c = step(r)->in;
    const DimLayerData *norm = layers(r), *q = norm + 1, *k = norm + 2, *v = norm + 3,
                       *proj = norm + 4;
    const DkTensor both = opposite(r, 2 * h, w, c);
    const DkTensor keys = rows(both, 0, h), values = rows(both, h, 2 * h);

    FOR_BANDS(b, r, h)
    {
        const DkTensor n = tokens(normed(r, r->x, b.from, b.to, r->stats, norm, DK_ACT_NONE));
        dk_linear(r->dk, tokens(rows(keys, b.from, b.to)), n, k->weight, k->bias, DK_ACT_NONE,
                  FALSE);
        dk_linear(r->dk, tokens(rows(values, b.from, b.to)), n, v->weight, v->bias, DK_ACT_NONE,
                  FALSE);
        if (!band_done(r, 4.0 * c * dk_tensor_count(n)))
            return FALSE;
    }
    FOR_BANDS(b, r, h)
    {
        const int n_rows = b.to - b.from;
        const DkTensor room = in_band(r, 3 * n_rows, w, c);
        const DkTensor n = tokens(normed(r, r->x, b.from, b.to, r->stats, norm, DK_ACT_NONE));
        const DkTensor query = tokens(rows(room, n_rows, 2 * n_rows));
        const DkTensor o = tokens(rows(room, 2 * n_rows, 3 * n_rows));
        dk_linear(r->dk, query, n, q->weight, q->bias, DK_ACT_NONE, FALSE);
        dk_attention(r->dk, o, query, tokens(keys), tokens(values), 1, DK_PRODUCTS_F32);
        dk_linear(r->dk, tokens(rows(r->x, b.from, b.to)), o, proj->weight, proj->bias, DK_ACT_NONE,
                  TRUE);
        if (!band_done(r, (4.0 * c + 4.0 * h * w) * dk_tensor_count(n)))
            return FALSE;
    }
    /* Not while x was written: its own norm was still read. */
    clear_stats(r);
    sum_stats(r, r->x);
    return TRUE;
}

static gboolean run_block(Run *r)
{
    const DimLayerData *conv0 = layers(r), *conv2 = conv0 + 1, *conv4 = conv0 + 2;
    const int h = height(r->x), w = width(r->x), c = step(r)->out;
    const DkTensor inner = opposite(r, h, w, c);

    FOR_BANDS(b, r, h)
    {
        const DkTensor part = rows(inner, b.from, b.to);
        conv3(r, part, rows(r->x, b.above, b.below), conv0, b.pad, DK_ACT_RELU, FALSE);
        if (!band_done(r, conv_flop(part, c)))
            return FALSE;
    }
    FOR_BANDS(b, r, h)
    {
        const Band wide = band_at(b.above, b.below - b.above, h);
        const DkTensor t = in_band(r, b.below - b.above, w, c);
        const DkTensor part = rows(r->x, b.from, b.to);
        conv3(r, t, rows(inner, wide.above, wide.below), conv2, wide.pad, DK_ACT_RELU, FALSE);
        conv3(r, part, t, conv4, b.pad, DK_ACT_RELU, TRUE);
        if (!band_done(r, 2 * conv_flop(part, c)))
            return FALSE;
    }
    return TRUE;
}

/* The pixels in row `row` of a picture whose columns are even (0) or odd (1). */
static DkTensor every_other(DkTensor x, int row, int odd)
{
    const int64_t c = x.sizes[3];
    const DkTensor pairs =
        dk_tensor_reshape(rows(x, row, row + 1), 3, (int64_t[]){1, width(x) / 2, 2 * c});

    return dk_tensor_columns(pairs, odd * c, c);
}

/* The kernel folded into four of 2 x 2 (2.25 times less work), one for each place that a pixel of
 * the result can have over its source; their results, each of the source's size, are put side by
 * side. */
static gboolean run_up(Run *r)
{
    const int h = height(r->x), w = width(r->x), c = step(r)->out;
    const DkTensor y = opposite(r, 2 * h, 2 * w, c), bias = layers(r)->bias;

    clear_stats(r);
    FOR_BANDS(b, r, h)
    {
        const DkTensor t = in_band(r, b.to - b.from, w, c);
        for (int i = 0; i < 4; i++) {
            const int down = i / 2, right = i % 2;
            const DkTensor source = rows(r->x, down ? b.from : b.above, down ? b.below : b.to);
            const DkPad pad = {down ? 0 : b.pad.top, down ? b.pad.bottom : 0, !right, right};
            dk_conv2d(r->dk, t, source, layers(r)[i].weight, bias, 1, pad, DK_ACT_NONE, FALSE);
            for (int row = b.from; row < b.to; row++)
                dk_axpby(r->dk, every_other(y, 2 * row + down, right), 1,
                         tokens(rows(t, row - b.from, row - b.from + 1)), 0);
        }
        sum_stats(r, rows(y, 2 * b.from, 2 * b.to));
        if (!band_done(r, 4 * conv_flop(t, step(r)->in)))
            return FALSE;
    }
    turn(r, y);
    return TRUE;
}

/* Both sides are even: with pad_all only the top and the left side are ever reached beyond, else
 * only the others. */
static gboolean run_down(Run *r)
{
    const int h = height(r->x), before = step(r)->pad_all;
    const DkTensor y = opposite(r, h / 2, width(r->x) / 2, step(r)->out);

    clear_stats(r);
    FOR_BANDS(b, r, h / 2)
    {
        const DkTensor part = rows(y, b.from, b.to);
        const int first = 2 * b.from - before, last = 2 * b.to - before;
        const DkPad pad = {first < 0, last == h, before, !before};
        dk_conv2d(r->dk, part, rows(r->x, MAX(first, 0), MIN(last + 1, h)), layers(r)->weight,
                  layers(r)->bias, 2, pad, DK_ACT_NONE, FALSE);
        sum_stats(r, part);
        if (!band_done(r, conv_flop(part, step(r)->in)))
            return FALSE;
    }
    turn(r, y);
    return TRUE;
}

static gboolean run_clamp(Run *r)
{
    dk_axpby(r->dk, r->x, 1.0f / 3, r->x, 0);
    dk_act(r->dk, r->x, r->x, DK_ACT_TANH);
    dk_axpby(r->dk, r->x, 3, r->x, 0);
    return band_done(r, 0);
}

static gboolean run_step(Run *r)
{
    static gboolean (*const runs[])(Run *) = {
        [DIM_STEP_CONV] = run_conv,         [DIM_STEP_NORM_CONV] = run_norm_conv,
        [DIM_STEP_RESIDUAL] = run_residual, [DIM_STEP_ATTENTION] = run_attention,
        [DIM_STEP_BLOCK] = run_block,       [DIM_STEP_UP] = run_up,
        [DIM_STEP_DOWN] = run_down,         [DIM_STEP_CLAMP] = run_clamp,
    };

    dim_step_room(step(r), height(r->x), width(r->x), r->share, &r->room);
    return runs[step(r)->kind](r);
}

/* ---- pictures
 * ---------------------------------------------------------------------------------------- */

static void scale_shift(const Run *r, double gain, double shift, DkTensor shifts)
{
    if (gain != 1)
        dk_axpby(r->dk, r->x, (float)gain, r->x, 0);
    if (shift != 0)
        dk_add_row(r->dk, tokens(r->x), tokens(r->x), shifts);
}

/* The planes of a picture at the other end, [1, C, H, W]. */
static DkTensor planes_of(const Run *r)
{
    const DkTensor y = opposite(r, height(r->x), width(r->x), (int)r->x.sizes[3]);

    return dk_tensor_reshape(y, 4, (int64_t[]){1, y.sizes[3], y.sizes[1], y.sizes[2]});
}

static gboolean run_picture(Run *r, const float *from, int h, int w, float *to)
{
    const DimChain *chain = r->chain;

    r->end = FRONT;
    r->x = at_end(r, FRONT, h, w, chain->steps[0].in);
    const DkTensor in = planes_of(r);
    dk_write(r->dk, in, from);
    dk_patchify(r->dk, tokens(r->x), in, 1);
    scale_shift(r, chain->in_gain, chain->in_shift, chain->in_shifts);
    for (r->at = 0; r->at < chain->n_steps; r->at++)
        if (!run_step(r))
            return FALSE;
    scale_shift(r, chain->out_gain, chain->out_shift, chain->out_shifts);
    const DkTensor out = planes_of(r);
    dk_unpatchify(r->dk, out, tokens(r->x), 1);
    dk_read(r->dk, to, out);
    return band_done(r, 0);
}

gboolean dim_chain_run(const DimChain *chain, DkDevice *dk, const DimArray *from, DimArray *to,
                       double share, const char *what, const DimNetProgress *progress,
                       GError **error)
{
    const int h = (int)from->sizes[2], w = (int)from->sizes[3];
    const gint64 n = from->sizes[0], n_from = dim_array_count(from) / n,
                 n_to = dim_array_count(to) / n, groups = MAX(chain->norm_groups, 1);
    Run run = {.chain = chain,
               .dk = dk,
               .share = share,
               .progress = progress,
               .total_flop = n * dim_chain_flop(chain, h, w),
               .what = what,
               .error = error};
    gboolean ok = TRUE;

    run.bytes = dim_chain_bytes(chain, h, w, share);
    if (run.bytes != G_MAXSIZE)
        run.buffer = dk_buffer_new(dk, run.bytes);
    if (!run.buffer)
        return dim_fail_memory(error, what, run.bytes);
    run.stats = dk_tensor(run.buffer, 0, DK_F64, 3, (int64_t[]){1, groups, 3});
    run.inner_stats =
        dk_tensor(run.buffer, dim_chain_stats_bytes(chain), DK_F64, 3, (int64_t[]){1, groups, 3});
    for (gint64 i = 0; ok && i < n; i++)
        ok = run_picture(&run, from->data + i * n_from, h, w, to->data + i * n_to);
    dk_buffer_free(dk, &run.buffer);
    return ok;
}
