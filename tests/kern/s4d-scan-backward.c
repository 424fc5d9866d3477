/* dk_s4d_scan_backward: one direction or both, any number of channels and states, rows with gaps;
 * the skip's gradient is full before.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    KernTensor *decay, *gain, *skip;
    DkS4dGradient on[2];
} Direction;

static KernTensor *states(Kern *k, int64_t d, int64_t n)
{
    double *zeros = calloc((size_t)(d * n) * 2, sizeof *zeros);
    KernTensor *t = kern_given(k, DK_F64, 3, (int64_t[]){d, n, 2}, zeros);
    free(zeros);
    return t;
}

static void make(Kern *k, Direction *of, int64_t d, int64_t n)
{
    of->decay = states(k, d, n);
    of->gain = states(k, d, n);
    of->skip = kern_normal(k, 1, &d, 0);
    for (int i = 0; i < 2; i++)
        of->on[i] = (DkS4dGradient){of->decay->on[i], of->gain->on[i], of->skip->on[i]};
}

static void check(Kern *k, const int64_t *s)
{
    const int which = k->bench ? 2 : (int)(kern_bits(k) % 3); /* ahead, back, both */
    const int64_t width = which == 2 ? 2 * s[2] : s[2], shape[] = {s[0], s[1], s[2]};
    const int64_t wide[] = {s[0], s[1], width};
    const bool odd = kern_bits(k) % 2; /* one of u and dy follows k->fill */
    kern_note(k, " which=%d odd=%d", which, odd);
    KernTensor *u = odd ? kern_input(k, 3, shape, s[4]) : kern_normal(k, 3, shape, s[4]);
    KernTensor *dy = odd ? kern_normal(k, 3, wide, s[4]) : kern_input(k, 3, wide, s[4]);
    KernTensor *du = kern_output(k, 3, shape, s[4] - 1);
    KernWeight ahead = kern_weight_s4d(k, s[2], s[3]), back = kern_weight_s4d(k, s[2], s[3]);
    Direction of[2];
    make(k, &of[0], s[2], s[3]);
    make(k, &of[1], s[2], s[3]);
    KERN_SIDES(k, i)
    dk_s4d_scan_backward(k->dev[i], du->on[i], &of[0].on[i], &of[1].on[i], dy->on[i], u->on[i],
                         which == 1 ? NULL : ahead.on[i], which == 0 ? NULL : back.on[i]);
    /* As for the scan itself; over all tokens, a derivative by the decay grows with their square.
     */
    const double length = (double)s[1], in = fmax(kern_scale(k), 1), n = (double)s[3];
    const double pictures = sqrt((double)s[0]), rounds = fmin(length, 1000);
    kern_compare(k, du, kern_tolerance(s[3] + s[1], in * sqrt(n) * length));
    const KernTolerance gain = kern_tolerance(s[0] * s[1], in * pictures * length * sqrt(rounds));
    KernTolerance decay = gain;
    decay.atol *= 4 * rounds;
    for (int i = 0; i < 2; i++) {
        kern_compare(k, of[i].decay, decay);
        kern_compare(k, of[i].gain, gain);
        kern_compare(k, of[i].skip, kern_tolerance(s[0] * s[1], in * pictures * sqrt(length)));
    }
}

const KernOp kern_s4d_scan_backward = {
    .name = "s4d_scan_backward",
    .sizes = {"B", "L", "D", "N", "gap"},
    .shapes = {{1, 1, 1, 1, 1},
               {1, 64, 16, 4, 1},
               {2, 65, 33, 5, 2},
               {1, 129, 128, 32, 1},
               {3, 5, 7, 3, 3},
               {2, 63, 65, 17, 1}},
    .limits = {3, 150, 100, 40, 4},
    .model = {2, 256, 256, 32, 1},
    .check = check,
};
