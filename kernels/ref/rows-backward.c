/* Backward of what moves rows about, and of the depth-wise 3x3 convolution.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

void dk_ref_gather_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor rows)
{
    const int32_t *to = dk_data(rows);
    for (int64_t i = 0; i < dk_rows(dy) && !dk_stopped(dev); i++) {
        const int64_t b = dx.sizes[0] == 1 ? 0 : i / dy.sizes[1], row = to[i % dy.sizes[1]];
        for (int64_t c = 0; c < dk_columns(dy) && row >= 0; c++)
            dk_row(dx, b * dx.sizes[1] + row)[c] += dk_row(dy, i)[c];
    }
}

void dk_ref_unpatchify_backward(DkDevice *dev, DkTensor dx, DkTensor dy, int p)
{
    const int64_t n_channels = dy.sizes[1], h = dy.sizes[2] / p, w = dy.sizes[3] / p;
    for (int64_t i = 0; i < dk_rows(dx) && !dk_stopped(dev); i++)
        for (int64_t j = 0; j < dk_columns(dx); j++) {
            const int64_t channel = j % n_channels, column = i % w * p + j / n_channels % p;
            const int64_t row = i / w % h * p + j / n_channels / p;
            const int64_t plane = i / (h * w) * n_channels + channel;
            dk_row(dx, i)[j] = dk_row(dy, plane * dy.sizes[2] + row)[column];
        }
}

/* Row of the pixel `down` and `right` of pixel i, or -1 outside of its picture. */
static int64_t neighbour(DkTensor image, int64_t i, int64_t down, int64_t right)
{
    const int64_t height = image.sizes[1], width = image.sizes[2];
    const int64_t row = i / width % height + down, column = i % width + right;
    return row < 0 || row >= height || column < 0 || column >= width ? -1
                                                                     : i + down * width + right;
}

void dk_ref_conv2d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                               DkTensor x, DkTensor w)
{
    for (int64_t c = 0; c < dk_columns(x) && !dk_stopped(dev); c++) {
        double taps[9] = {0}, bias = 0;
        for (int64_t i = 0; i < dk_rows(x); i++) {
            double back = 0;
            bias += dk_row(dy, i)[c];
            for (int t = 0; t < 9; t++) {
                const int64_t from = neighbour(x, i, t / 3 - 1, t % 3 - 1),
                              to = neighbour(x, i, 1 - t / 3, 1 - t % 3);
                taps[t] += from < 0 ? 0 : (double)dk_row(dy, i)[c] * dk_row(x, from)[c];
                back += to < 0 ? 0 : (double)dk_row(w, c)[t] * dk_row(dy, to)[c];
            }
            dk_row(dx, i)[c] = (float)back;
        }
        for (int t = 0; t < 9; t++)
            dk_row(dw, c)[t] += (float)taps[t];
        if (db.buffer)
            dk_row(db, 0)[c] += (float)bias;
    }
}
