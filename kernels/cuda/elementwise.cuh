/* One pass over [rows, columns] that changes each number.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: dk_cuda_sheet. A warp reads 32 neighbouring float4s of a row (single floats where rows
 * are not aligned); what belongs to a column is read once a thread. */
#ifndef DK_CUDA_ELEMENTWISE_CUH
#define DK_CUDA_ELEMENTWISE_CUH

#include "kernels/cuda/lanes.cuh"

/* y = op (x): an operation gives what it keeps of a column, and changes x's lanes to y's. */
template <int V, class Op>
static __global__ void dk_elementwise(DkCudaRows y, DkCudaRows x, int64_t rows, int64_t columns,
                                      Op op)
{
    const int64_t c = dk_sheet_column<V>();
    if (c >= columns)
        return;
    const auto kept = op.template column<V>(c);
    for (int64_t row = dk_sheet_first(); row < dk_sheet_end(rows); row += blockDim.y) {
        float *out = y.at + row * y.stride + c;
        DkLanes<V> lanes = dk_load<V>(x.at + row * x.stride + c);
        op.template apply<V>(lanes, out, row, c, kept);
        dk_store<V>(out, lanes);
    }
}

/* `other` is a further operand, whose rows decide with those of x and y how wide accesses are. */
template <class Op>
static void dk_elementwise_run(DkDevice *dev, DkTensor y, DkTensor x, DkTensor other, Op op)
{
    const int64_t rows = dk_rows(x), columns = dk_columns(x);
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x) && dk_cuda_is_vector(other);
    const DkCudaSheet s = dk_cuda_sheet(rows, columns, wide ? 4 : 1);
    if (wide)
        DK_LAUNCH(dev, (dk_elementwise<4, Op>), s.grid, s.block, 0, dk_cuda_rows(y),
                  dk_cuda_rows(x), rows, columns, op);
    else
        DK_LAUNCH(dev, (dk_elementwise<1, Op>), s.grid, s.block, 0, dk_cuda_rows(y),
                  dk_cuda_rows(x), rows, columns, op);
}

/* Of operations that keep nothing of a column. */
struct DkNoColumn {
    template <int V> __device__ int column(int64_t) const
    {
        return 0;
    }
};

#endif
