/* Depth-wise 3x3 cross-correlation with zero padding 1.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A vector of channels runs along an image row with its nine weights in registers. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector.h"

typedef struct {
    DkTensor y, x;
    const float *w, *b; /* w [D, 9] */
} Conv;

/* The nine weights of channels d..d+n-1 across the lanes. */
static void load_taps(const Conv *conv, int64_t d, int64_t n, Vec tap[3][3])
{
    memset(tap, 0, 9 * sizeof **tap);
    for (int64_t k = 0; k < n; k++)
        for (int t = 0; t < 9; t++)
            tap[t / 3][t % 3][k] = conv->w[(d + k) * 9 + t];
}

/* Image row `row` (of all pictures), channels d..d+n-1. */
static void conv_vector(const Conv *conv, int64_t row, int64_t d, int64_t n)
{
    const int64_t height = conv->x.sizes[1], width = conv->x.sizes[2];
    const int64_t top = row % height == 0, bottom = row % height == height - 1;
    const Vec bias = conv->b ? vec_load_first(conv->b + d, n) : (Vec){0};
    Vec tap[3][3];
    load_taps(conv, d, n, tap);
    for (int64_t c = 0; c < width; c++) {
        Vec sum = bias;
        for (int64_t u = top; u < 3 - bottom; u++)
            for (int64_t v = c == 0; v < 3 - (c == width - 1); v++) {
                const float *x = dk_row(conv->x, (row + u - 1) * width + c + v - 1) + d;
                sum = vec_fma(tap[u][v], vec_load_first(x, n), sum);
            }
        vec_store_first(dk_row(conv->y, row * width + c) + d, sum, n);
    }
}

static void conv_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Conv *conv = op;
    const int64_t n_channels = conv->x.sizes[3];
    for (int64_t row = first; row < last; row++)
        for (int64_t d = 0; d < n_channels; d += VEC_LANES)
            conv_vector(conv, row, d, vec_lanes(d, n_channels));
}

void DK_SIMD(conv2d_dw)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b)
{
    const Conv conv = {.y = y, .x = x, .w = dk_data(w), .b = dk_data(b)};
    dk_cpu_parallel(dev, x.sizes[0] * x.sizes[1], 2 * (double)(x.sizes[2] * x.sizes[3]), conv_part,
                    &conv);
}
