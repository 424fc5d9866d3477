/* The slots that our own vector kernels fill.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/simd.h"

void DK_SIMD(fill)(DkOps *ops)
{
    ops->linear = DK_SIMD(linear);
    ops->conv2d = DK_SIMD(conv2d);
    ops->attention = DK_SIMD(attention);
    ops->weight_linear = DK_SIMD(weight_linear);
    ops->weight_conv2d = DK_SIMD(weight_conv2d);
    ops->selective_scan = DK_SIMD(selective_scan);
    ops->weight_scan = DK_SIMD(weight_scan);
}
