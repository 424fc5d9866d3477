/* Sums over the rows of each column, in two launches whose order is fixed: gradients of what
 * belongs to a channel.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The rows of an item are cut into runs, a few thousand of them at most. The first launch leaves a
 * partial sum for each run, the second adds those up. What is summed is an operation's N numbers of
 * a row and a column:
 *     auto kept = op.column(item, column);          once a thread
 *     op.add(float (&sums)[N], kept, item, row, column);
 * and what becomes of the sums is another's: op.store(n, item, column, sum). */
#ifndef DK_CUDA_COLUMNS_CUH
#define DK_CUDA_COLUMNS_CUH

#include "kernels/cuda/cuda.h"

enum { DK_COLUMNS_X = 32, DK_COLUMNS_Y = 8 };

/* How the rows of an item are cut; depends on their number alone. */
struct DkColumnRuns {
    int64_t length, count;
};

static inline DkColumnRuns dk_column_runs(int64_t rows)
{
    const int64_t least = 128, most_runs = 4096;
    int64_t length = dk_cuda_ceil(rows, most_runs);
    length = length < least ? least : length;
    return {length, dk_cuda_ceil(rows, length)};
}

static inline __device__ int64_t dk_columns_at()
{
    return (int64_t)blockIdx.x * DK_COLUMNS_X + threadIdx.x;
}

/* The block's N sums of a column, of its threads' in order. */
template <int N>
static inline __device__ void dk_columns_join(float (&sums)[N], float (*room)[N][DK_COLUMNS_X])
{
    for (int n = 0; n < N; n++)
        room[threadIdx.y][n][threadIdx.x] = sums[n];
    __syncthreads();
    for (int n = 0; n < N; n++) {
        sums[n] = room[0][n][threadIdx.x];
        for (int y = 1; y < DK_COLUMNS_Y; y++)
            sums[n] += room[y][n][threadIdx.x];
    }
}

/* partials[item][run][N][columns]. Launch: 32 columns, runs, items; 32 x 8 threads. */
template <int N, class Op>
static __global__ void dk_columns_partials(float *partials, int64_t rows, int64_t columns,
                                           int64_t length, Op op)
{
    typedef float Room[N][DK_COLUMNS_X];
    DK_SHARED(Room, room, [DK_COLUMNS_Y]);
    const int64_t column = dk_columns_at(), item = blockIdx.z, first = blockIdx.y * length;
    const int64_t last = min(first + length, rows);
    float sums[N] = {};
    if (column < columns) {
        const auto kept = op.column(item, column);
        for (int64_t row = first + threadIdx.y; row < last; row += DK_COLUMNS_Y)
            op.add(sums, kept, item, row, column);
    }
    dk_columns_join<N>(sums, room);
    float *to = partials + ((item * gridDim.y + blockIdx.y) * N) * columns + column;
    for (int n = 0; n < N; n++)
        if (column < columns && threadIdx.y == 0)
            to[n * columns] = sums[n];
}

/* Launch: 32 columns, N, items of `count` partials each; 32 x 8 threads. */
template <int N, class Op>
static __global__ void dk_columns_totals(const float *partials, int64_t count, int64_t columns,
                                         Op op)
{
    typedef float Room[1][DK_COLUMNS_X];
    DK_SHARED(Room, room, [DK_COLUMNS_Y]);
    const int64_t column = dk_columns_at(), item = blockIdx.z, n = blockIdx.y;
    float sum[1] = {};
    for (int64_t i = threadIdx.y; i < count && column < columns; i += DK_COLUMNS_Y)
        sum[0] += partials[((item * count + i) * N + n) * columns + column];
    dk_columns_join<1>(sum, room);
    if (column < columns && threadIdx.y == 0)
        op.store((int)n, item, column, sum[0]);
}

/* Floats of scratch that the partial sums take. */
static inline int64_t dk_columns_room(int n, int64_t items, int64_t rows, int64_t columns)
{
    return items * dk_column_runs(rows).count * n * columns;
}

template <int N, class Op>
static void dk_columns_sum(DkDevice *dev, float *partials, int64_t items, int64_t rows,
                           int64_t columns, Op op)
{
    const DkColumnRuns runs = dk_column_runs(rows);
    const dim3 grid((unsigned)dk_cuda_ceil(columns, DK_COLUMNS_X), (unsigned)runs.count,
                    (unsigned)items);
    DK_LAUNCH(dev, (dk_columns_partials<N, Op>), grid, dim3(DK_COLUMNS_X, DK_COLUMNS_Y), 0,
              partials, rows, columns, runs.length, op);
}

/* The sums of each of `items` items, or where `all` says so, of all together as item 0. */
template <int N, class Op>
static void dk_columns_finish(DkDevice *dev, const float *partials, int64_t items, int64_t rows,
                              int64_t columns, bool all, Op op)
{
    const int64_t count = dk_column_runs(rows).count * (all ? items : 1);
    const dim3 grid((unsigned)dk_cuda_ceil(columns, DK_COLUMNS_X), N, (unsigned)(all ? 1 : items));
    DK_LAUNCH(dev, (dk_columns_totals<N, Op>), grid, dim3(DK_COLUMNS_X, DK_COLUMNS_Y), 0, partials,
              count, columns, op);
}

#endif
