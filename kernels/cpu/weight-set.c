/* dk_weight_set: each kind of weight is packed by the code that made it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/simd.h"

void DK_SIMD(weight_set)(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    switch (weight->kind) {
    case DK_WEIGHT_LINEAR:
        DK_SIMD(linear_set)(dev, weight, w, transposed);
        break;
    case DK_WEIGHT_CONV2D:
        DK_SIMD(conv2d_set)(dev, weight, w, transposed);
        break;
    case DK_WEIGHT_SCAN:
        DK_SIMD(scan_set)(dev, weight, w);
        break;
    case DK_WEIGHT_S4D: /* dk-train.c refuses it */
        break;
    }
}
