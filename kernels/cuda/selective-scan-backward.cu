/* Backward of Mamba's recurrence; the formulas stand in kernels/ref/selective-scan-backward.c.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launches: grid (blocks of 16 channels, 1, pictures), 256 threads; how a block works stands in
 * scan.cuh. keep_starts runs the recurrence and leaves the states before each tile; go_back takes
 * the tiles from last to first: decays and states are computed anew, in registers, and after the
 * slices' turns ahead, from the first to the last, they take turns back with the adjoint.
 *
 * dB and dC are sums over channels, dA and dd over tokens and pictures. Each block leaves its own,
 * of which add_up makes the whole in the order of blocks, pictures and slices: no sum depends on
 * time. Memory: 3 floats a token and channel, and dA's parts. Traffic: u and dt twice, z and dy
 * once, what is written once, and each of the 3 floats once there and once back. */
#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/scan.cuh"

enum {
    SLICE = 4,              /* tokens: decays, states and adjoints take 16 registers each */
    SUMS = 2 * SCAN_STATES, /* dB, dC of a token and group */
};

typedef DkScanTile<SLICE> Tile;
static_assert(Tile::MINE == 1, "a thread has one token and channel of a tile");

struct Backward {
    DkScan s; /* rest: the states between tiles, then the adjoints */
    DkCudaRows dy, du, ddt, dz;
    int64_t n_tiles;
    float *starts; /* states before tile i + 1: dk_scan_block (s, n_tiles, i) */
    float *sums;   /* [pictures][tokens][groups][blocks][SUMS] */
    float *da;     /* [pictures][blocks][groups][slices][SCAN_ALL], A as packed times log2 e */
    float *dd;     /* [pictures][blocks][SCAN_THREADS] */
};

static __device__ void put_inputs(const DkScan &s, const Tile &tile, int row, float delta, float u)
{
    const int i = dk_scan_token(), column = dk_scan_column();
    tile.delta[column][i] = delta;
    tile.input[column][i] = delta * u;
    tile.b[i][column] = dk_scan_state_at(s, s.b, row, 0);
    tile.c[i][column] = dk_scan_state_at(s, s.c, row, 0);
}

/* ---- ahead: the states before each tile ------------------------------------------------------ */

static __device__ void run_ahead(const Backward &w, const Tile &tile, const DkScanKept &kept)
{
    const DkScan &s = w.s;
    for (int64_t t = 0; t + 1 < w.n_tiles; t++) {
        int row;
        dk_scan_rows<1>(s, t * Tile::TOKENS, s.n_tokens, &row);
        put_inputs(s, tile, row, dk_softplus(dk_scan_at(s, s.dt, row)), dk_scan_at(s, s.u, row));
        __syncthreads();
        for (int64_t g = 0; g < s.n_groups; g++) {
            float decay[SLICE][SCAN_FEW], x[SLICE][SCAN_FEW];
            if (g)
                dk_scan_change_group<SLICE>(s, tile, &row, g);
            dk_scan_enter<SLICE>(tile, dk_scan_a(s, g), decay, x);
            for (int turn = 0; turn < SCAN_SLICES; turn++) {
                if (dk_scan_slice() == turn)
                    dk_scan_take_turn<SLICE>(kept, g, decay, x);
                __syncthreads();
            }
            if (dk_scan_slice() == 0)
                dk_store<4>(w.starts + dk_scan_block(s, w.n_tiles, t) + dk_scan_place(g),
                            dk_scan_load(kept, g));
        }
    }
}

static __global__ void __launch_bounds__(SCAN_THREADS, 2) keep_starts(Backward w)
{
    DK_SHARED(float, delta, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, input, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, b, [Tile::TOKENS][SCAN_STATES]);
    DK_SHARED(float, c, [Tile::TOKENS][SCAN_STATES]);
    DK_SHARED(float, state, [SCAN_ALL]);
    const Tile tile = {delta, input, b, c};
    const DkScanKept kept = {state,
                             w.s.n_groups == 1 ? nullptr : w.s.rest + dk_scan_block(w.s, 1, 0)};
    if (dk_scan_slice() == 0)
        for (int64_t g = 0; g < w.s.n_groups; g++)
            dk_scan_store(kept, g, DkLanes<4>{});
    run_ahead(w, tile, kept);
}

/* ---- back: one token and channel of a thread ------------------------------------------------- */

/* What enter finds and leave needs. */
struct Token {
    int row;
    float u, delta, open;    /* open: q = dy · silu (z) */
    float dt_slope, z_slope; /* softplus' (dt), dy · silu' (z) */
};

