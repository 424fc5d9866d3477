/* dk_norm_modulate_backward: both norms, weight and scale there or not, each gradient asked for or
 * not, dx written, added to, or in place of dy.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2]}, items[] = {s[0], s[2]};
    const unsigned has = (unsigned)(kern_bits(k) % 4), place = (unsigned)(kern_bits(k) % 3);
    const DkNorm norm = kern_bits(k) % 2 ? DK_NORM_RMS : DK_NORM_LAYER;
    kern_note(k, " has=%x place=%u norm=%d", has, place, norm);
    /* of equal or huge numbers a layer norm's differences are rounding errors */
    KernTensor *x = kern_normal(k, 3, shape, s[3] - 1);
    KernTensor *w = kern_normal(k, 1, &s[2], 0), *scale = kern_normal(k, 2, items, s[3]);
    KernTensor *dy = kern_input(k, 3, shape, s[3]);
    KernTensor *dx = place == 0   ? kern_output(k, 3, shape, s[3])
                     : place == 1 ? kern_input(k, 3, shape, s[3] + 1)
                                  : dy;
    KernTensor *dw = kern_input(k, 1, &s[2], 0);
    KernTensor *dscale = kern_output(k, 2, items, s[3]);
    KernTensor *dshift = kern_output(k, 2, items, s[3] - 1);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_norm_modulate_backward(k->dev[i], dx->on[i], has & 1 ? dw->on[i] : none,
                                  has & 2 ? dscale->on[i] : none, has & 2 ? dshift->on[i] : none,
                                  dy->on[i], x->on[i], has & 1 ? w->on[i] : none,
                                  has & 2 ? scale->on[i] : none, norm, 1e-5f, place == 1);
    }
    /* with one channel, or few, 1 / deviation may be large, and dx a difference of what it scales
     */
    const double by = (s[2] < 8 ? 1e3 : 30) * kern_scale(k), rows = (double)(s[0] * s[1]);
    kern_compare(k, dx, kern_tolerance(16, by));
    kern_compare(k, dw, kern_tolerance(s[0] * s[1], 8 * (sqrt(rows) + 1) * kern_scale(k)));
    if (has & 2) {
        kern_compare(k, dscale, kern_tolerance(s[1], 8 * sqrt((double)s[1]) * kern_scale(k)));
        kern_compare(k, dshift, kern_tolerance(s[1], 4 * sqrt((double)s[1]) * kern_scale(k)));
    }
}

const KernOp kern_norm_modulate_backward = {
    .name = "norm_modulate_backward",
    .sizes = {"B", "L", "D", "gap"},
    .shapes = {{1, 1, 1, 1},
               {2, 3, 16, 1},
               {1, 37, 31, 2},
               {3, 16, 33, 1},
               {1, 2, 1000, 3},
               {2, 17, 2052, 1}},
    .limits = {3, 40, 500, 4},
    .model = {2, 366, 1536, 1},
    .check = check,
};
