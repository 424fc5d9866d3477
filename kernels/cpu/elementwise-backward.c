/* Backward of gates and activations, the loss, and the optimiser's step.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/row-sums.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

#include <math.h>

/* ---- gates ----------------------------------------------------------------------------------- */

typedef struct {
    DkTensor dy, dout, gate, y;
    float *sums; /* [B][blocks][D] */
    int64_t blocks;
} Gate;

static inline __attribute__((always_inline)) void
gate_some(float *dy, float *sums, const float *dout, const float *gate, const float *y, int64_t n)
{
    const Vec d = vec_load_first(dout, n);
    vec_store_first(sums, vec_fma(d, vec_load_first(y, n), vec_load_first(sums, n)), n);
    vec_store_first(dy, d * vec_load_first(gate, n), n);
}

/* Units are the blocks of rows of all pictures. */
static void gate_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Gate *k = op;
    const int64_t n = dk_columns(k->y), length = k->y.sizes[1];
    for (int64_t unit = first; unit < last; unit++) {
        const int64_t picture = unit / k->blocks, from = unit % k->blocks * ROW_BLOCK;
        const float *gate = dk_row(k->gate, picture);
        float *sums = k->sums + unit * n;
        memset(sums, 0, (size_t)n * sizeof *sums);
        for (int64_t i = from; i < length && i < from + ROW_BLOCK; i++) {
            const int64_t row = picture * length + i;
            const float *dout = dk_row(k->dout, row), *y = dk_row(k->y, row);
            float *dy = dk_row(k->dy, row);
            int64_t c = 0;
            for (; c + VEC_LANES <= n; c += VEC_LANES)
                gate_some(dy + c, sums + c, dout + c, gate + c, y + c, VEC_LANES);
            if (c < n)
                gate_some(dy + c, sums + c, dout + c, gate + c, y + c, n - c);
        }
    }
}

void DK_SIMD(gate_add_backward)(DkDevice *dev, DkTensor dy, DkTensor dgate, DkTensor dout,
                                DkTensor gate, DkTensor y)
{
    const int64_t n = dk_columns(y), items = y.sizes[0], blocks = row_blocks(y.sizes[1]);
    const Gate k = {
        dy, dout, gate, y, dk_scratch(dev, (size_t)(items * blocks * n) * sizeof(float)), blocks};
    if (!k.sums)
        return;
    dk_cpu_parallel(dev, items * blocks, (double)(ROW_BLOCK * n), gate_part, &k);
    if (!dk_stopped(dev))
        add_row_sums(dev, dgate, k.sums, blocks, false);
}

/* ---- activations ----------------------------------------------------------------------------- */

typedef struct {
    DkTensor dx, dy, x;
    DkAct act;
} Act;

/* Rows first..last-1; `act` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void act_rows(const Act *k, int64_t first,
                                                           int64_t last, DkAct act)
{
    const int64_t n = dk_columns(k->x);
    for (int64_t i = first; i < last; i++) {
        const float *x = dk_row(k->x, i), *dy = dk_row(k->dy, i);
        float *dx = dk_row(k->dx, i);
        int64_t c = 0;
        for (; c + VEC_LANES <= n; c += VEC_LANES)
            vec_store(dx + c, vec_load(dy + c) * vec_act_slope(vec_load(x + c), act));
        if (c < n) {
            const Vec slope = vec_act_slope(vec_load_first(x + c, n - c), act);
            vec_store_first(dx + c, vec_load_first(dy + c, n - c) * slope, n - c);
        }
    }
}

/* A loop for each: constants do not stay in registers of one that chooses inside. */
static void act_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Act *k = op;
    switch (k->act) {
    case DK_ACT_SILU:
        act_rows(k, first, last, DK_ACT_SILU);
        break;
    case DK_ACT_RELU:
        act_rows(k, first, last, DK_ACT_RELU);
        break;
    case DK_ACT_TANH:
        act_rows(k, first, last, DK_ACT_TANH);
        break;
    case DK_ACT_GELU:
        act_rows(k, first, last, DK_ACT_GELU);
        break;
    case DK_ACT_NONE:
        act_rows(k, first, last, DK_ACT_NONE);
        break;
    }
}

void DK_SIMD(act_backward)(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor x, DkAct act)
{
    const Act k = {dx, dy, x, act};
    dk_cpu_parallel(dev, dk_rows(x), 1.5 * (double)dk_columns(x), act_part, &k);
}

/* ---- sums of squares ------------------------------------------------------------------------- */

enum { RUN = 4096 }; /* numbers of which one sum is made */

/* Tensors of one shape as runs of numbers: rows, or pieces of RUN where no tensor has gaps. */
typedef struct {
    DkTensor x, y, dy;        /* y and dy empty: of squares, not of squared differences */
    int64_t n, count, length; /* runs, numbers, numbers of a run but perhaps the last */
    bool pieces;
    double factor;
    double *sums; /* of each run */
} Squares;

