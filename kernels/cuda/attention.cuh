/* What attention, in f32 and in 16 bits, and its backward share: products of tiles, whose weights
 * stay in the block.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block of 256 threads, 16 across and 16 down, has a tile of 16·R rows (queries; keys where
 * their gradients are found) and takes the others DK_OTHERS at a time. Both come into shared memory
 * DK_CHUNK channels at a time, so any width of a head fits. Thread (x, y) has the products of its R
 * rows with every 16th of the others, then two neighbouring channels of each chunk of the output,
 * which it holds until the end. Heads wider than a kernel's J chunks are cut into slices, a block
 * each, which find the same products once more. */
#ifndef DK_CUDA_ATTENTION_CUH
#define DK_CUDA_ATTENTION_CUH

#include "kernels/cuda/cuda.h"

/* What dk_attention's kernels are given. */
struct DkAttention {
    DkCudaRows y, q, k, v;
    int64_t n_queries, n_keys;
    int width, n_slices; /* width: channels of a head */
    float factor;        /* log2 (e) / sqrt (width) */
};

/* All but the slices. */
static inline DkAttention dk_attention_of(DkTensor y, DkTensor q, DkTensor k, DkTensor v,
                                          int n_heads)
{
    DkAttention a = {};
    a.y = dk_cuda_rows(y);
    a.q = dk_cuda_rows(q);
    a.k = dk_cuda_rows(k);
    a.v = dk_cuda_rows(v);
    a.n_queries = q.sizes[1];
    a.n_keys = k.sizes[1];
    a.width = (int)(q.sizes[2] / n_heads);
    a.factor = (float)(1.4426950408889634 / sqrt((double)a.width));
    return a;
}

enum { DK_OTHERS = 64, DK_CHUNK = 32, DK_HEAD_THREADS = 256 };

/* Rows in shared memory, padded so that rows side by side lie in other banks. */
struct DkChunk {
    float4 at[DK_CHUNK / 4 + 1];
};
struct DkHeadWeights {
    float4 at[DK_OTHERS / 4 + 1];
};

/* `n` rows of a matrix, `columns` channels of each. */
struct DkHeadRows {
    const float *at;
    int64_t stride;
    int n, columns;
};

static inline __device__ DkHeadRows dk_head_rows(DkCudaRows x, int64_t row, int n, int column,
                                                 int columns)
{
    return {x.at + row * x.stride + column, x.stride, n, columns};
}

/* to[n_rows] from the rows' channels from `column` on, a warp a row; zeros where x has none. */
static inline __device__ void dk_stage_chunk(DkChunk *to, int n_rows, const DkHeadRows &x,
                                             int column)
{
    const int thread = (int)(threadIdx.y * 16 + threadIdx.x), lane = thread % DK_CHUNK;
    const float *from = x.at + thread / DK_CHUNK * x.stride + column + lane;
    DK_UNROLL_BY(4)
    for (int row = thread / DK_CHUNK; row < n_rows; row += DK_HEAD_THREADS / DK_CHUNK) {
        reinterpret_cast<float *>(to[row].at)[lane] =
            row < x.n && lane < x.columns - column ? *from : 0;
        from += DK_HEAD_THREADS / DK_CHUNK * x.stride;
    }
}

/* s += rows · others, of the chunks in shared memory. */
template <int R>
static inline __device__ void dk_add_products(float (&s)[R][4], const DkChunk *rows,
                                              const DkChunk *others)
{
    DK_UNROLL_BY(1)
    for (int c = 0; c < DK_CHUNK / 4; c++) {
        float4 q[R];
        DK_UNROLL
        for (int r = 0; r < R; r++)
            q[r] = rows[threadIdx.y * R + r].at[c];
        DK_UNROLL
        for (int j = 0; j < 4; j++) {
            const float4 k = others[threadIdx.x + 16 * j].at[c];
            DK_UNROLL
            for (int r = 0; r < R; r++) {
                s[r][j] += q[r].x * k.x;
                s[r][j] += q[r].y * k.y;
                s[r][j] += q[r].z * k.z;
                s[r][j] += q[r].w * k.w;
            }
        }
    }
}

