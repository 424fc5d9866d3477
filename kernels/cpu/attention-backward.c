/* dk_attention_backward (arXiv 2205.14135, algorithm 4): for a tile of queries, blocks of keys walk
 * past twice, first to find the queries' softmax, then for the gradients. What is held of the
 * weights is one block of keys by a tile of queries a thread.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Blocks are transposed, rows are keys: so a block is the left operand of two of the three products
 * that follow it, and what belongs to a query is a row of numbers. A head of a picture is one
 * thread's, whose sums so do not depend on the number of threads. */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vec-math.h"

#include <math.h>

static const float LOG2_E = 1.442695041f;

/* Queries of a tile: a block's rows are left operands of products. */
enum { TILE_QUERIES = GEMM_DEPTH };

typedef struct {
    DkDevice *dev;
    DkTensor dq, dkey, dv, dy, y, q, k, v;
    int64_t n_heads, width; /* channels of a head */
    float *scratch;
    size_t floats; /* of scratch for a thread */
} Attention;

/* What a thread works in; floats, in this order. */
typedef struct {
    float *weights, *slopes;             /* [GEMM_BLOCK][TILE_QUERIES]: logits, weights; ds */
    float *rows;                         /* [GEMM_BLOCK][GEMM_DEPTH], some channels of the block */
    float *turned;                       /* ds in tiles of its columns */
    float *q_columns, *dy_columns;       /* the tile packed, panels [channel][query] */
    float *q_rows, *dy_rows;             /* panels [query][channel] */
    float *k_rows;                       /* the block packed, panels [key][channel] */
    float *top, *scale, *mean, *largest; /* [TILE_QUERIES]: softmax's, dy · y, room */
} Work;

/* Where the work is: picture and head, tile of queries, block of keys. */
typedef struct {
    int64_t column, query, n_queries, key, n_keys;
    bool first; /* tile of the head */
} Place;

static float *take(float **at, int64_t floats)
{
    float *taken = *at;
    *at += (floats + 15) / 16 * 16;
    return taken;
}

