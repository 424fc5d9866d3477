/* dk_conv1d_dw: every number of taps, with and without order and bias, each activation.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2]}, taps = s[3];
    const bool ordered = kern_bits(k) % 2, bias = kern_bits(k) % 2;
    const DkAct act = kern_bits(k) % 5;
    kern_note(k, " ordered=%d bias=%d act=%d", ordered, bias, act);
    KernTensor *x = kern_input(k, 3, shape, s[4]);
    KernTensor *w = kern_normal(k, 2, (int64_t[]){s[2], taps}, 0);
    KernTensor *b = kern_normal(k, 1, &s[2], 0);
    KernTensor *order = kern_permutation(k, s[1]);
    KernTensor *y = kern_output(k, 3, shape, s[4] - 1);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_conv1d_dw(k->dev[i], y->on[i], x->on[i], w->on[i], bias ? b->on[i] : none,
                     ordered ? order->on[i] : none, act);
    }
    kern_compare(k, y, kern_tolerance(taps, 2 * sqrt((double)taps) * kern_scale(k) + 1));
}

const KernOp kern_conv1d_dw = {
    .name = "conv1d_dw",
    .sizes = {"B", "L", "E", "k", "gap"},
    .shapes =
        {{1, 1, 1, 1, 1}, {1, 1, 16, 8, 1}, {2, 3, 17, 4, 2}, {1, 30, 64, 3, 1}, {3, 9, 131, 2, 3}},
    .limits = {3, 60, 300, 8, 4},
    .model = {1, 366, 3072, 4, 1},
    .check = check,
};
