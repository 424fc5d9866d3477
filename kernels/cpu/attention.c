/* dk_attention: a block of queries walks over the keys a tile at a time and keeps, per query, the
 * largest logit so far, the sum of the weights and the weighted sum of the values, all three
 * rescaled when a larger logit comes (Milakov and Gimelshein, arXiv 1805.02867; tiled as in
 * FlashAttention, arXiv 2205.14135). Memory: one tile a thread.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vec-math.h"

#include <math.h>

static const float LOG2_E = 1.442695041f;

/* Keys of a tile: the weights of a tile are a block of a in the second product. Blocks of queries
 * that share a tile's packed keys and values. */
enum { TILE_KEYS = GEMM_DEPTH, GROUP = 4 };

typedef struct {
    DkDevice *dev;
    DkTensor y, q, k, v;
    DkProducts products;
    int64_t n_heads, width, blocks; /* channels of a head; blocks of queries in an image */
    float *scratch;
    size_t floats; /* of scratch for a thread */
} Attention;

/* What a thread works in; floats, in this order. */
typedef struct {
    float *queries; /* [GEMM_BLOCK][GEMM_DEPTH], some channels of a block of queries */
    float *weights; /* [GEMM_BLOCK][TILE_KEYS], logits first */
    float *keys;    /* a tile of them in panels */
    float *values;
    float *sum;   /* [GROUP · GEMM_BLOCK][width] of weighted values */
    float *top;   /* [GROUP · GEMM_BLOCK] largest logit */
    float *total; /* [GROUP · GEMM_BLOCK] sum of weights */
} Work;

/* Blocks of queries of one head of an image, and the tile of keys that they are at. */
typedef struct {
    int64_t query, rows; /* the first one's row in q, and how many */
    int64_t column;      /* of the head */
    int64_t key, n_keys; /* the first one's row in k, and how many */
    bool first;          /* none before them */
} Turn;

static int64_t keys_floats(int64_t width)
{
    return gemm_panels(TILE_KEYS) * GEMM_COLUMNS * width;
}

static int64_t values_floats(int64_t width)
{
    return gemm_panels(width) * GEMM_COLUMNS * TILE_KEYS;
}

static size_t thread_floats(int64_t width)
{
    return (size_t)(2 * GEMM_BLOCK * GEMM_DEPTH + keys_floats(width) + values_floats(width) +
                    GROUP * GEMM_BLOCK * (width + 2));
}

static Work work_of(const Attention *op, int thread)
{
    Work w;
    w.queries = op->scratch + op->floats * (size_t)thread;
    w.weights = w.queries + GEMM_BLOCK * GEMM_DEPTH;
    w.keys = w.weights + GEMM_BLOCK * TILE_KEYS;
    w.values = w.keys + keys_floats(op->width);
    w.sum = w.values + values_floats(op->width);
    w.top = w.sum + GROUP * GEMM_BLOCK * op->width;
    w.total = w.top + GROUP * GEMM_BLOCK;
    return w;
}

/* ---- packing --------------------------------------------------------------------------------- */

/* As columns: panels [channel][key]. */
static void pack_keys(const Attention *op, float *packed, const Turn *at)
{
    for (int64_t j = 0; j < at->n_keys; j += GEMM_COLUMNS)
        DK_SIMD(gemm_pack)
    (packed + j * op->width, dk_row(op->k, at->key + j) + at->column, op->k.row_stride,
     at->n_keys - j, op->width);
    vec_round_operands(packed, gemm_panels(at->n_keys) * GEMM_COLUMNS * op->width, op->products);
}

/* As rows: panels [key][channel]. */
static void pack_values(const Attention *op, float *packed, const Turn *at)
{
    const int64_t panel = at->n_keys * GEMM_COLUMNS;
    for (int64_t j = 0; j < at->n_keys; j++) {
        const float *row = dk_row(op->v, at->key + j) + at->column;
        float *to = packed + j * GEMM_COLUMNS;
        for (int64_t c = 0; c < op->width; c += GEMM_COLUMNS, to += panel)
            for (int64_t i = 0; i < GEMM_COLUMNS; i += VEC_LANES) {
                const int64_t left = op->width - c - i;
                vec_store(to + i, vec_load_first(row + c + i, left < 0 ? 0 : vec_lanes(0, left)));
            }
    }
    vec_round_operands(packed, gemm_panels(op->width) * panel, op->products);
}

