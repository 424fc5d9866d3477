/* Backward of what moves rows about.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector.h"

enum { STRIP = 64 /* channels */ };

typedef struct {
    DkTensor dx, dy;
    const int32_t *rows;
    int64_t strips;
} Gather;

/* Units are the strips of channels of each item of dx: whoever adds to a number is alone. */
static void gather_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Gather *k = op;
    const int64_t all = dk_columns(k->dx), length = k->dy.sizes[1];
    for (int64_t unit = first; unit < last; unit++) {
        const int64_t item = unit / k->strips, c0 = unit % k->strips * STRIP;
        const int64_t n = all - c0 < STRIP ? all - c0 : STRIP;
        const int64_t from = k->dx.sizes[0] == 1 ? 0 : item * length;
        const int64_t to = k->dx.sizes[0] == 1 ? dk_rows(k->dy) : from + length;
        for (int64_t i = from; i < to; i++) {
            const int64_t row = k->rows[i % length];
            if (row < 0)
                continue;
            const float *dy = dk_row(k->dy, i) + c0;
            float *dx = dk_row(k->dx, item * k->dx.sizes[1] + row) + c0;
            for (int64_t c = 0; c < n; c++)
                dx[c] += dy[c];
        }
    }
}

void DK_SIMD(gather_backward)(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor rows)
{
    const Gather k = {dx, dy, dk_data(rows), (dk_columns(dx) + STRIP - 1) / STRIP};
    const double ns = 0.3 * STRIP * (double)dk_rows(dy) / (double)dx.sizes[0];
    dk_cpu_parallel(dev, dx.sizes[0] * k.strips, ns, gather_part, &k);
}

typedef struct {
    DkTensor dx, dy;
    int64_t p;
} Unpatchify;

/* Units are tokens; b, the column inside the patch, is taken of a run of the image's row. */
static void unpatchify_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Unpatchify *k = op;
    const int64_t p = k->p, n_channels = k->dy.sizes[1];
    const int64_t h = k->dy.sizes[2] / p, w = k->dy.sizes[3] / p;
    for (int64_t i = first; i < last; i++) {
        float *to = dk_row(k->dx, i);
        for (int64_t c = 0; c < n_channels; c++)
            for (int64_t a = 0; a < p; a++) {
                const int64_t plane = i / w / h * n_channels + c, row = i / w % h * p + a;
                const float *from = dk_row(k->dy, plane * h * p + row) + i % w * p;
                for (int64_t b = 0; b < p; b++)
                    to[(a * p + b) * n_channels + c] = from[b];
            }
    }
}

void DK_SIMD(unpatchify_backward)(DkDevice *dev, DkTensor dx, DkTensor dy, int p)
{
    const Unpatchify k = {dx, dy, p};
    dk_cpu_parallel(dev, dk_rows(dx), 2 * (double)dk_columns(dx), unpatchify_part, &k);
}
