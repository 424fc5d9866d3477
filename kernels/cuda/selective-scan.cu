/* Mamba's recurrence (arXiv 2312.00752, eq. 2, zero-order hold of A, Euler's rule for B):
 *   δ = softplus (dt),  S[n] = exp (δ A[n]) S[n] + δ u B[n],  y = (Σ_n S[n] C[n] + d u) · silu (z).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: grid (blocks of 16 channels, chunks of tokens, pictures), 256 threads; how a block works
 * stands in scan.cuh. Each of u, dt, z is read once and y written once. B and C come from memory
 * once, and to the other blocks from the second-level cache: 128 bytes a token beside a block's
 * 256. The next tile is fetched while this one is computed.
 *
 * On paper, an H100 needs 14.7 ns a token and layer of 3072 channels for these 16 bytes a channel,
 * and 13 ns for the 16 exponentials in its special-function units; the other instructions, about
 * 150 a channel, take about as long. So no exponential is worth a polynomial, which would take ten
 * instructions in place of one. exp (δ A) is 2^(δ A log2 e); the factor is multiplied into A when
 * it is packed.
 *
 * Chunks: from 2048 channels on, one picture fills a card by its channels. Below, where there are
 * tokens enough, the sequence is cut: a first pass finds the state at the end of each chunk from 0
 * at its start, and Σ δ, of which every state's decay over the chunk follows; the second carries
 * these on and is the recurrence itself. That takes u, dt, B and the exponentials twice (1.5 times
 * the bytes), so it is done only where it makes at least 4 chunks of 256 tokens and more. Sizes of
 * one picture decide, never the batch or the card: a batch has the bits of its pictures alone. */
#include "kernels/cuda/scan.cuh"

enum { SLICE = 8 }; /* tokens */

typedef DkScanTile<SLICE> Tile;

/* What the first pass leaves of each picture, chunk and block: the states (dk_scan_block) and Σ δ
 * [SCAN_CHANNELS]. */
struct Chunks {
    int64_t tokens, n; /* of a chunk, a multiple of a tile; how many there are */
    float *states, *deltas;
};

enum Pass { ENDS, OUTPUTS };

/* A thread's part of a tile, on its way from memory. */
struct Fetched {
    int row[Tile::MINE];
    float u[Tile::MINE], dt[Tile::MINE], z[Tile::MINE], b[Tile::MINE], c[Tile::MINE];
};

template <Pass PASS> static __device__ void fetch(const DkScan &s, Fetched &f)
{
    for (int j = 0; j < Tile::MINE; j++) {
        f.u[j] = dk_scan_at(s, s.u, f.row[j]);
        f.dt[j] = dk_scan_at(s, s.dt, f.row[j]);
        f.b[j] = dk_scan_state_at(s, s.b, f.row[j], 0);
        if (PASS == OUTPUTS) {
            f.c[j] = dk_scan_state_at(s, s.c, f.row[j], 0);
            f.z[j] = s.z.at ? dk_scan_at(s, s.z, f.row[j]) : 0;
        }
    }
}

/* A token that is none leaves the state as it is: δ = 0. */
template <Pass PASS> static __device__ void put(const Fetched &f, const Tile &tile)
{
    for (int j = 0; j < Tile::MINE; j++) {
        const int i = dk_scan_token() + j * (Tile::TOKENS / Tile::MINE), column = dk_scan_column();
        const float delta = f.row[j] < 0 ? 0 : dk_softplus(f.dt[j]);
        tile.delta[column][i] = delta;
        tile.input[column][i] = delta * f.u[j];
        tile.b[i][column] = f.b[j];
        if (PASS == OUTPUTS)
            tile.c[i][column] = f.c[j];
    }
}

/* ---- the state ------------------------------------------------------------------------------- */

/* The state before this block's chunk: those that the chunks before end in, each decayed by what
 * follows it. */
static __device__ DkLanes<4> carry(const DkScan &s, const Chunks &chunks, int64_t g)
{
    const DkLanes<4> a = dk_scan_a(s, g);
    DkLanes<4> state = {};
    for (int64_t i = 0; i < blockIdx.y; i++) {
        const DkLanes<4> end =
            dk_load<4>(chunks.states + dk_scan_block(s, chunks.n, i) + dk_scan_place(g));
        const int64_t block = (blockIdx.z * chunks.n + i) * gridDim.x + blockIdx.x;
        const float delta = chunks.deltas[block * SCAN_CHANNELS + dk_scan_channel()];
        for (int k = 0; k < SCAN_FEW; k++)
            state.at[k] = fmaf(dk_exp2(delta * a.at[k]), state.at[k], end.at[k]);
    }
    return state;
}

