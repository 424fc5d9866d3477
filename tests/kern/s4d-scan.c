/* dk_s4d_scan: one direction or both, any number of channels and states, rows with gaps.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int which = k->bench ? 2 : (int)(kern_bits(k) % 3); /* ahead, back, both */
    const int64_t width = which == 2 ? 2 * s[2] : s[2];
    kern_note(k, " which=%d", which);
    KernTensor *u = kern_input(k, 3, (int64_t[]){s[0], s[1], s[2]}, s[4]);
    KernTensor *y = kern_output(k, 3, (int64_t[]){s[0], s[1], width}, s[4] - 1);
    KernWeight ahead = kern_weight_s4d(k, s[2], s[3]), back = kern_weight_s4d(k, s[2], s[3]);
    KERN_SIDES(k, i)
    dk_s4d_scan(k->dev[i], y->on[i], u->on[i], which == 1 ? NULL : ahead.on[i],
                which == 0 ? NULL : back.on[i]);
    /* A decay is rounded once, but taken to the power of the lag: L roundings at most, each of a
     * term of the L N that are added up. */
    const double length = (double)s[1];
    kern_compare(k, y, kern_tolerance(s[3] + s[1], kern_scale(k) * sqrt((double)s[3]) * length));
}

const KernOp kern_s4d_scan = {
    .name = "s4d_scan",
    .sizes = {"B", "L", "D", "N", "gap"},
    .shapes = {{1, 1, 1, 1, 1},
               {1, 64, 16, 4, 1},
               {2, 65, 33, 5, 2},
               {1, 129, 128, 32, 1},
               {3, 5, 7, 3, 3},
               {1, 200, 130, 8, 2},
               {2, 63, 65, 17, 1},
               {2, 32, 16, 33, 1},
               {1, 33, 16, 32, 1},
               {1, 1024, 20, 5, 1}, /* from here on CUDA cuts the sequence */
               {2, 1153, 33, 34, 1}},
    .limits = {3, 150, 300, 40, 4},
    .model = {1, 1024, 1152, 32, 1},
    .check = check,
};
