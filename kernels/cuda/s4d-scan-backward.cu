/* Backward of S4D's recurrence. The formulas of kernels/ref/s4d-scan-backward.c have the adjoint W
 * go one way and the states X, with their derivatives by the decay, the other. Here the sums over
 * tokens are taken the other way about, Σ dy X = Σ u W and Σ dy dX/da = Σ u dW/da, so that all
 * gradients come of one walk, from the direction's last token to its first:
 *     V = a V + W,  W = a W + dy,  du = 2 Re Σ_n g W + skip dy
 *     dskip = Σ dy u,  dg = 2 conj (Σ u W),  da = 2 conj (g Σ u V)
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block walks its channels' tokens in every direction, group after group of 32 states, and adds
 * to the du that it has written before. Sums are added up tile by tile and left of each picture; a
 * last launch adds the pictures up in order.
 *
 * Launch: grid (blocks of 16 channels, pictures), 128 threads. 14 multiply-adds a state, token and
 * direction against u, dy and du moved once: arithmetic is the limit. The sequence is not cut into
 * chunks as the scan's is: in training the pictures of a batch fill a card. */
#include "kernels/cuda/s4d.cuh"

/* One direction. */
struct Direction {
    DkCudaRows dy;
    DkS4dWeight w;
    bool back;    /* the walk goes from the last token to the first */
    float4 *sums; /* [pictures][blocks][groups][channels, states]: Σ u V, Σ u W */
    float *skips; /* [pictures][blocks][S4D_THREADS]: Σ dy u */
};

struct Backward {
    DkCudaRows du, u;
    Direction first, second;
    int n_directions;
    int64_t n_tokens, n_channels, n_groups;
};

struct State {
    float2 w, v;         /* W, and its derivative by the decay */
    float2 of_v, of_w;   /* Σ u V, Σ u W of the tile */
    float2 all_v, all_w; /* and of the tiles before */
};

/* Tiles in shared memory, [S4D_CHANNELS][S4D_PITCH] each. */
struct Tiles {
    float *u, *dy, *du;
};

/* Answers the state's part of du. */
static __device__ float step(State &k, float2 decay, float2 gain, float u, float dy)
{
    const float2 turned = dk_multiply(decay, k.v), next = dk_multiply(decay, k.w);
    k.v = make_float2(turned.x + k.w.x, turned.y + k.w.y);
    k.w = make_float2(next.x + dy, next.y);
    k.of_v = make_float2(fmaf(u, k.v.x, k.of_v.x), fmaf(u, k.v.y, k.of_v.y));
    k.of_w = make_float2(fmaf(u, k.w.x, k.of_w.x), fmaf(u, k.w.y, k.of_w.y));
    return fmaf(gain.x, k.w.x, gain.y * k.w.y);
}

static __device__ void end_tile(State &k, float2 lack)
{
    dk_s4d_mend(k.w, lack);
    dk_s4d_mend(k.v, lack);
    k.all_v = make_float2(k.all_v.x + k.of_v.x, k.all_v.y + k.of_v.y);
    k.all_w = make_float2(k.all_w.x + k.of_w.x, k.all_w.y + k.of_w.y);
    k.of_v = k.of_w = make_float2(0, 0);
}

/* The row of a thread's j-th token of the tile at `first`; -1: it has none. */
static __device__ int64_t row_of(const Backward &s, bool back, int64_t first, int j)
{
    const int64_t i = first + dk_s4d_token(j);
    if (i >= s.n_tokens || dk_s4d_column(blockIdx.x) >= s.n_channels)
        return -1;
    return blockIdx.y * s.n_tokens + (back ? s.n_tokens - 1 - i : i);
}

/* Where that is in a tile. */
static __device__ int64_t place_of(int j)
{
    return threadIdx.x % S4D_CHANNELS * S4D_PITCH + dk_s4d_token(j);
}

/* Answers the thread's part of Σ dy u. */
static __device__ float load(const Backward &s, const Direction &d, int64_t first, const Tiles &to)
{
    const int64_t column = dk_s4d_column(blockIdx.x);
    float sum = 0;
    for (int j = 0; j < S4D_MINE; j++) {
        const int64_t row = row_of(s, d.back, first, j), at = place_of(j);
        const float u = row < 0 ? 0 : s.u.at[row * s.u.stride + column];
        const float dy = row < 0 ? 0 : d.dy.at[row * d.dy.stride + column];
        to.u[at] = u;
        to.dy[at] = dy;
        sum = fmaf(u, dy, sum);
    }
    return sum;
}

