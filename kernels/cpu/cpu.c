/* The CPU back end's table: ref's, overwritten by what is faster.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/cpu.h"

#include <stdio.h>

static const char *isa_name(unsigned isa)
{
    return isa & DK_ISA_AVX512 ? "AVX-512" : isa & DK_ISA_AVX2 ? "AVX2" : "portable";
}

bool dk_cpu_init(DkDevice *dev)
{
    const int n_threads = dev->n_threads;
    if (!dk_ref_init(dev))
        return false;
    dev->n_threads = n_threads;
    snprintf(dev->description, sizeof dev->description, "cpu: %s, %d thread%s", isa_name(dev->isa),
             n_threads, n_threads == 1 ? "" : "s");
    return true;
}