static __device__ Token enter(const Backward &w, int64_t t)
{
    const DkScan &s = w.s;
    Token k;
    float rest;
    dk_scan_rows<1>(s, t * Tile::TOKENS, s.n_tokens, &k.row);
    const float dt = dk_scan_at(s, s.dt, k.row), dy = dk_scan_at(s, w.dy, k.row);
    k.u = dk_scan_at(s, s.u, k.row);
    k.delta = k.row < 0 ? 0 : dk_softplus(dt);
    k.dt_slope = dk_sigmoid(dt, &rest);
    k.open = dy;
    k.z_slope = 0;
    if (s.z.at) {
        const float z = dk_scan_at(s, s.z, k.row), open = dk_sigmoid(z, &rest);
        k.open = dy * z * open;
        k.z_slope = dy * open * fmaf(z, rest, 1);
    }
    return k;
}

/* Sums over the states of each channel and token of a tile: [channels][PITCH] each. */
struct Through {
    float (*a)[Tile::PITCH], (*b)[Tile::PITCH]; /* Σ g A exp (δ A) S[i-1], A as packed; Σ g B */
    float (*c)[Tile::PITCH];                    /* Σ S C */
};

static __device__ void leave(const Backward &w, const Through &through, const Token &k, float d)
{
    const float ln_2 = 0.6931471806f; /* A was packed times log2 e */
    const int column = dk_scan_column(), i = dk_scan_token();
    const float by_a = through.a[column][i] * ln_2, by_b = through.b[column][i];
    dk_scan_put(w.s, w.du, k.row, fmaf(k.delta, by_b, k.open * d));
    dk_scan_put(w.s, w.ddt, k.row, fmaf(k.u, by_b, by_a) * k.dt_slope);
    if (w.s.z.at)
        dk_scan_put(w.s, w.dz, k.row, k.z_slope * fmaf(d, k.u, through.c[column][i]));
}

/* ---- back: the recurrence -------------------------------------------------------------------- */

/* A slice of one group in a thread's registers. */
struct Slice {
    float decay[SLICE][SCAN_FEW], x[SLICE][SCAN_FEW]; /* x: states after each token */
    float adjoint[SLICE][SCAN_FEW];
    DkLanes<SCAN_FEW> start; /* states before the first */
};

static __device__ void turn_ahead(const Backward &w, const DkScanKept &kept, int64_t t, int64_t g,
                                  Slice &l)
{
    if (dk_scan_slice() == 0) {
        l.start = DkLanes<SCAN_FEW>{};
        if (t > 0)
            l.start =
                dk_load<4>(w.starts + dk_scan_block(w.s, w.n_tiles, t - 1) + dk_scan_place(g));
        dk_scan_store(kept, g, l.start);
    } else
        l.start = dk_scan_load(kept, g);
    dk_scan_take_turn<SLICE>(kept, g, l.decay, l.x);
}

/* Between tokens the adjoint is kept after its decay, as the token before sees it. */
static __device__ void turn_back(const DkScanKept &kept, int64_t g, const Tile &tile,
                                 const float *open, Slice &l)
{
    DkLanes<SCAN_FEW> after = dk_scan_load(kept, g);
    for (int i = SLICE - 1; i >= 0; i--) {
        const DkLanes<4> c =
            dk_load<4>(&tile.c[dk_scan_slice() * SLICE + i][dk_scan_lane() * SCAN_FEW]);
        for (int k = 0; k < SCAN_FEW; k++) {
            l.adjoint[i][k] = fmaf(open[i], c.at[k], after.at[k]);
            after.at[k] = l.adjoint[i][k] * l.decay[i][k];
        }
    }
    dk_scan_store(kept, g, after);
}

