/* S4D (arXiv 2206.11893) as a recurrence over token-major rows, in both directions:
 *   X[n] = decay[n] X[n] + u,  y = 2 Re Σ_n gain[n] X[n] + skip u,  X complex, 0 before the first.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Why no FFT. On paper, for 1152 channels, 32 complex states and both directions, nanoseconds a
 * token on an H100: the recurrence takes 6 multiply-adds a state, 442 thousand a token, 16 ns, and
 * moves 18 KB, 6 ns. Convolving with cuFFT moves u and its padded transform, two spectra and two
 * products and their transforms there and back, with the transposes of token-major rows 116 bytes a
 * channel or 134 KB: 40 ns from memory, 20 to 24 where the second-level cache has it all. (An RTX
 * 4090: 18 against 27 to 134 ns, a T4: 115 against 420.) Besides, the FFT needs a kernel and
 * spectra for each weight and length, 19 MB a layer of 1024 tokens, plans and their work space, a
 * third library. Its accuracy, which does not depend on the length, the recurrence gets otherwise:
 * a decay rounded to a float is off by up to 2^-24 a token, which would add up over the lags. So
 * each state is multiplied, at the end of each tile of S4D_TOKENS, by what the rounded decay's
 * power lacks of the exact one, which was found in double; the error is that of S4D_TOKENS lags at
 * most.
 *
 * Launch: grid (blocks of 16 channels, each in every direction, chunks of tokens, pictures), 128
 * threads: 8 a channel, with 4 states each. Where there are more than 32 states a tile takes group
 * after group. u is read once a direction, by neighbouring blocks, so that the second one finds it
 * in the second-level cache; y is written once. The next tile is fetched during this one's work.
 * Chunks are as in selective-scan.cu: where few channels are many tokens, a first pass finds the
 * state at the end of each chunk; it takes u and 4 of 6 multiply-adds twice. The sizes of one
 * picture and direction decide. */
#include "kernels/cuda/s4d.cuh"

#include <stdlib.h>

struct S4d {
    DkCudaRows u, y;
    DkS4dWeight weights[2]; /* of the directions that are asked for */
    bool back[2];
    int n_directions;
    int64_t n_tokens, n_channels, n_groups;
    int64_t chunk, n_chunks; /* tokens, a multiple of a tile's; how many */
    float2 *ends; /* [pictures][chunks][blocks, directions][groups][S4D_CHANNELS * S4D_STATES] */
    float2 *rest; /* the same: states between tiles, where there is more than one group */
};

enum Pass { ENDS, OUTPUTS };

static __device__ int direction(const S4d &s)
{
    return blockIdx.x % s.n_directions;
}

/* Which 16 channels. */
static __device__ int64_t channel_block(const S4d &s)
{
    return blockIdx.x / s.n_directions;
}

/* of[direction (s)]; arguments that are indexed would be copied to the stack. */
template <class T> static __device__ T chosen(const S4d &s, const T of[2])
{
    return direction(s) ? of[1] : of[0];
}

/* Where a thread's states of group g begin, in memory of all chunks. */
static __device__ int64_t place(const S4d &s, int64_t chunk, int64_t g)
{
    const int64_t block = (blockIdx.z * s.n_chunks + chunk) * gridDim.x + blockIdx.x;
    return (block * s.n_groups + g) * S4D_CHANNELS * S4D_STATES + threadIdx.x * S4D_FEW;
}

static __device__ void load_factors(const S4d &s, int64_t g, DkS4dFactors f[S4D_FEW])
{
    const int64_t e = channel_block(s) * S4D_CHANNELS + threadIdx.x / S4D_LANES;
    const int64_t i = (e * s.n_groups + g) * S4D_STATES + threadIdx.x % S4D_LANES * S4D_FEW;
    const DkS4dWeight w = chosen(s, s.weights);
    for (int k = 0; k < S4D_FEW; k++)
        f[k] = {w.decay[i + k], w.gain[i + k], w.lack[i + k], w.power[i + k]};
}

/* x, zeros, becomes the states before this block's chunk. */
static __device__ void carry(const S4d &s, int64_t g, const DkS4dFactors f[S4D_FEW],
                             float2 x[S4D_FEW])
{
    float2 power[S4D_FEW];
    for (int k = 0; k < S4D_FEW; k++)
        power[k] = f[k].power;
    for (int64_t i = S4D_TOKENS; i < s.chunk; i += S4D_TOKENS)
        for (int k = 0; k < S4D_FEW; k++)
            power[k] = dk_multiply(power[k], f[k].power);
    for (int64_t i = 0; i < blockIdx.y; i++)
        for (int k = 0; k < S4D_FEW; k++) {
            const float2 end = s.ends[place(s, i, g) + k];
            x[k] = dk_multiply(power[k], x[k]);
            x[k].x += end.x;
            x[k].y += end.y;
        }
}

