/* MPI for `dim train`: one sum over all processes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "mpi-module.h"

#include <mpi.h>

enum { PIECE = 1 << 24 }; /* MPI counts in int */

/* MPI ends all processes where a call fails (MPI_ERRORS_ARE_FATAL), so none is checked. Reduced in
 * one place and sent from there: MPI_Allreduce may round one way here and another there. */
static void sum(float *values, gsize count, void *data)
{
    int rank;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (; count > 0; values += MIN(count, PIECE), count -= MIN(count, PIECE)) {
        const int n = (int)MIN(count, PIECE);
        MPI_Reduce(rank == 0 ? MPI_IN_PLACE : values, values, n, MPI_FLOAT, MPI_SUM, 0,
                   MPI_COMM_WORLD);
        MPI_Bcast(values, n, MPI_FLOAT, 0, MPI_COMM_WORLD);
    }
}

static void leave(void)
{
    MPI_Finalize();
}

gboolean tool_mpi_join(ToolMpi *mpi)
{
    int level;

    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS)
        return FALSE;
    *mpi = (ToolMpi){.sum = sum, .leave = leave};
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &mpi->n);
    return TRUE;
}