/* The sums over states, and da. */
static __device__ void sum_states(const Tile &tile, const Through &through, const Slice &l,
                                  int64_t g, const DkLanes<SCAN_FEW> &a, DkLanes<SCAN_FEW> &da)
{
    const int channel = dk_scan_channel(), first = dk_scan_slice() * SLICE;
    float by_a[SLICE], by_b[SLICE], by_c[SLICE];
    for (int i = 0; i < SLICE; i++) {
        const DkLanes<4> b = dk_load<4>(&tile.b[first + i][dk_scan_lane() * SCAN_FEW]);
        const DkLanes<4> c = dk_load<4>(&tile.c[first + i][dk_scan_lane() * SCAN_FEW]);
        const float delta = tile.delta[channel][first + i];
        by_a[i] = by_b[i] = by_c[i] = 0;
        for (int k = 0; k < SCAN_FEW; k++) {
            const float before = i ? l.x[i - 1][k] : l.start.at[k];
            const float by_decay = l.adjoint[i][k] * l.decay[i][k] * before;
            by_a[i] = fmaf(by_decay, a.at[k], by_a[i]);
            by_b[i] = fmaf(l.adjoint[i][k], b.at[k], by_b[i]);
            by_c[i] = fmaf(l.x[i][k], c.at[k], by_c[i]);
            da.at[k] = fmaf(by_decay, delta, da.at[k]);
        }
    }
    const int at = first + dk_scan_lane();
    const float of_a = dk_scan_sum<SCAN_LANES>(by_a, dk_scan_lane());
    const float of_b = dk_scan_sum<SCAN_LANES>(by_b, dk_scan_lane());
    const float of_c = dk_scan_sum<SCAN_LANES>(by_c, dk_scan_lane());
    through.a[channel][at] = (g ? through.a[channel][at] : 0) + of_a;
    through.b[channel][at] = (g ? through.b[channel][at] : 0) + of_b;
    through.c[channel][at] = (g ? through.c[channel][at] : 0) + of_c;
}

enum { CHANNELS_OF_WARP = 32 / SCAN_LANES, HALVES = SCAN_CHANNELS / CHANNELS_OF_WARP };

/* dB and dC of the tile by the channels of each warp: [HALVES][TOKENS][SUMS]. Of 8 numbers, those
 * of two tokens' states, each of a warp's 8 channels gets the sum of one. */
static __device__ void sum_channels(const Tile &tile, const Slice &l, const float *open,
                                    float (*slab)[Tile::TOKENS][SUMS])
{
    static_assert(CHANNELS_OF_WARP == 2 * SCAN_FEW, "two tokens' states at a time");
    const int channel = dk_scan_channel(), first = dk_scan_slice() * SLICE;
    const int own = channel % CHANNELS_OF_WARP, half = channel / CHANNELS_OF_WARP;
    const int state = dk_scan_lane() * SCAN_FEW + own % SCAN_FEW;
    for (int i = 0; i < SLICE; i += 2) {
        float b[CHANNELS_OF_WARP], c[CHANNELS_OF_WARP];
        for (int j = 0; j < CHANNELS_OF_WARP; j++) {
            const int token = i + j / SCAN_FEW, k = j % SCAN_FEW;
            b[j] = l.adjoint[token][k] * tile.input[channel][first + token];
            c[j] = open[token] * l.x[token][k];
        }
        float *to = slab[half][first + i + own / SCAN_FEW];
        to[state] = dk_scan_sum<CHANNELS_OF_WARP, SCAN_LANES>(b, own);
        to[SCAN_STATES + state] = dk_scan_sum<CHANNELS_OF_WARP, SCAN_LANES>(c, own);
    }
}

/* What a block has in shared memory. */
struct Shared {
    Tile tile;
    Through through;
    float (*open)[Tile::PITCH]; /* [channels]: q */
    float (*slab)[Tile::TOKENS][SUMS];
    DkScanKept state, adjoint;
};

static __device__ void recur(const Backward &w, const Shared &m, int64_t t, int64_t g,
                             DkLanes<SCAN_FEW> &da)
{
    const DkLanes<SCAN_FEW> a = dk_scan_a(w.s, g);
    const int slice = dk_scan_slice();
    const DkLanes<SLICE> open = dk_load<SLICE>(&m.open[dk_scan_channel()][slice * SLICE]);
    Slice l;
    dk_scan_enter<SLICE>(m.tile, a, l.decay, l.x);
    for (int turn = 0; turn < 2 * SCAN_SLICES - 1; turn++) {
        if (slice == turn)
            turn_ahead(w, m.state, t, g, l);
        if (slice == 2 * SCAN_SLICES - 2 - turn)
            turn_back(m.adjoint, g, m.tile, open.at, l);
        __syncthreads();
    }
    sum_states(m.tile, m.through, l, g, a, da);
    sum_channels(m.tile, l, open.at, m.slab);
    __syncthreads();
}

static __device__ void store_sums(const Backward &w, const Shared &m, int row, int64_t g)
{
    const int i = dk_scan_token();
    const int64_t token = blockIdx.z * w.s.n_tokens + row;
    float *to = w.sums + ((token * w.s.n_groups + g) * gridDim.x + blockIdx.x) * SUMS;
    for (int j = dk_scan_column(); j < SUMS && row >= 0; j += SCAN_STATES) {
        float sum = 0;
        for (int half = 0; half < HALVES; half++)
            sum += m.slab[half][i][j];
        to[j] = sum;
    }
}

