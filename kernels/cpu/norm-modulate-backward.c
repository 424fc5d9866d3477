/* Backward of the modulated norm. With x^ = (x - mean) f, f = 1 / sqrt (mean square + eps), and
 * t = dy · w · (1 + scale):
 *     dx = f (t - x^ mean (t x^) - [LAYER: mean (t)])
 *     dshift = Σ_l dy,   dscale = w Σ_l dy x^,   dw = Σ_b (1 + scale) Σ_l dy x^
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/norm-row.h"
#include "kernels/cpu/row-sums.h"
#include "kernels/cpu/simd.h"

typedef struct {
    DkTensor dx, dw, dscale, dshift, dy, x, scale;
    const float *w;
    DkNorm norm;
    double eps;
    bool accumulate;
    int64_t blocks;     /* of each picture */
    float *dot, *shift; /* [B][blocks][D]: sums of dy x^ and of dy */
    float *rows;        /* of each thread: w (1 + scale) and x^, [2][stride] */
    int64_t row_stride;
} Backward;

static void find_weights(const Backward *k, float *by, int64_t picture)
{
    const float *scale = k->scale.buffer ? dk_row(k->scale, picture) : NULL;
    for (int64_t c = 0; c < dk_columns(k->x); c++)
        by[c] = (k->w ? k->w[c] : 1) * (scale ? 1 + scale[c] : 1);
}

/* A row at hand: x^ goes to `hat`; `dot` and `shift` are the block's sums. */
typedef struct {
    const float *x, *dy, *by;
    float *dx, *hat, *dot, *shift;
    double mean, factor;
} Row;

/* Adds `lanes` numbers of a row, from column c on, to the block's sums, and t x^ and t to two. */
static inline __attribute__((always_inline)) void sum_some(const Row *r, int64_t c, int64_t lanes,
                                                           Vec *along, Vec *all)
{
    const Vec h = normal(r->x + c, r->mean, r->factor, lanes), g = vec_load_first(r->dy + c, lanes);
    const Vec t = g * vec_load_first(r->by + c, lanes);
    *along = vec_fma(t, h, *along);
    *all += t;
    vec_store_first(r->hat + c, h, lanes);
    vec_store_first(r->dot + c, vec_fma(g, h, vec_load_first(r->dot + c, lanes)), lanes);
    vec_store_first(r->shift + c, g + vec_load_first(r->shift + c, lanes), lanes);
}

/* The means of t x^ and of t. */
static void sum_row(const Backward *k, const Row *r, double means[2])
{
    const int64_t n = dk_columns(k->x);
    Vec along = {0}, all = {0};
    int64_t c = 0;
    for (; c + VEC_LANES <= n; c += VEC_LANES)
        sum_some(r, c, VEC_LANES, &along, &all);
    if (c < n)
        sum_some(r, c, n - c, &along, &all);
    means[0] = means[1] = 0;
    for (int lane = 0; lane < VEC_LANES; lane++) {
        means[0] += along[lane] / (double)n;
        means[1] += k->norm == DK_NORM_LAYER ? all[lane] / (double)n : 0;
    }
}

/* `means` with the other sign. */
static inline __attribute__((always_inline)) void run_some(const Row *r, int64_t c, int64_t lanes,
                                                           const Vec means[2], bool accumulate)
{
    const Vec t = vec_load_first(r->dy + c, lanes) * vec_load_first(r->by + c, lanes);
    const Vec sum = vec_fma(vec_load_first(r->hat + c, lanes), means[0], t) + means[1];
    const Vec d = vec_all((float)r->factor) * sum;
    vec_store_first(r->dx + c, accumulate ? vec_load_first(r->dx + c, lanes) + d : d, lanes);
}

static void run_row(const Backward *k, Row *r)
{
    const int64_t n = dk_columns(k->x);
    double sums[2];
    r->factor = norm_factor(r->x, n, k->norm, k->eps, &r->mean);
    sum_row(k, r, sums);
    const Vec means[] = {vec_all((float)-sums[0]), vec_all((float)-sums[1])};
    int64_t c = 0;
    for (; c + VEC_LANES <= n; c += VEC_LANES)
        run_some(r, c, VEC_LANES, means, k->accumulate);
    if (c < n)
        run_some(r, c, n - c, means, k->accumulate);
}

