/* What the scan and its backward share: the block, tiles of tokens, how the state goes on.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block has 16 neighbouring channels of one picture, so that it reads 64 bytes of a row, and 4
 * threads a channel with 4 states each: 16 states, a group; where there are more, a tile takes
 * group after group. A tile of tokens is cut into 4 slices, one for each 64 threads. Of a token
 * only one multiply-add a state depends on the token before. So all slices find their decays and
 * inputs at once and keep them in registers; then they take turns in the recurrence proper, the
 * state going from slice to slice through shared memory; and while one has its turn, the one before
 * sums up. This is the recurrence itself, token after token: its bits do not depend on how it is
 * cut.
 *
 * In the passes over memory, thread 16 i + j has token i, i + 16, .. of the tile and the block's
 * channel j, or the group's state j of B and C. */
#ifndef DK_CUDA_SCAN_CUH
#define DK_CUDA_SCAN_CUH

#include "kernels/cuda/lanes.cuh"

enum {
    SCAN_CHANNELS = 16,                     /* of a block */
    SCAN_LANES = 4,                         /* threads of a channel and slice */
    SCAN_FEW = 4,                           /* states of a thread */
    SCAN_STATES = SCAN_LANES * SCAN_FEW,    /* of a group */
    SCAN_SLICES = 4,                        /* of a tile */
    SCAN_ALL = SCAN_CHANNELS * SCAN_STATES, /* states of a block and group */
    SCAN_THREADS = SCAN_CHANNELS * SCAN_LANES * SCAN_SLICES,
};

struct DkScan {
    DkCudaRows u, dt, z, b, c;
    const float *a; /* times log2 e: [channels][groups][SCAN_STATES], both padded with zeros */
    const float *d;
    const int32_t *order;
    int64_t n_tokens, n_channels, n_states, n_groups;
    float *rest; /* of each block: its states between tiles where there is more than one group */
};

/* Who a thread is in the recurrence. */
static inline __device__ int dk_scan_lane()
{
    return threadIdx.x % SCAN_LANES;
}

static inline __device__ int dk_scan_channel()
{
    return threadIdx.x / SCAN_LANES % SCAN_CHANNELS;
}

static inline __device__ int dk_scan_slice()
{
    return threadIdx.x / (SCAN_LANES * SCAN_CHANNELS);
}

/* And in passes over memory: its first token of the tile, its column. */
static inline __device__ int dk_scan_token()
{
    return threadIdx.x / SCAN_CHANNELS;
}

static inline __device__ int dk_scan_column()
{
    return threadIdx.x % SCAN_CHANNELS;
}

/* Where a thread's states of group g lie in a block's SCAN_ALL of each group. */
static inline __device__ int64_t dk_scan_place(int64_t g)
{
    return g * SCAN_ALL + threadIdx.x % (SCAN_CHANNELS * SCAN_LANES) * SCAN_FEW;
}

/* The block's, in memory that has n of them for each picture. */
static inline __device__ int64_t dk_scan_block(const DkScan &s, int64_t n, int64_t i)
{
    return ((blockIdx.z * n + i) * gridDim.x + blockIdx.x) * s.n_groups * SCAN_ALL;
}

/* ---- a tile ---------------------------------------------------------------------------------- */

/* In shared memory. T tokens a slice; rows of a channel are 4 longer than they must, so that a
 * warp's channels lie in different banks. */
template <int T> struct DkScanTile {
    static constexpr int TOKENS = T * SCAN_SLICES, PITCH = TOKENS + 4;
    /* tokens of a thread in passes over memory */
    static constexpr int MINE = TOKENS * SCAN_CHANNELS / SCAN_THREADS;
    float (*delta)[PITCH], (*input)[PITCH]; /* [channels]: δ, δ u */
    float (*b)[SCAN_STATES], (*c)[SCAN_STATES];
};

