/* RMS and layer norm over the channels of each token, scaled and shifted per picture:
 *   y = (x - mean) / sqrt (mean square about it + eps) · w · (1 + scale) + shift; RMS: mean = 0.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Sums and the division run in double: neither huge nor nearly equal values lose anything, and at
 * the width of a model the row is in the first cache by then. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector.h"

#include <math.h>

enum { HALF = VEC_LANES / 2 };

typedef struct {
    DkTensor y, x, scale, shift;
    const float *w;
    DkNorm norm;
    double eps;
} Norm;

static double sum(const float *x, int64_t n)
{
    VecDouble a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * HALF <= n; i += 2 * HALF) {
        a += vec_double_load(x + i);
        b += vec_double_load(x + i + HALF);
    }
    double rest = 0;
    for (; i < n; i++)
        rest += x[i];
    return vec_double_sum(a + b) + rest;
}

static double squares_about(const float *x, int64_t n, double mean)
{
    VecDouble a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * HALF <= n; i += 2 * HALF) {
        const VecDouble p = vec_double_load(x + i) - mean;
        const VecDouble q = vec_double_load(x + i + HALF) - mean;
        a += p * p;
        b += q * q;
    }
    double rest = 0;
    for (; i < n; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    return vec_double_sum(a + b) + rest;
}

/* (x - mean) · factor of n lanes, rounded to float once. */
static inline Vec normal(const float *x, double mean, double factor, int64_t n)
{
    float lanes[VEC_LANES] = {0};
    if (n < VEC_LANES)
        x = memcpy(lanes, x, (size_t)n * sizeof *x);
    return vec_round((vec_double_load(x) - mean) * factor,
                     (vec_double_load(x + HALF) - mean) * factor);
}

static inline void modulate(float *y, Vec x, const float *w, const float *scale, const float *shift,
                            int64_t n)
{
    if (w)
        x *= vec_load_first(w, n);
    if (scale)
        x *= vec_load_first(scale, n) + 1;
    if (shift)
        x += vec_load_first(shift, n);
    vec_store_first(y, x, n);
}

static const float *row_or_null(DkTensor t, int64_t i)
{
    return t.buffer ? dk_row(t, i) : NULL;
}

static void norm_row(const Norm *op, int64_t row)
{
    const float *x = dk_row(op->x, row), *w = op->w;
    const int64_t n = dk_columns(op->x), picture = row / op->x.sizes[1];
    const float *scale = row_or_null(op->scale, picture), *shift = row_or_null(op->shift, picture);
    float *y = dk_row(op->y, row);
    const double mean = op->norm == DK_NORM_LAYER ? sum(x, n) / (double)n : 0;
    const double factor = 1 / sqrt(squares_about(x, n, mean) / (double)n + op->eps);
    int64_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES)
        modulate(y + i, normal(x + i, mean, factor, VEC_LANES), w ? w + i : NULL,
                 scale ? scale + i : NULL, shift ? shift + i : NULL, VEC_LANES);
    if (i < n)
        modulate(y + i, normal(x + i, mean, factor, n - i), w ? w + i : NULL,
                 scale ? scale + i : NULL, shift ? shift + i : NULL, n - i);
}

static void norm_part(const void *op, int64_t first, int64_t last, int thread)
{
    for (int64_t i = first; i < last; i++)
        norm_row(op, i);
}

void DK_SIMD(norm_modulate)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor scale,
                            DkTensor shift, DkNorm norm, float eps)
{
    const Norm op = {
        .y = y, .x = x, .scale = scale, .shift = shift, .w = dk_data(w), .norm = norm, .eps = eps};
    dk_cpu_parallel(dev, dk_rows(x), (double)dk_columns(x), norm_part, &op);
}
