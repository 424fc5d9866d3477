/* What must be settled before libgomp is loaded.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "dim.h"

#include <unistd.h>

void dim_process_prepare(char **argv)
{
    /* Waiting threads that spin ruin small layers on a busy desktop: a product of 0.3 ms takes 16
     * ms with two other jobs running. A short spin and then sleep costs nothing on a quiet machine.
     * Whoever set either variable knows better. */
    if (g_getenv("OMP_WAIT_POLICY") || g_getenv("GOMP_SPINCOUNT"))
        return;
    if (!g_setenv("OMP_WAIT_POLICY", "passive", TRUE) || !g_setenv("GOMP_SPINCOUNT", "10000", TRUE))
        return;
    execv("/proc/self/exe", argv);
}
