/* dk_linear: bias or none, each activation, overwriting and accumulating, rows with gaps.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int64_t m = s[0], n = s[1], in = s[2];
    const bool accumulate = kern_bits(k) % 2, bias = kern_bits(k) % 2;
    const DkAct act = kern_bits(k) % 4;
    kern_note(k, " accumulate=%d bias=%d act=%d", accumulate, bias, act);
    KernTensor *x = kern_input(k, 2, (int64_t[]){m, in}, s[3] - 1);
    KernTensor *b = kern_normal(k, 1, &n, 0);
    KernTensor *y = accumulate ? kern_input(k, 2, (int64_t[]){m, n}, s[3])
                               : kern_output(k, 2, (int64_t[]){m, n}, s[3]);
    KernWeight w = kern_weight_linear(k, n, in);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_linear(k->dev[i], y->on[i], x->on[i], w.on[i], bias ? b->on[i] : none, act, accumulate);
    }
    /* magnitudes: in products of x and w, then y and b; a double's rounding to float is scale-free
     */
    const double sum = sqrt((double)in) * kern_scale(k) + kern_scale(k) + 1;
    kern_compare(k, y, kern_tolerance(in, sum));
}

const KernOp kern_linear = {
    .name = "linear",
    .sizes = {"M", "N", "K", "gap"},
    .shapes = {{1, 1, 1, 1},
               {1, 64, 33, 1},
               {7, 1, 17, 3},
               {5, 3, 1, 1},
               {2, 32, 16, 4},
               {65, 17, 129, 2}},
    .limits = {200, 150, 300, 5},
    .model = {366, 3072, 1536, 1},
    .check = check,
};