/* Σ_n S[n] C[n] of a slice's tokens, added to those of the groups before. */
static __device__ void sum_up(const Tile &tile, int64_t g, float *sum /* [channels][PITCH] */,
                              const float x[SLICE][SCAN_FEW])
{
    const int first = dk_scan_slice() * SLICE;
    for (int i = 0; i < SLICE; i += 4) {
        float p[4];
        for (int j = 0; j < 4; j++) {
            const DkLanes<4> c = dk_load<4>(&tile.c[first + i + j][dk_scan_lane() * SCAN_FEW]);
            p[j] = x[i + j][0] * c.at[0];
            for (int k = 1; k < SCAN_FEW; k++)
                p[j] = fmaf(x[i + j][k], c.at[k], p[j]);
        }
        float *to = sum + dk_scan_channel() * Tile::PITCH + first + i + dk_scan_lane();
        const float before = g ? *to : 0;
        *to = before + dk_scan_sum<SCAN_LANES>(p, dk_scan_lane());
    }
}

/* One group of states through a tile. Every barrier is also one between this and what follows. */
template <Pass PASS>
static __device__ void recur(const DkScan &s, const Tile &tile, const DkScanKept &kept, int64_t g,
                             float *sum, float *deltas)
{
    const int slice = dk_scan_slice();
    float decay[SLICE][SCAN_FEW], x[SLICE][SCAN_FEW];
    dk_scan_enter<SLICE>(tile, dk_scan_a(s, g), decay, x);
    for (int turn = 0; turn < SCAN_SLICES + (PASS == OUTPUTS); turn++) {
        if (slice == turn)
            dk_scan_take_turn<SLICE>(kept, g, decay, x);
        if (PASS == OUTPUTS && slice == turn - 1)
            sum_up(tile, g, sum, x);
        if (PASS == ENDS && slice == turn && g == 0 && dk_scan_lane() == 0)
            for (int i = 0; i < SLICE; i++)
                deltas[dk_scan_channel()] += tile.delta[dk_scan_channel()][slice * SLICE + i];
        __syncthreads();
    }
}

/* ---- the two passes -------------------------------------------------------------------------- */

/* (Σ S C + d u) · silu (z) */
static __device__ void leave(const DkScan &s, DkCudaRows y, const float *sum, const Fetched &f,
                             float d)
{
    const float *of = sum + dk_scan_column() * Tile::PITCH;
    for (int j = 0; j < Tile::MINE; j++) {
        const int i = dk_scan_token() + j * (Tile::TOKENS / Tile::MINE);
        const float gate = s.z.at ? dk_apply_act(f.z[j], DK_ACT_SILU) : 1;
        dk_scan_put(s, y, f.row[j], fmaf(d, f.u[j], of[i]) * gate);
    }
}

/* All tiles of the block's chunk. */
template <Pass PASS>
static __device__ void scan_tiles(const DkScan &s, const Chunks &chunks, DkCudaRows y,
                                  const Tile &tile, const DkScanKept &kept, float *sum,
                                  float *deltas)
{
    const int64_t first = blockIdx.y * chunks.tokens;
    const int64_t last = min(first + chunks.tokens, s.n_tokens);
    const int64_t e = (int64_t)blockIdx.x * SCAN_CHANNELS + dk_scan_column();
    const float d = PASS == OUTPUTS && e < s.n_channels ? s.d[e] : 0;
    int next[Tile::MINE]; /* rows are known a tile ahead: to fetch by them waits for nothing */
    Fetched f, now;
    dk_scan_rows<Tile::MINE>(s, first, last, f.row);
    fetch<PASS>(s, f);
    dk_scan_rows<Tile::MINE>(s, first + Tile::TOKENS, last, next);
    for (int64_t i = first; i < last; i += Tile::TOKENS) {
        now = f;
        put<PASS>(now, tile);
        for (int j = 0; j < Tile::MINE; j++)
            f.row[j] = next[j];
        fetch<PASS>(s, f);
        dk_scan_rows<Tile::MINE>(s, i + 2 * Tile::TOKENS, last, next);
        __syncthreads();
        for (int64_t g = 0; g < s.n_groups; g++) {
            if (g)
                dk_scan_change_group<SLICE>(s, tile, now.row, g);
            recur<PASS>(s, tile, kept, g, sum, deltas);
        }
        if (PASS == OUTPUTS)
            leave(s, y, sum, now, d);
    }
}

template <Pass PASS>
static __global__ void __launch_bounds__(SCAN_THREADS, 2)
    selective_scan(DkScan s, Chunks chunks, DkCudaRows y)
{
    DK_SHARED(float, delta, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, input, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, sum, [SCAN_CHANNELS * Tile::PITCH]);
    DK_SHARED(float, b, [Tile::TOKENS][SCAN_STATES]);
    DK_SHARED(float, c, [Tile::TOKENS][SCAN_STATES]);
    DK_SHARED(float, state, [SCAN_ALL]);
    DK_SHARED(float, deltas, [SCAN_CHANNELS]);
    const Tile tile = {delta, input, b, c};
    const int64_t at = dk_scan_block(s, gridDim.y, blockIdx.y);
    const DkScanKept kept = {state, s.n_groups == 1 ? nullptr : s.rest + at};
    if (dk_scan_slice() == 0)
        for (int64_t g = 0; g < s.n_groups; g++)
            dk_scan_store(kept, g, PASS == OUTPUTS ? carry(s, chunks, g) : DkLanes<4>{});
    if (PASS == ENDS && threadIdx.x < SCAN_CHANNELS)
        deltas[threadIdx.x] = 0;
    scan_tiles<PASS>(s, chunks, y, tile, kept, sum, deltas);
    if (PASS == OUTPUTS || dk_scan_slice() != 0)
        return;
    float *states = chunks.states + dk_scan_block(s, chunks.n, blockIdx.y);
    for (int64_t g = 0; g < s.n_groups; g++)
        dk_store<4>(states + dk_scan_place(g), dk_scan_load(kept, g));
    const int64_t block = (blockIdx.z * chunks.n + blockIdx.y) * gridDim.x + blockIdx.x;
    if (threadIdx.x < SCAN_CHANNELS)
        chunks.deltas[block * SCAN_CHANNELS + threadIdx.x] = deltas[threadIdx.x];
}

