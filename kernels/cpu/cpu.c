/* The CPU back end's table: ref's, overwritten by the vector kernels of the widest instruction set
 * that is allowed and there.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk-ops.h"

#include <stdio.h>

void dk_portable_fill(DkOps *ops);
void dk_avx2_fill(DkOps *ops);
void dk_avx512_fill(DkOps *ops);

static const char *fill(DkOps *ops, unsigned isa)
{
#if defined(__x86_64__)
    if (isa & DK_ISA_AVX512) {
        dk_avx512_fill(ops);
        return "AVX-512";
    }
    if (isa & DK_ISA_AVX2) {
        dk_avx2_fill(ops);
        return "AVX2";
    }
#endif
    dk_portable_fill(ops);
    return "portable";
}

bool dk_cpu_init(DkDevice *dev)
{
    const int n_threads = dev->n_threads;
    if (!dk_ref_init(dev))
        return false;
    dev->n_threads = n_threads;
    snprintf(dev->description, sizeof dev->description, "cpu: %s, %d thread%s",
             fill(&dev->ops, dev->isa), n_threads, n_threads == 1 ? "" : "s");
    return true;
}
