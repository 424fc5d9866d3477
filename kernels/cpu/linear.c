/* dk_linear: weights are packed into panels once; rows of x are the rows of a.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

DkWeight *DK_SIMD(weight_linear)(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    const int64_t columns = gemm_panels(n) * GEMM_COLUMNS;
    DkWeight *packed =
        dk_weight_alloc(dev, DK_WEIGHT_LINEAR, n, k, 1, 1, (size_t)columns * (size_t)k);
    for (int64_t j = 0; packed && j < columns; j++) {
        float *to = packed->data + j / GEMM_COLUMNS * GEMM_COLUMNS * k + j % GEMM_COLUMNS;
        for (int64_t i = 0; i < k; i++)
            to[i * GEMM_COLUMNS] = j < n ? w[j * k + i] : 0;
    }
    return packed;
}

static const float *row(const void *from, int64_t i, int64_t run)
{
    return dk_row(*(const DkTensor *)from, i);
}

void DK_SIMD(linear)(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b,
                     DkAct act, bool accumulate)
{
    GemmProduct product = {.y = y,
                           .w = w,
                           .bias = b,
                           .act = act,
                           .accumulate = accumulate,
                           .depth = w->k,
                           .run = w->k,
                           .source = row,
                           .from = &x};
    DK_SIMD(gemm_product)(dev, &product);
}
