/* Backward of the causal depth-wise convolution along the tokens: with p the gradient before the
 * activation, of which the argument is found anew,
 *   dx at token i = Σ_a w[a] p at i + k-1 - a,   dw[a] = Σ p at i · x at i - (k-1) + a,   db = Σ p.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: dk_cuda_runs. A thread has one channel of RUN tokens, and finds p of the k - 1 tokens
 * that follow, too; inputs and p slide through registers. dw and db of each run go to scratch,
 * [pictures, runs][k + 1][channels], and are added up in this order. x and dy are read (RUN + k -
 * 1) / RUN times, 1.09 for 4 taps, and what goes to scratch is (k + 1) / RUN of dx. */
#include "kernels/cuda/runs.cuh"

enum { RUN = 32 }; /* tokens of a thread */

struct Conv {
    DkCudaRows dx, dy, x;
    const float *w, *b; /* [channels][taps]; b may be NULL */
    const int32_t *order;
    int64_t n_tokens, n_channels;
    DkAct act;
    float *sums; /* [pictures, runs][k + 1][channels] */
};

static __device__ float take(const Conv &conv, DkCudaRows x, int64_t i, int64_t c)
{
    return i < 0 ? 0 : x.at[dk_run_row(conv.order, conv.n_tokens, i) * x.stride + c];
}

/* The last K tokens: x, and p, up to token i. */
template <int K> struct Window {
    float x[K], p[K];
};

/* Goes on to token i, whose p is 0 past the end. */
template <int K>
static __device__ void slide(const Conv &conv, Window<K> &window, const float tap[K], float bias,
                             int64_t i, int64_t c)
{
    for (int a = 1; a < K; a++) {
        window.x[a - 1] = window.x[a];
        window.p[a - 1] = window.p[a];
    }
    window.p[K - 1] = 0;
    if (i >= conv.n_tokens)
        return;
    window.x[K - 1] = take(conv, conv.x, i, c);
    float sum = bias;
    for (int a = 0; a < K; a++)
        sum = fmaf(tap[a], window.x[a], sum);
    window.p[K - 1] = take(conv, conv.dy, i, c) * dk_act_slope(sum, conv.act);
}

template <int K> static __global__ void conv1d_dw_backward(Conv conv)
{
    const int64_t c = dk_run_column<1>(), first = dk_run_first(RUN);
    const int64_t last = min(first + RUN, conv.n_tokens);
    if (c >= conv.n_channels)
        return;
    float tap[K], dw[K], db = 0;
    Window<K> window = {};
    for (int a = 0; a < K; a++) {
        tap[a] = conv.w[c * K + a];
        dw[a] = 0;
        window.x[a] = a ? take(conv, conv.x, first - K + a, c) : 0;
    }
    const float bias = conv.b ? conv.b[c] : 0;
    for (int64_t i = first; i < last + K - 1; i++) {
        slide<K>(conv, window, tap, bias, i, c);
        if (i < last) {
            db += window.p[K - 1];
            for (int a = 0; a < K; a++)
                dw[a] = fmaf(window.p[K - 1], window.x[a], dw[a]);
        }
        const int64_t to = i - (K - 1);
        float dx = 0;
        for (int a = 0; a < K; a++)
            dx = fmaf(tap[K - 1 - a], window.p[a], dx);
        if (to >= first)
            conv.dx.at[dk_run_row(conv.order, conv.n_tokens, to) * conv.dx.stride + c] = dx;
    }
    float *sums = conv.sums + (blockIdx.z * gridDim.y + blockIdx.y) * (K + 1) * conv.n_channels + c;
    for (int a = 0; a < K; a++)
        sums[a * conv.n_channels] = dw[a];
    sums[K * conv.n_channels] = db;
}

/* dw[channels][taps] and db, which may be NULL, of n parts. */
static __global__ void add_runs(float *dw, float *db, const float *sums, int64_t n,
                                int64_t n_channels, int64_t n_taps)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t c = i % n_channels, a = i / n_channels, all = (n_taps + 1) * n_channels;
    float sum = 0;
    if (i >= all)
        return;
    for (int64_t j = 0; j < n; j++)
        sum += sums[j * all + i];
    if (a < n_taps)
        dw[c * n_taps + a] += sum;
    else if (db)
        db[c] += sum;
}

template <int K> static void launch(DkDevice *dev, const Conv &conv, const DkCudaRuns &r)
{
    DK_LAUNCH(dev, conv1d_dw_backward<K>, r.grid, r.block, 0, conv);
}

void dk_cuda_conv1d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                                DkTensor x, DkTensor w, DkTensor b, DkTensor order, DkAct act)
{
    static void (*const with_taps[])(DkDevice *, const Conv &, const DkCudaRuns &) = {
        launch<1>, launch<2>, launch<3>, launch<4>, launch<5>, launch<6>, launch<7>, launch<8>};
    const int64_t n_taps = w.sizes[1], all = (n_taps + 1) * x.sizes[2];
    const DkCudaRuns r = dk_cuda_runs(x.sizes[0], x.sizes[1], x.sizes[2], 1, RUN);
    const int64_t n = (int64_t)r.grid.y * r.grid.z;
    float *sums = static_cast<float *>(dk_cuda_scratch(dev, (size_t)(n * all) * sizeof *sums));
    if (!sums)
        return;
    const Conv conv = {dk_cuda_rows(dx),
                       dk_cuda_rows(dy),
                       dk_cuda_rows(x),
                       dk_cuda_rows(w).at,
                       dk_cuda_rows(b).at,
                       static_cast<const int32_t *>(dk_data(order)),
                       x.sizes[1],
                       x.sizes[2],
                       act,
                       sums};
    with_taps[n_taps - 1](dev, conv, r);
    DK_LAUNCH(dev, add_runs, (unsigned)dk_cuda_ceil(all, 256), 256, 0, dk_cuda_rows(dw).at,
              dk_cuda_rows(db).at, sums, n, x.sizes[2], n_taps);
}
