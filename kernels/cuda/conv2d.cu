/* y = act (x * w + b + (accumulate ? y : 0)): an implicit matrix product, no copy of the windows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Rows of the product are the places of all pictures' outputs, columns the output channels, k the
 * inputs (tap, channel) of an output; a tile's numbers of x are picked up from the pictures
 * (tile.cuh). Weights are packed as [kh·kw·I][O], O rounded up to fours.
 *
 * Why not cuBLASLt on copied windows: a 3x3 convolution would write and read nine times its input,
 * and a picture in strips would have the whole one's bits only as far as the library promises.
 * Here they follow from each output being one sum in one order. */
#include "kernels/cuda/conv2d.cuh"
#include "kernels/cuda/lanes.cuh"

/* Four of a window's inputs; rows of the product. */
struct Windows {
    const DkCudaWindows &w;
    DkCudaCorner corner;
    DkCudaTap tap;

    __device__ Windows(const DkCudaWindows &windows, int64_t window, int k)
        : w(windows), corner(windows, window), tap{0, 0, 0}
    {
        tap.advance(w, k);
    }
    __device__ float4 next()
    {
        const float4 x = corner.four(w, tap);
        tap.advance(w, DK_TILE_K);
        return x;
    }
};

/* Four output channels of one input; zeros beyond the weights. */
struct Filters {
    const float *at;
    int64_t step, left; /* floats from k to k + DK_TILE_K; inputs from here on */

    __device__ Filters(const float *w, int64_t n_k, int64_t stride, int64_t column, int k)
        : at(w + k * stride + column), step(DK_TILE_K * stride), left(column < stride ? n_k - k : 0)
    {
    }
    __device__ float4 next()
    {
        float4 x = make_float4(0, 0, 0, 0);
        if (left > 0)
            x = *reinterpret_cast<const float4 *>(at);
        at += step;
        left -= DK_TILE_K;
        return x;
    }
};

struct Output {
    float *at;
    int64_t n; /* channels */
    const float *bias;
    DkAct act;
    bool accumulate, wide;
};

template <int V>
static inline __device__ void store(const Output &y, int64_t row, int64_t column, const float *sums)
{
    float *to = y.at + row * y.n + column;
    DkLanes<V> x, old = {};
    if (y.accumulate)
        old = dk_load<V>(to);
    DK_UNROLL
    for (int i = 0; i < V; i++) {
        const float bias = y.bias ? y.bias[column + i] : 0;
        x.at[i] = dk_apply_act(sums[i] + bias + old.at[i], y.act);
    }
    dk_store<V>(to, x);
}

/* Launch: tiles of rows, tiles of columns; 16 x 16 threads. */
template <int RM, int RN>
static __global__ void __launch_bounds__(DK_TILE_THREADS, 2)
    convolve(Output y, DkCudaWindows x, const float *w, int64_t w_stride)
{
    const int64_t first_row = (int64_t)blockIdx.x * 16 * RM,
                  first_column = (int64_t)blockIdx.y * 16 * RN;
    const int64_t n_k = (int64_t)x.kh * x.kw * x.n_inputs;
    const DkTilePlace<RM, true> a(dk_tile_thread());
    const DkTilePlace<RN, false> b(dk_tile_thread());
    Windows windows(x, first_row + a.row, a.k);
    Filters filters(w, n_k, w_stride, first_column + b.row, b.k);
    float c[RM][RN] = {};
    dk_tile_product<true, false>(c, windows, filters, n_k);
    constexpr int lanes = RN < 4 ? RN : 4;
    DK_UNROLL
    for (int i = 0; i < RM; i++) {
        const int64_t row = first_row + dk_tile_index<RM>((int)threadIdx.y, i);
        DK_UNROLL
        for (int j = 0; j < RN; j += lanes) {
            const int64_t column = first_column + dk_tile_index<RN>((int)threadIdx.x, j);
            if (row < x.n_windows && y.wide && column < y.n)
                store<lanes>(y, row, column, &c[i][j]);
            DK_UNROLL
            for (int l = 0; l < lanes; l++)
                if (row < x.n_windows && !y.wide && column + l < y.n)
                    store<1>(y, row, column + l, &c[i][j + l]);
        }
    }
}

template <int RM, int RN>
static void launch(DkDevice *dev, const Output &y, const DkCudaWindows &x, const DkWeight *w,
                   int64_t w_stride)
{
    const dim3 grid((unsigned)dk_cuda_ceil(x.n_windows, 16 * RM),
                    (unsigned)dk_cuda_ceil(w->n, 16 * RN));
    DK_LAUNCH(dev, (convolve<RM, RN>), grid, dim3(16, 16), 0, y, x, w->data, w_stride);
}

void dk_cuda_conv2d(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b,
                    int stride, DkPad pad, DkAct act, bool accumulate)
{
    const DkCudaWindows windows = dk_cuda_windows(x, y, w->kh, w->kw, stride, pad);
    const Output out = {dk_cuda_rows(y).at,  w->n, dk_cuda_rows(b).at, act, accumulate,
                        dk_cuda_is_vector(y)};
    const int64_t w_stride = dk_cuda_ceil(w->n, 4) * 4;
    /* Tiles as large as leaves every processor two blocks; no output's bits depend on them. */
    const int64_t enough = 2 * dk_cuda(dev)->n_processors,
                  rows = dk_cuda_ceil(windows.n_windows, 128);
    if (w->n <= 16)
        launch<8, 1>(dev, out, windows, w, w_stride);
    else if (rows * dk_cuda_ceil(w->n, w->n <= 64 ? 64 : 128) < enough)
        launch<4, 4>(dev, out, windows, w, w_stride);
    else if (w->n <= 64)
        launch<8, 4>(dev, out, windows, w, w_stride);
    else
        launch<8, 8>(dev, out, windows, w, w_stride);
}

DkWeight *dk_cuda_weight_conv2d(DkDevice *dev, const float *w, int64_t out, int64_t in, int kh,
                                int kw)
{
    const size_t inputs = (size_t)in * (size_t)kh * (size_t)kw;
    const size_t bytes = inputs * (size_t)dk_cuda_ceil(out, 4) * 4 * sizeof(float);
    DkWeight *weight = dk_cuda_weight_new(dev, DK_WEIGHT_CONV2D, out, in, kh, kw, bytes);
    if (!weight)
        return nullptr;
    DkBuffer given = {static_cast<unsigned char *>(dk_cuda_alloc(dev, bytes)), bytes};
    if (!given.data) {
        dk_cuda_weight_free(dev, &weight);
        return nullptr;
    }
    const int64_t sizes[] = {out, in, kh, kw};
    const DkTensor tensor = dk_tensor(&given, 0, DK_F32, 4, sizes);
    dk_cuda_write(dev, tensor, w);
    dk_cuda_weight_set(dev, weight, tensor, false);
    dk_cuda_free(dev, given.data, bytes);
    return weight;
}
