/* Which steps of a schedule a sampler of fewer steps uses.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "respace.h"

#include <glib.h>
#include <math.h>

/* Of the step that the published tables count as `tau`, from 0. */
static double time_of(int timesteps, double tau)
{
    return (tau + 1) / timesteps;
}

/* The program adds the stride up, so that a half may fall just short; so does this. */
double dim_respace_even(int timesteps, int steps, int k)
{
    const double stride = steps > 1 ? (timesteps - 1.0) / (steps - 1.0) : 0;
    double tau = 0;

    if (k == steps)
        return 0;
    for (int i = steps - 1; i > k; i--)
        tau += stride;
    return time_of(timesteps, rint(tau));
}

double dim_respace_strided(int timesteps, int steps, int k)
{
    const int stride = MAX(timesteps / steps + (timesteps % steps > 0), 1);

    if ((timesteps - 1) / stride + 1 != steps)
        return dim_respace_even(timesteps, steps, k);
    return k == steps ? 0 : time_of(timesteps, (double)stride * (steps - 1 - k));
}