/* Stored rows of a thread's tokens of the tile at `first`; -1: there is no such token. */
template <int M>
static inline __device__ void dk_scan_rows(const DkScan &s, int64_t first, int64_t last, int *row)
{
    for (int j = 0; j < M; j++) {
        const int64_t i = first + dk_scan_token() + j * (SCAN_THREADS / SCAN_CHANNELS);
        row[j] = i >= last ? -1 : s.order ? s.order[i] : (int)i;
    }
}

/* Of a row of the picture at hand: the block's channel of this thread; 0 where there is none. */
static inline __device__ float dk_scan_at(const DkScan &s, DkCudaRows x, int row)
{
    const int64_t e = (int64_t)blockIdx.x * SCAN_CHANNELS + dk_scan_column();
    return row < 0 || e >= s.n_channels ? 0 : x.at[(blockIdx.z * s.n_tokens + row) * x.stride + e];
}

static inline __device__ void dk_scan_put(const DkScan &s, DkCudaRows y, int row, float value)
{
    const int64_t e = (int64_t)blockIdx.x * SCAN_CHANNELS + dk_scan_column();
    if (row >= 0 && e < s.n_channels)
        y.at[(blockIdx.z * s.n_tokens + row) * y.stride + e] = value;
}

/* The same of B and C: the group's state. */
static inline __device__ float dk_scan_state_at(const DkScan &s, DkCudaRows x, int row, int64_t g)
{
    const int64_t n = g * SCAN_STATES + dk_scan_column();
    return row < 0 || n >= s.n_states ? 0 : x.at[(blockIdx.z * s.n_tokens + row) * x.stride + n];
}

/* B and C of a further group, in place of the one before; `row` as dk_scan_rows has it. */
template <int T>
static inline __device__ void dk_scan_change_group(const DkScan &s, const DkScanTile<T> &tile,
                                                   const int *row, int64_t g)
{
    __syncthreads();
    for (int j = 0; j < DkScanTile<T>::MINE; j++) {
        const int i = dk_scan_token() + j * (SCAN_THREADS / SCAN_CHANNELS);
        tile.b[i][dk_scan_column()] = dk_scan_state_at(s, s.b, row[j], g);
        tile.c[i][dk_scan_column()] = dk_scan_state_at(s, s.c, row[j], g);
    }
    __syncthreads();
}

/* log (1 + e^x) */
static inline __device__ float dk_softplus(float x)
{
    return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
}

/* A thread's A of group g. */
static inline __device__ DkLanes<SCAN_FEW> dk_scan_a(const DkScan &s, int64_t g)
{
    const int64_t e = (int64_t)blockIdx.x * SCAN_CHANNELS + dk_scan_channel();
    return dk_load<SCAN_FEW>(s.a + (e * s.n_groups + g) * SCAN_STATES + dk_scan_lane() * SCAN_FEW);
}

/* exp (δ A) and δ u B of a thread's tokens and states. */
template <int T>
static inline __device__ void dk_scan_enter(const DkScanTile<T> &tile, const DkLanes<SCAN_FEW> &a,
                                            float decay[T][SCAN_FEW], float x[T][SCAN_FEW])
{
    const int channel = dk_scan_channel(), first = dk_scan_slice() * T;
    for (int i = 0; i < T; i += 4) {
        const DkLanes<4> delta = dk_load<4>(&tile.delta[channel][first + i]);
        const DkLanes<4> input = dk_load<4>(&tile.input[channel][first + i]);
        for (int j = 0; j < 4; j++) {
            const DkLanes<4> b = dk_load<4>(&tile.b[first + i + j][dk_scan_lane() * SCAN_FEW]);
            for (int k = 0; k < SCAN_FEW; k++) {
                decay[i + j][k] = dk_exp2(delta.at[j] * a.at[k]);
                x[i + j][k] = input.at[j] * b.at[k];
            }
        }
    }
}

/* ---- the state ------------------------------------------------------------------------------ */

/* Where a block keeps it between slices and tiles: in shared memory, or where that is too small. */
struct DkScanKept {
    float *shared, *far; /* [SCAN_ALL], [groups][SCAN_ALL]; far NULL: in shared */
};

