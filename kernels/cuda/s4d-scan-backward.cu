/* Backward of S4D's recurrence; the formulas stand in kernels/ref/s4d-scan-backward.c.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * du is the scan of dy by the same weights the other way, so it is that of s4d-scan.cu; a second
 * direction is added. The decay's and the gain's gradients are sums over tokens, in the scan's
 * blocks: states and their derivatives by the decay go ahead once more, their products with dy are
 * added up tile by tile and left of each picture, and a last launch adds the pictures up in order.
 *
 * Launch: grid (blocks of 16 channels, groups of 32 states, pictures), 128 threads. 12
 * multiply-adds a state and token against u and dy read once: arithmetic is the limit. */
#include "kernels/cuda/s4d.cuh"

/* One direction. */
struct Gradient {
    DkCudaRows u, dy;
    const DkS4dFactors *factors;
    bool back;
    int64_t n_tokens, n_channels, n_groups, n_states;
    float4 *sums; /* [pictures][blocks][groups][channels, states]: Σ dy V, Σ dy X */
    float *skips; /* [pictures][blocks][S4D_THREADS]: Σ dy u */
};

struct State {
    float2 x, v;         /* X, and its derivative by the decay */
    float2 of_v, of_x;   /* Σ dy V, Σ dy X of the tile */
    float2 all_v, all_x; /* and of the tiles before */
};

static __device__ void step(State &k, float2 a, float u, float dy)
{
    const float2 turned = dk_multiply(a, k.v), next = dk_multiply(a, k.x);
    k.v = make_float2(turned.x + k.x.x, turned.y + k.x.y);
    k.x = make_float2(next.x + u, next.y);
    k.of_v = make_float2(fmaf(dy, k.v.x, k.of_v.x), fmaf(dy, k.v.y, k.of_v.y));
    k.of_x = make_float2(fmaf(dy, k.x.x, k.of_x.x), fmaf(dy, k.x.y, k.of_x.y));
}

static __device__ void end_tile(State &k, float2 lack)
{
    dk_s4d_mend(k.x, lack);
    dk_s4d_mend(k.v, lack);
    k.all_v = make_float2(k.all_v.x + k.of_v.x, k.all_v.y + k.of_v.y);
    k.all_x = make_float2(k.all_x.x + k.of_x.x, k.all_x.y + k.of_x.y);
    k.of_v = k.of_x = make_float2(0, 0);
}

/* A tile of both operands to shared memory; answers the thread's part of Σ dy u. */
static __device__ float put(const Gradient &s, int64_t first, float *u, float *dy)
{
    float sum = 0;
    for (int j = 0; j < S4D_MINE; j++) {
        const int64_t i = first + dk_s4d_token(j), c = dk_s4d_column(blockIdx.x);
        const int64_t row = blockIdx.z * s.n_tokens + (s.back ? s.n_tokens - 1 - i : i);
        const bool is_there = i < s.n_tokens && c < s.n_channels;
        const int64_t at = threadIdx.x % S4D_CHANNELS * S4D_PITCH + dk_s4d_token(j);
        u[at] = is_there ? s.u.at[row * s.u.stride + c] : 0;
        dy[at] = is_there ? s.dy.at[row * s.dy.stride + c] : 0;
        sum = fmaf(u[at], dy[at], sum);
    }
    return sum;
}

static __global__ void __launch_bounds__(S4D_THREADS) gather_gradient(Gradient s)
{
    DK_SHARED(float, u, [S4D_CHANNELS * S4D_PITCH]);
    DK_SHARED(float, dy, [S4D_CHANNELS * S4D_PITCH]);
    const int64_t channel = threadIdx.x / S4D_LANES, g = blockIdx.y;
    const int64_t block = blockIdx.z * gridDim.x + blockIdx.x;
    const DkS4dFactors *of = s.factors +
                             ((blockIdx.x * S4D_CHANNELS + channel) * s.n_groups + g) * S4D_STATES +
                             threadIdx.x % S4D_LANES * S4D_FEW;
    float2 decay[S4D_FEW], lack[S4D_FEW];
    State state[S4D_FEW] = {};
    float skip = 0;
    for (int k = 0; k < S4D_FEW; k++) {
        decay[k] = of[k].decay;
        lack[k] = of[k].lack;
    }
    for (int64_t first = 0; first < s.n_tokens; first += S4D_TOKENS) {
        skip += put(s, first, u, dy);
        __syncthreads();
        for (int64_t i = channel * S4D_PITCH; i < channel * S4D_PITCH + S4D_TOKENS; i++)
            for (int k = 0; k < S4D_FEW; k++)
                step(state[k], decay[k], u[i], dy[i]);
        for (int k = 0; k < S4D_FEW; k++)
            end_tile(state[k], lack[k]);
        __syncthreads();
    }
    float4 *sums = s.sums + ((block * s.n_groups + g) * S4D_THREADS + threadIdx.x) * S4D_FEW;
    for (int k = 0; k < S4D_FEW; k++)
        sums[k] =
            make_float4(state[k].all_v.x, state[k].all_v.y, state[k].all_x.x, state[k].all_x.y);
    if (g == 0)
        s.skips[block * S4D_THREADS + threadIdx.x] = skip;
}

