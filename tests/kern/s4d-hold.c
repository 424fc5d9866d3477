/* dk_s4d_hold and its backward: steps from 0.001 to 0.1 and angles up to π times the state, whose
 * products come to both sides of where the series begins; what is added to is full before.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    KernTensor *log_dt, *log_a_real, *a_imag, *b, *c;
} Parts;

static Parts make_parts(Kern *k, int64_t d, int64_t n)
{
    const int64_t of[] = {d, n}, wide[] = {d, n, 2};
    float *angles = malloc((size_t)(d * n) * sizeof *angles);
    float *steps = malloc((size_t)d * sizeof *steps);
    for (int64_t i = 0; i < d; i++)
        steps[i] = (float)log(0.001 * pow(100, kern_uniform(k)));
    for (int64_t i = 0; i < d * n; i++)
        angles[i] = (float)(3.14159265358979 * (double)(i % n) * kern_uniform(k));
    const Parts p = {kern_given(k, DK_F32, 1, &d, steps), kern_normal(k, 2, of, 0),
                     kern_given(k, DK_F32, 2, of, angles), kern_normal(k, 3, wide, 0),
                     kern_normal(k, 3, wide, 0)};
    free(steps);
    free(angles);
    return p;
}

static DkS4dParts on(const Parts *p, int i)
{
    return (DkS4dParts){p->log_dt->on[i], p->log_a_real->on[i], p->a_imag->on[i], p->b->on[i],
                        p->c->on[i]};
}

static KernTensor *numbers(Kern *k, int64_t d, int64_t n)
{
    double *values = malloc((size_t)(d * n) * 2 * sizeof *values);
    for (int64_t i = 0; i < 2 * d * n; i++)
        values[i] = kern_gaussian(k);
    KernTensor *t = kern_given(k, DK_F64, 3, (int64_t[]){d, n, 2}, values);
    free(values);
    return t;
}

static void check(Kern *k, const int64_t *s)
{
    const Parts of = make_parts(k, s[0], s[1]), to = make_parts(k, s[0], s[1]);
    KernTensor *decay = numbers(k, s[0], s[1]), *gain = numbers(k, s[0], s[1]);
    KERN_SIDES(k, i)
    {
        const DkS4dParts parts = on(&of, i), gradients = on(&to, i);
        dk_s4d_hold(k->dev[i], decay->on[i], gain->on[i], &parts);
        dk_s4d_hold_backward(k->dev[i], &gradients, decay->on[i], gain->on[i], &parts);
    }
    /* in double, but for a rounding or two of what is added to; a quotient cancels up to 1e-3 */
    const KernTolerance added = {2.5e-7, 1e-9};
    kern_compare(k, decay, (KernTolerance){1e-13, 1e-14});
    kern_compare(k, gain, (KernTolerance){1e-12, 1e-14});
    kern_compare(k, to.log_dt, added);
    kern_compare(k, to.log_a_real, added);
    kern_compare(k, to.a_imag, added);
    kern_compare(k, to.b, added);
    kern_compare(k, to.c, added);
}

const KernOp kern_s4d_hold = {
    .name = "s4d_hold",
    .sizes = {"D", "N"},
    .shapes = {{1, 1}, {3, 5}, {65, 32}},
    .limits = {100, 40},
    .model = {1152, 32},
    .check = check,
};
