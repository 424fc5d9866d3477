/* dk_conv2d: kernels 1 to 4, strides 1 and 2, uneven padding as strips and downsampling need it,
 * each activation, overwriting and accumulating.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int64_t h = s[1], w = s[2], in = s[3], out = s[4];
    const int kernel = (int)s[5], stride = (int)s[6];
    const bool accumulate = kern_bits(k) % 2, bias = kern_bits(k) % 2;
    const DkAct act = kern_bits(k) % 5;
    DkPad pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    if (kern_bits(k) % 2)
        pad = (DkPad){(int)(kern_bits(k) % 2), kernel - 1, kernel - 1, (int)(kern_bits(k) % 2)};
    kern_note(k, " pad=%d,%d,%d,%d accumulate=%d bias=%d act=%d", pad.top, pad.bottom, pad.left,
              pad.right, accumulate, bias, act);
    const int64_t y_sizes[] = {s[0], (h + pad.top + pad.bottom - kernel) / stride + 1,
                               (w + pad.left + pad.right - kernel) / stride + 1, out};
    KernTensor *x = kern_input(k, 4, (int64_t[]){s[0], h, w, in}, 0);
    KernTensor *b = kern_normal(k, 1, &out, 0);
    KernTensor *y = accumulate ? kern_input(k, 4, y_sizes, 0) : kern_output(k, 4, y_sizes, 0);
    KernWeight weight = kern_weight_conv2d(k, out, in, kernel, kernel);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_conv2d(k->dev[i], y->on[i], x->on[i], weight.on[i], bias ? b->on[i] : none, stride, pad,
                  act, accumulate);
    }
    const int64_t n = in * kernel * kernel;
    kern_compare(k, y, kern_tolerance(n, (sqrt((double)n) + 1) * kern_scale(k) + 1));
}

const KernOp kern_conv2d = {
    .name = "conv2d",
    .sizes = {"B", "H", "W", "I", "O", "kernel", "stride"},
    .shapes = {{1, 1, 1, 1, 1, 1, 1},
               {1, 3, 3, 4, 5, 3, 1},
               {2, 7, 5, 3, 17, 3, 2},
               {1, 8, 8, 33, 16, 3, 1},
               {3, 4, 9, 70, 3, 3, 1},
               {1, 32, 33, 8, 40, 3, 1},
               {1, 32, 33, 5, 70, 3, 1}},
    .limits = {2, 17, 17, 70, 40, 4, 2},
    .model = {1, 24, 24, 128, 128, 3, 1},
    .check = check,
};