static bool without_gaps(DkTensor t)
{
    return !t.buffer || t.row_stride == dk_columns(t) || dk_rows(t) == 1;
}

static float *run_of(const Squares *k, DkTensor t, int64_t i)
{
    return dk_row(t, 0) + i * (k->pieces ? RUN : t.row_stride);
}

static double sum_of_squares(const float *x, int64_t n)
{
    VecDouble a = {0};
    int64_t i = 0;
    for (; i + VEC_LANES / 2 <= n; i += VEC_LANES / 2) {
        const VecDouble p = vec_double_load(x + i);
        a += p * p;
    }
    double rest = 0;
    for (; i < n; i++)
        rest += (double)x[i] * x[i];
    return vec_double_sum(a) + rest;
}

static double sum_of_errors(const Squares *k, int64_t run, int64_t n)
{
    const float *y = run_of(k, k->y, run), *x = run_of(k, k->x, run);
    float *dy = run_of(k, k->dy, run);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double off = (double)y[i] - x[i];
        sum += off * off;
        dy[i] = (float)(2 * k->factor * off);
    }
    return sum;
}

static void squares_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Squares *k = op;
    for (int64_t i = first; i < last; i++) {
        const int64_t left = k->count - i * k->length, n = left < k->length ? left : k->length;
        k->sums[i] = k->y.buffer ? sum_of_errors(k, i, n) : sum_of_squares(run_of(k, k->x, i), n);
    }
}

static void add_squares(DkDevice *dev, DkTensor to, Squares k)
{
    k.pieces = without_gaps(k.x) && without_gaps(k.y) && without_gaps(k.dy);
    k.count = dk_tensor_count(k.x);
    k.length = k.pieces ? RUN : dk_columns(k.x);
    k.n = (k.count + k.length - 1) / k.length;
    k.sums = dk_scratch(dev, (size_t)k.n * sizeof *k.sums);
    if (!k.sums)
        return;
    dk_cpu_parallel(dev, k.n, 0.5 * (double)k.length, squares_part, &k);
    double all = 0;
    for (int64_t i = 0; i < k.n; i++)
        all += k.sums[i];
    if (!dk_stopped(dev))
        *(double *)dk_data(to) += k.factor * all;
}

void DK_SIMD(squared_error)(DkDevice *dev, DkTensor loss, DkTensor dy, DkTensor y, DkTensor target,
                            double factor)
{
    add_squares(dev, loss, (Squares){.x = target, .y = y, .dy = dy, .factor = factor});
}

void DK_SIMD(sum_squares)(DkDevice *dev, DkTensor sum, DkTensor x)
{
    add_squares(dev, sum, (Squares){.x = x, .factor = 1});
}

/* ---- the optimiser --------------------------------------------------------------------------- */

typedef struct {
    float *w, *m, *v;
    const float *g;
    int64_t n;
    float beta1, rest1, beta2, rest2, factor, first, second, eps, rate, decay;
} AdamW;

/* Units are pieces of RUN numbers. */
static void adamw_part(const void *op, int64_t first, int64_t last, int thread)
{
    const AdamW *k = op;
    const int64_t end = last * RUN < k->n ? last * RUN : k->n;
    for (int64_t i = first * RUN; i < end; i += VEC_LANES) {
        const int64_t lanes = vec_lanes(i, end);
        const Vec g = vec_load_first(k->g + i, lanes) * k->factor;
        const Vec m = vec_fma(vec_all(k->beta1), vec_load_first(k->m + i, lanes), g * k->rest1);
        const Vec v = vec_fma(vec_all(k->beta2), vec_load_first(k->v + i, lanes), g * g * k->rest2);
        const Vec w = vec_load_first(k->w + i, lanes);
        const Vec update = m * k->first / (vec_sqrt(v * k->second) + k->eps) + w * k->decay;
        vec_store_first(k->m + i, m, lanes);
        vec_store_first(k->v + i, v, lanes);
        vec_store_first(k->w + i, w - update * k->rate, lanes);
    }
}

void DK_SIMD(adamw)(DkDevice *dev, DkTensor w, DkTensor m, DkTensor v, DkTensor g,
                    const DkAdamW *settings)
{
    const double b1 = settings->beta1, b2 = settings->beta2, step = (double)settings->step;
    const AdamW k = {.w = dk_data(w),
                     .m = dk_data(m),
                     .v = dk_data(v),
                     .g = dk_data(g),
                     .n = dk_columns(w),
                     .beta1 = (float)b1,
                     .rest1 = (float)(1 - b1),
                     .beta2 = (float)b2,
                     .rest2 = (float)(1 - b2),
                     .factor = (float)settings->gradient_factor,
                     .first = (float)(1 / (1 - pow(b1, step))),
                     .second = (float)(1 / (1 - pow(b2, step))),
                     .eps = (float)settings->eps,
                     .rate = (float)settings->rate,
                     .decay = (float)settings->decay};
    dk_cpu_parallel(dev, (k.n + RUN - 1) / RUN, 0.7 * RUN, adamw_part, &k);
}
