/* dk_gate_add_backward, dk_act_backward, dk_squared_error, dk_sum_squares and dk_adamw, in place
 * where that is allowed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdlib.h>

static void check_gate_add(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2]}, items[] = {s[0], s[2]};
    KernTensor *dout = kern_input(k, 3, shape, s[3] - 1);
    KernTensor *gate = kern_normal(k, 2, items, s[3]);
    KernTensor *y = kern_normal(k, 3, shape, s[3]);
    KernTensor *dy = kern_output(k, 3, shape, s[3]);
    KernTensor *dgate = kern_output(k, 2, items, s[3] + 1);
    KERN_SIDES(k, i)
    dk_gate_add_backward(k->dev[i], dy->on[i], dgate->on[i], dout->on[i], gate->on[i], y->on[i]);
    kern_compare(k, dy, kern_tolerance(1, kern_scale(k)));
    kern_compare(k, dgate, kern_tolerance(s[1], sqrt((double)s[1]) * kern_scale(k)));
}

const KernOp kern_gate_add_backward = {
    .name = "gate_add_backward",
    .sizes = {"B", "L", "D", "gap"},
    .shapes = {{1, 1, 1, 1}, {2, 3, 16, 1}, {1, 37, 31, 2}, {3, 16, 33, 1}},
    .limits = {3, 60, 500, 4},
    .model = {2, 366, 1536, 1},
    .check = check_gate_add,
};

static void check_act(Kern *k, const int64_t *s)
{
    const DkAct act = kern_bits(k) % 5;
    kern_note(k, " act=%d", act);
    KernTensor *x = kern_normal(k, 2, s, s[2] - 1);
    KernTensor *dy = kern_input(k, 2, s, s[2]);
    KernTensor *dx = kern_bits(k) % 2 ? dy : kern_output(k, 2, s, s[2]);
    KERN_SIDES(k, i)
    dk_act_backward(k->dev[i], dx->on[i], dy->on[i], x->on[i], act);
    kern_compare(k, dx, kern_tolerance(4, 4 * kern_scale(k)));
}

const KernOp kern_act_backward = {
    .name = "act_backward",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {1, 1024, 1}, {5, 411, 1}, {1, 40000, 1}},
    .limits = {60, 3000, 4},
    .model = {366, 3072, 1},
    .check = check_act,
};

/* Half of the cases without gaps: those are cut into other runs than rows are. */
static int64_t gap_of(Kern *k, int64_t gap)
{
    return kern_bits(k) % 2 ? gap : 0;
}

static void check_squared_error(Kern *k, const int64_t *s)
{
    const int64_t gap = gap_of(k, s[2]), one = 1;
    const double before = 3, factor = 0.25;
    KernTensor *y = kern_input(k, 2, s, gap), *target = kern_normal(k, 2, s, gap);
    KernTensor *dy = kern_bits(k) % 2 ? y : kern_output(k, 2, s, gap);
    KernTensor *loss = kern_given(k, DK_F64, 1, &one, &before);
    KERN_SIDES(k, i)
    dk_squared_error(k->dev[i], loss->on[i], dy->on[i], y->on[i], target->on[i], factor);
    kern_compare(k, dy, kern_tolerance(1, kern_scale(k) + 1));
    kern_compare(k, loss, (KernTolerance){1e-11, 0});
}

const KernOp kern_squared_error = {
    .name = "squared_error",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {3, 4096, 1}, {1, 40000, 1}},
    .limits = {60, 3000, 4},
    .model = {366, 3072, 1},
    .check = check_squared_error,
};

static void check_sum_squares(Kern *k, const int64_t *s)
{
    const int64_t one = 1;
    const double before = 3;
    KernTensor *x = kern_input(k, 2, s, gap_of(k, s[2]));
    KernTensor *sum = kern_given(k, DK_F64, 1, &one, &before);
    KERN_SIDES(k, i)
    dk_sum_squares(k->dev[i], sum->on[i], x->on[i]);
    kern_compare(k, sum, (KernTolerance){1e-11, 0});
}

const KernOp kern_sum_squares = {
    .name = "sum_squares",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {3, 4096, 1}, {1, 40000, 1}},
    .limits = {60, 3000, 4},
    .model = {366, 3072, 1},
    .check = check_sum_squares,
};

/* Squares as the optimiser keeps them. */
static KernTensor *squares(Kern *k, int64_t n)
{
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = (float)pow(kern_gaussian(k), 2);
    KernTensor *t = kern_given(k, DK_F32, 1, &n, values);
    free(values);
    return t;
}

static void check_adamw(Kern *k, const int64_t *s)
{
    const DkAdamW settings = {.rate = 0.01,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .eps = 1e-8,
                              .decay = 0.05,
                              .gradient_factor = 0.5,
                              .step = 1 + (int64_t)(kern_bits(k) % 1000)};
    KernTensor *w = kern_normal(k, 1, s, 0), *m = kern_normal(k, 1, s, 0), *v = squares(k, s[0]);
    KernTensor *g = kern_input(k, 1, s, 0);
    KERN_SIDES(k, i)
    dk_adamw(k->dev[i], w->on[i], m->on[i], v->on[i], g->on[i], &settings);
    kern_compare(k, m, kern_tolerance(4, 1 + kern_scale(k)));
    kern_compare(k, v, kern_tolerance(4, 1));
    /* the mean's rounding over the root of a small square */
    kern_compare(k, w, kern_tolerance(4, 100));
}

const KernOp kern_adamw = {
    .name = "adamw",
    .sizes = {"n"},
    .shapes = {{1}, {15}, {16}, {33}, {4096}, {4097}, {50001}},
    .limits = {20000},
    .model = {1000000},
    .check = check_adamw,
};
