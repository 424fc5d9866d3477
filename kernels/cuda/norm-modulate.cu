/* y = norm (x) · w · (1 + scale) + shift; RMS: x / sqrt (mean x² + eps), LAYER: (x - mean) / sqrt
 * (var + eps).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * x, y [B, L, D], rows of D. Launch: blocks of 256 threads, blockDim.x of them (32 to 256, by D
 * alone) to a row, so a row's sums have one order. The mean, the squares about it and the result
 * are three passes over a row; the second and third find it in the first cache. The mean is taken
 * from the row's first number on: a row of equal ones has its own exactly. */
#include "kernels/cuda/lanes.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

struct Norm {
    DkCudaRows y, x, scale, shift;
    const float *w;
    int64_t rows, tokens, columns;
    float eps;
    bool centred; /* LAYER */
};

/* The sum over the threads of a row, which all get. `partial` has a place for each warp. */
template <class Partial> static __device__ float row_sum(float x, Partial &partial)
{
    const int warps = (int)blockDim.x / 32;
    x = dk_warp_sum(x);
    if (warps == 1)
        return x;
    __syncthreads(); /* the last sum was read */
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.y * warps + threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < warps; i++)
        sum += partial[threadIdx.y * warps + i];
    return sum;
}

/* (x - first - mean) · factor, and what follows it. */
template <int V>
static __device__ void finish(const Norm &n, int64_t row, float first, float mean, float factor)
{
    const int64_t picture = row / n.tokens;
    for (int64_t c = threadIdx.x * V; c < n.columns; c += blockDim.x * V) {
        DkLanes<V> v = dk_load<V>(n.x.at + row * n.x.stride + c);
        for (int i = 0; i < V; i++)
            v.at[i] = (v.at[i] - first - mean) * factor;
        if (n.w) {
            const DkLanes<V> w = dk_load<V>(n.w + c);
            for (int i = 0; i < V; i++)
                v.at[i] *= w.at[i];
        }
        if (n.scale.at) {
            const DkLanes<V> by = dk_load<V>(n.scale.at + picture * n.scale.stride + c);
            for (int i = 0; i < V; i++)
                v.at[i] *= 1 + by.at[i];
        }
        if (n.shift.at) {
            const DkLanes<V> add = dk_load<V>(n.shift.at + picture * n.shift.stride + c);
            for (int i = 0; i < V; i++)
                v.at[i] += add.at[i];
        }
        dk_store<V>(n.y.at + row * n.y.stride + c, v);
    }
}

template <int V> static __global__ void norm_modulate(Norm n)
{
    DK_SHARED(float, partial, [WARPS]);
    const int64_t at = (int64_t)blockIdx.x * blockDim.y + threadIdx.y;
    const bool is_row = at < n.rows; /* barriers want all threads */
    const int64_t columns = is_row ? n.columns : 0;
    const float *x = n.x.at + at * n.x.stride;
    const float first = is_row && n.centred ? x[0] : 0;
    float sum = 0, squares = 0;
    if (n.centred) {
        for (int64_t c = threadIdx.x * V; c < columns; c += blockDim.x * V) {
            const DkLanes<V> v = dk_load<V>(x + c);
            for (int i = 0; i < V; i++)
                sum += v.at[i] - first;
        }
        sum = row_sum(sum, partial);
    }
    const float mean = sum / (float)n.columns;
    for (int64_t c = threadIdx.x * V; c < columns; c += blockDim.x * V) {
        const DkLanes<V> v = dk_load<V>(x + c);
        for (int i = 0; i < V; i++)
            squares += (v.at[i] - first - mean) * (v.at[i] - first - mean);
    }
    squares = row_sum(squares, partial);
    if (is_row)
        finish<V>(n, at, first, mean, 1 / sqrtf(squares / (float)n.columns + n.eps));
}

void dk_cuda_norm_modulate(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor scale,
                           DkTensor shift, DkNorm norm, float eps)
{
    Norm n = {};
    n.y = dk_cuda_rows(y);
    n.x = dk_cuda_rows(x);
    n.scale = dk_cuda_rows(scale);
    n.shift = dk_cuda_rows(shift);
    n.w = dk_cuda_rows(w).at;
    n.rows = dk_rows(x);
    n.tokens = x.sizes[1];
    n.columns = dk_columns(x);
    n.eps = eps;
    n.centred = norm == DK_NORM_LAYER;
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x) && dk_cuda_is_vector(w) &&
                      dk_cuda_is_vector(scale) && dk_cuda_is_vector(shift);
    unsigned threads = 32;
    while (threads < THREADS && threads * 16 < n.columns)
        threads *= 2;
    const dim3 block(threads, THREADS / threads);
    const unsigned blocks = (unsigned)dk_cuda_ceil(n.rows, block.y);
    if (wide)
        DK_LAUNCH(dev, norm_modulate<4>, blocks, block, 0, n);
    else
        DK_LAUNCH(dev, norm_modulate<1>, blocks, block, 0, n);
}