/* The sums of all pictures: decay = 2 conj (gain Σ dy V), gain = 2 conj (Σ dy X); of each channel's
 * first state, skip += Σ dy u. */
static __global__ void add_pictures(Gradient s, double2 *decay, double2 *gain, float *skip,
                                    int64_t n_pictures, int64_t blocks)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t d = i / s.n_states, n = i % s.n_states, group = n / S4D_STATES;
    const int64_t block = d / S4D_CHANNELS, channel = d % S4D_CHANNELS;
    if (d >= s.n_channels)
        return;
    double2 v = make_double2(0, 0), x = make_double2(0, 0);
    float of_skip = 0;
    for (int64_t p = 0; p < n_pictures; p++) {
        const float4 sum =
            s.sums[(((p * blocks + block) * s.n_groups + group) * S4D_CHANNELS + channel) *
                       S4D_STATES +
                   n % S4D_STATES];
        v = make_double2(v.x + sum.x, v.y + sum.y);
        x = make_double2(x.x + sum.z, x.y + sum.w);
        for (int64_t j = channel; j < S4D_THREADS && n == 0; j += S4D_CHANNELS)
            of_skip += s.skips[(p * blocks + block) * S4D_THREADS + j];
    }
    const float2 g = s.factors[(d * s.n_groups + group) * S4D_STATES + n % S4D_STATES].gain;
    decay[i] = make_double2(g.x * v.x + g.y * v.y, g.y * v.x - g.x * v.y);
    gain[i] = make_double2(2 * x.x, -2 * x.y);
    if (n == 0)
        skip[d] += of_skip;
}

/* ---- launches -------------------------------------------------------------------------------- */

static void find_gradient(DkDevice *dev, const DkS4dGradient *to, DkTensor dy, DkTensor u,
                          const DkWeight *w, bool back)
{
    const int64_t blocks = dk_s4d_channels(w) / S4D_CHANNELS, n_pictures = u.sizes[0];
    const size_t states = (size_t)(n_pictures * dk_s4d_channels(w) * dk_s4d_groups(w)) * S4D_STATES;
    const size_t skips = (size_t)(n_pictures * blocks) * S4D_THREADS;
    Gradient s = {};
    s.u = dk_cuda_rows(u);
    s.dy = dk_cuda_rows(dy);
    s.factors = dk_s4d_factors(w);
    s.back = back;
    s.n_tokens = u.sizes[1];
    s.n_channels = w->n;
    s.n_groups = dk_s4d_groups(w);
    s.n_states = w->k;
    s.sums = static_cast<float4 *>(
        dk_cuda_scratch(dev, states * sizeof(float4) + skips * sizeof(float)));
    if (!s.sums)
        return;
    s.skips = reinterpret_cast<float *>(s.sums + states);
    DK_LAUNCH(dev, gather_gradient,
              dim3((unsigned)blocks, (unsigned)s.n_groups, (unsigned)n_pictures), S4D_THREADS, 0,
              s);
    DK_LAUNCH(dev, add_pictures, (unsigned)dk_cuda_ceil(w->n * w->k, 128), 128, 0, s,
              static_cast<double2 *>(dk_data(to->decay)), static_cast<double2 *>(dk_data(to->gain)),
              dk_cuda_rows(to->skip).at, n_pictures, blocks);
}

void dk_cuda_s4d_scan_backward(DkDevice *dev, DkTensor du, const DkS4dGradient *of_ahead,
                               const DkS4dGradient *of_back, DkTensor dy, DkTensor u,
                               const DkWeight *ahead, const DkWeight *back)
{
    const int64_t d = u.sizes[2];
    if (ahead) {
        const DkTensor own = dk_tensor_columns(dy, 0, d);
        dk_cuda_s4d_run(dev, du, own, nullptr, ahead, false);
        find_gradient(dev, of_ahead, own, u, ahead, false);
    }
    if (back) {
        const DkTensor own = dk_tensor_columns(dy, ahead ? d : 0, d);
        dk_cuda_s4d_run(dev, du, own, back, nullptr, ahead != nullptr);
        find_gradient(dev, of_back, own, u, back, true);
    }
}
