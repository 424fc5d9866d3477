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

/* Keys of a tile: the weights of a tile are a block of a in the second product. */
enum { TILE_KEYS = GEMM_DEPTH };

typedef struct {
    DkDevice *dev;
    DkTensor y, q, k, v;
    int64_t n_heads, width, blocks; /* channels of a head; blocks of queries in an image */
    float *scratch;
    size_t floats; /* of scratch for a thread */
} Attention;

/* What a thread works in; floats, in this order. */
typedef struct {
    float *queries; /* [GEMM_BLOCK][GEMM_DEPTH], some channels of the block of queries */
    float *weights; /* [GEMM_BLOCK][TILE_KEYS], logits first */
    float *packed;  /* a tile of keys, then of values, in panels */
    float *sum;     /* [GEMM_BLOCK][width] of weighted values */
    float *top;     /* [GEMM_BLOCK] largest logit */
    float *total;   /* [GEMM_BLOCK] sum of weights */
} Work;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static size_t packed_floats(int64_t width)
{
    const int64_t keys = gemm_panels(TILE_KEYS) * width, values = gemm_panels(width) * TILE_KEYS;
    return (size_t)(keys > values ? keys : values) * GEMM_COLUMNS;
}

static size_t thread_floats(int64_t width)
{
    return (size_t)GEMM_BLOCK * (2 * GEMM_DEPTH + (size_t)width + 2) + packed_floats(width);
}

static Work work_of(const Attention *op, int thread)
{
    Work w;
    w.queries = op->scratch + op->floats * (size_t)thread;
    w.weights = w.queries + GEMM_BLOCK * GEMM_DEPTH;
    w.packed = w.weights + GEMM_BLOCK * TILE_KEYS;
    w.sum = w.packed + packed_floats(op->width);
    w.top = w.sum + GEMM_BLOCK * op->width;
    w.total = w.top + GEMM_BLOCK;
    return w;
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Keys first..first+n-1 as columns: panels [channel][key]. */
static void pack_keys(const Attention *op, float *packed, int64_t column, int64_t first, int64_t n)
{
    for (int64_t j = 0; j < n; j += GEMM_COLUMNS)
        DK_SIMD(gemm_pack)
    (packed + j * op->width, dk_row(op->k, first + j) + column, op->k.row_stride, n - j, op->width);
}

/* Values as rows: panels [key][channel]. */
static void pack_values(const Attention *op, float *packed, int64_t column, int64_t first,
                        int64_t n)
{
    for (int64_t c = 0; c < op->width; c += GEMM_COLUMNS) {
        const int64_t wide = least(op->width - c, GEMM_COLUMNS);
        for (int64_t j = 0; j < n; j++, packed += GEMM_COLUMNS) {
            memset(packed, 0, GEMM_COLUMNS * sizeof *packed);
            memcpy(packed, dk_row(op->v, first + j) + column + c, (size_t)wide * sizeof *packed);
        }
    }
}

/* ---- one tile of keys ------------------------------------------------------------------------ */

/* weights[rows, n] = q · kᵀ */
static void find_logits(const Attention *op, const Work *w, int64_t query, int64_t rows,
                        int64_t column, int64_t n)
{
    for (int64_t c = 0; c < op->width; c += GEMM_DEPTH) {
        const int64_t depth = least(op->width - c, GEMM_DEPTH);
        for (int64_t r = 0; r < rows; r++)
            memcpy(w->queries + r * GEMM_DEPTH, dk_row(op->q, query + r) + column + c,
                   (size_t)depth * sizeof(float));
        DK_SIMD(gemm_block)
        (w->weights, TILE_KEYS, w->queries, rows, w->packed + c * GEMM_COLUMNS,
         op->width * GEMM_COLUMNS, depth, n, (GemmEnds){.first = c == 0});
    }
}

static float largest(const float *x, int64_t n)
{
    Vec most = vec_all(x[0]);
    for (int64_t i = 0; i + VEC_LANES <= n; i += VEC_LANES) {
        const Vec next = vec_load(x + i);
        most = vec_select(next > most, next, most);
    }
    float top = most[0];
    for (int i = 1; i < VEC_LANES; i++)
        top = fmaxf(top, most[i]);
    for (int64_t i = n / VEC_LANES * VEC_LANES; i < n; i++)
        top = fmaxf(top, x[i]);
    return top;
}

/* Logits become weights exp ((logit - top) · scale); returns their sum. */
static float weigh(float *x, int64_t n, float top, float scale)
{
    Vec sum = {0};
    float total = 0;
    for (int64_t i = 0; i < n; i += VEC_LANES) {
        const int64_t lanes = vec_lanes(i, n);
        const Vec weight = vec_exp_negative((vec_load_first(x + i, lanes) - top) * scale);
        vec_store_first(x + i, weight, lanes);
        sum += vec_load_first(x + i, lanes);
    }
    for (int i = 0; i < VEC_LANES; i++)
        total += sum[i];
    return total;
}

/* Softmax of one query's tile, and its sums so far on the tile's scale. */
static void update(const Attention *op, const Work *w, int64_t r, int64_t n, float scale)
{
    float *logits = w->weights + r * TILE_KEYS, *sum = w->sum + r * op->width;
    const float top = fmaxf(w->top[r], largest(logits, n));
    const float keep = vec_exp_negative(vec_all((w->top[r] - top) * scale))[0];
    for (int64_t c = 0; c < op->width && keep != 1; c++)
        sum[c] *= keep;
    w->total[r] = w->total[r] * keep + weigh(logits, n, top, scale);
    w->top[r] = top;
}

/* ---- a block of queries ---------------------------------------------------------------------- */

static void finish(const Attention *op, const Work *w, int64_t query, int64_t rows, int64_t column)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < op->width; c++)
            dk_row(op->y, query + r)[column + c] = w->sum[r * op->width + c] / w->total[r];
}