/* ---- one tile of keys ------------------------------------------------------------------------ */

/* The rows that a block's last register tile has too many are numbers, too. */
static void clear_rows(float *block, int64_t rows)
{
    const int64_t missing = (GEMM_ROWS - rows % GEMM_ROWS) % GEMM_ROWS;
    memset(block + rows * GEMM_DEPTH, 0, (size_t)(missing * GEMM_DEPTH) * sizeof *block);
}

/* weights[rows, n] = q · kᵀ */
static void find_logits(const Attention *op, const Work *w, const Turn *at)
{
    for (int64_t c = 0; c < op->width; c += GEMM_DEPTH) {
        const int64_t depth = least(op->width - c, GEMM_DEPTH);
        for (int64_t r = 0; r < at->rows; r++)
            vec_copy(w->queries + r * GEMM_DEPTH, dk_row(op->q, at->query + r) + at->column + c,
                     depth);
        clear_rows(w->queries, at->rows);
        for (int64_t r = 0; r < at->rows; r++)
            vec_round_operands(w->queries + r * GEMM_DEPTH, depth, op->products);
        DK_SIMD(gemm_block)
        (w->weights, TILE_KEYS, w->queries, at->rows, w->keys + c * GEMM_COLUMNS,
         op->width * GEMM_COLUMNS, depth, at->n_keys, (GemmEnds){.first = c == 0},
         (GemmAhead){.n = 0});
    }
    clear_rows(w->weights, at->rows);
}

static inline Vec larger(Vec a, Vec b)
{
    return vec_select(b > a, b, a);
}

/* Four at a time, so that comparisons do not wait for each other. */
static float largest(const float *x, int64_t n)
{
    Vec most[4] = {vec_all(x[0]), vec_all(x[0]), vec_all(x[0]), vec_all(x[0])};
    int64_t i = 0;
    for (; i + 4 * VEC_LANES <= n; i += 4 * VEC_LANES)
        for (int j = 0; j < 4; j++)
            most[j] = larger(most[j], vec_load(x + i + j * VEC_LANES));
    const Vec all = larger(larger(most[0], most[1]), larger(most[2], most[3]));
    float top = all[0];
    for (int lane = 1; lane < VEC_LANES; lane++)
        top = all[lane] > top ? all[lane] : top;
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
}

static inline Vec weigh_some(float *x, int64_t lanes, float top, float scale)
{
    vec_store_first(x, vec_exp2_weight((vec_load_first(x, lanes) - top) * scale), lanes);
    return vec_load_first(x, lanes);
}

/* Logits become weights 2^((logit - top) · scale); returns their sum. */
static float weigh(float *x, int64_t n, float top, float scale)
{
    Vec sum = {0};
    float total = 0;
    int64_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES)
        sum += weigh_some(x + i, VEC_LANES, top, scale);
    if (i < n)
        sum += weigh_some(x + i, n - i, top, scale);
    for (int k = 0; k < VEC_LANES; k++)
        total += sum[k];
    return total;
}

/* Softmax of one query's tile, and its sums so far on the tile's scale. */
static void update(const Attention *op, const Work *w, int64_t r, const Turn *at, float scale)
{
    float *logits = w->weights + r * TILE_KEYS, *sum = w->sum + r * op->width;
    const float before = at->first ? -INFINITY : w->top[r];
    const float top = fmaxf(before, largest(logits, at->n_keys));
    const float keep = vec_exp2_weight(vec_all((before - top) * scale))[0];
    const float weight = weigh(logits, at->n_keys, top, scale);
    vec_round_operands(logits, at->n_keys, op->products);
    w->total[r] = at->first ? weight : w->total[r] * keep + weight;
    w->top[r] = top;
    for (int64_t c = 0; c < op->width && keep != 1 && !at->first; c++)
        sum[c] *= keep;
}

