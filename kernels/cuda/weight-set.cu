/* Weights packed anew as linear.cu, conv2d.cu and selective-scan.cu want them, from tensors of the
 * card.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Matrices: 32 x 32 numbers a block, turned over in shared memory where they are transposed, so
 * that reads and writes both run along rows. Filters: a thread a number, written in order. */
#include "kernels/cuda/cuda.h"

/* Launch: 32 columns, 32 rows; 32 x 8 threads. */
template <class T, bool TRANSPOSED>
static __global__ void pack_matrix(T *to, int64_t stride, DkCudaRows w, int64_t rows,
                                   int64_t columns)
{
    DK_SHARED(float, tile, [32][33]);
    const int64_t column = (int64_t)blockIdx.x * 32, row = (int64_t)blockIdx.y * 32;
    const int x = (int)threadIdx.x;
    for (int y = (int)threadIdx.y; y < 32; y += 8)
        if (row + y < rows && column + x < columns)
            tile[y][x] = w.at[(row + y) * w.stride + column + x];
    __syncthreads();
    for (int y = (int)threadIdx.y; y < 32; y += 8) {
        if (TRANSPOSED && column + y < columns && row + x < rows)
            to[(column + y) * stride + row + x] = dk_to<T>(tile[x][y]);
        if (!TRANSPOSED && row + y < rows && column + x < columns)
            to[(row + y) * stride + column + x] = dk_to<T>(tile[y][x]);
    }
}

/* to[taps·I][stride] from w[O, I, taps], or transposed from w[I, O, taps] with the taps turned.
 * Launch: taps times inputs, 128 outputs. */
static __global__ void pack_filters(float *to, int64_t stride, const float *w, int64_t n_outputs,
                                    int64_t n_inputs, int taps, bool transposed)
{
    const int64_t o = (int64_t)blockIdx.y * blockDim.x + threadIdx.x;
    const int64_t tap = blockIdx.x / n_inputs, i = blockIdx.x % n_inputs;
    if (o >= stride)
        return;
    const int64_t from =
        transposed ? (i * n_outputs + o) * taps + taps - 1 - tap : (o * n_inputs + i) * taps + tap;
    to[(tap * n_inputs + i) * stride + o] = o < n_outputs ? w[from] : 0;
}

template <class T>
static void set_matrix(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    const int64_t rows = dk_rows(w), columns = dk_columns(w);
    const dim3 grid((unsigned)dk_cuda_ceil(columns, 32), (unsigned)dk_cuda_ceil(rows, 32));
    T *to = reinterpret_cast<T *>(weight->data);
    if (transposed)
        DK_LAUNCH(dev, (pack_matrix<T, true>), grid, dim3(32, 8), 0, to, rows, dk_cuda_rows(w),
                  rows, columns);
    else
        DK_LAUNCH(dev, (pack_matrix<T, false>), grid, dim3(32, 8), 0, to, columns, dk_cuda_rows(w),
                  rows, columns);
}

static void set_filters(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    const int taps = weight->kh * weight->kw;
    const int64_t stride = dk_cuda_ceil(weight->n, 4) * 4;
    DK_LAUNCH(dev, pack_filters,
              dim3((unsigned)(taps * weight->k), (unsigned)dk_cuda_ceil(stride, 128)), dim3(128), 0,
              weight->data, stride, dk_cuda_rows(w).at, weight->n, weight->k, taps, transposed);
}

void dk_cuda_weight_set(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    if (weight->kind == DK_WEIGHT_CONV2D)
        set_filters(dev, weight, w, transposed);
    else if (weight->kind == DK_WEIGHT_SCAN)
        dk_cuda_scan_set(dev, weight, w);
    else if (weight->products == DK_PRODUCTS_BF16)
        set_matrix<DkBf16>(dev, weight, w, transposed);
    else if (weight->products == DK_PRODUCTS_F16)
        set_matrix<DkF16>(dev, weight, w, transposed);
    else
        set_matrix<float>(dev, weight, w, transposed);
}
