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
 * each state is multiplied, at the end of each tile of TOKENS, by what the rounded decay's power
 * lacks of the exact one, which was found in double; the error is that of TOKENS lags at most.
 *
 * Launch: grid (blocks of 16 channels, chunks of tokens, pictures and directions), 128 threads: 8 a
 * channel, with 4 states each. Where there are more than 32 states a tile takes group after group.
 * u is read once a direction, y written once. The next tile is fetched while this one is computed.
 * Chunks are as in selective-scan.cu: where few channels are many tokens, a first pass finds the
 * state at the end of each chunk; it takes u and 4 of 6 multiply-adds twice. The sizes of one
 * picture and direction decide. */
#include "kernels/cuda/scan.cuh"

#include <stdlib.h>

#include <complex>

enum {
    CHANNELS = 16, /* of a block */
    LANES = 8,     /* threads of a channel */
    FEW = 4,       /* states of a thread */
    STATES = LANES * FEW,
    THREADS = CHANNELS * LANES,
    TOKENS = 32, /* of a tile */
    PITCH = TOKENS + 4,
    MINE = TOKENS * CHANNELS / THREADS, /* tokens of a thread in passes over memory */
};

/* Of a state, as packed; float pairs are complex. */
struct Factors {
    float2 decay, gain; /* 2 gain and its conjugate's sign: re, -im */
    float2 lack;        /* decay^TOKENS / (the rounded decay)^TOKENS - 1 */
    float2 power;       /* decay^TOKENS */
};

struct S4d {
    DkCudaRows u, y;
    const Factors
        *factors[2];      /* of the directions that are asked for: [channels][groups][STATES] */
    const float *skip[2]; /* [channels], padded */
    bool back[2];
    int n_directions;
    int64_t n_tokens, n_channels, n_groups;
    int64_t chunk, n_chunks; /* tokens, a multiple of a tile's; how many */
    float2 *ends;            /* [pictures, directions][chunks][blocks][groups][CHANNELS * STATES] */
    float2 *rest; /* the same: states between tiles, where there is more than one group */
};

enum Pass { ENDS, OUTPUTS };

static __device__ float2 multiply(float2 a, float2 b)
{
    return make_float2(fmaf(a.x, b.x, -a.y * b.y), fmaf(a.x, b.y, a.y * b.x));
}

static __device__ int direction(const S4d &s)
{
    return blockIdx.z % s.n_directions;
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
    return (block * s.n_groups + g) * CHANNELS * STATES + threadIdx.x * FEW;
}

static __device__ void load_factors(const S4d &s, int64_t g, Factors f[FEW])
{
    const int64_t e = (int64_t)blockIdx.x * CHANNELS + threadIdx.x / LANES;
    const Factors *from =
        chosen(s, s.factors) + (e * s.n_groups + g) * STATES + threadIdx.x % LANES * FEW;
    for (int k = 0; k < FEW; k++)
        f[k] = from[k];
}

/* x, zeros, becomes the states before this block's chunk. */
static __device__ void carry(const S4d &s, int64_t g, const Factors f[FEW], float2 x[FEW])
{
    float2 power[FEW];
    for (int k = 0; k < FEW; k++)
        power[k] = f[k].power;
    for (int64_t i = TOKENS; i < s.chunk; i += TOKENS)
        for (int k = 0; k < FEW; k++)
            power[k] = multiply(power[k], f[k].power);
    for (int64_t i = 0; i < blockIdx.y; i++)
        for (int k = 0; k < FEW; k++) {
            const float2 end = s.ends[place(s, i, g) + k];
            x[k] = multiply(power[k], x[k]);
            x[k].x += end.x;
            x[k].y += end.y;
        }
}

/* The row of the i-th token in the direction; -1: there is none before `last`. */
static __device__ int64_t row_of(const S4d &s, int64_t i, int64_t last)
{
    const int64_t picture = blockIdx.z / s.n_directions;
    if (i >= last)
        return -1;
    return picture * s.n_tokens + (chosen(s, s.back) ? s.n_tokens - 1 - i : i);
}

static __device__ int64_t column()
{
    return (int64_t)blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
}

static __device__ int64_t token(int j)
{
    return threadIdx.x / CHANNELS + j * (THREADS / CHANNELS);
}