static void attend(const Attention *op, const Work *w, int64_t image, int64_t head, int64_t block)
{
    const int64_t n_keys = op->k.sizes[1], n_queries = op->q.sizes[1];
    const int64_t column = head * op->width, query = image * n_queries + block * GEMM_BLOCK;
    const int64_t rows = least(n_queries - block * GEMM_BLOCK, GEMM_BLOCK);
    const float scale = 1 / sqrtf((float)op->width);
    memset(w->sum, 0, (size_t)(rows * op->width) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        w->top[r] = -INFINITY;
        w->total[r] = 0;
    }
    for (int64_t first = 0; first < n_keys && !dk_stopped(op->dev); first += TILE_KEYS) {
        const int64_t n = least(n_keys - first, TILE_KEYS);
        pack_keys(op, w->packed, column, image * n_keys + first, n);
        find_logits(op, w, query, rows, column, n);
        for (int64_t r = 0; r < rows; r++)
            update(op, w, r, n, scale);
        pack_values(op, w->packed, column, image * n_keys + first, n);
        DK_SIMD(gemm_block)
        (w->sum, op->width, w->weights, rows, w->packed, n * GEMM_COLUMNS, n, op->width,
         (GemmEnds){.first = false});
    }
    finish(op, w, query, rows, column);
}

static void part(const void *data, int64_t first, int64_t last, int thread)
{
    const Attention *op = data;
    const Work w = work_of(op, thread);
    for (int64_t i = first; i < last; i++)
        attend(op, &w, i / op->blocks / op->n_heads, i / op->blocks % op->n_heads, i % op->blocks);
}

void DK_SIMD(attention)(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads)
{
    Attention op = {.dev = dev, .y = y, .q = q, .k = k, .v = v, .n_heads = n_heads};
    op.width = q.sizes[2] / n_heads;
    op.blocks = (q.sizes[1] + GEMM_BLOCK - 1) / GEMM_BLOCK;
    op.floats = (thread_floats(op.width) + 15) / 16 * 16;
    const size_t bytes = op.floats * (size_t)dev->n_threads * sizeof(float);
    op.scratch = dk_scratch(dev, bytes);
    if (!op.scratch)
        return;
    memset(op.scratch, 0, bytes);
    const double work = 2.0 * GEMM_BLOCK * (double)k.sizes[1] * (double)op.width;
    dk_cpu_parallel(dev, q.sizes[0] * n_heads * op.blocks, work * GEMM_NS, part, &op);
}
