/* Backward of what moves rows about, and of the depth-wise 3x3 convolution.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/lanes.cuh"

/* ---- gather ---------------------------------------------------------------------------------- */

/* A block has one row of dx and looks for itself in the table, 256 entries at a time, so that what
 * is added comes in the table's order. Launch: rows of dx, its items; 256 threads. */
static __global__ void gather_rows(DkCudaRows dx, DkCudaRows dy, const int *rows, int64_t n_rows,
                                   int64_t length, int64_t n_items, int64_t columns)
{
    DK_SHARED(unsigned, found, [8]);
    const int64_t item = blockIdx.y, row = blockIdx.x;
    const int64_t first = n_items == gridDim.y ? item : 0,
                  last = n_items == gridDim.y ? item + 1 : n_items;
    float *to = dx.at + (item * n_rows + row) * dx.stride;
    for (int64_t from = first; from < last; from++)
        for (int64_t l = 0; l < length; l += 256) {
            const bool mine = l + threadIdx.x < length && rows[l + threadIdx.x] == row;
            const unsigned votes = __ballot_sync(0xffffffffu, mine);
            if (threadIdx.x % 32 == 0)
                found[threadIdx.x / 32] = votes;
            __syncthreads();
            for (int i = 0; i < 8; i++)
                for (unsigned left = found[i]; left; left &= left - 1) {
                    const int64_t at = from * length + l + 32 * i + __ffs((int)left) - 1;
                    for (int64_t c = threadIdx.x; c < columns; c += 256)
                        to[c] += dy.at[at * dy.stride + c];
                }
            __syncthreads();
        }
}

void dk_cuda_gather_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor rows)
{
    DK_LAUNCH(dev, gather_rows, dim3((unsigned)dx.sizes[1], (unsigned)dx.sizes[0]), dim3(256), 0,
              dk_cuda_rows(dx), dk_cuda_rows(dy), static_cast<const int *>(dk_data(rows)),
              dx.sizes[1], dy.sizes[1], dy.sizes[0], dk_columns(dy));
}

/* ---- unpatchify ------------------------------------------------------------------------------ */

/* A thread has a column of some rows of dx. Launch: dk_cuda_sheet. */
static __global__ void take_patches(DkCudaRows dx, DkCudaRows dy, int64_t rows, int64_t n_channels,
                                    int64_t h, int64_t w, int p)
{
    const int64_t c = dk_sheet_column<1>();
    if (c >= n_channels * p * p)
        return;
    const int64_t channel = c % n_channels, right = c / n_channels % p, down = c / n_channels / p;
    for (int64_t i = dk_sheet_first(); i < dk_sheet_end(rows); i += blockDim.y) {
        const int64_t line = ((i / (h * w) * n_channels + channel) * h + i / w % h) * p + down;
        dx.at[i * dx.stride + c] = dy.at[line * dy.stride + i % w * p + right];
    }
}

void dk_cuda_unpatchify_backward(DkDevice *dev, DkTensor dx, DkTensor dy, int p)
{
    const DkCudaSheet s = dk_cuda_sheet(dk_rows(dx), dk_columns(dx), 1);
    DK_LAUNCH(dev, take_patches, s.grid, s.block, 0, dk_cuda_rows(dx), dk_cuda_rows(dy),
              dk_rows(dx), dy.sizes[1], dy.sizes[2] / p, dy.sizes[3] / p, p);
}

/* ---- depth-wise 3x3 -------------------------------------------------------------------------- */

/* One pass: dx from dy's neighbours, and dy summed with x's: nine taps, then the bias. */
struct DepthwiseBackward {
    DkCudaRows dx, dy, x;
    const float *w;
    float *dw, *db;
    int64_t height, width;

    struct Taps {
        float at[9];
    };
    __device__ Taps column(int64_t, int64_t column) const
    {
        Taps taps;
        for (int t = 0; t < 9; t++)
            taps.at[t] = w[9 * column + t];
        return taps;
    }
    __device__ void add(float (&sums)[10], const Taps &taps, int64_t, int64_t pixel,
                        int64_t column) const
    {
        const int64_t r = pixel / width % height, c = pixel % width;
        const float gradient = dy.at[pixel * dy.stride + column];
        float back = 0;
        for (int t = 0; t < 9; t++) {
            const int down = t / 3 - 1, right = t % 3 - 1;
            if (r + down < 0 || r + down >= height || c + right < 0 || c + right >= width)
                continue;
            const int64_t there = pixel + down * width + right;
            sums[t] += gradient * x.at[there * x.stride + column];
            back += taps.at[8 - t] * dy.at[there * dy.stride + column];
        }
        sums[9] += gradient;
        dx.at[pixel * dx.stride + column] = back;
    }
    __device__ void store(int n, int64_t, int64_t column, float sum) const
    {
        if (n < 9)
            dw[9 * column + n] += sum;
        else if (db)
            db[column] += sum;
    }
};

void dk_cuda_conv2d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                                DkTensor x, DkTensor w)
{
    const int64_t rows = dk_rows(x), columns = dk_columns(x);
    float *partials = static_cast<float *>(
        dk_cuda_scratch(dev, (size_t)dk_columns_room(10, 1, rows, columns) * sizeof *partials));
    const DepthwiseBackward op = {dk_cuda_rows(dx),   dk_cuda_rows(dy),    dk_cuda_rows(x),
                                  dk_cuda_rows(w).at, dk_cuda_rows(dw).at, dk_cuda_rows(db).at,
                                  x.sizes[1],         x.sizes[2]};
    if (!partials)
        return;
    dk_columns_sum<10>(dev, partials, 1, rows, columns, op);
    dk_columns_finish<10>(dev, partials, 1, rows, columns, true, op);
}
