/* dk_conv2d_backward_weight: kernels 1 to 4, even and uneven padding.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int64_t h = s[1], w = s[2], in = s[3], out = s[4], kernel = s[5];
    DkPad pad = {(int)kernel / 2, (int)kernel / 2, (int)kernel / 2, (int)kernel / 2};
    if (kern_bits(k) % 2)
        pad = (DkPad){(int)(kern_bits(k) % 2), (int)kernel - 1, (int)kernel - 1, 0};
    kern_note(k, " pad=%d,%d,%d,%d", pad.top, pad.bottom, pad.left, pad.right);
    const int64_t y_sizes[] = {s[0], h + pad.top + pad.bottom - kernel + 1,
                               w + pad.left + pad.right - kernel + 1, out};
    KernTensor *x = kern_normal(k, 4, (int64_t[]){s[0], h, w, in}, 0);
    KernTensor *dy = kern_input(k, 4, y_sizes, 0);
    KernTensor *dw = kern_input(k, 4, (int64_t[]){out, in, kernel, kernel}, 0);
    KERN_SIDES(k, i)
    dk_conv2d_backward_weight(k->dev[i], dw->on[i], dy->on[i], x->on[i], pad);
    const int64_t n = y_sizes[0] * y_sizes[1] * y_sizes[2];
    kern_compare(k, dw, kern_tolerance(n, (sqrt((double)n) + 1) * kern_scale(k)));
}

const KernOp kern_conv2d_backward_weight = {
    .name = "conv2d_backward_weight",
    .sizes = {"B", "H", "W", "I", "O", "kernel"},
    .shapes = {{1, 1, 1, 1, 1, 1},
               {1, 3, 3, 4, 5, 3},
               {2, 7, 5, 3, 17, 3},
               {1, 8, 8, 33, 16, 3},
               {3, 4, 9, 70, 3, 3},
               {1, 9, 11, 12, 70, 3},
               {1, 40, 41, 4, 5, 3}},
    .limits = {2, 17, 17, 40, 40, 4},
    .model = {1, 16, 16, 32, 32, 3},
    .check = check,
};
