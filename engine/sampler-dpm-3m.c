/* DPM-Solver++(3M): multistep order 3, data prediction.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2211.01095, equation 12, with the derivatives of X by lambda from the last three X. With h
 * the step in lambda, h' and h'' the two before, X, X', X'' the data predictions at their starts:
 *   D' = (X - X') / h', D'' = (X' - X'') / h'', C = (D' - D'') / (h' + h''), D = D' + h' C,
 *   x_b = (sigma_b / sigma_a) x - alpha_b (g X - g2 h D + 2 g3 h^2 C),
 *   g = expm1 (-h), g2 = g / h + 1, g3 = g2 / h - 1/2.
 * The first step is of order 1, the second and the last, which is many times as long as the one
 * before it, of order 2 as in 2M, all others of 3. The paper's program leaves out the 2 before g3,
 * though C is half the second derivative, and is then of order 2. */
#include "method.h"

#include <math.h>

/* Factors of X, X' and X'' in the bracket. */
static void bracket(const DimTime *a, int order, double factors[3])
{
    const double h = a[1].lambda - a->lambda, g = expm1(-h);
    const double g2 = g / h + 1, g3 = 2 * (g2 / h - 0.5);

    factors[0] = g, factors[1] = factors[2] = 0;
    if (order == 1)
        return;
    const double h1 = a->lambda - a[-1].lambda;
    if (order == 2) {
        factors[0] += g * h / (2 * h1);
        factors[1] -= g * h / (2 * h1);
        return;
    }
    const double h2 = a[-1].lambda - a[-2].lambda;
    const double curve = (g3 * h - g2 * h1) * h / (h1 + h2); /* of D' - D'' */
    const double first = (curve - g2 * h) / h1, second = -curve / h2;
    factors[0] += first;
    factors[1] += second - first;
    factors[2] -= second;
}

/* X of evaluation k stays where k - 2's was. */
static void advance(const DimRun *run, int k)
{
    const DimTime *a = &run->times[k], *b = a + 1;
    const DkTensor last = run->kept[(k + 1) % 2], older = run->kept[k % 2];
    const int order = k == 0 ? 1 : k == 1 || k == run->steps - 1 ? 2 : 3;
    double factors[3];

    bracket(a, order, factors);
    dk_axpby(run->dk, run->x, (float)(-b->alpha * factors[0]), run->p,
             (float)(b->sigma / a->sigma));
    if (order > 1)
        dk_axpby(run->dk, run->x, (float)(-b->alpha * factors[1]), last, 1);
    if (order > 2)
        dk_axpby(run->dk, run->x, (float)(-b->alpha * factors[2]), older, 1);
    dk_axpby(run->dk, older, 1, run->p, 0);
}

const DimMethod dim_method_dpm_solver_pp_3m = {
    .wants_data = TRUE, .stages = 1, .n_kept = 2, .grid = dim_schedule_grid, .advance = advance};