/* Where a thread's part of dA lies. */
static __device__ float *own_da(const Backward &w, int64_t g)
{
    const int64_t block = (blockIdx.z * gridDim.x + blockIdx.x) * w.s.n_groups + g;
    return w.da + (block * SCAN_SLICES + dk_scan_slice()) * SCAN_ALL + dk_scan_place(0);
}

static __device__ void run_back(const Backward &w, const Shared &m)
{
    const int64_t e = (int64_t)blockIdx.x * SCAN_CHANNELS + dk_scan_column();
    const float d = e < w.s.n_channels ? w.s.d[e] : 0;
    const bool is_one = w.s.n_groups == 1;
    DkLanes<SCAN_FEW> da = {};
    float dd = 0;
    for (int64_t t = w.n_tiles - 1; t >= 0; t--) {
        const Token k = enter(w, t);
        put_inputs(w.s, m.tile, k.row, k.delta, k.u);
        m.open[dk_scan_column()][dk_scan_token()] = k.open;
        dd = fmaf(k.open, k.u, dd);
        __syncthreads();
        for (int64_t g = 0; g < w.s.n_groups; g++) {
            if (g)
                dk_scan_change_group<SLICE>(w.s, m.tile, &k.row, g);
            if (!is_one)
                da = t == w.n_tiles - 1 ? DkLanes<SCAN_FEW>{} : dk_load<4>(own_da(w, g));
            recur(w, m, t, g, da);
            store_sums(w, m, k.row, g);
            if (!is_one)
                dk_store<4>(own_da(w, g), da);
        }
        leave(w, m.through, k, d);
    }
    if (is_one)
        dk_store<4>(own_da(w, 0), da);
    w.dd[(blockIdx.z * gridDim.x + blockIdx.x) * SCAN_THREADS + threadIdx.x] = dd;
}

static __global__ void __launch_bounds__(SCAN_THREADS, 2) go_back(Backward w)
{
    DK_SHARED(float, delta, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, input, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, open, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, b, [Tile::TOKENS][SCAN_STATES]);
    DK_SHARED(float, c, [Tile::TOKENS][SCAN_STATES]);
    DK_SHARED(float, by_a, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, by_b, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, by_c, [SCAN_CHANNELS][Tile::PITCH]);
    DK_SHARED(float, slab, [HALVES][Tile::TOKENS][SUMS]);
    DK_SHARED(float, state, [SCAN_ALL]);
    DK_SHARED(float, adjoint, [SCAN_ALL]);
    const bool is_one = w.s.n_groups == 1;
    const DkScanKept kept = {adjoint, is_one ? nullptr : w.s.rest + dk_scan_block(w.s, 1, 0)};
    if (dk_scan_slice() == 0)
        for (int64_t g = 0; g < w.s.n_groups; g++)
            dk_scan_store(kept, g, DkLanes<4>{});
    /* states go on within a tile only, from where they were kept */
    run_back(w, {{delta, input, b, c}, {by_a, by_b, by_c}, open, slab, {state, nullptr}, kept});
}

/* ---- the sums of all blocks ------------------------------------------------------------------ */

/* Of each token, group and number of SUMS; `blocks` parts. */
static __global__ void add_states(DkCudaRows dbmat, DkCudaRows dcmat, const float *sums,
                                  int64_t count, int64_t n_groups, int64_t blocks, int64_t n_states)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t j = i % SUMS, g = i / SUMS % n_groups, token = i / SUMS / n_groups;
    const int64_t n = g * SCAN_STATES + j % SCAN_STATES;
    if (i >= count || n >= n_states)
        return;
    const float *part = sums + i / SUMS * blocks * SUMS + j;
    float sum = 0;
    for (int64_t block = 0; block < blocks; block++)
        sum += part[block * SUMS];
    const DkCudaRows to = j < SCAN_STATES ? dbmat : dcmat;
    to.at[token * to.stride + n] = sum;
}

/* Of each channel's states, and one more: dd. */
static __global__ void add_weights(Backward w, DkCudaRows da, float *dd, int64_t n_pictures,
                                   int64_t blocks)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const int64_t e = i / (w.s.n_states + 1), n = i % (w.s.n_states + 1);
    const int64_t block = e / SCAN_CHANNELS, channel = e % SCAN_CHANNELS;
    float sum = 0;
    if (e >= w.s.n_channels)
        return;
    if (n == w.s.n_states) {
        for (int64_t p = 0; p < n_pictures; p++)
            for (int64_t j = channel; j < SCAN_THREADS; j += SCAN_CHANNELS)
                sum += w.dd[(p * blocks + block) * SCAN_THREADS + j];
        dd[e] += sum;
        return;
    }
    for (int64_t p = 0; p < n_pictures; p++)
        for (int64_t j = 0; j < SCAN_SLICES; j++) {
            const int64_t group = (p * blocks + block) * w.s.n_groups + n / SCAN_STATES;
            sum += w.da[(group * SCAN_SLICES + j) * SCAN_ALL + channel * SCAN_STATES +
                        n % SCAN_STATES];
        }
    da.at[e * da.stride + n] += sum;
}

