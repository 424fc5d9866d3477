/* What a sampling method must provide: how to go from one noise level to the next.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A method is one file and one line in method.c. It sees a list of times and is called once after
 * each evaluation of the network; guidance, upsampling, progress and memory are sampler.c's. */
#ifndef DIM_METHOD_H
#define DIM_METHOD_H

#include "kernels/dk.h"
#include "schedule.h"

enum { DIM_METHOD_KEPT_MAX = 2 };

/* A run, as its method sees it. All tensors are [1, C, h, w] on the device. */
typedef struct {
    DkDevice *dk;
    int steps;
    const DimTime *times; /* [steps + 1]; the network is evaluated at the first `steps` of them */
    DkTensor x;           /* in: the sample at times[k]; out: the sample at times[k + 1] */
    DkTensor p;           /* what the network predicts at x: data or noise; may be overwritten */
    DkTensor kept[DIM_METHOD_KEPT_MAX]; /* the method's own, as it left them after step k - 1 */
} DimRun;

typedef struct {
    gboolean wants_data; /* p is the data prediction x0, else the noise prediction eps */
    int n_kept;
    void (*advance)(const DimRun *run, int k); /* enqueues; k = 0 .. steps - 1, in order */
} DimMethod;

extern const DimMethod dim_method_dpm_solver_pp_fast, dim_method_dpm_solver_fast;
extern const DimMethod dim_method_dpm_solver_pp_2m;

const DimMethod *dim_method_find(const char *name); /* NULL: unknown */

#endif