/* ---- launches -------------------------------------------------------------------------------- */

/* Scratch for what passes and tiles keep; false: none. */
static bool find_room(DkDevice *dev, DkScan *s, Chunks *chunks, int64_t n_pictures,
                      const DkWeight *a)
{
    const size_t states = dk_scan_room(n_pictures * chunks->n, a->n, a->k);
    const size_t kept = chunks->n > 1 ? states : 0, rest = s->n_groups > 1 ? states : 0;
    const size_t deltas = kept / (size_t)s->n_groups / SCAN_STATES;
    if (kept + rest == 0)
        return true;
    float *room =
        static_cast<float *>(dk_cuda_scratch(dev, (kept + rest + deltas) * sizeof(float)));
    chunks->states = room;
    s->rest = room + kept;
    chunks->deltas = room + kept + rest;
    return room != nullptr;
}

void dk_cuda_selective_scan(DkDevice *dev, DkTensor y, DkTensor u, DkTensor dt, const DkWeight *a,
                            DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z, DkTensor order)
{
    DkScan s = dk_scan_of(u, dt, a, bmat, cmat, d, z, order);
    Chunks chunks = {};
    chunks.tokens = dk_scan_chunk(s.n_tokens, dk_scan_blocks(a->n), Tile::TOKENS);
    chunks.n = dk_cuda_ceil(s.n_tokens, chunks.tokens);
    if (!find_room(dev, &s, &chunks, u.sizes[0], a))
        return;
    const unsigned blocks = (unsigned)dk_scan_blocks(a->n), n = (unsigned)chunks.n;
    const unsigned pictures = (unsigned)u.sizes[0];
    if (n > 1)
        DK_LAUNCH(dev, selective_scan<ENDS>, dim3(blocks, n - 1, pictures), SCAN_THREADS, 0, s,
                  chunks, dk_cuda_rows(y));
    DK_LAUNCH(dev, selective_scan<OUTPUTS>, dim3(blocks, n, pictures), SCAN_THREADS, 0, s, chunks,
              dk_cuda_rows(y));
}

/* ---- weights --------------------------------------------------------------------------------- */

/* to[channels, padded][states, padded] = a log2 e; what would overflow δ A stays finite: no
 * exponential differs for it. */
static __global__ void pack(float *to, int64_t count, DkCudaRows a, int64_t n_channels,
                            int64_t n_states, int64_t n_padded)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t e = i / n_padded, n = i % n_padded;
    if (i >= count)
        return;
    const bool is_there = e < n_channels && n < n_states;
    to[i] = is_there ? fmaxf((float)(a.at[e * a.stride + n] * 1.4426950408889634), -1e19f) : 0;
}

static void pack_all(DkDevice *dev, DkWeight *weight, DkCudaRows a)
{
    const int64_t n_padded = dk_scan_groups(weight->k) * SCAN_STATES;
    const int64_t count = dk_scan_blocks(weight->n) * SCAN_CHANNELS * n_padded;
    DK_LAUNCH(dev, pack, (unsigned)dk_cuda_ceil(count, 256), 256, 0, weight->data, count, a,
              weight->n, weight->k, n_padded);
}

DkWeight *dk_cuda_weight_scan(DkDevice *dev, const float *a, int64_t e, int64_t n)
{
    const size_t bytes = (size_t)(e * n) * sizeof *a;
    DkWeight *w =
        dk_cuda_weight_new(dev, DK_WEIGHT_SCAN, e, n, 1, 1, dk_scan_room(1, e, n) * sizeof *a);
    float *given = w ? static_cast<float *>(dk_cuda_alloc(dev, bytes)) : nullptr;
    const bool is_here =
        given &&
        dk_cuda_check(
            dev, cudaMemcpyAsync(given, a, bytes, cudaMemcpyHostToDevice, dk_cuda(dev)->stream),
            "writing weights");
    if (is_here)
        pack_all(dev, w, {given, n});
    else if (w)
        dk_cuda_weight_free(dev, &w);
    dk_cuda_free(dev, given, bytes);
    return w;
}

void dk_cuda_scan_set(DkDevice *dev, DkWeight *weight, DkTensor a)
{
    pack_all(dev, weight, dk_cuda_rows(a));
}
