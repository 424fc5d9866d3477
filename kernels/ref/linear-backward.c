/* Gradients of products with respect to their weights and biases.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

void dk_ref_linear_backward_weight(DkDevice *dev, DkTensor dw, DkTensor db, DkTensor dy, DkTensor x)
{
    if (db.buffer)
        dk_ref_sum_rows(dev, db, dy);
    for (int64_t n = 0; n < dk_columns(dy) && !dk_stopped(dev); n++)
        for (int64_t k = 0; k < dk_columns(x); k++) {
            double sum = 0;
            for (int64_t i = 0; i < dk_rows(x); i++)
                sum += (double)dk_operand(dk_row(dy, i)[n], dev->products) *
                       dk_operand(dk_row(x, i)[k], dev->products);
            dk_row(dw, n)[k] += (float)sum;
        }
}

void dk_ref_sum_rows(DkDevice *dev, DkTensor y, DkTensor x)
{
    for (int64_t n = 0; n < dk_columns(x) && !dk_stopped(dev); n++) {
        double sum = 0;
        for (int64_t i = 0; i < dk_rows(x); i++)
            sum += dk_row(x, i)[n];
        dk_row(y, 0)[n] += (float)sum;
    }
}

/* Σ over pictures and places of dy at output channel o times x at input channel i, one tap. */
static double correlate(DkTensor dy, DkTensor x, int64_t o, int64_t i, int64_t down, int64_t right)
{
    const int64_t height = x.sizes[1], width = x.sizes[2];
    double sum = 0;
    for (int64_t j = 0; j < dk_rows(dy); j++) {
        const int64_t column = j % dy.sizes[2] + right, row = j / dy.sizes[2] % dy.sizes[1] + down;
        const int64_t picture = j / dy.sizes[2] / dy.sizes[1];
        if (row >= 0 && row < height && column >= 0 && column < width)
            sum +=
                (double)dk_row(dy, j)[o] * dk_row(x, (picture * height + row) * width + column)[i];
    }
    return sum;
}

void dk_ref_conv2d_backward_weight(DkDevice *dev, DkTensor dw, DkTensor dy, DkTensor x, DkPad pad)
{
    const int64_t kh = dw.sizes[2], kw = dw.sizes[3], n_inputs = dw.sizes[1];
    float *out = dk_data(dw);
    for (int64_t o = 0; o < dw.sizes[0] && !dk_stopped(dev); o++)
        for (int64_t i = 0; i < n_inputs; i++)
            for (int64_t t = 0; t < kh * kw; t++)
                out[(o * n_inputs + i) * kh * kw + t] +=
                    (float)correlate(dy, x, o, i, t / kw - pad.top, t % kw - pad.left);
}
