/* Gradient of a convolution's filters: dy's columns times the windows of x, sums over the pixels. A
 * row of windows is one run of channels for each tap, as in conv2d.c; it never exists as a whole.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"

static const float *row(const void *from, int64_t i, int64_t run)
{
    return dk_row(*(const DkTensor *)from, i);
}

typedef struct {
    DkTensor x;
    int64_t out_height, out_width, kw, top, left;
} Windows;

static const float *tap_of_pixel(const void *from, int64_t i, int64_t tap)
{
    const Windows *m = from;
    const int64_t c = i % m->out_width - m->left + tap % m->kw;
    const int64_t r = i / m->out_width % m->out_height - m->top + tap / m->kw;
    const int64_t image = i / m->out_width / m->out_height;
    if (r < 0 || r >= m->x.sizes[1] || c < 0 || c >= m->x.sizes[2])
        return NULL;
    return dk_row(m->x, (image * m->x.sizes[1] + r) * m->x.sizes[2] + c);
}

typedef struct {
    float *dw;
    const float *sums; /* [O][taps][I] */
    int64_t n_inputs, taps;
} Turn;

/* Units are outputs. */
static void add_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Turn *k = op;
    const int64_t size = k->n_inputs * k->taps;
    for (int64_t o = first; o < last; o++)
        for (int64_t i = 0; i < k->n_inputs; i++)
            for (int64_t t = 0; t < k->taps; t++)
                k->dw[o * size + i * k->taps + t] += k->sums[o * size + t * k->n_inputs + i];
}

void DK_SIMD(conv2d_backward_weight)(DkDevice *dev, DkTensor dw, DkTensor dy, DkTensor x, DkPad pad)
{
    const int64_t n_outputs = dw.sizes[0], n_inputs = dw.sizes[1], taps = dw.sizes[2] * dw.sizes[3];
    const Windows windows = {x, dy.sizes[1], dy.sizes[2], dw.sizes[3], pad.top, pad.left};
    const GemmRows a = {n_outputs, n_outputs, DK_PRODUCTS_F32, row, &dy};
    const GemmRows b = {taps * n_inputs, n_inputs, DK_PRODUCTS_F32, tap_of_pixel, &windows};
    const size_t room = DK_SIMD(gemm_over_rows_bytes)(dev, b);
    const size_t sums = (size_t)dk_tensor_count(dw) * sizeof(float);
    float *packed = dk_scratch(dev, room + sums);
    if (!packed)
        return;
    const Turn turn = {dk_data(dw), packed + room / sizeof(float), n_inputs, taps};
    memset((float *)turn.sums, 0, sums);
    DK_SIMD(gemm_over_rows)(dev, (float *)turn.sums, b.columns, NULL, a, b, dk_rows(dy), packed);
    if (!dk_stopped(dev))
        dk_cpu_parallel(dev, n_outputs, (double)b.columns, add_part, &turn);
}
