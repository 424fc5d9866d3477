/* Noise levels of the schedules "linear" and "scaled_linear", in double.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2206.00927, appendix D.4: log alpha of a discrete-time model is interpolated linearly. */
#include "schedule.h"

#include <math.h>

#include "error.h"

static double beta(DimScheduleType type, double start, double end, double part)
{
    if (type == DIM_SCHEDULE_LINEAR)
        return start + part * (end - start);
    const double root = sqrt(start) + part * (sqrt(end) - sqrt(start));
    return root * root;
}

/* Samplers divide by alpha and by differences of lambda. */
static gboolean usable(const DimSchedule *schedule)
{
    double last = INFINITY;

    for (int n = 1; n <= schedule->timesteps; n++) {
        const DimTime at = dim_schedule_at(schedule, (double)n / schedule->timesteps);
        if (!(at.alpha > 1e-30 && at.sigma > 0 && at.lambda < last && isfinite(at.lambda)))
            return FALSE;
        last = at.lambda;
    }
    return TRUE;
}

gboolean dim_schedule_init(DimSchedule *schedule, DimScheduleType type, double beta_start,
                           double beta_end, int timesteps, const char *origin, GError **error)
{
    *schedule = (DimSchedule){.timesteps = timesteps};
    if (timesteps >= 2)
        schedule->log_alpha = g_try_new0(double, (gsize)timesteps + 1);
    if (schedule->log_alpha) {
        for (int n = 1; n <= timesteps; n++) {
            const double b = beta(type, beta_start, beta_end, (n - 1.0) / (timesteps - 1.0));
            schedule->log_alpha[n] = schedule->log_alpha[n - 1] + 0.5 * log1p(-b);
        }
        if (usable(schedule))
            return TRUE;
    }
    dim_schedule_clear(schedule);
    return dim_fail(error, DIM_ERROR_UNSUPPORTED, origin,
                    "%d timesteps with beta from %g to %g cannot be sampled; expected at least 2 "
                    "steps, each noisier than the one before",
                    timesteps, beta_start, beta_end);
}

void dim_schedule_clear(DimSchedule *schedule)
{
    g_clear_pointer(&schedule->log_alpha, g_free);
}

DimTime dim_schedule_at(const DimSchedule *schedule, double tc)
{
    const double place = tc * schedule->timesteps;
    const int n = CLAMP((int)floor(place), 1, schedule->timesteps - 1);
    const double low = schedule->log_alpha[n], high = schedule->log_alpha[n + 1];
    const double log_alpha = low + (place - n) * (high - low);
    /* expm1: 1 - alpha^2 cancels where nearly nothing is noise. */
    const double sigma = sqrt(-expm1(2 * log_alpha));

    return (DimTime){tc, exp(log_alpha), sigma, log_alpha - log(sigma)};
}

double dim_schedule_grid(int timesteps, int steps, int k)
{
    return 1 - k * (1 - 1.0 / timesteps) / steps;
}

int dim_schedule_step(const DimSchedule *schedule, double tc)
{
    const double place = tc * schedule->timesteps;
    const double nearest = round(place);

    return (int)(fabs(place - nearest) < 1e-6 ? nearest : floor(place));
}

double dim_schedule_alphabar(const DimSchedule *schedule, int n)
{
    return exp(2 * schedule->log_alpha[n]);
}
