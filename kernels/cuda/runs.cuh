/* Channels times runs of tokens: the launch of what slides along the tokens.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_RUNS_CUH
#define DK_CUDA_RUNS_CUH

#include "kernels/cuda/lanes.cuh"

struct DkCudaRuns {
    dim3 grid, block;
};

/* A thread has `lanes` neighbouring channels of one run of so many tokens of one picture. */
static inline DkCudaRuns dk_cuda_runs(int64_t n_pictures, int64_t n_tokens, int64_t n_channels,
                                      int lanes, int run)
{
    const int64_t wanted = dk_cuda_ceil(n_channels, lanes), threads = wanted < 128 ? wanted : 128;
    return {dim3((unsigned)dk_cuda_ceil(wanted, threads), (unsigned)dk_cuda_ceil(n_tokens, run),
                 (unsigned)n_pictures),
            dim3((unsigned)threads)};
}

template <int V> static inline __device__ int64_t dk_run_column()
{
    return ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V;
}

static inline __device__ int64_t dk_run_first(int run)
{
    return (int64_t)blockIdx.y * run;
}

/* The stored row of the i-th token of the thread's picture. */
static inline __device__ int64_t dk_run_row(const int32_t *order, int64_t n_tokens, int64_t i)
{
    return blockIdx.z * n_tokens + (order ? order[i] : i);
}

#endif
