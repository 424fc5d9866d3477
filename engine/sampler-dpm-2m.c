/* DPM-Solver++(2M): multistep order 2, data prediction.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2211.01095, algorithm 2. With h the step in lambda, h' the one before, X and X' the data
 * predictions at their starts:
 *   Y = X + h / (2 h') (X - X'),  x_b = (sigma_b / sigma_a) x - alpha_b expm1 (-h) Y;  Y = X first.
 */
#include "method.h"

#include <math.h>

static void advance(const DimRun *run, int k)
{
    const DimTime *a = &run->times[k], *b = a + 1;
    const double h = b->lambda - a->lambda;
    const double weight = -b->alpha * expm1(-h);
    const double slope = k > 0 ? h / (2 * (a->lambda - a[-1].lambda)) : 0;
    const DkTensor last = run->kept[0];

    dk_axpby(run->dk, run->x, (float)(weight * (1 + slope)), run->p, (float)(b->sigma / a->sigma));
    if (k > 0)
        dk_axpby(run->dk, run->x, (float)(-weight * slope), last, 1);
    dk_axpby(run->dk, last, 1, run->p, 0);
}

const DimMethod dim_method_dpm_solver_pp_2m = {
    .wants_data = TRUE, .stages = 1, .n_kept = 1, .grid = dim_schedule_grid, .advance = advance};
