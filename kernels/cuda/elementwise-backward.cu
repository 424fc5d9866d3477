/* Backward of gates and activations, the loss, and the optimiser's step.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/sums.cuh"

/* ---- gates and activations ------------------------------------------------------------------- */

/* One pass: dy written, and summed with y for dgate. */
struct GateBackward {
    DkCudaRows dy, dgate, dout, gate, y;
    int64_t tokens;
    __device__ float column(int64_t item, int64_t column) const
    {
        return gate.at[item * gate.stride + column];
    }
    __device__ void add(float (&sums)[1], float by, int64_t item, int64_t row, int64_t column) const
    {
        const int64_t i = item * tokens + row;
        const float gradient = dout.at[i * dout.stride + column];
        sums[0] += gradient * y.at[i * y.stride + column];
        dy.at[i * dy.stride + column] = gradient * by;
    }
    __device__ void store(int, int64_t item, int64_t column, float sum) const
    {
        dgate.at[item * dgate.stride + column] = sum;
    }
};

void dk_cuda_gate_add_backward(DkDevice *dev, DkTensor dy, DkTensor dgate, DkTensor dout,
                               DkTensor gate, DkTensor y)
{
    const int64_t items = y.sizes[0], tokens = y.sizes[1], columns = y.sizes[2];
    const size_t room = (size_t)dk_columns_room(1, items, tokens, columns);
    float *partials = static_cast<float *>(dk_cuda_scratch(dev, room * sizeof *partials));
    const GateBackward op = {dk_cuda_rows(dy),   dk_cuda_rows(dgate), dk_cuda_rows(dout),
                             dk_cuda_rows(gate), dk_cuda_rows(y),     tokens};
    if (!partials)
        return;
    dk_columns_sum<1>(dev, partials, items, tokens, columns, op);
    dk_columns_finish<1>(dev, partials, items, tokens, columns, false, op);
}

struct ActBackward : DkNoColumn {
    DkCudaRows x;
    DkAct act;
    template <int V>
    __device__ void apply(DkLanes<V> &dy, const float *, int64_t row, int64_t c, int) const
    {
        const DkLanes<V> at = dk_load<V>(x.at + row * x.stride + c);
        for (int i = 0; i < V; i++)
            dy.at[i] *= dk_act_slope(at.at[i], act);
    }
};

void dk_cuda_act_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor x, DkAct act)
{
    ActBackward op;
    op.x = dk_cuda_rows(x);
    op.act = act;
    dk_elementwise_run(dev, dx, dy, x, op);
}

/* ---- sums over all numbers ------------------------------------------------------------------- */

struct SquaredError {
    DkCudaRows dy, y, target;
    double factor;
    __device__ double at(int64_t row, int64_t column) const
    {
        const double off =
            (double)y.at[row * y.stride + column] - (double)target.at[row * target.stride + column];
        dy.at[row * dy.stride + column] = (float)(2 * factor * off);
        return off * off;
    }
};

void dk_cuda_squared_error(DkDevice *dev, DkTensor loss, DkTensor dy, DkTensor y, DkTensor target,
                           double factor)
{
    const SquaredError op = {dk_cuda_rows(dy), dk_cuda_rows(y), dk_cuda_rows(target), factor};
    dk_sum_all(dev, loss, y,
               dk_cuda_is_gapless(dy) && dk_cuda_is_gapless(y) && dk_cuda_is_gapless(target),
               factor, op);
}

struct Square {
    DkCudaRows x;
    __device__ double at(int64_t row, int64_t column) const
    {
        const double value = x.at[row * x.stride + column];
        return value * value;
    }
};

void dk_cuda_sum_squares(DkDevice *dev, DkTensor sum, DkTensor x)
{
    dk_sum_all(dev, sum, x, dk_cuda_is_gapless(x), 1, Square{dk_cuda_rows(x)});
}

/* ---- the optimiser --------------------------------------------------------------------------- */

/* DkAdamW with the step's bias corrections. */
struct Step {
    float rate, beta1, rest1, beta2, rest2, first, second, eps, decay, gradient_factor;
};

template <int V>
static __global__ void step_weights(float *w, float *m, float *v, const float *g, int64_t n, Step s)
{
    const int64_t at = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (at >= n)
        return;
    DkLanes<V> weight = dk_load<V>(w + at), mean = dk_load<V>(m + at), square = dk_load<V>(v + at);
    const DkLanes<V> gradient = dk_load<V>(g + at);
    for (int i = 0; i < V; i++) {
        const float by = gradient.at[i] * s.gradient_factor;
        mean.at[i] = s.beta1 * mean.at[i] + s.rest1 * by;
        square.at[i] = s.beta2 * square.at[i] + s.rest2 * by * by;
        const float update = mean.at[i] * s.first / (sqrtf(square.at[i] * s.second) + s.eps);
        weight.at[i] -= s.rate * (update + s.decay * weight.at[i]);
    }
    dk_store<V>(w + at, weight);
    dk_store<V>(m + at, mean);
    dk_store<V>(v + at, square);
}

void dk_cuda_adamw(DkDevice *dev, DkTensor w, DkTensor m, DkTensor v, DkTensor g,
                   const DkAdamW *settings)
{
    const DkAdamW *s = settings;
    const Step step = {(float)s->rate,
                       (float)s->beta1,
                       (float)(1 - s->beta1),
                       (float)s->beta2,
                       (float)(1 - s->beta2),
                       (float)(1 / (1 - pow(s->beta1, (double)s->step))),
                       (float)(1 / (1 - pow(s->beta2, (double)s->step))),
                       (float)s->eps,
                       (float)s->decay,
                       (float)s->gradient_factor};
    float *const at[] = {dk_cuda_rows(w).at, dk_cuda_rows(m).at, dk_cuda_rows(v).at,
                         dk_cuda_rows(g).at};
    const int64_t n = dk_columns(w);
    bool wide = true;
    for (DkTensor t : {w, m, v, g})
        wide = wide && dk_cuda_is_vector(t);
    const dim3 grid((unsigned)dk_cuda_ceil(n, wide ? 1024 : 256));
    if (wide)
        DK_LAUNCH(dev, step_weights<4>, grid, dim3(256), 0, at[0], at[1], at[2], at[3], n, step);
    else
        DK_LAUNCH(dev, step_weights<1>, grid, dim3(256), 0, at[0], at[1], at[2], at[3], n, step);
}