static __device__ void store(const Backward &s, bool back, int64_t first, const float *du, bool add)
{
    const int64_t column = dk_s4d_column(blockIdx.x);
    for (int j = 0; j < S4D_MINE; j++) {
        const int64_t row = row_of(s, back, first, j);
        float *to = s.du.at + row * s.du.stride + column;
        if (row >= 0)
            *to = du[place_of(j)] + (add ? *to : 0);
    }
}

static __device__ void walk_tile(State state[S4D_FEW], const float2 decay[S4D_FEW],
                                 const float2 gain[S4D_FEW], const Tiles &tiles, float skip)
{
    const int64_t row = threadIdx.x / S4D_LANES * S4D_PITCH, lane = threadIdx.x % S4D_LANES;
    for (int64_t i = row; i < row + S4D_TOKENS; i += S4D_LANES) {
        float p[S4D_LANES] = {};
        for (int j = 0; j < S4D_LANES; j++)
            for (int k = 0; k < S4D_FEW; k++)
                p[j] += step(state[k], decay[k], gain[k], tiles.u[i + j], tiles.dy[i + j]);
        tiles.du[i + lane] = skip * tiles.dy[i + lane] + dk_scan_sum<S4D_LANES>(p, (int)lane);
    }
}

/* One group through the whole sequence. */
static __device__ void walk(const Backward &s, const Direction &d, const Tiles &tiles, int64_t g,
                            bool add)
{
    const int64_t block = blockIdx.y * gridDim.x + blockIdx.x;
    const int64_t e = blockIdx.x * S4D_CHANNELS + threadIdx.x / S4D_LANES;
    const int64_t of = (e * s.n_groups + g) * S4D_STATES + threadIdx.x % S4D_LANES * S4D_FEW;
    const float factor = g == 0 ? d.w.skip[e] : 0;
    float2 decay[S4D_FEW], gain[S4D_FEW], lack[S4D_FEW];
    State state[S4D_FEW] = {};
    float skip = 0;
    for (int k = 0; k < S4D_FEW; k++) {
        decay[k] = d.w.decay[of + k];
        gain[k] = d.w.gain[of + k];
        lack[k] = d.w.lack[of + k];
    }
    for (int64_t first = 0; first < s.n_tokens; first += S4D_TOKENS) {
        skip += load(s, d, first, tiles);
        __syncthreads();
        walk_tile(state, decay, gain, tiles, factor);
        for (int k = 0; k < S4D_FEW; k++)
            end_tile(state[k], lack[k]);
        __syncthreads();
        store(s, d.back, first, tiles.du, add);
    }
    float4 *sums = d.sums + ((block * s.n_groups + g) * S4D_THREADS + threadIdx.x) * S4D_FEW;
    for (int k = 0; k < S4D_FEW; k++)
        sums[k] =
            make_float4(state[k].all_v.x, state[k].all_v.y, state[k].all_w.x, state[k].all_w.y);
    if (g == 0)
        d.skips[block * S4D_THREADS + threadIdx.x] = skip;
    __syncthreads(); /* others read du next, and fill the tiles */
}

static __global__ void __launch_bounds__(S4D_THREADS) s4d_scan_backward(Backward s)
{
    DK_SHARED(float, u, [S4D_CHANNELS * S4D_PITCH]);
    DK_SHARED(float, dy, [S4D_CHANNELS * S4D_PITCH]);
    DK_SHARED(float, du, [S4D_CHANNELS * S4D_PITCH]);
    for (int64_t g = 0; g < s.n_groups; g++)
        walk(s, s.first, {u, dy, du}, g, g > 0);
    for (int64_t g = 0; g < s.n_groups && s.n_directions > 1; g++)
        walk(s, s.second, {u, dy, du}, g, true);
}

/* What a direction's gradients are added to, or written to: doubles are. */
struct Gradients {
    double2 *decay, *gain; /* [channels][states] */
    float *skip;
    int64_t n_channels, n_states, n_groups, n_pictures, n_blocks;
};

