/* When, at which noise level and at what scale upsample guidance asks for the small picture.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "upsample.h"

#include <math.h>

static double signal_to_noise(const DimSchedule *schedule, int n)
{
    const double alphabar = dim_schedule_alphabar(schedule, n);

    return alphabar / (1 - alphabar);
}

/* The step whose signal-to-noise ratio is nearest to `wanted`; of two, the noisier one. */
static int nearest_step(const DimSchedule *schedule, double wanted)
{
    int best = schedule->timesteps - 1;
    double least = INFINITY;

    for (int n = schedule->timesteps - 1; n >= 1; n--) {
        const double distance = fabs(wanted - signal_to_noise(schedule, n));
        if (distance < least) {
            least = distance;
            best = n;
        }
    }
    return best;
}

gboolean dim_upsample_wanted(double eta, double t, double tc)
{
    return tc - (1 - eta) * t >= 0;
}

DimUpsample dim_upsample_at(const DimSchedule *schedule, int factor, double tc)
{
    const int step = dim_schedule_step(schedule, tc);
    const double alphabar = dim_schedule_alphabar(schedule, step), cells = (double)factor * factor;
    /* A mean over m^2 places divides the noise's variance by m^2 and leaves the picture's. */
    const double variance = alphabar + (1 - alphabar) / cells;
    const int n = nearest_step(schedule, cells * signal_to_noise(schedule, step));
    /* The published program indexes the steps by n and divides by one less than their number. */
    const double tau = MIN((double)n / (schedule->timesteps - 1), tc);

    return (DimUpsample){1 / sqrt(variance), dim_schedule_at(schedule, tau)};
}

int dim_upsample_factor(int width, int height, int native_size)
{
    const double ratio = sqrt((double)width * height) / native_size;

    return ratio >= 1.5 ? (int)floor(ratio + 0.5) : 1;
}
