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

/* Adds a row to the block's sums; x^ goes to `hat`, the means of t x^ and of t to `means`. */
static void sum_row(const Backward *k, int64_t i, const float *by, float *hat, float *dot,
                    float *shift, double means[2], double *factor)
{
    const float *x = dk_row(k->x, i), *dy = dk_row(k->dy, i);
    const int64_t n = dk_columns(k->x);
    Vec along = {0}, all = {0};
    double mean;
    *factor = norm_factor(x, n, k->norm, k->eps, &mean);
    for (int64_t c = 0; c < n; c += VEC_LANES) {
        const int64_t lanes = vec_lanes(c, n);
        const Vec h = normal(x + c, mean, *factor, lanes), g = vec_load_first(dy + c, lanes);
        const Vec t = g * vec_load_first(by + c, lanes);
        along = vec_fma(t, h, along);
        all += t;
        vec_store_first(hat + c, h, lanes);
        vec_store_first(dot + c, vec_fma(g, h, vec_load_first(dot + c, lanes)), lanes);
        vec_store_first(shift + c, g + vec_load_first(shift + c, lanes), lanes);
    }
    means[0] = means[1] = 0;
    for (int lane = 0; lane < VEC_LANES; lane++) {
        means[0] += along[lane] / (double)n;
        means[1] += k->norm == DK_NORM_LAYER ? all[lane] / (double)n : 0;
    }
}

static void run_row(const Backward *k, int64_t i, const float *by, float *hat, float *dot,
                    float *shift)
{
    const int64_t n = dk_columns(k->x);
    const float *dy = dk_row(k->dy, i);
    float *dx = dk_row(k->dx, i);
    double means[2], factor;
    sum_row(k, i, by, hat, dot, shift, means, &factor);
    const Vec f = vec_all((float)factor), along = vec_all((float)-means[0]);
    const Vec mean = vec_all((float)-means[1]);
    for (int64_t c = 0; c < n; c += VEC_LANES) {
        const int64_t lanes = vec_lanes(c, n);
        const Vec t = vec_load_first(dy + c, lanes) * vec_load_first(by + c, lanes);
        const Vec d = f * (vec_fma(vec_load_first(hat + c, lanes), along, t) + mean);
        vec_store_first(dx + c, k->accumulate ? vec_load_first(dx + c, lanes) + d : d, lanes);
    }
}

/* Units are the blocks of rows of all pictures. */
static void block_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *k = op;
    const int64_t n = dk_columns(k->x), length = k->x.sizes[1];
    float *by = k->rows + thread * 2 * k->row_stride, *hat = by + k->row_stride;
    for (int64_t unit = first; unit < last; unit++) {
        const int64_t picture = unit / k->blocks, from = unit % k->blocks * ROW_BLOCK;
        float *dot = k->dot + unit * n, *shift = k->shift + unit * n;
        memset(dot, 0, (size_t)n * sizeof *dot);
        memset(shift, 0, (size_t)n * sizeof *shift);
        find_weights(k, by, picture);
        for (int64_t i = from; i < length && i < from + ROW_BLOCK; i++)
            run_row(k, picture * length + i, by, hat, dot, shift);
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
