/* RMS and layer norm over the channels of each token, scaled and shifted per picture:
 *   y = (x - mean) / sqrt (mean square about it + eps) · w · (1 + scale) + shift; RMS: mean = 0.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/norm-row.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

typedef struct {
    DkTensor y, x, scale, shift;
    const float *w;
    DkNorm norm;
    double eps;
} Norm;

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
    double mean;
    const double factor = norm_factor(x, n, op->norm, op->eps, &mean);
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
