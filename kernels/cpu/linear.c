/* dk_linear: weights are packed into panels once; rows of x are the rows of a.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

DkWeight *DK_SIMD(weight_linear)(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    const size_t floats = (size_t)gemm_panels(n) * GEMM_COLUMNS * (size_t)k;
    DkWeight *packed = dk_weight_alloc(dev, DK_WEIGHT_LINEAR, n, k, 1, 1, floats);
    for (int64_t j = 0; packed && j < n; j += GEMM_COLUMNS)
        DK_SIMD(gemm_pack)(packed->data + j * k, w + j * k, k, n - j, k);
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
