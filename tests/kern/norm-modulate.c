/* dk_norm_modulate: both norms, weight, scale and shift each there or not, in place or apart.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

static void check(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2]};
    const unsigned has = (unsigned)(kern_bits(k) % 16);
    const DkNorm norm = kern_bits(k) % 2 ? DK_NORM_RMS : DK_NORM_LAYER;
    kern_note(k, " has=%x norm=%d", has, norm);
    KernTensor *x = kern_input(k, 3, shape, s[3] - 1);
    KernTensor *w = kern_normal(k, 1, &s[2], 0);
    KernTensor *scale = kern_normal(k, 2, (int64_t[]){s[0], s[2]}, s[3]);
    KernTensor *shift = kern_normal(k, 2, (int64_t[]){s[0], s[2]}, s[3]);
    KernTensor *y = has & 8 ? x : kern_output(k, 3, shape, s[3]);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_norm_modulate(k->dev[i], y->on[i], x->on[i], has & 1 ? w->on[i] : none,
                         has & 2 ? scale->on[i] : none, has & 4 ? shift->on[i] : none, norm, 1e-5f);
    }
    /* A normal number times w (1 + scale), plus shift: each rounds once, and of a layer norm what
     * lies between the row's first number, x and the mean, 4 and more, before w (1 + scale)
     * multiplies it. */
    kern_compare(k, y, kern_tolerance(4, 16));
}

const KernOp kern_norm_modulate = {
    .name = "norm_modulate",
    .sizes = {"B", "L", "D", "gap"},
    .shapes = {{1, 1, 1, 1}, {2, 3, 16, 1}, {1, 7, 31, 2}, {3, 2, 33, 1}, {1, 2, 1000, 3}},
    .limits = {3, 20, 500, 4},
    .model = {2, 366, 1536, 1},
    .check = check,
};
