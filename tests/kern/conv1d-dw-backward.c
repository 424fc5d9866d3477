/* dk_conv1d_dw_backward: every number of taps, with and without order and bias, each activation;
 * what is added to is full before.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2]}, taps = s[3];
    const bool ordered = kern_bits(k) % 2, bias = kern_bits(k) % 2;
    /* the slope of relu leaps where ref and the other may round to either side of 0 */
    const DkAct acts[] = {DK_ACT_NONE, DK_ACT_SILU, DK_ACT_TANH}, act = acts[kern_bits(k) % 3];
    const bool odd = kern_bits(k) % 2; /* dy follows the fill, else x */
    kern_note(k, " ordered=%d bias=%d act=%d odd=%d", ordered, bias, act, odd);
    KernTensor *x = odd ? kern_normal(k, 3, shape, s[4]) : kern_input(k, 3, shape, s[4]);
    KernTensor *dy = odd ? kern_input(k, 3, shape, s[4] + 1) : kern_normal(k, 3, shape, s[4] + 1);
    KernTensor *w = kern_normal(k, 2, (int64_t[]){s[2], taps}, 0);
    KernTensor *b = kern_normal(k, 1, &s[2], 0), *order = kern_permutation(k, s[1]);
    KernTensor *dx = kern_output(k, 3, shape, s[4] - 1);
    KernTensor *dw = kern_normal(k, 2, (int64_t[]){s[2], taps}, 0),
               *db = kern_normal(k, 1, &s[2], 0);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_conv1d_dw_backward(k->dev[i], dx->on[i], dw->on[i], bias ? db->on[i] : none, dy->on[i],
                              x->on[i], w->on[i], bias ? b->on[i] : none,
                              ordered ? order->on[i] : none, act);
    }
    /* the slope's argument sums taps + 1 products, and tanh' varies by its error times up to 4 / e
     * of it; only where x is huge a rounding of it is more, and there the slope is flat */
    const double in = fmax(kern_scale(k), 1), sum = 4 * sqrt((double)taps);
    const int64_t n = s[0] * s[1];
    kern_compare(k, dx, kern_tolerance(2 * taps, in * sum));
    kern_compare(k, dw, kern_tolerance(n + taps, in * sum * sqrt((double)n)));
    kern_compare(k, db, kern_tolerance(n + taps, in * sum * sqrt((double)n)));
}

const KernOp kern_conv1d_dw_backward = {
    .name = "conv1d_dw_backward",
    .sizes = {"B", "L", "E", "k", "gap"},
    .shapes = {{1, 1, 1, 1, 1},
               {1, 1, 16, 8, 1},
               {2, 3, 17, 4, 2},
               {1, 30, 64, 3, 1},
               {3, 9, 131, 2, 3},
               {2, 5, 40, 8, 1}},
    .limits = {3, 60, 300, 8, 4},
    .model = {4, 126, 512, 4, 1},
    .check = check,
};

static void check_neg_exp(Kern *k, const int64_t *s)
{
    const bool in_place = kern_bits(k) % 2;
    KernTensor *x = k->fill == KERN_HUGE ? kern_normal(k, 2, s, s[2]) : kern_input(k, 2, s, s[2]);
    KernTensor *y = in_place ? x : kern_output(k, 2, s, s[2] - 1);
    KernTensor *dy = kern_normal(k, 2, s, s[2]), *dx = kern_normal(k, 2, s, s[2] - 1);
    kern_note(k, " in_place=%d", in_place);
    KERN_SIDES(k, i) dk_neg_exp(k->dev[i], y->on[i], x->on[i]);
    kern_compare(k, y, (KernTolerance){2.5e-7, 0x1p-126});
    KERN_SIDES(k, i) dk_neg_exp_backward(k->dev[i], dx->on[i], dy->on[i], y->on[i]);
    kern_compare(k, dx, (KernTolerance){2e-6, 1e-5});
}

const KernOp kern_neg_exp = {
    .name = "neg_exp",
    .sizes = {"rows", "columns", "gap"},
    .shapes = {{1, 1, 1}, {3, 16, 1}, {17, 33, 2}},
    .limits = {20, 100, 4},
    .model = {512, 16, 1},
    .check = check_neg_exp,
};