/* Lays the parts out from `at` on; answers where they end. */
static float *lay_out(Work *w, float *at, int64_t width)
{
    const int64_t tile = gemm_panels(TILE_QUERIES) * GEMM_COLUMNS;
    const int64_t wide = gemm_panels(width) * GEMM_COLUMNS;
    const int64_t tiles = (TILE_QUERIES + GEMM_ROWS - 1) / GEMM_ROWS;
    w->weights = take(&at, GEMM_BLOCK * TILE_QUERIES);
    w->slopes = take(&at, GEMM_BLOCK * TILE_QUERIES);
    w->rows = take(&at, GEMM_BLOCK * GEMM_DEPTH);
    w->turned = take(&at, tiles * GEMM_ROWS * GEMM_BLOCK);
    w->q_columns = take(&at, tile * width);
    w->dy_columns = take(&at, tile * width);
    w->q_rows = take(&at, wide * TILE_QUERIES);
    w->dy_rows = take(&at, wide * TILE_QUERIES);
    w->k_rows = take(&at, wide * GEMM_BLOCK);
    w->top = take(&at, TILE_QUERIES);
    w->scale = take(&at, TILE_QUERIES);
    w->mean = take(&at, TILE_QUERIES);
    w->largest = take(&at, TILE_QUERIES);
    return at;
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Rows first..first+n-1 as columns: panels [channel][row]. */
static void pack_columns(float *packed, DkTensor t, int64_t column, int64_t first, int64_t n,
                         int64_t width)
{
    for (int64_t j = 0; j < n; j += GEMM_COLUMNS)
        DK_SIMD(gemm_pack)
    (packed + j * width, dk_row(t, first + j) + column, t.row_stride, n - j, width);
}

/* As rows: panels [row][channel]. */
static void pack_rows(float *packed, DkTensor t, int64_t column, int64_t first, int64_t n,
                      int64_t width)
{
    for (int64_t c = 0; c < width; c += GEMM_COLUMNS) {
        const int64_t wide = least(width - c, GEMM_COLUMNS);
        for (int64_t j = 0; j < n; j++, packed += GEMM_COLUMNS) {
            const float *row = dk_row(t, first + j) + column + c;
            for (int64_t i = 0; i < GEMM_COLUMNS; i += VEC_LANES)
                vec_store(packed + i, vec_load_first(row + i, i < wide ? vec_lanes(i, wide) : 0));
        }
    }
}

/* Tiles of GEMM_ROWS of x's columns, [keys][GEMM_ROWS] each; the last one's are numbers, too. */
static void turn(float *to, const float *x, int64_t rows, int64_t columns)
{
    for (int64_t c = 0; c < columns; c += GEMM_ROWS)
        for (int64_t r = 0; r < rows; r++, to += GEMM_ROWS)
            memcpy(to, x + r * TILE_QUERIES + c, GEMM_ROWS * sizeof *to);
}

/* ---- products of a block --------------------------------------------------------------------- */

/* x[keys, queries] = the block's rows of t times packed columns. */
static void multiply(const Attention *op, const Work *w, float *x, DkTensor t, const float *packed,
                     const Place *at)
{
    for (int64_t c = 0; c < op->width; c += GEMM_DEPTH) {
        const int64_t depth = least(op->width - c, GEMM_DEPTH);
        for (int64_t r = 0; r < at->n_keys; r++)
            vec_copy(w->rows + r * GEMM_DEPTH, dk_row(t, at->key + r) + at->column + c, depth);
        DK_SIMD(gemm_block)
        (x, TILE_QUERIES, w->rows, at->n_keys, packed + c * GEMM_COLUMNS, op->width * GEMM_COLUMNS,
         depth, at->n_queries, (GemmEnds){.first = c == 0}, (GemmAhead){.n = 0});
    }
}

/* The block's rows of `to` = or += x[keys, queries] times packed rows of the tile. */
static void gather(const Attention *op, DkTensor to, const float *x, const float *packed,
                   const Place *at)
{
    DK_SIMD(gemm_block)
    (dk_row(to, at->key) + at->column, to.row_stride, x, at->n_keys, packed,
     at->n_queries * GEMM_COLUMNS, at->n_queries, op->width,
     (GemmEnds){.first = at->first, .accumulate = false}, (GemmAhead){.n = 0});
}

/* ---- softmax --------------------------------------------------------------------------------- */

/* largest = the largest logit of each query, and before. */
static void find_largest(const Work *w, const Place *at)
{
    memcpy(w->largest, w->top, TILE_QUERIES * sizeof(float));
    for (int64_t r = 0; r < at->n_keys; r++)
        for (int64_t c = 0; c < at->n_queries; c += VEC_LANES) {
            const Vec x = vec_load(w->weights + r * TILE_QUERIES + c);
            const Vec most = vec_load(w->largest + c);
            vec_store(w->largest + c, vec_select(x > most, x, most));
        }
}

/* Sums of the weights so far, in w->scale, on the scale of the largest logit so far. */
static void add_weights(const Attention *op, const Work *w, const Place *at)
{
    const float factor = LOG2_E / sqrtf((float)op->width);
    find_largest(w, at);
    for (int64_t c = 0; c < at->n_queries; c += VEC_LANES) {
        const Vec top = vec_load(w->top + c), most = vec_load(w->largest + c);
        const Vec keep = vec_exp2_weight((top - most) * factor);
        vec_store(w->scale + c, vec_load(w->scale + c) * keep);
        vec_store(w->top + c, most);
    }
    for (int64_t r = 0; r < at->n_keys; r++)
        for (int64_t c = 0; c < at->n_queries; c += VEC_LANES) {
            const Vec logit = vec_load(w->weights + r * TILE_QUERIES + c);
            const Vec weight = vec_exp2_weight((logit - vec_load(w->top + c)) * factor);
            vec_store(w->scale + c, vec_load(w->scale + c) + weight);
        }
}

/* Logits become weights, products of dy and v what the logits' gradient is. */
static void find_slopes(const Attention *op, const Work *w, const Place *at)
{
    const float factor = 1 / sqrtf((float)op->width), power = LOG2_E * factor;
    for (int64_t r = 0; r < at->n_keys; r++) {
        float *weights = w->weights + r * TILE_QUERIES, *slopes = w->slopes + r * TILE_QUERIES;
        for (int64_t c = 0; c < at->n_queries; c += VEC_LANES) {
            const Vec logit = vec_load(weights + c) - vec_load(w->top + c);
            const Vec weight = vec_exp2_weight(logit * power) * vec_load(w->scale + c);
            const Vec off = vec_load(slopes + c) - vec_load(w->mean + c);
            vec_store(weights + c, weight);
            vec_store(slopes + c, weight * off * factor);
        }
    }
}

/* ---- a head ---------------------------------------------------------------------------------- */

static float dot(const float *a, const float *b, int64_t n)
{
    Vec sum = {0};
    float total = 0;
    for (int64_t i = 0; i < n; i += VEC_LANES) {
        const int64_t lanes = vec_lanes(i, n);
        sum = vec_fma(vec_load_first(a + i, lanes), vec_load_first(b + i, lanes), sum);
    }
    for (int i = 0; i < VEC_LANES; i++)
        total += sum[i];
    return total;
}

static void begin_tile(const Attention *op, const Work *w, const Place *at)
{
    pack_columns(w->q_columns, op->q, at->column, at->query, at->n_queries, op->width);
    pack_columns(w->dy_columns, op->dy, at->column, at->query, at->n_queries, op->width);
    pack_rows(w->q_rows, op->q, at->column, at->query, at->n_queries, op->width);
    pack_rows(w->dy_rows, op->dy, at->column, at->query, at->n_queries, op->width);
    for (int64_t i = 0; i < TILE_QUERIES; i++) {
        w->top[i] = -INFINITY;
        w->scale[i] = 0;
    }
    for (int64_t i = 0; i < at->n_queries; i++) {
        const float *dy = dk_row(op->dy, at->query + i) + at->column;
        w->mean[i] = dot(dy, dk_row(op->y, at->query + i) + at->column, op->width);
        memset(dk_row(op->dq, at->query + i) + at->column, 0, (size_t)op->width * sizeof *dy);
    }
}

/* The block's part of all three gradients; its logits are in w->weights. */
static void run_block(const Attention *op, const Work *w, const Place *at)
{
    multiply(op, w, w->slopes, op->v, w->dy_columns, at);
    find_slopes(op, w, at);
    gather(op, op->dv, w->weights, w->dy_rows, at);
    gather(op, op->dkey, w->slopes, w->q_rows, at);
    turn(w->turned, w->slopes, at->n_keys, at->n_queries);
    pack_rows(w->k_rows, op->k, at->column, at->key, at->n_keys, op->width);
    DK_SIMD(gemm_block_of_columns)
    (dk_row(op->dq, at->query) + at->column, op->dq.row_stride, w->turned, at->n_keys * GEMM_ROWS,
     at->n_queries, w->k_rows, at->n_keys * GEMM_COLUMNS, at->n_keys, op->width);
}

/* Blocks of keys from row `key` on, which are `n` in all: the softmax, or else the gradients. A
 * head of one block keeps its logits from the one to the other. */
static void run_blocks(const Attention *op, const Work *w, Place at, int64_t n, bool softmax)
{
    const int64_t first = at.key;
    for (int64_t i = 0; i < n && !dk_stopped(op->dev); i += GEMM_BLOCK) {
        at.key = first + i;
        at.n_keys = least(n - i, GEMM_BLOCK);
        if (softmax || n > GEMM_BLOCK)
            multiply(op, w, w->weights, op->k, w->q_columns, &at);
        if (softmax)
            add_weights(op, w, &at);
        else
            run_block(op, w, &at);
    }
}

static void run_head(const Attention *op, const Work *w, int64_t picture, int64_t head)
{
    const int64_t n_keys = op->k.sizes[1], n = op->q.sizes[1];
    Place at = {.column = head * op->width, .key = picture * n_keys};
    for (int64_t i = 0; i < n && !dk_stopped(op->dev); i += TILE_QUERIES) {
        at.query = picture * n + i;
        at.n_queries = least(n - i, TILE_QUERIES);
        at.first = i == 0;
        begin_tile(op, w, &at);
        run_blocks(op, w, at, n_keys, true);
        for (int64_t c = 0; c < at.n_queries; c++)
            w->scale[c] = 1 / w->scale[c];
        run_blocks(op, w, at, n_keys, false);
    }
}

static void part(const void *data, int64_t first, int64_t last, int thread)
{
    const Attention *op = data;
    Work w;
    lay_out(&w, op->scratch + op->floats * (size_t)thread, op->width);
    for (int64_t i = first; i < last; i++)
        run_head(op, &w, i / op->n_heads, i % op->n_heads);
}

void DK_SIMD(attention_backward)(DkDevice *dev, DkTensor dq, DkTensor dkey, DkTensor dv,
                                 DkTensor dy, DkTensor y, DkTensor q, DkTensor k, DkTensor v,
                                 int n_heads)
{
    Attention op = {dev, dq, dkey, dv, dy, y, q, k, v, n_heads, q.sizes[2] / n_heads, NULL, 0};
    Work w;
    float *const none = NULL;
    op.floats = (size_t)(lay_out(&w, none, op.width) - none);
    const size_t bytes = op.floats * (size_t)dev->n_threads * sizeof(float);
    op.scratch = dk_scratch(dev, bytes);
    if (!op.scratch)
        return;
    memset(op.scratch, 0, bytes);
    const double work = 6.0 * (double)q.sizes[1] * (double)k.sizes[1] * (double)op.width;
    dk_cpu_parallel(dev, q.sizes[0] * n_heads, work * GEMM_NS, part, &op);
}
