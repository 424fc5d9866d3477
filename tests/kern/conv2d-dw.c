/* dk_conv2d_dw: pictures down to one pixel, with and without bias.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

static void check(Kern *k, const int64_t *s)
{
    const bool bias = kern_bits(k) % 2;
    kern_note(k, " bias=%d", bias);
    KernTensor *x = kern_input(k, 4, s, s[4] - 1);
    KernTensor *w = kern_normal(k, 2, (int64_t[]){s[3], 9}, 0);
    KernTensor *b = kern_normal(k, 1, &s[3], 0);
    KernTensor *y = kern_output(k, 4, s, s[4]);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_conv2d_dw(k->dev[i], y->on[i], x->on[i], w->on[i], bias ? b->on[i] : none);
    }
    kern_compare(k, y, kern_tolerance(9, 3 * kern_scale(k) + 1));
}

const KernOp kern_conv2d_dw = {
    .name = "conv2d_dw",
    .sizes = {"B", "H", "W", "D", "gap"},
    .shapes =
        {{1, 1, 1, 1, 1}, {2, 1, 5, 16, 1}, {1, 6, 1, 17, 2}, {1, 2, 2, 33, 1}, {2, 5, 4, 8, 3}},
    .limits = {2, 12, 12, 100, 3},
    .model = {1, 32, 32, 1536, 1},
    .check = check,
};
