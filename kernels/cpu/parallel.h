/* The one parallel region of our own kernels.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CPU_PARALLEL_H
#define DK_CPU_PARALLEL_H

#include "kernels/dk-ops.h"

/* Does units first..last-1 of an operation; `thread` counts from 0 and names a part of scratch. */
typedef void (*DkPart)(const void *op, int64_t first, int64_t last, int thread);

/* All `n` units, each thread a run of neighbours. `ns` is what a unit takes on one thread, roughly:
 * below 100 us in all nobody else is woken, and a cancel is looked for every few milliseconds.
 * Inside `part` denormals are read and written as 0; the caller's floating-point state is as
 * before when this returns, and that of the worker threads, too. */
void dk_cpu_parallel(DkDevice *dev, int64_t n, double ns, DkPart part, const void *op);

#endif
