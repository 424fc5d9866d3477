/* DDIM, deterministic (eta = 0), respaced.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2010.02502, equation 12: x_b = alpha_b x0 + sigma_b eps, x0 = (x - sigma_a eps) / alpha_a.
 * The last step ends on x0: there alpha_b is 1 and sigma_b 0. */
#include "method.h"
#include "respace.h"

static void advance(const DimRun *run, int k)
{
    const DimTime *a = &run->times[k], *b = a + 1;

    dk_axpby(run->dk, run->x, (float)(b->sigma - b->alpha * a->sigma / a->alpha), run->p,
             (float)(b->alpha / a->alpha));
}

const DimMethod dim_method_ddim = {
    .stages = 1, .is_respaced = TRUE, .grid = dim_respace_strided, .advance = advance};
