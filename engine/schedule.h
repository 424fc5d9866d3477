/* Noise levels: how much picture and how much noise a sample holds at each time.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_SCHEDULE_H
#define DIM_SCHEDULE_H

#include "model.h"

typedef struct {
    int timesteps;
    double *log_alpha; /* [timesteps + 1]: at step n; [0] is the clean picture, 0 */
} DimSchedule;

/* The noise level at continuous time tc in (0, 1], tc = n / timesteps at step n:
 * x = alpha x0 + sigma eps, alpha^2 + sigma^2 = 1, lambda = log (alpha / sigma). */
typedef struct {
    double tc, alpha, sigma, lambda;
} DimTime;

/* `origin` names the schedule in errors. DIM_ERROR_UNSUPPORTED where the betas do not give a
 * strictly falling, finite lambda. */
gboolean dim_schedule_init(DimSchedule *schedule, DimScheduleType type, double beta_start,
                           double beta_end, int timesteps, const char *origin, GError **error);
void dim_schedule_clear(DimSchedule *schedule);

/* log alpha is linear between two steps, and below the first one on the line through the first
 * two (DiM's sampler; DPM-Solver's "discrete" schedule). */
DimTime dim_schedule_at(const DimSchedule *schedule, double tc);
/* Point k of steps + 1 that are uniform in time, from tc = 1, all noise, to the first step. */
double dim_schedule_grid(int timesteps, int steps, int k);
/* The step that tc lies in, rounded down; within 1e-6 of a step, that step. */
int dim_schedule_step(const DimSchedule *schedule, double tc);
/* alpha^2 at step n, 0 <= n <= timesteps: alpha-bar of the usual notation. */
double dim_schedule_alphabar(const DimSchedule *schedule, int n);

#endif
