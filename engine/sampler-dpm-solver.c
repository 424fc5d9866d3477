/* DPM-Solver, single-step "fast" variant of order 3, with data and with noise prediction.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2206.00927 (algorithms 1, 2 and 5) and 2211.01095. A block of order o takes o evaluations:
 * one at its start a, one at each inner point, which is the next time of the grid. With
 * H = lambda_t - lambda_a and s = 1 for noise, -1 for data prediction, every point t of a block is
 *
 *   x_t = ratio_t x_a - scale_t expm1 (s H) P_a + c (P_i - P_a),
 *
 * P_i the prediction at the inner point before t, ratio and scale being alpha_t / alpha_a and
 * sigma_t (data: sigma_t / sigma_a and alpha_t), and c at the first inner point and in order 1:  0
 *   at the end of order 2:                    -scale_t expm1 (s H) H / (2 (lambda_i - lambda_a))
 *   in order 3:                               -s scale_t (expm1 (s H) / H - s) H / (lambda_i -
 * lambda_a) */
#include "method.h"

#include <math.h>

/* The block that evaluation k belongs to. Blocks of order 3 come first, and what they leave of the
 * steps is one block of order 1 or 2, or, where nothing would be left, blocks of order 2 and 1. */
static int block_order(int k, int steps, int *start)
{
    const int threes = steps % 3 ? steps - steps % 3 : steps - 3;

    if (k < threes) {
        *start = k - k % 3;
        return 3;
    }
    if (k < threes + 2 && steps >= threes + 2) {
        *start = threes;
        return 2;
    }
    *start = k;
    return 1;
}

static void advance(const DimRun *run, int k, gboolean data)
{
    DkDevice *dk = run->dk;
    const DkTensor x_a = run->kept[0], p_a = run->kept[1];
    int start;
    const int order = block_order(k, run->steps, &start);
    const DimTime *a = &run->times[start], *inner = &run->times[k], *t = &run->times[k + 1];
    const double s = data ? -1 : 1, h = t->lambda - a->lambda, growth = expm1(s * h);
    const double ratio = data ? t->sigma / a->sigma : t->alpha / a->alpha;
    const double scale = data ? t->alpha : t->sigma;

    if (k == start) {
        dk_axpby(dk, x_a, 1, run->x, 0);
        dk_axpby(dk, p_a, 1, run->p, 0);
        dk_axpby(dk, run->x, (float)(-scale * growth), run->p, (float)ratio);
        return;
    }
    const double stretch = h / (inner->lambda - a->lambda);
    const double c =
        order == 2 ? -scale * growth * stretch / 2 : -s * scale * (growth / h - s) * stretch;
    dk_axpby(dk, run->p, -1, p_a, 1);
    dk_axpby(dk, run->x, (float)ratio, x_a, 0);
    dk_axpby(dk, run->x, (float)(-scale * growth), p_a, 1);
    dk_axpby(dk, run->x, (float)c, run->p, 1);
}

static void advance_data(const DimRun *run, int k)
{
    advance(run, k, TRUE);
}

static void advance_noise(const DimRun *run, int k)
{
    advance(run, k, FALSE);
}

const DimMethod dim_method_dpm_solver_pp_fast = {.wants_data = TRUE,
                                                 .stages = 1,
                                                 .n_kept = 2,
                                                 .grid = dim_schedule_grid,
                                                 .advance = advance_data};
const DimMethod dim_method_dpm_solver_fast = {
    .stages = 1, .n_kept = 2, .grid = dim_schedule_grid, .advance = advance_noise};
