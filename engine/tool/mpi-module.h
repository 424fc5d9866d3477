/* What dim-mpi.so gives to `dim train`: apart from the program, which runs without MPI.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_MPI_MODULE_H
#define DIM_TOOL_MPI_MODULE_H

#include <glib.h>

typedef struct {
    int rank, n;
    /* Adds up over all processes, in place; the same bits everywhere. */
    void (*sum)(float *values, gsize count, void *data);
    void (*leave)(void);
} ToolMpi;

#define TOOL_MPI_JOIN "tool_mpi_join"
typedef gboolean (*ToolMpiJoin)(ToolMpi *mpi);

gboolean tool_mpi_join(ToolMpi *mpi);

#endif