/* ---- launches -------------------------------------------------------------------------------- */

/* Scratch; false: none. */
static bool find_room(DkDevice *dev, Backward *w, int64_t n_pictures, const DkWeight *a)
{
    const size_t block = dk_scan_room(n_pictures, a->n, a->k);
    const size_t blocks = (size_t)(n_pictures * dk_scan_blocks(a->n));
    const size_t starts = block * (size_t)w->n_tiles, rest = w->s.n_groups > 1 ? block : 0;
    const size_t sums = blocks * (size_t)(w->s.n_tokens * w->s.n_groups) * SUMS;
    const size_t da = block * SCAN_SLICES, dd = blocks * SCAN_THREADS;
    float *room =
        static_cast<float *>(dk_cuda_scratch(dev, (starts + rest + sums + da + dd) * sizeof *room));
    w->starts = room;
    w->s.rest = room + starts;
    w->sums = w->s.rest + rest;
    w->da = w->sums + sums;
    w->dd = w->da + da;
    return room != nullptr;
}

void dk_cuda_selective_scan_backward(DkDevice *dev, DkTensor du, DkTensor ddt, DkTensor da,
                                     DkTensor dbmat, DkTensor dcmat, DkTensor dd, DkTensor dz,
                                     DkTensor dy, DkTensor u, DkTensor dt, const DkWeight *a,
                                     DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z,
                                     DkTensor order)
{
    Backward w = {};
    w.s = dk_scan_of(u, dt, a, bmat, cmat, d, z, order);
    w.dy = dk_cuda_rows(dy);
    w.du = dk_cuda_rows(du);
    w.ddt = dk_cuda_rows(ddt);
    w.dz = dk_cuda_rows(dz);
    w.n_tiles = dk_cuda_ceil(w.s.n_tokens, Tile::TOKENS);
    if (!find_room(dev, &w, u.sizes[0], a))
        return;
    const int64_t blocks = dk_scan_blocks(a->n), n_pictures = u.sizes[0];
    const dim3 grid((unsigned)blocks, 1, (unsigned)n_pictures);
    if (w.n_tiles > 1)
        DK_LAUNCH(dev, keep_starts, grid, SCAN_THREADS, 0, w);
    DK_LAUNCH(dev, go_back, grid, SCAN_THREADS, 0, w);
    const int64_t count = n_pictures * w.s.n_tokens * w.s.n_groups * SUMS;
    DK_LAUNCH(dev, add_states, (unsigned)dk_cuda_ceil(count, 256), 256, 0, dk_cuda_rows(dbmat),
              dk_cuda_rows(dcmat), w.sums, count, w.s.n_groups, blocks, a->k);
    DK_LAUNCH(dev, add_weights, (unsigned)dk_cuda_ceil(a->n * (a->k + 1), 256), 256, 0, w,
              dk_cuda_rows(da), dk_cuda_rows(dd).at, n_pictures, blocks);
}

/* ---- A from its logarithm -------------------------------------------------------------------- */

struct NegExp : DkNoColumn {
    template <int V>
    __device__ void apply(DkLanes<V> &x, const float *, int64_t, int64_t, int) const
    {
        for (int i = 0; i < V; i++)
            x.at[i] = -expf(x.at[i]);
    }
};

void dk_cuda_neg_exp(DkDevice *dev, DkTensor y, DkTensor x)
{
    dk_elementwise_run(dev, y, x, DkTensor{}, NegExp{});
}

struct NegExpBackward : DkNoColumn {
    DkCudaRows y;
    template <int V>
    __device__ void apply(DkLanes<V> &dy, const float *dx, int64_t row, int64_t c, int) const
    {
        const DkLanes<V> old = dk_load<V>(dx), by = dk_load<V>(y.at + row * y.stride + c);
        for (int i = 0; i < V; i++)
            dy.at[i] = fmaf(dy.at[i], by.at[i], old.at[i]);
    }
};

void dk_cuda_neg_exp_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor y)
{
    NegExpBackward op;
    op.y = dk_cuda_rows(y);
    dk_elementwise_run(dev, dx, dy, y, op);
}