/* Units are the blocks of rows of all pictures. */
static void block_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *k = op;
    const int64_t n = dk_columns(k->x), length = k->x.sizes[1];
    float *by = k->rows + thread * 2 * k->row_stride, *hat = by + k->row_stride;
    for (int64_t unit = first; unit < last; unit++) {
        const int64_t picture = unit / k->blocks, from = unit % k->blocks * ROW_BLOCK;
        Row r = {.by = by, .hat = hat, .dot = k->dot + unit * n, .shift = k->shift + unit * n};
        memset(r.dot, 0, (size_t)n * sizeof *r.dot);
        memset(r.shift, 0, (size_t)n * sizeof *r.shift);
        find_weights(k, by, picture);
        for (int64_t i = from; i < length && i < from + ROW_BLOCK; i++) {
            const int64_t row = picture * length + i;
            r.x = dk_row(k->x, row);
            r.dy = dk_row(k->dy, row);
            r.dx = dk_row(k->dx, row);
            run_row(k, &r);
        }
    }
}

/* Units are strips of channels. */
static void sum_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *k = op;
    const int64_t columns = dk_columns(k->x);
    for (int64_t c0 = first * ROW_STRIP; c0 < last * ROW_STRIP; c0 += ROW_STRIP) {
        const int64_t n = columns - c0 < ROW_STRIP ? columns - c0 : ROW_STRIP;
        double all[ROW_STRIP] = {0}, dot[ROW_STRIP], shift[ROW_STRIP];
        for (int64_t b = 0; b < k->x.sizes[0]; b++) {
            const int64_t at = b * k->blocks * columns + c0;
            add_blocks(dot, k->dot + at, k->blocks, columns, n);
            add_blocks(shift, k->shift + at, k->blocks, columns, n);
            for (int64_t c = 0; c < n; c++) {
                all[c] += dot[c] * (k->scale.buffer ? 1 + (double)dk_row(k->scale, b)[c0 + c] : 1);
                if (k->dscale.buffer)
                    dk_row(k->dscale, b)[c0 + c] = (float)(dot[c] * (k->w ? k->w[c0 + c] : 1));
                if (k->dshift.buffer)
                    dk_row(k->dshift, b)[c0 + c] = (float)shift[c];
            }
        }
        for (int64_t c = 0; c < n && k->dw.buffer; c++)
            dk_row(k->dw, 0)[c0 + c] += (float)all[c];
    }
}

void DK_SIMD(norm_modulate_backward)(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor dscale,
                                     DkTensor dshift, DkTensor dy, DkTensor x, DkTensor w,
                                     DkTensor scale, DkNorm norm, float eps, bool accumulate)
{
    const int64_t n = dk_columns(x), items = x.sizes[0], blocks = row_blocks(x.sizes[1]);
    Backward k = {.dx = dx,
                  .dw = dw,
                  .dscale = dscale,
                  .dshift = dshift,
                  .dy = dy,
                  .x = x,
                  .scale = scale,
                  .w = dk_data(w),
                  .norm = norm,
                  .eps = eps,
                  .accumulate = accumulate,
                  .blocks = blocks,
                  .row_stride = (n + 15) / 16 * 16};
    const int64_t sums = items * blocks * n;
    k.rows =
        dk_scratch(dev, (size_t)(dev->n_threads * 2 * k.row_stride + 2 * sums) * sizeof(float));
    if (!k.rows)
        return;
    k.dot = k.rows + dev->n_threads * 2 * k.row_stride;
    k.shift = k.dot + sums;
    dk_cpu_parallel(dev, items * blocks, 2.0 * (double)(ROW_BLOCK * n), block_part, &k);
    if (!dk_stopped(dev))
        dk_cpu_parallel(dev, row_strips(n), (double)(items * blocks * ROW_STRIP), sum_part, &k);
}
