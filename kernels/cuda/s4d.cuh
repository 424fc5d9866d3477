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

/* Of a state; pairs of floats are complex. */
struct DkS4dFactors {
    float2 decay, gain; /* 2 conj (gain) */
    float2 lack;        /* decay^TOKENS / (the rounded decay)^TOKENS - 1 */
    float2 power;       /* decay^TOKENS */
};

/* As packed: [channels][groups][S4D_STATES] of each, padded with zeros. Arrays, since no kernel
 * needs all of them. */
struct DkS4dWeight {
    float2 *decay, *gain, *lack, *power;
    float *skip; /* [channels] */
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

static inline int64_t dk_s4d_channels(const DkWeight *w)
{
    return dk_cuda_ceil(w->n, S4D_CHANNELS) * S4D_CHANNELS;
}

static inline DkS4dWeight dk_s4d_weight(const DkWeight *w)
{
    const int64_t n = dk_s4d_channels(w) * dk_s4d_groups(w) * S4D_STATES;
    float2 *at = reinterpret_cast<float2 *>(w->data);
    return {at, at + n, at + 2 * n, at + 3 * n, reinterpret_cast<float *>(at + 4 * n)};
}

#endif
