/* dk_bound_error: rows of the last step and of others, in place where that is allowed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <stdlib.h>

/* Variances and factors as a schedule of a thousand steps has them; every other row, from the first
 * or the second on, is of the last step. */
static KernTensor *draw_terms(Kern *k, int64_t n_rows)
{
    const int64_t sizes[] = {n_rows, 4}, odd = (int64_t)(kern_bits(k) % 2);
    double *terms = malloc((size_t)(4 * n_rows) * sizeof *terms);
    for (int64_t i = 0; terms && i < n_rows; i++) {
        const double lower = -9.2 + kern_uniform(k);
        terms[4 * i] = lower;
        terms[4 * i + 1] = lower + 0.1 + kern_uniform(k);
        terms[4 * i + 2] = 0.005 + 0.005 * kern_uniform(k);
        terms[4 * i + 3] = (double)((i + odd) % 2);
    }
    KernTensor *t = kern_given(k, DK_F64, 2, sizes, terms);
    free(terms);
    return t;
}

/* Only x0 follows k->fill: it picks the bin, and the outermost ones are open. */
static void check(Kern *k, const int64_t *s)
{
    const int64_t gap = s[2], one = 1;
    const double before = 3, factor = 0.25;
    KernTensor *v = kern_normal(k, 2, s, gap), *y = kern_normal(k, 2, s, gap);
    KernTensor *target = kern_normal(k, 2, s, gap), *x0 = kern_input(k, 2, s, gap - 1);
    KernTensor *dv = kern_bits(k) % 2 ? v : kern_output(k, 2, s, gap);
    KernTensor *terms = draw_terms(k, s[0]);
    KernTensor *loss = kern_given(k, DK_F64, 1, &one, &before);
    KERN_SIDES(k, i)
    dk_bound_error(k->dev[i], loss->on[i], dv->on[i], v->on[i], y->on[i], target->on[i], x0->on[i],
                   terms->on[i], factor);
    kern_compare(k, dv, kern_tolerance(1, 1));
    kern_compare(k, loss, (KernTolerance){1e-11, 0});
}

const KernOp kern_bound_error = {
    .name = "bound_error",
    .sizes = {"B", "n", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {7, 31, 2}, {3, 4096, 1}, {1, 40000, 1}},
    .limits = {30, 3000, 4},
    .model = {8, 4096, 1},
    .check = check,
};
