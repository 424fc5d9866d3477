/* Work shared between threads: equal runs of neighbouring units, fixed before any starts, so that
 * no result can depend on who did what.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/parallel.h"

#include <omp.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

/* A state that decays to denormals makes the scan a hundred times slower on some processors. */
static unsigned flush_denormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* FTZ and DAZ */
    return before;
}

static void restore_denormals(unsigned before)
{
    _mm_setcsr(before);
}
#else
static unsigned flush_denormals(void)
{
    return 0;
}

static void restore_denormals(unsigned before)
{
}
#endif

enum { WAKE_NS = 100000, LOOK_NS = 5000000 };

static int team_size(const DkDevice *dev, int64_t n, double ns)
{
    if ((double)n * ns < WAKE_NS)
        return 1;
    return n < dev->n_threads ? (int)n : dev->n_threads;
}

void dk_cpu_parallel(DkDevice *dev, int64_t n, double ns, DkPart part, const void *op)
{
    const int team = team_size(dev, n, ns);
    const int64_t grain = ns < LOOK_NS ? (int64_t)(LOOK_NS / ns) : 1;
#pragma omp parallel num_threads(team) if (team > 1)
    {
        const unsigned before = flush_denormals();
        const int thread = omp_get_thread_num(), n_threads = omp_get_num_threads();
        const int64_t last = n * (thread + 1) / n_threads;
        for (int64_t i = n * thread / n_threads; i < last && !dk_stopped(dev); i += grain)
            part(op, i, i + grain < last ? i + grain : last, thread);
        restore_denormals(before);
    }
}

typedef struct {
    void (*part)(void *data, int64_t i);
    void *data;
} Each;

static void each_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Each *each = op;
    for (int64_t i = first; i < last; i++)
        each->part(each->data, i);
}

void dk_host_each(DkDevice *dev, int64_t n, double ns, void (*part)(void *data, int64_t i),
                  void *data)
{
    dk_cpu_parallel(dev, n, ns, each_part, &(Each){part, data});
}