static __device__ void fetch(const S4d &s, int64_t first, int64_t last, float u[MINE])
{
    for (int j = 0; j < MINE; j++) {
        const int64_t row = row_of(s, first + token(j), last);
        u[j] = row < 0 || column() >= s.n_channels ? 0 : s.u.at[row * s.u.stride + column()];
    }
}

static __device__ void store(const S4d &s, int64_t first, int64_t last, const float *sum)
{
    const int64_t to = direction(s) * s.n_channels + column();
    for (int j = 0; j < MINE; j++) {
        const int64_t row = row_of(s, first + token(j), last);
        if (row >= 0 && column() < s.n_channels)
            s.y.at[row * s.y.stride + to] = sum[threadIdx.x % CHANNELS * PITCH + token(j)];
    }
}

/* A thread's states through one token; answers their part of y. */
static __device__ float step(const Factors f[FEW], float2 x[FEW], float u)
{
    float sum = 0;
    for (int k = 0; k < FEW; k++) {
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
static __device__ void recur(const Factors f[FEW], float2 x[FEW], const float *u, float *sum,
                             float skip, bool is_first)
{
    const int channel = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    for (int i = 0; i < TOKENS; i += LANES) {
        float p[LANES], in[LANES];
        for (int j = 0; j < LANES; j += 4)
            *reinterpret_cast<float4 *>(in + j) =
                *reinterpret_cast<const float4 *>(u + channel * PITCH + i + j);
        for (int j = 0; j < LANES; j++)
            p[j] = step(f, x, in[j]);
        if (PASS == OUTPUTS) {
            float *to = sum + channel * PITCH + i + lane;
            const float before = is_first ? skip * u[channel * PITCH + i + lane] : *to;
            *to = before + dk_scan_sum<LANES>(p, lane);
        }
    }
    for (int k = 0; k < FEW; k++) {
        const float2 lack = multiply(f[k].lack, x[k]);
        x[k].x += lack.x;
        x[k].y += lack.y;
    }
}

/* Where there is more than one group. */
static __device__ void put_aside(const S4d &s, float2 *rest, int64_t g, const float2 x[FEW])
{
    if (s.n_groups > 1)
        for (int k = 0; k < FEW; k++)
            rest[g * CHANNELS * STATES + k] = x[k];
}

/* The block's chunk; `u` and `sum` are [CHANNELS][PITCH] in shared memory. */
template <Pass PASS> static __device__ void scan_tiles(const S4d &s, float *u, float *sum)
{
    const int64_t first = blockIdx.y * s.chunk, last = min(first + s.chunk, s.n_tokens);
    const int64_t e = (int64_t)blockIdx.x * CHANNELS + threadIdx.x / LANES;
    const float skip = chosen(s, s.skip)[e];
    float2 *const rest = s.rest + (s.n_groups > 1 ? place(s, blockIdx.y, 0) : 0);
    Factors f[FEW];
    float2 x[FEW];
    float next[MINE];
    for (int64_t g = s.n_groups - 1; g >= 0; g--) {
        load_factors(s, g, f);
        for (int k = 0; k < FEW; k++)
            x[k] = make_float2(0, 0);
        if (PASS == OUTPUTS)
            carry(s, g, f, x);
        put_aside(s, rest, g, x);
    }
    fetch(s, first, last, next);
    for (int64_t i = first; i < last; i += TOKENS) {
        for (int j = 0; j < MINE; j++)
            u[threadIdx.x % CHANNELS * PITCH + token(j)] = next[j];
        fetch(s, i + TOKENS, last, next);
        __syncthreads();
        for (int64_t g = 0; g < s.n_groups; g++) {
            if (s.n_groups > 1) {
                load_factors(s, g, f);
                for (int k = 0; k < FEW; k++)
                    x[k] = rest[g * CHANNELS * STATES + k];
            }
            recur<PASS>(f, x, u, sum, skip, g == 0);
            put_aside(s, rest, g, x);
        }
        __syncthreads();
        if (PASS == OUTPUTS)
            store(s, i, last, sum);
    }
    for (int64_t g = 0; g < s.n_groups && PASS == ENDS; g++)
        for (int k = 0; k < FEW; k++)
            s.ends[place(s, blockIdx.y, g) + k] =
                s.n_groups > 1 ? rest[g * CHANNELS * STATES + k] : x[k];
}

template <Pass PASS> static __global__ void __launch_bounds__(THREADS) s4d_scan(S4d s)
{
    DK_SHARED(float, u, [CHANNELS * PITCH]);
    DK_SHARED(float, sum, [CHANNELS * PITCH]);
    scan_tiles<PASS>(s, u, sum);
}

/* ---- launches -------------------------------------------------------------------------------- */

static void cut(S4d *s)
{
    const int64_t blocks = dk_cuda_ceil(s->n_channels, CHANNELS);
    s->chunk = dk_scan_chunk(s->n_tokens, 2 * blocks, TOKENS);
    s->n_chunks = dk_cuda_ceil(s->n_tokens, s->chunk);
}

/* Scratch for what passes and tiles keep; false: none. */
static bool find_room(DkDevice *dev, S4d *s, int64_t n_runs)
{
    const int64_t blocks = dk_cuda_ceil(s->n_channels, CHANNELS);
    const size_t states = (size_t)(n_runs * s->n_chunks * blocks * s->n_groups) * CHANNELS * STATES;
    const size_t ends = s->n_chunks > 1 ? states : 0, rest = s->n_groups > 1 ? states : 0;
    if (ends + rest == 0)
        return true;
    s->ends = static_cast<float2 *>(dk_cuda_scratch(dev, (ends + rest) * sizeof(float2)));
    s->rest = s->ends + ends;
    return s->ends != nullptr;
}

static const float *skip_of(const DkWeight *w, int64_t n_groups)
{
    const int64_t channels = dk_cuda_ceil(w->n, CHANNELS) * CHANNELS;
    return w->data + channels * n_groups * STATES * (int64_t)(sizeof(Factors) / sizeof(float));
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
    s.n_groups = dk_cuda_ceil(weights[0]->k, STATES);
    for (int i = 0; i < s.n_directions; i++) {
        s.factors[i] = reinterpret_cast<const Factors *>(weights[i]->data);
        s.skip[i] = skip_of(weights[i], s.n_groups);
    }
    cut(&s);
    const int64_t n_runs = u.sizes[0] * s.n_directions;
    if (!find_room(dev, &s, n_runs))
        return;
    const unsigned blocks = (unsigned)dk_cuda_ceil(s.n_channels, CHANNELS);
    const unsigned n = (unsigned)s.n_chunks;
    if (n > 1)
        DK_LAUNCH(dev, s4d_scan<ENDS>, dim3(blocks, n - 1, (unsigned)n_runs), THREADS, 0, s);
    DK_LAUNCH(dev, s4d_scan<OUTPUTS>, dim3(blocks, n, (unsigned)n_runs), THREADS, 0, s);
}

/* ---- weights --------------------------------------------------------------------------------- */

static float2 rounded(std::complex<double> x)
{
    return {(float)x.real(), (float)x.imag()};
}

static Factors factors_of(std::complex<double> decay, std::complex<double> gain)
{
    Factors f;
    f.decay = rounded(decay);
    f.gain = rounded(2.0 * std::conj(gain));
    f.power = rounded(std::pow(decay, (int)TOKENS));
    const std::complex<double> kept = {f.decay.x, f.decay.y};
    const bool is_large = std::abs(kept) > 1e-6; /* or nothing is left after a tile */
    f.lack = rounded(is_large ? std::pow(decay / kept, (int)TOKENS) - 1.0 : 0.0);
    return f;
}

DkWeight *dk_cuda_weight_s4d(DkDevice *dev, const double *decay, const double *gain,
                             const double *skip, int64_t d, int64_t n)
{
    const int64_t channels = dk_cuda_ceil(d, CHANNELS) * CHANNELS;
    const int64_t n_padded = dk_cuda_ceil(n, STATES) * STATES;
    const size_t bytes = (size_t)channels * ((size_t)n_padded * sizeof(Factors) + sizeof(float));
    Factors *packed = static_cast<Factors *>(calloc(1, bytes));
    if (!packed)
        return nullptr;
    for (int64_t i = 0; i < d * n; i++)
        packed[i / n * n_padded + i % n] =
            factors_of({decay[2 * i], decay[2 * i + 1]}, {gain[2 * i], gain[2 * i + 1]});
    float *to = reinterpret_cast<float *>(packed + channels * n_padded);
    for (int64_t i = 0; i < d; i++)
        to[i] = (float)skip[i];
    DkWeight *w = dk_cuda_weight_new(dev, DK_WEIGHT_S4D, d, n, 1, 1, bytes);
    w = dk_cuda_weight_fill(dev, w, packed);
    free(packed);
    return w;
}
