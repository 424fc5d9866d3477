/* What a sampling method must provide: how to go from one noise level to the next.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A method is one file and one line in method.c. It says which times it wants and is called once
 * after each evaluation of the network; guidance, upsampling, random numbers, progress and memory
 * are sampler.c's. */
#ifndef DIM_METHOD_H
#define DIM_METHOD_H

#include "kernels/dk.h"
#include "schedule.h"

enum { DIM_METHOD_KEPT_MAX = 4 };

/* A run, as its method sees it. All tensors are [1, C, h, w] on the device. */
typedef struct {
    DkDevice *dk;
    int steps;
    int stage;            /* which evaluation of the step this is, 0 .. stages - 1 */
    const DimTime *times; /* [steps + 1]; stage j of step k is evaluated at times[k + j] */
    DkTensor x;           /* in: the sample at that time; out: where the next evaluation is, and
                             after the last stage the sample at times[k + 1] */
    DkTensor p;           /* what the network predicts at x: data or noise; may be overwritten */
    DkTensor kept[DIM_METHOD_KEPT_MAX]; /* the method's own, as it left them last */
    /* Only of a method that adds noise; on the host, in the order of x. */
    DkTensor z;            /* room on the device */
    float *noise;          /* this step's N(0, 1); may be overwritten */
    const float *variance; /* the network's own values for it, raw; NULL: it has none */
} DimRun;

typedef struct {
    gboolean wants_data; /* p is the data prediction x0, else the noise prediction eps */
    int stages;          /* evaluations a step, 1 or 2 */
    int n_kept;
    gboolean adds_noise;
    gboolean is_respaced; /* its times are steps of the schedule, so there are no more than those */
    /* times[k].tc, k = 0 .. steps; 0 is the clean picture, alpha 1 and sigma 0. */
    double (*grid)(int timesteps, int steps, int k);
    void (*advance)(const DimRun *run, int k); /* enqueues; k = 0 .. steps - 1, in order */
} DimMethod;

extern const DimMethod dim_method_dpm_solver_pp_fast, dim_method_dpm_solver_fast;
extern const DimMethod dim_method_dpm_solver_pp_2m, dim_method_dpm_solver_pp_3m;
extern const DimMethod dim_method_ddim, dim_method_ddpm, dim_method_unipc;
extern const DimMethod dim_method_euler, dim_method_heun;

const DimMethod *dim_method_find(const char *name); /* NULL: unknown */

#endif
