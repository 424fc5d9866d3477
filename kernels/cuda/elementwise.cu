/* dk_axpby, dk_act, dk_add_row, dk_gate_add: one pass over [rows, columns].
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: dk_cuda_sheet. A warp reads 32 neighbouring float4s of a row (single floats where rows
 * are not aligned); what belongs to a column is read once a thread. */
#include "kernels/cuda/lanes.cuh"

/* y = op (x): an operation gives what it keeps of a column, and changes x's lanes to y's. */
template <int V, class Op>
static __global__ void elementwise(DkCudaRows y, DkCudaRows x, int64_t rows, int64_t columns, Op op)
{
    const int64_t c = dk_sheet_column<V>();
    if (c >= columns)
        return;
    const auto kept = op.template column<V>(c);
    for (int64_t row = dk_sheet_row(); row < rows; row += dk_sheet_step()) {
        float *out = y.at + row * y.stride + c;
        DkLanes<V> lanes = dk_load<V>(x.at + row * x.stride + c);
        op.template apply<V>(lanes, out, row, c, kept);
        dk_store<V>(out, lanes);
    }
}

/* `other` is a further operand, whose rows decide with those of x and y how wide accesses are. */
template <class Op> static void run(DkDevice *dev, DkTensor y, DkTensor x, DkTensor other, Op op)
{
    const int64_t rows = dk_rows(x), columns = dk_columns(x);
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x) && dk_cuda_is_vector(other);
    const DkCudaSheet s = dk_cuda_sheet(rows, columns, wide ? 4 : 1);
    if (wide)
        DK_LAUNCH(dev, (elementwise<4, Op>), s.grid, s.block, 0, dk_cuda_rows(y), dk_cuda_rows(x),
                  rows, columns, op);
    else
        DK_LAUNCH(dev, (elementwise<1, Op>), s.grid, s.block, 0, dk_cuda_rows(y), dk_cuda_rows(x),
                  rows, columns, op);
}

/* Of operations that keep nothing of a column. */
struct NoColumn {
    template <int V> __device__ int column(int64_t) const
    {
        return 0;
    }
};

struct Axpby : NoColumn {
    float a, b;
    template <int V>
    __device__ void apply(DkLanes<V> &x, const float *y, int64_t, int64_t, int) const
    {
        if (b == 0) {
            for (int i = 0; i < V; i++)
                x.at[i] *= a;
            return;
        }
        const DkLanes<V> old = dk_load<V>(y);
        for (int i = 0; i < V; i++)
            x.at[i] = fmaf(a, x.at[i], b * old.at[i]);
    }
};

void dk_cuda_axpby(DkDevice *dev, DkTensor y, float a, DkTensor x, float b)
{
    Axpby op;
    op.a = a;
    op.b = b;
    run(dev, y, x, DkTensor{}, op);
}

struct Act : NoColumn {
    DkAct act;
    template <int V>
    __device__ void apply(DkLanes<V> &x, const float *, int64_t, int64_t, int) const
    {
        for (int i = 0; i < V; i++)
            x.at[i] = dk_apply_act(x.at[i], act);
    }
};

void dk_cuda_act(DkDevice *dev, DkTensor y, DkTensor x, DkAct act)
{
    Act op;
    op.act = act;
    run(dev, y, x, DkTensor{}, op);
}

struct AddRow {
    const float *b;
    template <int V> __device__ DkLanes<V> column(int64_t c) const
    {
        return dk_load<V>(b + c);
    }
    template <int V>
    __device__ void apply(DkLanes<V> &x, const float *, int64_t, int64_t,
                          const DkLanes<V> &add) const
    {
        for (int i = 0; i < V; i++)
            x.at[i] += add.at[i];
    }
};

void dk_cuda_add_row(DkDevice *dev, DkTensor y, DkTensor x, DkTensor b)
{
    run(dev, y, x, b, AddRow{dk_cuda_rows(b).at});
}

struct GateAdd : NoColumn {
    DkCudaRows gate;
    int64_t tokens;
    template <int V>
    __device__ void apply(DkLanes<V> &y, const float *x, int64_t row, int64_t c, int) const
    {
        const DkLanes<V> old = dk_load<V>(x);
        const DkLanes<V> by = dk_load<V>(gate.at + row / tokens * gate.stride + c);
        for (int i = 0; i < V; i++)
            y.at[i] = fmaf(by.at[i], y.at[i], old.at[i]);
    }
};

void dk_cuda_gate_add(DkDevice *dev, DkTensor x, DkTensor gate, DkTensor y)
{
    GateAdd op;
    op.gate = dk_cuda_rows(gate);
    op.tokens = x.sizes[1];
    run(dev, x, y, gate, op);
}
