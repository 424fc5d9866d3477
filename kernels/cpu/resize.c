/* Resizing by repeated values, the decoders' way; the other modes are ref's, whose inputs are
 * small.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/ref/ref.h"

#include <string.h>

typedef struct {
    DkTensor y, x;
} Resize;

static void repeat_row(const Resize *op, int64_t row)
{
    const int64_t width = op->y.sizes[2], by = width / op->x.sizes[2];
    const int64_t from = row / (op->y.sizes[1] / op->x.sizes[1]) * op->x.sizes[2];
    const size_t bytes = (size_t)op->y.sizes[3] * sizeof(float);
    for (int64_t c = 0; c < width; c++)
        memcpy(dk_row(op->y, row * width + c), dk_row(op->x, from + c / by), bytes);
}

/* Units are the output's image rows. */
static void repeat_part(const void *op, int64_t first, int64_t last, int thread)
{
    for (int64_t row = first; row < last; row++)
        repeat_row(op, row);
}

void DK_SIMD(resize)(DkDevice *dev, DkTensor y, DkTensor x, DkResize mode)
{
    if (mode != DK_RESIZE_NEAREST) {
        dk_ref_resize(dev, y, x, mode);
        return;
    }
    const Resize op = {.y = y, .x = x};
    dk_cpu_parallel(dev, y.sizes[0] * y.sizes[1], 0.5 * (double)(y.sizes[2] * y.sizes[3]),
                    repeat_part, &op);
}
