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
                   const CudaHostKernel *bound);

/* Ends the program where a red zone was written; `when` for the message. */
void cuda_host_check_red_zones(const char *when);

/* Where a fiber, or the scheduler, goes on. */
struct CudaHostPlace {
    void *at;          /* the stack pointer */
    const void *stack; /* its stack, for the address sanitizer, and the sanitizer's own of it */
    size_t bytes;
    void *fake;
};
/* All threads' stacks, one beside another. */
extern unsigned char *cuda_host_stacks;
extern const size_t cuda_host_stacks_bytes;
void cuda_host_make_stacks();
/* On that stack, at whose first switch `entry` is called, which never returns, and calls
 * cuda_host_begin with what was left for it before it does anything else. */
CudaHostPlace cuda_host_place(int stack, void (*entry)());
void cuda_host_begin(CudaHostPlace *from);
/* Goes on at `to`, and returns when somebody goes on at `from`; for_good: nobody will. */
void cuda_host_switch(CudaHostPlace *from, const CudaHostPlace *to, bool for_good);

/* What the checking build adds; NULL: nothing. `shared` is the memory of all blocks' arrays. */
struct CudaHostChecks {
    void (*alloc)(unsigned char *data, size_t bytes);
    void (*free)(unsigned char *data);
    void (*begin)(unsigned char *shared, size_t bytes);
    void (*block)(uint32_t block);
    void (*barrier)();
    void (*end)(const char *kernel);
};
extern const CudaHostChecks *cuda_host_checks;

/* Of the thread that runs: whether there is one; its number; how often it has met its warp. */
bool cuda_host_is_thread();
int cuda_host_thread();
int cuda_host_exchanges();
/* Whether the thread may touch it and it is no memory of the card: its stack, the arguments, the
 * indices; whether it is shared memory, and then of a declared array. */
bool cuda_host_is_own(const void *at);
bool cuda_host_is_shared(const void *at);
bool cuda_host_is_in_array(const void *at, size_t bytes);

/* The allocation, with its red zones, that `at` lies in; false: none. */
struct CudaHostMemory {
    unsigned char *data;
    size_t bytes;
};
bool cuda_host_find_memory(const void *at, CudaHostMemory *memory);

#endif
