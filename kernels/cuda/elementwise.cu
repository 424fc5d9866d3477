/* dk_axpby, dk_act, dk_add_row, dk_gate_add: one pass over [rows, columns] (elementwise.cuh).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/elementwise.cuh"

struct Axpby : DkNoColumn {
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
    dk_elementwise_run(dev, y, x, DkTensor{}, op);
}

struct Act : DkNoColumn {
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
    dk_elementwise_run(dev, y, x, DkTensor{}, op);
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
    dk_elementwise_run(dev, y, x, b, AddRow{dk_cuda_rows(b).at});
}

struct GateAdd : DkNoColumn {
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
    dk_elementwise_run(dev, x, y, gate, op);
}
