/* Shared by the files that execute CUDA on the host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CUDA_HOST_H
#define CUDA_HOST_H

#include "cuda-on-host.h"

enum {
    CUDA_HOST_THREADS = 1024,    /* of a block, at most */
    CUDA_HOST_STATIC = 48 << 10, /* bytes of shared memory without asking for more */
    CUDA_HOST_SHARED = 64 << 10, /* and with; what compute capability 7.5 has */
    CUDA_HOST_RED = 256,         /* bytes around each allocation that nobody may write */
    CUDA_HOST_POISON = 0xff,     /* NaN, whatever the type */
};

/* Runs a kernel, block after block. */
void cuda_host_run(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                   const std::function<void()> &thread);

/* Ends the program where a red zone was written; `when` for the message. */
void cuda_host_check_red_zones(const char *when);

/* The allocation, with its red zones, that `at` lies in; false: none. */
struct CudaHostMemory {
    unsigned char *data;
    size_t bytes;
};
bool cuda_host_find_memory(const void *at, CudaHostMemory *memory);

#endif
