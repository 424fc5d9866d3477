/* Causal depth-wise convolution along the tokens in a given order, and the activation.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: dk_cuda_runs. A thread has four neighbouring channels (one where rows are not aligned) of
 * RUN tokens in a row, the last inputs in registers: each input is read once, and once more by the
 * next run where it is among its taps (k - 1 of RUN; 1.09 times the least traffic for 4 taps).
 *
 * A kernel of its own, since it stands between two products: in_proj makes x, and x_proj needs all
 * channels of y before the scan can begin. The scan could make y from x itself, but y must be in
 * memory for x_proj anyway, and x is as long: nothing would be saved. */
#include "kernels/cuda/runs.cuh"

enum { RUN = 16 }; /* tokens of a thread */

struct Conv {
    DkCudaRows y, x;
    const float *w, *b; /* [channels][taps]; b may be NULL */
    const int32_t *order;
    int64_t n_tokens, n_channels;
    DkAct act;
};

/* The i-th token; zeros before the first. */
template <int V> static __device__ DkLanes<V> take(const Conv &conv, int64_t i, int64_t c)
{
    if (i < 0)
        return DkLanes<V>{};
    return dk_load<V>(conv.x.at + dk_run_row(conv.order, conv.n_tokens, i) * conv.x.stride + c);
}

template <int K, int V> static __global__ void conv1d_dw(Conv conv)
{
    const int64_t c = dk_run_column<V>(), first = dk_run_first(RUN);
    const int64_t last = min(first + RUN, conv.n_tokens);
    if (c >= conv.n_channels)
        return;
    DkLanes<V> tap[K], window[K], bias = {};
    for (int a = 0; a < K; a++)
        for (int i = 0; i < V; i++)
            tap[a].at[i] = conv.w[(c + i) * K + a];
    if (conv.b)
        bias = dk_load<V>(conv.b + c);
    for (int a = 1; a < K; a++)
        window[a] = take<V>(conv, first - K + a, c);
    for (int64_t token = first; token < last; token++) {
        DkLanes<V> sum = bias;
        for (int a = 1; a < K; a++)
            window[a - 1] = window[a];
        window[K - 1] = take<V>(conv, token, c);
        for (int a = 0; a < K; a++)
            for (int i = 0; i < V; i++)
                sum.at[i] = fmaf(tap[a].at[i], window[a].at[i], sum.at[i]);
        for (int i = 0; i < V; i++)
            sum.at[i] = dk_apply_act(sum.at[i], conv.act);
        dk_store<V>(conv.y.at + dk_run_row(conv.order, conv.n_tokens, token) * conv.y.stride + c,
                    sum);
    }
}

template <int K> static void launch(DkDevice *dev, const Conv &conv, int64_t n_pictures, bool wide)
{
    const DkCudaRuns r =
        dk_cuda_runs(n_pictures, conv.n_tokens, conv.n_channels, wide ? 4 : 1, RUN);
    if (wide)
        DK_LAUNCH(dev, (conv1d_dw<K, 4>), r.grid, r.block, 0, conv);
    else
        DK_LAUNCH(dev, (conv1d_dw<K, 1>), r.grid, r.block, 0, conv);
}

void dk_cuda_conv1d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b,
                       DkTensor order, DkAct act)
{
    static void (*const with_taps[])(DkDevice *, const Conv &, int64_t, bool) = {
        launch<1>, launch<2>, launch<3>, launch<4>, launch<5>, launch<6>, launch<7>, launch<8>};
    const Conv conv = {dk_cuda_rows(y),
                       dk_cuda_rows(x),
                       dk_cuda_rows(w).at,
                       dk_cuda_rows(b).at,
                       static_cast<const int32_t *>(dk_data(order)),
                       x.sizes[1],
                       x.sizes[2],
                       act};
    with_taps[w.sizes[1] - 1](dev, conv, x.sizes[0],
                              dk_cuda_is_vector(y) && dk_cuda_is_vector(x) && dk_cuda_is_vector(b));
}
