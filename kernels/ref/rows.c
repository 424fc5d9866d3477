/* Rows moved about: patches to tokens and back, and picking rows by index.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <string.h>

/* Pixel (channel, a, b) of the patch at token i of an image [B, C, h·p, w·p]. */
static float *pixel(DkTensor image, int p, int64_t i, int64_t channel, int64_t a, int64_t b)
{
    const int64_t h = image.sizes[2] / p, w = image.sizes[3] / p;
    const int64_t plane = i / (h * w) * image.sizes[1] + channel;
    const int64_t row = i / w % h * p + a, column = i % w * p + b;
    return dk_row(image, plane * image.sizes[2] + row) + column;
}

void dk_ref_patchify(DkDevice *dev, DkTensor y, DkTensor x, int p)
{
    for (int64_t i = 0; i < dk_rows(y) && !dk_stopped(dev); i++) {
        float *out = dk_row(y, i);
        for (int64_t c = 0; c < x.sizes[1]; c++)
            for (int a = 0; a < p; a++)
                for (int b = 0; b < p; b++)
                    *out++ = *pixel(x, p, i, c, a, b);
    }
}

void dk_ref_unpatchify(DkDevice *dev, DkTensor y, DkTensor x, int p)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        const float *in = dk_row(x, i);
        for (int a = 0; a < p; a++)
            for (int b = 0; b < p; b++)
                for (int64_t c = 0; c < y.sizes[1]; c++)
                    *pixel(y, p, i, c, a, b) = *in++;
    }
}

void dk_ref_gather(DkDevice *dev, DkTensor y, DkTensor x, DkTensor rows)
{
    const int32_t *from = dk_data(rows);
    for (int64_t i = 0; i < dk_rows(y) && !dk_stopped(dev); i++) {
        const int64_t b = x.sizes[0] == 1 ? 0 : i / y.sizes[1], row = from[i % y.sizes[1]];
        if (row >= 0)
            memcpy(dk_row(y, i), dk_row(x, b * x.sizes[1] + row),
                   (size_t)dk_columns(y) * sizeof(float));
    }
}