static void attend_tile(const Attention *op, const Work *w, const Turn *at)
{
    const float scale = LOG2_E / sqrtf((float)op->width);
    find_logits(op, w, at);
    for (int64_t r = 0; r < at->rows; r++)
        update(op, w, r, at, scale);
    DK_SIMD(gemm_block)
    (w->sum, op->width, w->weights, at->rows, w->values, at->n_keys * GEMM_COLUMNS, at->n_keys,
     op->width, (GemmEnds){.first = at->first}, (GemmAhead){.n = 0});
}

/* ---- a group of blocks of queries ------------------------------------------------------------ */

static void finish(const Attention *op, const Work *w, const Turn *at)
{
    for (int64_t r = 0; r < at->rows; r++) {
        float *y = dk_row(op->y, at->query + r) + at->column;
        const float *sum = w->sum + r * op->width, total = w->total[r];
        for (int64_t c = 0; c < op->width; c += VEC_LANES) {
            const int64_t n = vec_lanes(c, op->width);
            vec_store_first(y + c, vec_load_first(sum + c, n) / total, n);
        }
    }
}

/* What belongs to block i of a group. */
static Work of_block(const Attention *op, const Work *w, int64_t i)
{
    Work mine = *w;
    mine.sum += i * GEMM_BLOCK * op->width;
    mine.top += i * GEMM_BLOCK;
    mine.total += i * GEMM_BLOCK;
    return mine;
}

/* n blocks of queries from `block` on. */
static void attend(const Attention *op, const Work *w, int64_t image, int64_t head, int64_t block,
                   int64_t n)
{
    const int64_t n_keys = op->k.sizes[1], n_queries = op->q.sizes[1];
    Turn at = {.column = head * op->width};
    for (int64_t first = 0; first < n_keys && !dk_stopped(op->dev); first += TILE_KEYS) {
        at.first = first == 0;
        at.key = image * n_keys + first;
        at.n_keys = least(n_keys - first, TILE_KEYS);
        pack_keys(op, w->keys, &at);
        pack_values(op, w->values, &at);
        for (int64_t i = 0; i < n; i++) {
            const Work mine = of_block(op, w, i);
            const int64_t row = (block + i) * GEMM_BLOCK;
            at.query = image * n_queries + row;
            at.rows = least(n_queries - row, GEMM_BLOCK);
            attend_tile(op, &mine, &at);
            if (first + at.n_keys == n_keys)
                finish(op, &mine, &at);
        }
    }
}

/* Units are blocks; how many of them make a group changes no result. */
static void part(const void *data, int64_t first, int64_t last, int thread)
{
    const Attention *op = data;
    const Work w = work_of(op, thread);
    while (first < last) {
        const int64_t block = first % op->blocks, head = first / op->blocks;
        const int64_t n = least(least(op->blocks - block, last - first), GROUP);
        attend(op, &w, head / op->n_heads, head % op->n_heads, block, n);
        first += n;
    }
}

void DK_SIMD(attention)(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads,
                        DkProducts products)
{
    Attention op = {.dev = dev, .y = y, .q = q, .k = k, .v = v, .n_heads = n_heads};
    op.products = products;
    op.width = q.sizes[2] / n_heads;
    op.blocks = (q.sizes[1] + GEMM_BLOCK - 1) / GEMM_BLOCK;
    op.floats = (thread_floats(op.width) + 15) / 16 * 16;
    op.scratch = dk_scratch(dev, op.floats * (size_t)dev->n_threads * sizeof(float));
    if (!op.scratch)
        return;
    const double work = 2.0 * GEMM_BLOCK * (double)k.sizes[1] * (double)op.width;
    dk_cpu_parallel(dev, q.sizes[0] * n_heads * op.blocks, work * GEMM_NS, part, &op);
}