/* s += a · b over all of the head's channels, by way of rows[16·R] and others[DK_OTHERS]. */
template <int R>
static inline __device__ void dk_add_head_products(float (&s)[R][4], const DkHeadRows &a,
                                                   const DkHeadRows &b, DkChunk *rows,
                                                   DkChunk *others)
{
    for (int c = 0; c < a.columns; c += DK_CHUNK) {
        dk_stage_chunk(rows, 16 * R, a, c);
        dk_stage_chunk(others, DK_OTHERS, b, c);
        __syncthreads();
        dk_add_products<R>(s, rows, others);
        __syncthreads();
    }
}

template <int R>
static inline __device__ void dk_share_weights(DkHeadWeights *weights, const float (&p)[R][4])
{
    DK_UNROLL
    for (int r = 0; r < R; r++)
        for (int j = 0; j < 4; j++)
            reinterpret_cast<float *>(weights[threadIdx.y * R + r].at)[threadIdx.x + 16 * j] =
                p[r][j];
}

/* y[R] += weights · values, of all of the tile's others and the chunk's channels 2x and 2x + 1. */
template <int R>
static inline __device__ void dk_add_values(float2 (&y)[R], const DkHeadWeights *weights,
                                            const DkChunk *values)
{
    DK_UNROLL_BY(1)
    for (int k = 0; k < DK_OTHERS / 4; k++) {
        float2 v[4];
        DK_UNROLL
        for (int i = 0; i < 4; i++)
            v[i] = reinterpret_cast<const float2 *>(values[4 * k + i].at)[threadIdx.x];
        DK_UNROLL
        for (int r = 0; r < R; r++) {
            const float4 p = weights[threadIdx.y * R + r].at[k];
            y[r].x += p.x * v[0].x;
            y[r].y += p.x * v[0].y;
            y[r].x += p.y * v[1].x;
            y[r].y += p.y * v[1].y;
            y[r].x += p.z * v[2].x;
            y[r].y += p.z * v[2].y;
            y[r].x += p.w * v[3].x;
            y[r].y += p.w * v[3].y;
        }
    }
}

/* The same over the values' chunks, by way of others[DK_OTHERS]. */
template <int R, int J>
static inline __device__ void dk_add_head_values(float2 (&y)[J][R], const DkHeadWeights *weights,
                                                 const DkHeadRows &values, DkChunk *others)
{
    DK_UNROLL
    for (int j = 0; j < J; j++) {
        if (j * DK_CHUNK < values.columns) {
            dk_stage_chunk(others, DK_OTHERS, values, j * DK_CHUNK);
            __syncthreads();
            dk_add_values<R>(y[j], weights, others);
            __syncthreads();
        }
    }
}

/* Row r of the thread's y, times `by`, to the head's `columns` channels there. */
template <int R, int J>
static inline __device__ void dk_store_head_row(float *to, const float2 (&y)[J][R], int r, float by,
                                                int columns)
{
    DK_UNROLL
    for (int j = 0; j < J; j++) {
        const int c = j * DK_CHUNK + 2 * (int)threadIdx.x;
        if (c < columns)
            to[c] = y[j][r].x * by;
        if (c + 1 < columns)
            to[c + 1] = y[j][r].y * by;
    }
}

/* Over the 16 threads that share their rows. */
static inline __device__ float dk_head_largest(float x)
{
    for (int far = 8; far > 0; far /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, far, 16));
    return x;
}

static inline __device__ float dk_head_total(float x)
{
    for (int far = 8; far > 0; far /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, far, 16);
    return x;
}

/* One query's logits become weights; answers what all earlier ones are to be multiplied by. */
static inline __device__ float dk_weigh(float (&s)[4], float *top, float *sum, int n_keys)
{
    DK_UNROLL
    for (int j = 0; j < 4; j++)
        if ((int)threadIdx.x + 16 * j >= n_keys)
            s[j] = -INFINITY;
    const float most = fmaxf(*top, dk_head_largest(fmaxf(fmaxf(s[0], s[1]), fmaxf(s[2], s[3]))));
    const float keep = exp2f(*top - most);
    DK_UNROLL
    for (int j = 0; j < 4; j++)
        s[j] = exp2f(s[j] - most);
    *sum = *sum * keep + dk_head_total(s[0] + s[1] + s[2] + s[3]);
    *top = most;
    return keep;
}

#endif
