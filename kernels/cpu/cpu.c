/* The CPU back end's table: ref's, overwritten by the vector kernels of the widest instruction set
 * that is allowed and there, and by oneDNN's products where those have AVX-512.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/onednn.h"
#include "kernels/dk-ops.h"

#include <stdio.h>

void dk_portable_fill(DkDevice *dev);
void dk_avx2_fill(DkDevice *dev);
void dk_avx512_fill(DkDevice *dev);

static const char *fill(DkDevice *dev)
{
    const unsigned isa = dev->isa;
#if defined(__x86_64__)
    if (isa & DK_ISA_AVX512) {
        dk_avx512_fill(dev);
        return "AVX-512";
    }
    if (isa & DK_ISA_AVX2) {
        dk_avx2_fill(dev);
        return "AVX2";
    }
#endif
    dk_portable_fill(dev);
    return "portable";
}

bool dk_cpu_init(DkDevice *dev)
{
    const int n_threads = dev->n_threads;
    if (!dk_ref_init(dev))
        return false;
    dev->n_threads = n_threads;
    const char *isa = fill(dev);
    const bool onednn =
        (dev->isa & DK_ISA_AVX512) && dk_cpu_onednn_is_wide() && dk_cpu_onednn_init(dev);
    snprintf(dev->description, sizeof dev->description, "cpu: %s%s, %d thread%s", isa,
             onednn ? ", oneDNN" : "", n_threads, n_threads == 1 ? "" : "s");
    return true;
}
