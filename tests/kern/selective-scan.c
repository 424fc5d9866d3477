/* dk_selective_scan: with and without order and gate, y apart or in place of an input, B, C and dt
 * as columns of one matrix.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* dt, B and C side by side, as a block's x_proj leaves them. */
static KernTensor *projections(Kern *k, const int64_t *s, int64_t width)
{
    const KernFill kind = k->fill;
    k->fill = KERN_NORMAL;
    KernTensor *t = kern_input(k, 3, (int64_t[]){s[0], s[1], width}, s[4] - 1);
    k->fill = kind;
    return t;
}

static void check(Kern *k, const int64_t *s)
{
    const int64_t n = s[3], shape[] = {s[0], s[1], s[2]};
    const bool ordered = kern_bits(k) % 2, gated = kern_bits(k) % 4 != 0;
    const int place = (int)(kern_bits(k) % 4); /* 0: y apart; 1, 2, 3: in u, dt, z */
    kern_note(k, " ordered=%d gated=%d place=%d", ordered, gated, place);
    KernTensor *u = kern_input(k, 3, shape, s[4]);
    KernTensor *dt = kern_input(k, 3, shape, s[4] - 1);
    KernTensor *z = kern_normal(k, 3, shape, s[4]);
    KernTensor *bc = projections(k, s, 3 + 2 * n);
    KernTensor *d = kern_normal(k, 1, &s[2], 0);
    KernTensor *order = kern_permutation(k, s[1]);
    KernTensor *y = place == 1            ? u
                    : place == 2          ? dt
                    : place == 3 && gated ? z
                                          : kern_output(k, 3, shape, s[4] + 1);
    KernWeight a = kern_weight_scan(k, s[2], n);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_selective_scan(k->dev[i], y->on[i], u->on[i], dt->on[i], a.on[i],
                          dk_tensor_columns(bc->on[i], 3, n),
                          dk_tensor_columns(bc->on[i], 3 + n, n), d->on[i], gated ? z->on[i] : none,
                          ordered ? order->on[i] : none);
    }
    /* S gathers δ u B; a state that decays slowly gathers L of them, and as many errors of exp */
    const double in = kern_scale(k) * fmax(kern_scale(k), 1);
    kern_compare(k, y, kern_tolerance(n + s[1], in * sqrt((double)n)));
}

const KernOp kern_selective_scan = {
    .name = "selective_scan",
    .sizes = {"B", "L", "E", "N", "gap"},
    .shapes = {{1, 1, 1, 1, 1},
               {1, 16, 16, 16, 1},
               {2, 17, 33, 16, 2},
               {1, 33, 128, 16, 1},
               {3, 5, 7, 3, 3},
               {1, 40, 130, 64, 2},
               {2, 31, 65, 17, 1},
               {2, 32, 16, 16, 1},
               {1, 64, 17, 4, 1},
               {1, 1024, 20, 5, 1}, /* from here on CUDA cuts the sequence */
               {2, 1153, 33, 18, 1}},
    .limits = {3, 70, 300, 64, 4},
    .model = {1, 366, 3072, 16, 1},
    .check = check,
};

/* One token, one state, u = B = C = 1, d = 0: then y = δ. dt takes floats of every exponent and
 * sign, evenly by their bits. */
static void check_softplus_range(Kern *k, const int64_t *s)
{
    if (k->n_cases > 1) /* fills and shapes change nothing */
        return;
    const uint32_t infinity = 0x7f800000, step = 9973;
    const int64_t n = 2 * (infinity / step), shape[] = {1, 1, n}, one[] = {1, 1, 1};
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++)
        memcpy(&values[i], &(uint32_t){(uint32_t)(i / 2) * step | (uint32_t)(i % 2) << 31},
               sizeof *values);
    KernTensor *dt = kern_given(k, DK_F32, 3, shape, values);
    for (int64_t i = 0; i < n; i++)
        values[i] = 1;
    KernTensor *u = kern_given(k, DK_F32, 3, shape, values);
    KernTensor *bc = kern_given(k, DK_F32, 3, one, values);
    memset(values, 0, (size_t)n * sizeof *values);
    KernTensor *d = kern_given(k, DK_F32, 1, &n, values);
    free(values);
    KernTensor *y = kern_output(k, 3, shape, 0);
    KernWeight a = kern_weight_scan(k, n, 1);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_selective_scan(k->dev[i], y->on[i], u->on[i], dt->on[i], a.on[i], bc->on[i], bc->on[i],
                          d->on[i], none, none);
    }
    /* what is halved on the way may be 0 where the half would be a denormal */
    kern_compare(k, y, (KernTolerance){2.5e-7, 0x1p-125});
}

const KernOp kern_softplus_range = {
    .name = "softplus_range",
    .sizes = {"run"},
    .shapes = {{1}},
    .limits = {1},
    .model = {1},
    .check = check_softplus_range,
};
