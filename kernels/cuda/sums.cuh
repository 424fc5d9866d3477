/* A sum of doubles over all numbers of some matrices, in two launches whose order is fixed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block adds up DK_SUM_RUN numbers, then one block what they left. A number is an operation's
 * op.at (row, column), which may write there, too. */
#ifndef DK_CUDA_SUMS_CUH
#define DK_CUDA_SUMS_CUH

#include "kernels/cuda/cuda.h"

/* Few numbers a thread, so that a batch of latents has 32 blocks. */
enum { DK_SUM_THREADS = 256, DK_SUM_RUN = 4 * DK_SUM_THREADS };

/* Thread 0 gets the block's sum. */
static inline __device__ double dk_block_sum(double x)
{
    DK_SHARED(double, warps, [DK_SUM_THREADS / 32]);
    for (int far = 16; far > 0; far /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, far);
    if (threadIdx.x % 32 == 0)
        warps[threadIdx.x / 32] = x;
    __syncthreads();
    x = warps[0];
    for (int i = 1; i < DK_SUM_THREADS / 32; i++)
        x += warps[i];
    return x;
}

/* partials[block] = Σ op (row, column) over DK_SUM_RUN of the n = rows · columns numbers. */
template <class Op>
static __global__ void dk_sum_run(double *partials, int64_t n, int64_t columns, Op op)
{
    const int64_t first = (int64_t)blockIdx.x * DK_SUM_RUN, last = min(first + DK_SUM_RUN, n);
    double sum = 0;
    for (int64_t i = first + threadIdx.x; i < last; i += DK_SUM_THREADS) {
        const int64_t row = i < columns ? 0 : i / columns;
        sum += op.at(row, i - row * columns);
    }
    sum = dk_block_sum(sum);
    if (threadIdx.x == 0)
        partials[blockIdx.x] = sum;
}

static __global__ void dk_sum_partials(double *to, const double *partials, int64_t n, double factor)
{
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += DK_SUM_THREADS)
        sum += partials[i];
    sum = dk_block_sum(sum);
    if (threadIdx.x == 0)
        *to += factor * sum;
}

/* to[1] += factor · the sum over x's rows and columns; `gapless`: of no operand is there anything
 * between the rows, so that all are one. */
template <class Op>
static void dk_sum_all(DkDevice *dev, DkTensor to, DkTensor x, bool gapless, double factor, Op op)
{
    const int64_t n = dk_tensor_count(x), n_blocks = dk_cuda_ceil(n, DK_SUM_RUN);
    double *partials =
        static_cast<double *>(dk_cuda_scratch(dev, (size_t)n_blocks * sizeof *partials));
    if (!partials)
        return;
    DK_LAUNCH(dev, dk_sum_run<Op>, dim3((unsigned)n_blocks), dim3(DK_SUM_THREADS), 0, partials, n,
              gapless ? n : dk_columns(x), op);
    DK_LAUNCH(dev, dk_sum_partials, dim3(1), dim3(DK_SUM_THREADS), 0,
              static_cast<double *>(dk_data(to)), partials, n_blocks, factor);
}

static inline bool dk_cuda_is_gapless(DkTensor t)
{
    return dk_rows(t) == 1 || t.row_stride == dk_columns(t);
}

#endif
