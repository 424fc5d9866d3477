/* Resizing of [B, H, W, C]: repeated values, means of cells, bilinear with half-pixel centres.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* Where an output pixel reads: two rows (or columns) of the input, and the second one's share. */
typedef struct {
    int64_t low, high;
    double share;
} Tap;

/* Half-pixel centres, the border repeated: PyTorch's interpolate with align_corners=False. */
static Tap bilinear_tap(int64_t i, int64_t from, int64_t to)
{
    const double at = fmax(((double)i + 0.5) * (double)from / (double)to - 0.5, 0);
    const int64_t low = (int64_t)at < from - 1 ? (int64_t)at : from - 1;
    return (Tap){low, low + 1 < from ? low + 1 : low, at - (double)low};
}

static double at(DkTensor x, int64_t image, int64_t r, int64_t c, int64_t channel)
{
    return dk_row(x, (image * x.sizes[1] + r) * x.sizes[2] + c)[channel];
}

static double bilinear(DkTensor x, DkTensor y, int64_t image, int64_t r, int64_t c, int64_t channel)
{
    const Tap v = bilinear_tap(r, x.sizes[1], y.sizes[1]);
    const Tap h = bilinear_tap(c, x.sizes[2], y.sizes[2]);
    const double top = (1 - h.share) * at(x, image, v.low, h.low, channel) +
                       h.share * at(x, image, v.low, h.high, channel);
    const double bottom = (1 - h.share) * at(x, image, v.high, h.low, channel) +
                          h.share * at(x, image, v.high, h.high, channel);
    return (1 - v.share) * top + v.share * bottom;
}

static double box(DkTensor x, DkTensor y, int64_t image, int64_t r, int64_t c, int64_t channel)
{
    const int64_t rows = x.sizes[1] / y.sizes[1], columns = x.sizes[2] / y.sizes[2];
    double sum = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            sum += at(x, image, r * rows + i, c * columns + j, channel);
    return sum / (double)(rows * columns);
}

static double nearest(DkTensor x, DkTensor y, int64_t image, int64_t r, int64_t c, int64_t channel)
{
    return at(x, image, r / (y.sizes[1] / x.sizes[1]), c / (y.sizes[2] / x.sizes[2]), channel);
}

void dk_ref_resize(DkDevice *dev, DkTensor y, DkTensor x, DkResize mode)
{
    double (*const sample)(DkTensor, DkTensor, int64_t, int64_t, int64_t, int64_t) =
        mode == DK_RESIZE_NEAREST ? nearest
        : mode == DK_RESIZE_BOX   ? box
                                  : bilinear;
    const int64_t height = y.sizes[1], width = y.sizes[2];
    for (int64_t i = 0; i < dk_rows(y) && !dk_stopped(dev); i++)
        for (int64_t c = 0; c < y.sizes[3]; c++)
            dk_row(y, i)[c] =
                (float)sample(x, y, i / width / height, i / width % height, i % width, c);
}
