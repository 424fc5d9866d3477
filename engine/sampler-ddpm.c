/* Ancestral sampling (DDPM), respaced, with learned variance where the network has one.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2006.11239 (equations 7 and 11) and 2102.09672 (equation 15). With beta = 1 - (alpha_a /
 * alpha_b)^2, of the steps that are used:
 *   mean = beta alpha_b / sigma_a^2 x0 + sigma_b^2 (alpha_a / alpha_b) / sigma_a^2 x
 *   low  = ln (beta sigma_b^2 / sigma_a^2), high = ln beta, f = (v + 1) / 2, v as the network gave
 *   x_b  = mean + exp ((f high + (1 - f) low) / 2) z
 * Without v, f = 1. Nothing is added by the step that ends on the clean picture. */
#include "method.h"

#include <math.h>

#include "respace.h"

/* z times the standard deviation, place by place. */
static void scale_noise(const DimRun *run, double low, double high)
{
    const gint64 n = run->x.sizes[1] * run->x.sizes[2] * run->x.sizes[3];

    for (gint64 i = 0; i < n; i++) {
        const double f = run->variance ? ((double)run->variance[i] + 1) / 2 : 1;
        run->noise[i] = (float)(exp((f * high + (1 - f) * low) / 2) * run->noise[i]);
    }
}

static void advance(const DimRun *run, int k)
{
    const DimTime *a = &run->times[k], *b = a + 1;
    const double kept = a->alpha / b->alpha, beta = 1 - kept * kept;
    const double all = a->sigma * a->sigma, rest = b->sigma * b->sigma;

    dk_axpby(run->dk, run->x, (float)(beta * b->alpha / all), run->p, (float)(rest * kept / all));
    if (b->sigma == 0)
        return;
    scale_noise(run, log(beta * rest / all), log(beta));
    dk_write(run->dk, run->z, run->noise);
    dk_axpby(run->dk, run->x, 1, run->z, 1);
}

const DimMethod dim_method_ddpm = {.wants_data = TRUE,
                                   .stages = 1,
                                   .adds_noise = TRUE,
                                   .is_respaced = TRUE,
                                   .grid = dim_respace_even,
                                   .advance = advance};