/* The sums of all pictures; of each channel's first state its skip's. */
static __global__ void add_pictures(Gradients to, Direction s)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t d = i / to.n_states, n = i % to.n_states, group = n / S4D_STATES;
    const int64_t block = d / S4D_CHANNELS, channel = d % S4D_CHANNELS;
    if (d >= to.n_channels)
        return;
    double2 v = make_double2(0, 0), w = make_double2(0, 0);
    float of_skip = 0;
    for (int64_t p = 0; p < to.n_pictures; p++) {
        const int64_t from = (p * to.n_blocks + block) * to.n_groups + group;
        const float4 sum = s.sums[(from * S4D_CHANNELS + channel) * S4D_STATES + n % S4D_STATES];
        v = make_double2(v.x + sum.x, v.y + sum.y);
        w = make_double2(w.x + sum.z, w.y + sum.w);
        for (int64_t j = channel; j < S4D_THREADS && n == 0; j += S4D_CHANNELS)
            of_skip += s.skips[(p * to.n_blocks + block) * S4D_THREADS + j];
    }
    const float2 g = s.w.gain[(d * to.n_groups + group) * S4D_STATES + n % S4D_STATES];
    to.decay[i] = make_double2(g.x * v.x + g.y * v.y, g.y * v.x - g.x * v.y);
    to.gain[i] = make_double2(2 * w.x, -2 * w.y);
    if (n == 0)
        to.skip[d] += of_skip;
}

/* ---- launches -------------------------------------------------------------------------------- */

/* `back`: of the scan whose backward this is. */
static Direction direction_of(DkTensor dy, const DkWeight *w, bool back)
{
    return {dk_cuda_rows(dy), dk_s4d_weight(w), !back, nullptr, nullptr};
}

/* Scratch for each direction's sums; false: none. */
static bool find_room(DkDevice *dev, Backward *s, int64_t n_blocks)
{
    const int64_t skips = n_blocks * S4D_THREADS, states = skips * S4D_FEW * s->n_groups;
    const size_t bytes = (size_t)states * sizeof(float4) + (size_t)skips * sizeof(float);
    char *at = static_cast<char *>(dk_cuda_scratch(dev, (size_t)s->n_directions * bytes));
    if (!at)
        return false;
    Direction *const of[2] = {&s->first, &s->second};
    for (int i = 0; i < s->n_directions; i++, at += bytes) {
        of[i]->sums = reinterpret_cast<float4 *>(at);
        of[i]->skips = reinterpret_cast<float *>(of[i]->sums + states);
    }
    return true;
}

static void add_up(DkDevice *dev, const DkS4dGradient *to, const Direction &of, const DkWeight *w,
                   int64_t n_pictures)
{
    const Gradients all = {static_cast<double2 *>(dk_data(to->decay)),
                           static_cast<double2 *>(dk_data(to->gain)),
                           dk_cuda_rows(to->skip).at,
                           w->n,
                           w->k,
                           dk_s4d_groups(w),
                           n_pictures,
                           dk_s4d_channels(w) / S4D_CHANNELS};
    DK_LAUNCH(dev, add_pictures, (unsigned)dk_cuda_ceil(w->n * w->k, 128), 128, 0, all, of);
}

void dk_cuda_s4d_scan_backward(DkDevice *dev, DkTensor du, const DkS4dGradient *of_ahead,
                               const DkS4dGradient *of_back, DkTensor dy, DkTensor u,
                               const DkWeight *ahead, const DkWeight *back)
{
    const DkWeight *w = ahead ? ahead : back;
    const int64_t d = u.sizes[2], blocks = dk_s4d_channels(w) / S4D_CHANNELS;
    Backward s = {};
    s.du = dk_cuda_rows(du);
    s.u = dk_cuda_rows(u);
    s.n_directions = ahead && back ? 2 : 1;
    s.first = direction_of(dk_tensor_columns(dy, 0, d), w, !ahead);
    if (s.n_directions > 1)
        s.second = direction_of(dk_tensor_columns(dy, d, d), back, true);
    s.n_tokens = u.sizes[1];
    s.n_channels = d;
    s.n_groups = dk_s4d_groups(w);
    if (!find_room(dev, &s, u.sizes[0] * blocks))
        return;
    DK_LAUNCH(dev, s4d_scan_backward, dim3((unsigned)blocks, (unsigned)u.sizes[0]), S4D_THREADS, 0,
              s);
    add_up(dev, ahead ? of_ahead : of_back, s.first, w, u.sizes[0]);
    if (s.n_directions > 1)
        add_up(dev, of_back, s.second, back, u.sizes[0]);
}
