/* Joining the other processes, through a module beside the program that knows MPI.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-peers.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "mpi-module.h"

/* How many processes were started with this one, as Open MPI or MPICH and its kin tell. */
static int count_started(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        gint64 n;
        const char *text = g_getenv(names[i]);
        if (text && g_ascii_string_to_signed(text, 10, 1, G_MAXINT, &n, NULL))
            return (int)n;
    }
    return 1;
}

/* In a build folder it is beside the program, else where it is installed. */
static void *open_module(void)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(program ? program : ".");
    g_autofree char *beside = g_build_filename(folder, "dim-mpi.so", NULL);
    const char *file = g_file_test(beside, G_FILE_TEST_EXISTS) ? beside : DIM_MPI_MODULE;

    /* MPI's own plug-ins look for its symbols. */
    return dlopen(file, RTLD_NOW | RTLD_GLOBAL);
}

gboolean tool_peers_join(ToolPeers *peers, GError **error)
{
    const int started = count_started();
    ToolMpi mpi = {0};
    ToolMpiJoin join = NULL;

    *peers = (ToolPeers){.peers = {.n = 1}};
    if (started == 1)
        return TRUE;
    void *module = open_module();
    const char *fault = module ? NULL : dlerror();
    if (module)
        *(void **)&join = dlsym(module, TOOL_MPI_JOIN);
    if (!join || !join(&mpi))
        g_set_error(error, DIM_ERROR, DIM_ERROR_UNSUPPORTED,
                    "mpirun: this dim has no MPI: %s; expected one that was built with it",
                    fault ? fault : "its module cannot be used");
    else if (mpi.n != started)
        g_set_error(error, DIM_ERROR, DIM_ERROR_UNSUPPORTED,
                    "mpirun: started %d processes, of which dim sees %d; expected the mpirun of "
                    "the MPI that dim was built with",
                    started, mpi.n);
    else
        *peers = (ToolPeers){{.rank = mpi.rank, .n = mpi.n, .sum = mpi.sum}, mpi.leave};
    return peers->leave != NULL;
}

void tool_peers_leave(ToolPeers *peers)
{
    if (peers->leave)
        peers->leave();
    peers->leave = NULL;
}

gboolean tool_peers_any(const ToolPeers *peers, gboolean here)
{
    float flag = here ? 1 : 0;

    if (peers->peers.n > 1)
        peers->peers.sum(&flag, 1, peers->peers.data);
    return flag > 0;
}