static inline __device__ DkLanes<4> dk_scan_load(const DkScanKept &kept, int64_t g)
{
    return kept.far ? dk_load<4>(kept.far + dk_scan_place(g))
                    : dk_load<4>(kept.shared + dk_scan_place(0));
}

static inline __device__ void dk_scan_store(const DkScanKept &kept, int64_t g,
                                            const DkLanes<4> &state)
{
    dk_store<4>(kept.far ? kept.far + dk_scan_place(g) : kept.shared + dk_scan_place(0), state);
}

/* A slice's turn: x, the inputs, become the states after each token. */
template <int T>
static inline __device__ void dk_scan_take_turn(const DkScanKept &kept, int64_t g,
                                                const float decay[T][SCAN_FEW],
                                                float x[T][SCAN_FEW])
{
    DkLanes<4> state = dk_scan_load(kept, g);
    for (int i = 0; i < T; i++)
        for (int k = 0; k < SCAN_FEW; k++)
            x[i][k] = state.at[k] = fmaf(decay[i][k], state.at[k], x[i][k]);
    dk_scan_store(kept, g, state);
}

/* ---- sums over states ------------------------------------------------------------------------ */

/* Of N lanes that are STRIDE apart, the i-th (`lane`) gets the sum of all lanes' p[i]; every sum in
 * the same order. */
template <int N, int STRIDE = 1> static inline __device__ float dk_scan_sum(float p[N], int lane)
{
    for (int far = N / 2; far > 0; far /= 2)
        for (int i = 0; i < far; i++) {
            const bool high = lane & far;
            const float given = high ? p[i] : p[i + far];
            p[i] = (high ? p[i + far] : p[i]) + __shfl_xor_sync(0xffffffffu, given, far * STRIDE);
        }
    return p[0];
}

/* ---- on the host ----------------------------------------------------------------------------- */

static inline int64_t dk_scan_groups(int64_t n_states)
{
    return dk_cuda_ceil(n_states, SCAN_STATES);
}

static inline int64_t dk_scan_blocks(int64_t n_channels)
{
    return dk_cuda_ceil(n_channels, SCAN_CHANNELS);
}

static inline DkScan dk_scan_of(DkTensor u, DkTensor dt, const DkWeight *a, DkTensor bmat,
                                DkTensor cmat, DkTensor d, DkTensor z, DkTensor order)
{
    DkScan s = {};
    s.u = dk_cuda_rows(u);
    s.dt = dk_cuda_rows(dt);
    s.z = dk_cuda_rows(z);
    s.b = dk_cuda_rows(bmat);
    s.c = dk_cuda_rows(cmat);
    s.a = a->data;
    s.d = dk_cuda_rows(d).at;
    s.order = static_cast<const int32_t *>(dk_data(order));
    s.n_tokens = u.sizes[1];
    s.n_channels = a->n;
    s.n_states = a->k;
    s.n_groups = dk_scan_groups(a->k);
    return s;
}

/* Tokens of a chunk, a multiple of a tile's; all of them where it is not worth while to cut. That
 * is for one picture to fill a card, so it takes a picture's blocks where these are few; and since
 * the work is done twice, at least 4 chunks, of 256 tokens or more. */
static inline int64_t dk_scan_chunk(int64_t n_tokens, int64_t n_blocks, int64_t tile)
{
    const int64_t wanted = 192 / n_blocks, most = n_tokens / 256;
    const int64_t n = wanted < most ? wanted : most;
    return n < 4 ? n_tokens : dk_cuda_ceil(dk_cuda_ceil(n_tokens, n), tile) * tile;
}

/* Floats of n times the states of all blocks. */
static inline size_t dk_scan_room(int64_t n, int64_t n_channels, int64_t n_states)
{
    return (size_t)(n * dk_scan_blocks(n_channels) * dk_scan_groups(n_states)) * SCAN_ALL;
}

#endif
