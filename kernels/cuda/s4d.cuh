/* What S4D's scan and its backward share: the block, the weight.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_S4D_CUH
#define DK_CUDA_S4D_CUH

#include "kernels/cuda/scan.cuh"

enum {
    S4D_CHANNELS = 16,                /* of a block */
    S4D_LANES = 8,                    /* threads of a channel */
    S4D_FEW = 4,                      /* states of a thread */
    S4D_STATES = S4D_LANES * S4D_FEW, /* of a group */
    S4D_THREADS = S4D_CHANNELS * S4D_LANES,
    S4D_TOKENS = 32, /* of a tile */
    S4D_PITCH = S4D_TOKENS + 4,
    S4D_MINE = S4D_TOKENS * S4D_CHANNELS / S4D_THREADS, /* a thread's in passes over memory */
};

/* Of a state, as packed: [channels][groups][S4D_STATES], padded with zeros, and then the skip of
 * each channel. Pairs of floats are complex. */
struct DkS4dFactors {
    float2 decay, gain; /* 2 conj (gain) */
    float2 lack;        /* decay^TOKENS / (the rounded decay)^TOKENS - 1 */
    float2 power;       /* decay^TOKENS */
};

static inline __device__ float2 dk_multiply(float2 a, float2 b)
{
    return make_float2(fmaf(a.x, b.x, -a.y * b.y), fmaf(a.x, b.y, a.y * b.x));
}

/* x += by · x: a state at the end of a tile, and what the rounding of its decay took from it. */
static inline __device__ void dk_s4d_mend(float2 &x, float2 lack)
{
    const float2 more = dk_multiply(lack, x);
    x.x += more.x;
    x.y += more.y;
}

/* A thread's place in passes over memory: its column of the block's channels, and the tile's
 * tokens it has. */
static inline __device__ int64_t dk_s4d_column(int64_t block)
{
    return block * S4D_CHANNELS + threadIdx.x % S4D_CHANNELS;
}

static inline __device__ int64_t dk_s4d_token(int j)
{
    return threadIdx.x / S4D_CHANNELS + j * (S4D_THREADS / S4D_CHANNELS);
}

static inline int64_t dk_s4d_groups(const DkWeight *w)
{
    return dk_cuda_ceil(w->k, S4D_STATES);
}

static inline const DkS4dFactors *dk_s4d_factors(const DkWeight *w)
{
    return reinterpret_cast<const DkS4dFactors *>(w->data);
}

static inline int64_t dk_s4d_channels(const DkWeight *w)
{
    return dk_cuda_ceil(w->n, S4D_CHANNELS) * S4D_CHANNELS;
}

static inline const float *dk_s4d_skip(const DkWeight *w)
{
    return reinterpret_cast<const float *>(dk_s4d_factors(w) +
                                           dk_s4d_channels(w) * dk_s4d_groups(w) * S4D_STATES);
}

/* dk_s4d_scan, added to y where `accumulate` says so. */
void dk_cuda_s4d_run(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead,
                     const DkWeight *back, bool accumulate);

#endif