/* The row of the i-th token in the direction; -1: there is none before `last`. */
static __device__ int64_t row_of(const S4d &s, int64_t i, int64_t last)
{
    if (i >= last)
        return -1;
    return blockIdx.z * s.n_tokens + (chosen(s, s.back) ? s.n_tokens - 1 - i : i);
}

static __device__ void fetch(const S4d &s, int64_t first, int64_t last, float u[S4D_MINE])
{
    const int64_t from = dk_s4d_column(channel_block(s));
    for (int j = 0; j < S4D_MINE; j++) {
        const int64_t row = row_of(s, first + dk_s4d_token(j), last);
        u[j] = row < 0 || from >= s.n_channels ? 0 : s.u.at[row * s.u.stride + from];
    }
}

static __device__ void store(const S4d &s, int64_t first, int64_t last, const float *sum)
{
    const int64_t column = dk_s4d_column(channel_block(s));
    const int64_t to = direction(s) * s.n_channels + column;
    for (int j = 0; j < S4D_MINE; j++) {
        const int64_t row = row_of(s, first + dk_s4d_token(j), last);
        if (row >= 0 && column < s.n_channels)
            s.y.at[row * s.y.stride + to] =
                sum[threadIdx.x % S4D_CHANNELS * S4D_PITCH + dk_s4d_token(j)];
    }
}

/* A thread's states through one token; answers their part of y. */
static __device__ float step(const DkS4dFactors f[S4D_FEW], float2 x[S4D_FEW], float u)
{
    float sum = 0;
    for (int k = 0; k < S4D_FEW; k++) {
        const float2 a = f[k].decay;
        const float re = fmaf(a.x, x[k].x, fmaf(-a.y, x[k].y, u));
        x[k].y = fmaf(a.x, x[k].y, a.y * x[k].x);
        x[k].x = re;
        sum = fmaf(f[k].gain.x, x[k].x, fmaf(f[k].gain.y, x[k].y, sum));
    }
    return sum;
}

/* One group through a tile: the group's part of y is added to `sum`, whose first has the skip. */
template <Pass PASS>
static __device__ void recur(const DkS4dFactors f[S4D_FEW], float2 x[S4D_FEW], const float *u,
                             float *sum, float skip, bool is_first)
{
    const int channel = threadIdx.x / S4D_LANES, lane = threadIdx.x % S4D_LANES;
    for (int i = 0; i < S4D_TOKENS; i += S4D_LANES) {
        float p[S4D_LANES], in[S4D_LANES];
        for (int j = 0; j < S4D_LANES; j += 4)
            *reinterpret_cast<float4 *>(in + j) =
                *reinterpret_cast<const float4 *>(u + channel * S4D_PITCH + i + j);
        for (int j = 0; j < S4D_LANES; j++)
            p[j] = step(f, x, in[j]);
        if (PASS == OUTPUTS) {
            float *to = sum + channel * S4D_PITCH + i + lane;
            const float before = is_first ? skip * u[channel * S4D_PITCH + i + lane] : *to;
            *to = before + dk_scan_sum<S4D_LANES>(p, lane);
        }
    }
    for (int k = 0; k < S4D_FEW; k++)
        dk_s4d_mend(x[k], f[k].lack);
}

/* Where there is more than one group. */
static __device__ void put_aside(const S4d &s, float2 *rest, int64_t g, const float2 x[S4D_FEW])
{
    if (s.n_groups > 1)
        for (int k = 0; k < S4D_FEW; k++)
            rest[g * S4D_CHANNELS * S4D_STATES + k] = x[k];
}

