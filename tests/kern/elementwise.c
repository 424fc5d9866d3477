/* dk_gate_add, dk_add_row, dk_act and dk_axpby, in place and apart.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <stdlib.h>
#include <string.h>

static void check_gate_add(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2]};
    KernTensor *x = kern_input(k, 3, shape, s[3] - 1);
    KernTensor *gate = kern_normal(k, 2, (int64_t[]){s[0], s[2]}, s[3]);
    KernTensor *y = kern_input(k, 3, shape, s[3]);
    KERN_SIDES(k, i)
    dk_gate_add(k->dev[i], x->on[i], gate->on[i], y->on[i]);
    kern_compare(k, x, kern_tolerance(1, kern_scale(k)));
}

const KernOp kern_gate_add = {
    .name = "gate_add",
    .sizes = {"B", "L", "D", "gap"},
    .shapes = {{1, 1, 1, 1}, {2, 3, 16, 1}, {1, 7, 31, 2}, {3, 2, 33, 1}},
    .limits = {3, 20, 500, 4},
    .model = {2, 366, 1536, 1},
    .check = check_gate_add,
};

static void check_add_row(Kern *k, const int64_t *s)
{
    KernTensor *x = kern_input(k, 2, s, s[2] - 1);
    KernTensor *b = kern_input(k, 1, &s[1], 0);
    KernTensor *y = kern_bits(k) % 2 ? x : kern_output(k, 2, s, s[2]);
    KERN_SIDES(k, i)
    dk_add_row(k->dev[i], y->on[i], x->on[i], b->on[i]);
    kern_compare(k, y, kern_tolerance(1, kern_scale(k)));
}

const KernOp kern_add_row = {
    .name = "add_row",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {3, 1024, 1}},
    .limits = {60, 500, 4},
    .model = {366, 1536, 1},
    .check = check_add_row,
};

static void check_act(Kern *k, const int64_t *s)
{
    const DkAct act = kern_bits(k) % 5;
    kern_note(k, " act=%d", act);
    KernTensor *x = kern_input(k, 2, s, s[2] - 1);
    KernTensor *y = kern_bits(k) % 2 ? x : kern_output(k, 2, s, s[2]);
    KERN_SIDES(k, i)
    dk_act(k->dev[i], y->on[i], x->on[i], act);
    /* all relative: no activation loses the accuracy of small results, but for GELU, which is good
     * to |x| */
    KernTolerance tolerance = kern_tolerance(1, act == DK_ACT_GELU);
    kern_compare(k, y, tolerance);
}

const KernOp kern_act = {
    .name = "act",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {1, 1024, 1}, {5, 411, 1}, {1, 40000, 1}},
    .limits = {60, 3000, 4},
    .model = {366, 3072, 1},
    .check = check_act,
};

/* Floats of every exponent and sign, infinities included, evenly by their bits. */
static void check_act_range(Kern *k, const int64_t *s)
{
    const uint32_t infinity = 0x7f800000, step = 9973;
    const int64_t n = 2 * (infinity / step + 2);
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t magnitude = (uint64_t)(i / 2) * step;
        const uint32_t bits = magnitude < infinity ? (uint32_t)magnitude : infinity;
        memcpy(&values[i], &(uint32_t){bits | (uint32_t)(i % 2) << 31}, sizeof *values);
    }
    const DkAct act = (DkAct)(s[0] - 1);
    kern_note(k, " act=%d", act);
    KernTensor *x = kern_given(k, DK_F32, 1, &n, values);
    KernTensor *y = kern_output(k, 1, &n, 0);
    free(values);
    KERN_SIDES(k, i)
    dk_act(k->dev[i], y->on[i], x->on[i], act);
    /* e^x may be 0 where it would be a denormal, and SiLU multiplies it by x = -87 */
    kern_compare(k, y,
                 act == DK_ACT_GELU ? (KernTolerance){3e-7, 3e-7}
                                    : (KernTolerance){2.5e-7, 88 * 0x1p-126});
}

const KernOp kern_act_range = {
    .name = "act_range",
    .sizes = {"act"},
    .shapes = {{1}, {2}, {3}, {4}, {5}},
    .limits = {5},
    .model = {2},
    .check = check_act_range,
};

static void check_axpby(Kern *k, const int64_t *s)
{
    const float a = (float)kern_gaussian(k), b = kern_bits(k) % 2 ? (float)kern_gaussian(k) : 0;
    KernTensor *x = kern_input(k, 2, s, s[2] - 1);
    KernTensor *y = b != 0 ? kern_input(k, 2, s, s[2] - 1) : kern_output(k, 2, s, s[2]);
    KERN_SIDES(k, i)
    dk_axpby(k->dev[i], y->on[i], a, x->on[i], b);
    kern_compare(k, y, kern_tolerance(1, kern_scale(k)));
}

const KernOp kern_axpby = {
    .name = "axpby",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {1, 1024, 1}, {5, 411, 1}, {1, 40000, 1}},
    .limits = {60, 3000, 4},
    .model = {366, 3072, 1},
    .check = check_axpby,
};
