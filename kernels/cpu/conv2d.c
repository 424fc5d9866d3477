/* dk_conv2d as a product: a row of a is the window of an output pixel, one run of channels for each
 * tap, copied a block at a time; it never exists as a whole.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"

/* From w[O, I, kh, kw], or w[I, O, kh, kw] with the taps turned where `turned`. */
typedef struct {
    float *panels;
    const float *w;
    int64_t n_outputs, n_inputs, taps;
    bool turned;
} Pack;

/* Columns first..last-1 of the panels; depth = (tap, input channel), channels innermost as in the
 * image. */
static void pack_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Pack *p = op;
    const int64_t output = p->taps * (p->turned ? 1 : p->n_inputs);
    const int64_t input = p->taps * (p->turned ? p->n_outputs : 1);
    for (int64_t j = first; j < last; j++) {
        float *to = p->panels + j / GEMM_COLUMNS * GEMM_COLUMNS * p->n_inputs * p->taps;
        to += j % GEMM_COLUMNS;
        for (int64_t t = 0; t < p->taps; t++)
            for (int64_t i = 0; i < p->n_inputs; i++, to += GEMM_COLUMNS)
                *to = j < p->n_outputs
                          ? p->w[j * output + i * input + (p->turned ? p->taps - 1 - t : t)]
                          : 0;
    }
}

DkWeight *DK_SIMD(weight_conv2d)(DkDevice *dev, const float *w, int64_t out, int64_t in, int kh,
                                 int kw)
{
    const int64_t columns = gemm_panels(out) * GEMM_COLUMNS, taps = (int64_t)kh * kw;
    const size_t floats = (size_t)columns * (size_t)in * (size_t)taps;
    DkWeight *packed = dk_weight_alloc(dev, DK_WEIGHT_CONV2D, out, in, kh, kw, floats);
    if (packed)
        pack_part(&(Pack){packed->data, w, out, in, taps, false}, 0, columns, 0);
    return packed;
}

void DK_SIMD(conv2d_set)(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    const Pack p = {
        weight->data, dk_data(w), weight->n, weight->k, (int64_t)weight->kh * weight->kw,
        transposed};
    dk_cpu_parallel(dev, gemm_panels(p.n_outputs) * GEMM_COLUMNS, (double)(p.n_inputs * p.taps),
                    pack_part, &p);
}

typedef struct {
    const float *x;
    int64_t height, width, channels; /* of x */
    int64_t out_height, out_width;
    int kw, stride, top, left;
} Image;

static const float *tap_of_pixel(const void *from, int64_t i, int64_t tap)
{
    const Image *m = from;
    const int64_t c = i % m->out_width * m->stride - m->left + tap % m->kw;
    const int64_t r = i / m->out_width % m->out_height * m->stride - m->top + tap / m->kw;
    const int64_t image = i / m->out_width / m->out_height;
    if (r < 0 || r >= m->height || c < 0 || c >= m->width)
        return NULL;
    return m->x + ((image * m->height + r) * m->width + c) * m->channels;
}

void DK_SIMD(conv2d)(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b,
                     int stride, DkPad pad, DkAct act, bool accumulate)
{
    const Image image = {.x = dk_row(x, 0),
                         .height = x.sizes[1],
                         .width = x.sizes[2],
                         .channels = x.sizes[3],
                         .out_height = y.sizes[1],
                         .out_width = y.sizes[2],
                         .kw = w->kw,
                         .stride = stride,
                         .top = pad.top,
                         .left = pad.left};
    GemmProduct product = {.y = y,
                           .w = w,
                           .bias = b,
                           .act = act,
                           .accumulate = accumulate,
                           .depth = w->k * w->kh * w->kw,
                           .run = w->k,
                           .source = tap_of_pixel,
                           .from = &image};
    DK_SIMD(gemm_product)(dev, &product);
}
