/* Cross-correlation with zero padding, channels innermost; w[O, I, kh, kw] as given.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* Σ over taps and input channels for output channel o, the window's corner at (top, left) of image
 * x[H, W, I]. */
static double window(DkTensor x, int64_t image, const DkWeight *w, int64_t o, int64_t top,
                     int64_t left)
{
    const int64_t height = x.sizes[1], width = x.sizes[2], taps = (int64_t)w->kh * w->kw;
    const float *filter = w->data + o * w->k * taps;
    double sum = 0;
    for (int u = 0; u < w->kh; u++)
        for (int v = 0; v < w->kw; v++) {
            const int64_t r = top + u, c = left + v;
            if (r < 0 || r >= height || c < 0 || c >= width)
                continue;
            const float *pixel = dk_row(x, (image * height + r) * width + c);
            for (int64_t i = 0; i < w->k; i++)
                sum += (double)pixel[i] * filter[i * taps + u * w->kw + v];
        }
    return sum;
}

void dk_ref_conv2d(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, int stride,
                   DkPad pad, DkAct act, bool accumulate)
{
    const int64_t height = y.sizes[1], width = y.sizes[2];
    for (int64_t i = 0; i < dk_rows(y) && !dk_stopped(dev); i++) {
        const int64_t c = i % width, r = i / width % height, image = i / width / height;
        float *out = dk_row(y, i);
        for (int64_t o = 0; o < w->n; o++) {
            const double sum = window(x, image, w, o, r * stride - pad.top, c * stride - pad.left) +
                               dk_ref_at(b, o, 0);
            out[o] = (float)dk_ref_apply_act(sum + (accumulate ? (double)out[o] : 0), act);
        }
    }
}
