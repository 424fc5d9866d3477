/* Device functions that several kernels share: activations, numbers taken four at a time, and the
 * launch of one pass over rows and columns.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_LANES_CUH
#define DK_CUDA_LANES_CUH

#include "kernels/cuda/cuda.h"

/* As in dk.h. e^x overflows to infinity and the quotient goes to 0, which is the limit. */
static inline __device__ float dk_apply_act(float x, DkAct act)
{
    switch (act) {
    case DK_ACT_SILU:
        return x / (1 + expf(-x));
    case DK_ACT_RELU:
        return x > 0 ? x : 0;
    case DK_ACT_TANH:
        return tanhf(x);
    case DK_ACT_GELU:
        return x / (1 + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    case DK_ACT_NONE:
        break;
    }
    return x;
}

/* 1 / (1 + e^-x), and what it lacks of 1, neither with cancellation. */
static inline __device__ float dk_sigmoid(float x, float *rest)
{
    const float e = expf(-fabsf(x)), large = 1 / (1 + e), small = e * large;
    *rest = x < 0 ? large : small;
    return x < 0 ? small : large;
}

/* act' (x) */
static inline __device__ float dk_act_slope(float x, DkAct act)
{
    float rest, s;
    switch (act) {
    case DK_ACT_SILU:
        s = dk_sigmoid(x, &rest);
        return s * fmaf(x, rest, 1);
    case DK_ACT_RELU:
        return x > 0 ? 1 : 0;
    case DK_ACT_TANH:
        s = dk_sigmoid(2 * x, &rest);
        return 4 * s * rest;
    case DK_ACT_GELU: /* beyond 16 the sigmoid is 0 or 1, and its argument would overflow */
        x = fminf(fmaxf(x, -16), 16);
        s = dk_sigmoid(1.5957691216057308f * (x + 0.044715f * x * x * x), &rest);
        return fmaf(s * rest, x * 1.5957691216057308f * (1 + 3 * 0.044715f * x * x), s);
    case DK_ACT_NONE:
        break;
    }
    return 1;
}

/* V neighbouring floats, loaded and stored in one access. */
template <int V> struct DkLanes {
    float at[V];
};

template <int V> static inline __device__ DkLanes<V> dk_load(const float *from)
{
    DkLanes<V> x;
    if constexpr (V == 4) {
        const float4 v = *reinterpret_cast<const float4 *>(from);
        x.at[0] = v.x;
        x.at[1] = v.y;
        x.at[2] = v.z;
        x.at[3] = v.w;
    } else
        for (int i = 0; i < V; i++)
            x.at[i] = from[i];
    return x;
}

template <int V> static inline __device__ void dk_store(float *to, const DkLanes<V> &x)
{
    if constexpr (V == 4)
        *reinterpret_cast<float4 *>(to) = make_float4(x.at[0], x.at[1], x.at[2], x.at[3]);
    else
        for (int i = 0; i < V; i++)
            to[i] = x.at[i];
}

/* ---- rows times columns ---------------------------------------------------------------------- */

/* The launch of an operation on each element of [rows, columns]: a thread has `lanes` neighbouring
 * columns of DK_SHEET_ROWS rows, the block's rows lie together. */
enum { DK_SHEET_ROWS = 4 };

struct DkCudaSheet {
    dim3 grid, block;
};

static inline DkCudaSheet dk_cuda_sheet(int64_t rows, int64_t columns, int lanes)
{
    const int64_t threads = 256, wanted = dk_cuda_ceil(columns, lanes);
    int64_t x = 1;
    while (x < threads && x < wanted)
        x *= 2;
    const int64_t y = threads / x;
    return {
        dim3((unsigned)dk_cuda_ceil(rows, y * DK_SHEET_ROWS), (unsigned)dk_cuda_ceil(wanted, x)),
        dim3((unsigned)x, (unsigned)y)};
}

/* A thread's first column. */
template <int V> static inline __device__ int64_t dk_sheet_column()
{
    return ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * V;
}

/* Its rows: for (row = dk_sheet_first(); row < dk_sheet_end(rows); row += blockDim.y). */
static inline __device__ int64_t dk_sheet_first()
{
    return (int64_t)blockIdx.x * blockDim.y * DK_SHEET_ROWS + threadIdx.y;
}

static inline __device__ int64_t dk_sheet_end(int64_t rows)
{
    const int64_t end = ((int64_t)blockIdx.x + 1) * blockDim.y * DK_SHEET_ROWS;
    return end < rows ? end : rows;
}

/* ---- sums over a warp ------------------------------------------------------------------------ */

/* Every lane gets the sum, in an order that does not depend on the lane. */
static inline __device__ float dk_warp_sum(float x)
{
    for (int far = 16; far > 0; far /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, far);
    return x;
}

#endif