/* The block's chunk; `u` and `sum` are [S4D_CHANNELS][S4D_PITCH] in shared memory. */
template <Pass PASS> static __device__ void scan_tiles(const S4d &s, float *u, float *sum)
{
    const int64_t first = blockIdx.y * s.chunk, last = min(first + s.chunk, s.n_tokens);
    const int64_t e = channel_block(s) * S4D_CHANNELS + threadIdx.x / S4D_LANES;
    const float skip = chosen(s, s.weights).skip[e];
    float2 *const rest = s.rest + (s.n_groups > 1 ? place(s, blockIdx.y, 0) : 0);
    DkS4dFactors f[S4D_FEW];
    float2 x[S4D_FEW];
    float next[S4D_MINE];
    for (int64_t g = s.n_groups - 1; g >= 0; g--) {
        load_factors(s, g, f);
        for (int k = 0; k < S4D_FEW; k++)
            x[k] = make_float2(0, 0);
        if (PASS == OUTPUTS)
            carry(s, g, f, x);
        put_aside(s, rest, g, x);
    }
    fetch(s, first, last, next);
    for (int64_t i = first; i < last; i += S4D_TOKENS) {
        for (int j = 0; j < S4D_MINE; j++)
            u[threadIdx.x % S4D_CHANNELS * S4D_PITCH + dk_s4d_token(j)] = next[j];
        fetch(s, i + S4D_TOKENS, last, next);
        __syncthreads();
        for (int64_t g = 0; g < s.n_groups; g++) {
            if (s.n_groups > 1) {
                load_factors(s, g, f);
                for (int k = 0; k < S4D_FEW; k++)
                    x[k] = rest[g * S4D_CHANNELS * S4D_STATES + k];
            }
            recur<PASS>(f, x, u, sum, skip, g == 0);
            put_aside(s, rest, g, x);
        }
        __syncthreads();
        if (PASS == OUTPUTS)
            store(s, i, last, sum);
    }
    for (int64_t g = 0; g < s.n_groups && PASS == ENDS; g++)
        for (int k = 0; k < S4D_FEW; k++)
            s.ends[place(s, blockIdx.y, g) + k] =
                s.n_groups > 1 ? rest[g * S4D_CHANNELS * S4D_STATES + k] : x[k];
}

template <Pass PASS> static __global__ void __launch_bounds__(S4D_THREADS) s4d_scan(S4d s)
{
    DK_SHARED(float, u, [S4D_CHANNELS * S4D_PITCH]);
    DK_SHARED(float, sum, [S4D_CHANNELS * S4D_PITCH]);
    scan_tiles<PASS>(s, u, sum);
}

/* ---- launches -------------------------------------------------------------------------------- */

static void cut(S4d *s)
{
    const int64_t blocks = dk_cuda_ceil(s->n_channels, S4D_CHANNELS);
    s->chunk = dk_scan_chunk(s->n_tokens, 2 * blocks, S4D_TOKENS);
    s->n_chunks = dk_cuda_ceil(s->n_tokens, s->chunk);
}

/* Scratch for what passes and tiles keep; false: none. */
static bool find_room(DkDevice *dev, S4d *s, int64_t n_runs)
{
    const int64_t blocks = dk_cuda_ceil(s->n_channels, S4D_CHANNELS);
    const size_t states =
        (size_t)(n_runs * s->n_chunks * blocks * s->n_groups) * S4D_CHANNELS * S4D_STATES;
    const size_t ends = s->n_chunks > 1 ? states : 0, rest = s->n_groups > 1 ? states : 0;
    if (ends + rest == 0)
        return true;
    s->ends = static_cast<float2 *>(dk_cuda_scratch(dev, (ends + rest) * sizeof(float2)));
    s->rest = s->ends + ends;
    return s->ends != nullptr;
}

void dk_cuda_s4d_scan(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead,
                      const DkWeight *back)
{
    const DkWeight *const weights[2] = {ahead ? ahead : back, back};
    S4d s = {};
    s.u = dk_cuda_rows(u);
    s.y = dk_cuda_rows(y);
    s.n_directions = ahead && back ? 2 : 1;
    s.back[0] = !ahead;
    s.back[1] = true;
    s.n_tokens = u.sizes[1];
    s.n_channels = weights[0]->n;
    s.n_groups = dk_s4d_groups(weights[0]);
    for (int i = 0; i < s.n_directions; i++)
        s.weights[i] = dk_s4d_weight(weights[i]);
    cut(&s);
    if (!find_room(dev, &s, u.sizes[0] * s.n_directions))
        return;
    const unsigned blocks = (unsigned)(dk_cuda_ceil(s.n_channels, S4D_CHANNELS) * s.n_directions);
    const unsigned n = (unsigned)s.n_chunks, n_pictures = (unsigned)u.sizes[0];
    if (n > 1)
        DK_LAUNCH(dev, s4d_scan<ENDS>, dim3(blocks, n - 1, n_pictures), S4D_THREADS, 0, s);
    DK_LAUNCH(dev, s4d_scan<OUTPUTS>, dim3(blocks, n, n_pictures), S4D_THREADS, 0, s);
}

