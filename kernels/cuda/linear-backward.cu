/* dw += dyᵀ · x: one product; a bias's gradient: sums of columns.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * For products of 16-bit numbers a pass each rounds dy and x into scratch. */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/products.h"

void dk_cuda_linear_backward_weight(DkDevice *dev, DkTensor dw, DkTensor db, DkTensor dy,
                                    DkTensor x)
{
    if (db.buffer)
        dk_cuda_sum_rows(dev, db, dy);
    DkCudaProduct p = {};
    p.m = dk_columns(dy);
    p.n = dk_columns(x);
    p.k = dk_rows(x);
    p.n_batch = 1;
    p.a = dk_data(dy);
    p.a_stride = dy.row_stride;
    p.a_transposed = true;
    p.b = dk_data(x);
    p.b_stride = x.row_stride;
    p.c = dk_cuda_rows(dw).at;
    p.c_stride = dw.row_stride;
    p.accumulate = true;
    p.products = dev->products;
    if (p.products != DK_PRODUCTS_F32) {
        const int64_t second = dk_cuda_ceil(p.k * p.m, 128) * 128; /* aligned as the first */
        uint16_t *rounded = static_cast<uint16_t *>(
            dk_cuda_scratch(dev, (size_t)(second + p.k * p.n) * sizeof *rounded));
        if (!rounded)
            return;
        dk_cuda_round_rows(dev, rounded, dy, p.products);
        dk_cuda_round_rows(dev, rounded + second, x, p.products);
        p.a = rounded;
        p.a_stride = p.m;
        p.b = rounded + second;
        p.b_stride = p.n;
    }
    dk_cuda_product(dev, &p);
}

struct SumRows {
    DkCudaRows x;
    float *y;
    __device__ int column(int64_t, int64_t) const
    {
        return 0;
    }
    __device__ void add(float (&sums)[1], int, int64_t, int64_t row, int64_t column) const
    {
        sums[0] += x.at[row * x.stride + column];
    }
    __device__ void store(int, int64_t, int64_t column, float sum) const
    {
        y[column] += sum;
    }
};

void dk_cuda_sum_rows(DkDevice *dev, DkTensor y, DkTensor x)
{
    const int64_t rows = dk_rows(x), columns = dk_columns(x);
    float *partials = static_cast<float *>(
        dk_cuda_scratch(dev, (size_t)dk_columns_room(1, 1, rows, columns) * sizeof *partials));
    const SumRows op = {dk_cuda_rows(x), dk_cuda_rows(y).at};
    if (!partials)
        return;
    dk_columns_sum<1>(dev, partials, 1, rows, columns, op);
    dk_columns_finish<1>(dev, partials, 1, rows, columns, true, op);
}
