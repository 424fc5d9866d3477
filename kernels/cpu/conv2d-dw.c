/* Depth-wise 3x3 cross-correlation with zero padding 1.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A strip of channels runs along an image row: its weights and the pixels that neighbours share
 * stay in the first cache, and memory is read in runs that the hardware prefetches. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector.h"

enum { STRIP = 128 /* channels */ };

typedef struct {
    DkTensor y, x;
    const float *taps, *b; /* taps [9, D] */
} Conv;

/* Channels d.. of pixel c of image row `row`. Taps u0..u1-1 and v0..v1-1 lie inside the picture. */
static void conv_pixel(const Conv *conv, int64_t row, int64_t c, int64_t d, int64_t n_channels)
{
    const int64_t height = conv->x.sizes[1], width = conv->x.sizes[2], all = conv->x.sizes[3];
    const int64_t r = row % height, stride = conv->x.row_stride;
    const int64_t u0 = r == 0, u1 = r == height - 1 ? 2 : 3;
    const int64_t v0 = c == 0, v1 = c == width - 1 ? 2 : 3;
    const float *x = dk_row(conv->x, row * width + c) + d;
    float *y = dk_row(conv->y, row * width + c) + d;
    for (int64_t i = 0; i < n_channels; i += VEC_LANES) {
        const int64_t n = vec_lanes(i, n_channels);
        Vec sum = conv->b ? vec_load_first(conv->b + d + i, n) : (Vec){0};
        for (int64_t u = u0; u < u1; u++)
            for (int64_t v = v0; v < v1; v++) {
                const Vec tap = vec_load_first(conv->taps + (3 * u + v) * all + d + i, n);
                const float *in = x + ((u - 1) * width + v - 1) * stride + i;
                sum = vec_fma(tap, vec_load_first(in, n), sum);
            }
        vec_store_first(y + i, sum, n);
    }
}

/* Units are the image rows of all pictures. */
static void conv_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Conv *conv = op;
    const int64_t width = conv->x.sizes[2], n_channels = conv->x.sizes[3];
    for (int64_t row = first; row < last; row++)
        for (int64_t d = 0; d < n_channels; d += STRIP)
            for (int64_t c = 0; c < width; c++)
                conv_pixel(conv, row, c, d, n_channels - d < STRIP ? n_channels - d : STRIP);
}

void DK_SIMD(conv2d_dw)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b)
{
    const int64_t n_channels = x.sizes[3];
    float *taps = dk_scratch(dev, (size_t)(9 * n_channels) * sizeof *taps);
    if (!taps)
        return;
    const float *given = dk_data(w);
    for (int64_t d = 0; d < n_channels; d++)
        for (int64_t t = 0; t < 9; t++)
            taps[t * n_channels + d] = given[d * 9 + t];
    const Conv conv = {.y = y, .x = x, .taps = taps, .b = dk_data(b)};
    dk_cpu_parallel(dev, x.sizes[0] * x.sizes[1], 2 * (double)(x.sizes[2] * n_channels), conv_part,
                    &conv);
}
