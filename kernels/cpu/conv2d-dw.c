/* Depth-wise 3x3 cross-correlation with zero padding 1, and its backward.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A strip of channels runs along an image row: its weights and the pixels that neighbours share
 * stay in the first cache, and memory is read in runs that the hardware prefetches. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row-sums.h"
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

/* [D, 9] to [9, D]; turned by 180 degrees, the taps lead back from dy to dx. */
static void transpose_taps(float *taps, const float *given, int64_t n_channels, bool turned)
{
    for (int64_t d = 0; d < n_channels; d++)
        for (int64_t t = 0; t < 9; t++)
            taps[t * n_channels + d] = given[d * 9 + (turned ? 8 - t : t)];
}

static void conv(DkDevice *dev, DkTensor y, DkTensor x, const float *taps, const float *b)
{
    const Conv conv = {.y = y, .x = x, .taps = taps, .b = b};
    dk_cpu_parallel(dev, x.sizes[0] * x.sizes[1], 2 * (double)(x.sizes[2] * x.sizes[3]), conv_part,
                    &conv);
}

void DK_SIMD(conv2d_dw)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b)
{
    float *taps = dk_scratch(dev, (size_t)(9 * x.sizes[3]) * sizeof *taps);
    if (!taps)
        return;
    transpose_taps(taps, dk_data(w), x.sizes[3], false);
    conv(dev, y, x, taps, dk_data(b));
}

/* ---- backward -------------------------------------------------------------------------------- */

enum { SUMS = 10 /* of a channel: nine taps and the bias */ };

typedef struct {
    DkTensor dy, x;
    DkTensor dw, db;
    float *sums; /* [image rows][SUMS][D] */
} Backward;

/* Σ dy[c] · x[c - 1], x[c], x[c + 1] over one row of a picture, n channels; zeros lie around it. */
static inline void sum_taps(Vec sums[3], const float *dy, int64_t dy_stride, const float *x,
                            int64_t x_stride, int64_t width, int64_t n)
{
    Vec left = {0}, centre = {0}, right = {0}, before = {0}, here = vec_load_first(x, n);
    for (int64_t c = 0; c < width; c++, dy += dy_stride) {
        const Vec by = vec_load_first(dy, n);
        const Vec after = c + 1 < width ? vec_load_first(x += x_stride, n) : (Vec){0};
        left = vec_fma(by, before, left);
        centre = vec_fma(by, here, centre);
        right = vec_fma(by, after, right);
        before = here;
        here = after;
    }
    sums[0] = left;
    sums[1] = centre;
    sums[2] = right;
}

/* The sums of n channels from d on over one row of a picture. */
static inline __attribute__((always_inline)) void sum_row(const Backward *k, int64_t row, int64_t d,
                                                          int64_t n)
{
    const int64_t height = k->x.sizes[1], width = k->x.sizes[2], all = k->x.sizes[3];
    const float *dy = dk_row(k->dy, row * width) + d;
    float *out = k->sums + row * SUMS * all + d;
    Vec bias = {0};
    for (int64_t c = 0; c < width; c++)
        bias += vec_load_first(dy + c * k->dy.row_stride, n);
    vec_store_first(out + 9 * all, bias, n);
    for (int64_t u = 0; u < 3; u++) {
        Vec sums[3] = {{0}};
        const int64_t r = row % height + u - 1;
        if (r >= 0 && r < height)
            sum_taps(sums, dy, k->dy.row_stride, dk_row(k->x, (row + u - 1) * width) + d,
                     k->x.row_stride, width, n);
        for (int64_t v = 0; v < 3; v++)
            vec_store_first(out + (3 * u + v) * all, sums[v], n);
    }
}

/* Units are the image rows of all pictures. */
static void sum_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *k = op;
    const int64_t n_channels = k->x.sizes[3];
    for (int64_t row = first; row < last; row++)
        for (int64_t d = 0; d < n_channels; d += VEC_LANES)
            if (n_channels - d >= VEC_LANES)
                sum_row(k, row, d, VEC_LANES);
            else
                sum_row(k, row, d, n_channels - d);
}

/* Units are strips of channels. */
static void add_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *k = op;
    const int64_t rows = k->x.sizes[0] * k->x.sizes[1], all = k->x.sizes[3];
    double of[ROW_STRIP];
    for (int64_t d = first * ROW_STRIP; d < last * ROW_STRIP; d += ROW_STRIP)
        for (int64_t i = 0; i < SUMS; i++) {
            const int64_t n = all - d < ROW_STRIP ? all - d : ROW_STRIP;
            add_blocks(of, k->sums + i * all + d, rows, SUMS * all, n);
            for (int64_t c = 0; c < n && i < 9; c++)
                dk_row(k->dw, d + c)[i] += (float)of[c];
            for (int64_t c = 0; c < n && i == 9 && k->db.buffer; c++)
                dk_row(k->db, 0)[d + c] += (float)of[c];
        }
}

void DK_SIMD(conv2d_dw_backward)(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                                 DkTensor x, DkTensor w)
{
    const int64_t rows = x.sizes[0] * x.sizes[1], all = x.sizes[3];
    float *taps = dk_scratch(dev, (size_t)((9 + SUMS * rows) * all) * sizeof *taps);
    if (!taps)
        return;
    const Backward k = {dy, x, dw, db, taps + 9 * all};
    transpose_taps(taps, dk_data(w), all, true);
    conv(dev, dx, dy, taps, NULL);
    dk_cpu_parallel(dev, rows, 2 * (double)(x.sizes[2] * all), sum_part, &k);
    if (!dk_stopped(dev))
        dk_cpu_parallel(dev, row_strips(all), (double)(rows * SUMS * ROW_STRIP), add_part, &k);
}
