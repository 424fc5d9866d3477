/* Euler's and Heun's methods on the probability-flow ODE.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2206.00364 (equation 4 and algorithm 1), in y = x / alpha over s = sigma / alpha, where
 * dy / ds = eps. Euler: y_b = y_a + (s_b - s_a) eps_a; Heun takes the mean of eps_a and the eps at
 * Euler's y_b. */
#include "method.h"

/* To b: x_b = (alpha_b / alpha_a) x_a + alpha_b (s_b - s_a) eps_a; answers the factor of eps. */
static double step_size(const DimTime *a, const DimTime *b)
{
    return b->sigma - b->alpha * (a->sigma / a->alpha);
}

static void euler(const DimRun *run, int k)
{
    const DimTime *a = &run->times[k], *b = a + 1;

    dk_axpby(run->dk, run->x, (float)step_size(a, b), run->p, (float)(b->alpha / a->alpha));
}

static void heun(const DimRun *run, int k)
{
    const float half = (float)(step_size(&run->times[k], &run->times[k + 1]) / 2);
    const DkTensor eps_a = run->kept[0];

    if (run->stage == 0) {
        dk_axpby(run->dk, eps_a, 1, run->p, 0);
        euler(run, k);
        return;
    }
    dk_axpby(run->dk, run->x, half, run->p, 1);
    dk_axpby(run->dk, run->x, -half, eps_a, 1);
}

const DimMethod dim_method_euler = {.stages = 1, .grid = dim_schedule_grid, .advance = euler};
const DimMethod dim_method_heun = {
    .stages = 2, .n_kept = 1, .grid = dim_schedule_grid, .advance = heun};
