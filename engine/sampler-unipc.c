/* UniPC of order 3 with B(h) = expm1(h), data prediction: a predictor, and a corrector that costs
 * no evaluation.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2302.04867 (algorithms 5 to 8) and its program ("bh2", multistep, lower orders at the end).
 * From a to b over h in lambda, X_0 the data prediction at a, X_i those at earlier times (at
 * r_i h from a, r_i < 0) and, for the corrector, the one at b itself (r = 1):
 *   x_b = (sigma_b / sigma_a) x_a - alpha_b expm1 (-h) (X_0 + sum rho_i (X_i - X_0) / r_i),
 *   sum over i of r_i^(n - 1) rho_i = n! phi_(n + 1) / phi_1, n = 1, 2, ...
 * with phi_1 = expm1 (-h), phi_(n + 1) = phi_n / (-h) - 1 / n!. One unknown alone is set to 1/2. */
#include "method.h"

#include <math.h>

enum { ORDER = 3 };

/* sum over i of r_i^(n - 1) rho_i = b_n for n = 1 .. count: Cramer's rule as Lagrange's basis,
 * whose coefficients of the powers of r_i are what b is multiplied by. */
static void solve(const double *r, const double *b, int count, double *rho)
{
    for (int i = 0; i < count; i++) {
        double basis[ORDER] = {1}, scale = 1;
        for (int j = 0, degree = 0; j < count; j++) {
            if (j == i)
                continue;
            scale *= r[i] - r[j];
            degree++;
            for (int n = degree; n > 0; n--)
                basis[n] = basis[n - 1] - r[j] * basis[n];
            basis[0] *= -r[j];
        }
        rho[i] = 0;
        for (int n = 0; n < count; n++)
            rho[i] += basis[n] * b[n] / scale;
    }
}

static void weigh(const double *r, int count, double h, double *rho)
{
    double b[ORDER], phi = expm1(-h), factorial = 1;
    const double first = phi;

    for (int n = 1; n <= count; n++) {
        factorial *= n;
        phi = phi / -h - 1 / factorial;
        b[n - 1] = factorial * phi / first;
    }
    if (count == 1)
        rho[0] = 0.5;
    else
        solve(r, b, count, rho);
}

/* Of the step from k to k + 1. */
static int order_of(const DimRun *run, int k)
{
    return MIN(ORDER, MIN(k + 1, run->steps - k));
}

/* X of evaluation k; the last three are kept. */
static DkTensor kept_data(const DimRun *run, int k)
{
    return run->kept[1 + k % ORDER];
}

/* x at times[k + 1] out of x at times[k], which is kept; corrected by the prediction at its end
 * where there is one. */
static void step(const DimRun *run, int k, const DkTensor *end)
{
    const DimTime *a = &run->times[k], *b = a + 1;
    const int order = order_of(run, k), count = order - 1 + (end != NULL);
    const double h = b->lambda - a->lambda, scale = -b->alpha * expm1(-h);
    double r[ORDER], rho[ORDER], own = 1;

    for (int i = 0; i < count; i++)
        r[i] = i < order - 1 ? (a[-1 - i].lambda - a->lambda) / h : 1;
    weigh(r, count, h, rho);
    dk_axpby(run->dk, run->x, (float)(b->sigma / a->sigma), run->kept[0], 0);
    for (int i = 0; i < count; i++) {
        const DkTensor x_i = i < order - 1 ? kept_data(run, k - 1 - i) : *end;
        dk_axpby(run->dk, run->x, (float)(scale * rho[i] / r[i]), x_i, 1);
        own -= rho[i] / r[i];
    }
    dk_axpby(run->dk, run->x, (float)(scale * own), kept_data(run, k), 1);
}

static void advance(const DimRun *run, int k)
{
    if (k > 0)
        step(run, k - 1, &run->p);
    dk_axpby(run->dk, run->kept[0], 1, run->x, 0);
    dk_axpby(run->dk, kept_data(run, k), 1, run->p, 0);
    step(run, k, NULL);
}

const DimMethod dim_method_unipc = {.wants_data = TRUE,
                                    .stages = 1,
                                    .n_kept = 1 + ORDER,
                                    .grid = dim_schedule_grid,
                                    .advance = advance};
