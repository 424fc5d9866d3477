/* Depth-wise 3x3 cross-correlation with zero padding 1.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

void dk_ref_conv2d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b)
{
    const int64_t height = x.sizes[1], width = x.sizes[2];
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        const int64_t c = i % width, r = i / width % height;
        for (int64_t d = 0; d < x.sizes[3]; d++) {
            double sum = dk_ref_at(b, d, 0);
            for (int64_t u = -1; u <= 1; u++)
                for (int64_t v = -1; v <= 1; v++)
                    if (r + u >= 0 && r + u < height && c + v >= 0 && c + v < width)
                        sum += (double)dk_row(w, d)[(u + 1) * 3 + v + 1] *
                               dk_row(x, i + u * width + v)[d];
            dk_row(y, i)[d] = (float)sum;
        }
    }
}