/* ---- weights --------------------------------------------------------------------------------- */

static __device__ double2 multiply(double2 a, double2 b)
{
    return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

/* x^TOKENS */
static __device__ double2 raise(double2 x)
{
    for (int n = 1; n < S4D_TOKENS; n *= 2)
        x = multiply(x, x);
    return x;
}

static __device__ float2 rounded(double re, double im)
{
    return make_float2((float)re, (float)im);
}

/* What dk_weight_s4d takes, on the card. */
struct Given {
    const double2 *decay, *gain; /* [channels][states] */
    const float *skip;
    int64_t n_channels, n_states;
};

static __device__ DkS4dFactors factors_of(double2 decay, double2 gain)
{
    const float2 kept = rounded(decay.x, decay.y);
    const double2 power = raise(decay);
    const double square = (double)kept.x * kept.x + (double)kept.y * kept.y;
    DkS4dFactors f = {kept, rounded(2 * gain.x, -2 * gain.y), {}, rounded(power.x, power.y)};
    if (square < 1e-12) /* nothing is left after a tile */
        return f;
    const double2 ratio = raise(multiply(decay, make_double2(kept.x / square, -kept.y / square)));
    f.lack = rounded(ratio.x - 1, ratio.y);
    return f;
}

/* One state of the padded ones, and a skip. */
static __global__ void pack(DkS4dWeight to, int64_t count, int64_t n_padded, Given of)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t d = i / n_padded, n = i % n_padded;
    DkS4dFactors f = {};
    if (i >= count)
        return;
    if (n == 0)
        to.skip[d] = d < of.n_channels ? of.skip[d] : 0;
    if (d < of.n_channels && n < of.n_states)
        f = factors_of(of.decay[d * of.n_states + n], of.gain[d * of.n_states + n]);
    to.decay[i] = f.decay;
    to.gain[i] = f.gain;
    to.lack[i] = f.lack;
    to.power[i] = f.power;
}

static void pack_all(DkDevice *dev, DkWeight *w, const Given &of)
{
    const int64_t n_padded = dk_s4d_groups(w) * S4D_STATES, count = dk_s4d_channels(w) * n_padded;
    DK_LAUNCH(dev, pack, (unsigned)dk_cuda_ceil(count, 256), 256, 0, dk_s4d_weight(w), count,
              n_padded, of);
}

static bool upload(DkDevice *dev, void *to, const void *from, size_t bytes)
{
    return dk_cuda_check(
        dev, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, dk_cuda(dev)->stream),
        "writing weights");
}

DkWeight *dk_cuda_weight_s4d(DkDevice *dev, const double *decay, const double *gain,
                             const double *skip, int64_t d, int64_t n)
{
    DkWeight shape = {};
    shape.n = d;
    shape.k = n;
    const size_t states = (size_t)(d * n), bytes = states * 2 * sizeof(double2) + (size_t)d * 4;
    const size_t packed =
        (size_t)dk_s4d_channels(&shape) *
        ((size_t)dk_s4d_groups(&shape) * S4D_STATES * sizeof(DkS4dFactors) + sizeof(float));
    float *skips = static_cast<float *>(malloc((size_t)d * sizeof *skips));
    DkWeight *w = skips ? dk_cuda_weight_new(dev, DK_WEIGHT_S4D, d, n, 1, 1, packed) : nullptr;
    double2 *given = w ? static_cast<double2 *>(dk_cuda_alloc(dev, bytes)) : nullptr;
    for (int64_t i = 0; skips && i < d; i++)
        skips[i] = (float)skip[i];
    if (given && upload(dev, given, decay, states * sizeof *given) &&
        upload(dev, given + states, gain, states * sizeof *given) &&
        upload(dev, given + 2 * states, skips, (size_t)d * sizeof *skips))
        pack_all(
            dev, w,
            {given, given + states, reinterpret_cast<const float *>(given + 2 * states), d, n});
    else if (w)
        dk_cuda_weight_free(dev, &w);
    dk_cuda_free(dev, given, bytes);
    free(skips);
    return w;
}

void dk_cuda_weight_set_s4d(DkDevice *dev, DkWeight *weight, DkTensor decay, DkTensor gain,
                            DkTensor skip)
{
    pack_all(dev, weight,
             {static_cast<const double2 *>(dk_data(decay)),
              static_cast<const double2 *>(dk_data(gain)), dk_cuda_rows(skip).at, weight->n,
              weight->k});
}
