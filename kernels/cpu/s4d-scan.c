/* S4D (arXiv 2206.11893) as a recurrence over token-major rows, in both directions:
 *   X[n] = decay[n] X[n] + u,  y = 2 Re Σ_n gain[n] X[n] + skip u,  X complex, 0 before the first.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A vector holds neighbouring channels (a group). The work of a thread is cut into blocks of groups
 * of one direction, a block into tiles of tokens; a tile's u and sums lie in the first caches while
 * a few states at a time, in registers, go over all its tokens. The states rest in memory between
 * tiles. Rows lie kilobytes apart, which no hardware prefetcher sees through: the first states'
 * turn prefetches where this tile is stored and the next one is read. */
#include "kernels/cpu/s4d-scan.h"

#include "kernels/cpu/parallel.h"

enum {
    TILE = 64,              /* tokens */
    BLOCK = 64 / VEC_LANES, /* groups: 256 bytes of a row */
    LINE = 16 / VEC_LANES,  /* groups in a cache line */
    FEW = S4D_FEW
};

typedef struct {
    const float *u;
    float *y;
    int64_t u_stride, y_stride;
    const DkWeight *weight[2]; /* of the directions that are asked for */
    bool back[2];
    bool accumulate;
    int64_t n_directions, n_tokens, n_channels, n_groups, n_padded;
    float *scratch;
    size_t scratch_floats; /* of one thread */
} Scan;

/* A tile of one block, and the block's states. */
typedef struct {
    Vec in[BLOCK][TILE], sum[BLOCK][TILE];
    Vec (*state)[2];                 /* [groups][padded states][re, im] */
    const Vec (*factors)[N_FACTORS]; /* [groups][padded states] */
    const Vec *skip;                 /* [groups] */
    const float *u;                  /* the block's columns at the first token */
    float *y;
    int64_t u_step, y_step;       /* from token to token */
    int n, n_next;                /* tokens of this tile and the one after it */
    int n_groups, n_full, n_left; /* groups, those without a tail, the tail's channels */
    bool accumulate;
} Tile;

/* Along the rows, all groups of one at once. */
static void fetch(Tile *tile)
{
    for (int i = 0; i < tile->n; i++) {
        const float *row = tile->u + i * tile->u_step;
        for (int g = 0; g < tile->n_full; g++)
            tile->in[g][i] = vec_load(row + g * VEC_LANES);
        if (tile->n_left)
            tile->in[tile->n_full][i] =
                vec_load_first(row + tile->n_full * VEC_LANES, tile->n_left);
    }
    for (int g = 0; g < tile->n_groups; g++)
        for (int i = 0; i < tile->n; i++)
            tile->sum[g][i] = tile->skip[g] * tile->in[g][i];
}

static void add_stored(Tile *tile)
{
    for (int i = 0; i < tile->n; i++) {
        const float *row = tile->y + i * tile->y_step;
        for (int g = 0; g < tile->n_full; g++)
            tile->sum[g][i] += vec_load(row + g * VEC_LANES);
        if (tile->n_left)
            tile->sum[tile->n_full][i] +=
                vec_load_first(row + tile->n_full * VEC_LANES, tile->n_left);
    }
}

static void store(const Tile *tile)
{
    for (int i = 0; i < tile->n; i++) {
        float *row = tile->y + i * tile->y_step;
        for (int g = 0; g < tile->n_full; g++)
            vec_store(row + g * VEC_LANES, tile->sum[g][i]);
        if (tile->n_left)
            vec_store_first(row + tile->n_full * VEC_LANES, tile->sum[tile->n_full][i],
                            tile->n_left);
    }
}

static inline void prefetch(const Tile *tile, int g, int i)
{
    __builtin_prefetch(tile->y + i * tile->y_step + g * VEC_LANES, 1);
    if (i < tile->n_next)
        __builtin_prefetch(tile->u + (tile->n + i) * tile->u_step + g * VEC_LANES);
}

/* States first..first+FEW-1 of group g. */
static inline __attribute__((always_inline)) void recur(Tile *tile, int g, int64_t at,
                                                        const bool prefetches)
{
    Vec(*state)[2] = tile->state + at, re[FEW], im[FEW], factor[FEW][N_FACTORS];
    for (int k = 0; k < FEW; k++) {
        re[k] = state[k][0];
        im[k] = state[k][1];
        for (int f = 0; f < N_FACTORS; f++)
            factor[k][f] = tile->factors[at + k][f];
    }
    for (int i = 0; i < tile->n; i++) {
        const Vec u = tile->in[g][i];
        Vec sum = tile->sum[g][i], other = {0}; /* two, since a sum waits for the one before */
        if (prefetches)
            prefetch(tile, g, i);
#pragma GCC unroll 4
        for (int k = 0; k < FEW; k++) {
            const Vec *w = factor[k], turned = w[DECAY_IM] * re[k];
            re[k] = vec_fma(w[DECAY_RE], re[k], vec_fnma(w[DECAY_IM], im[k], u));
            im[k] = vec_fma(w[DECAY_RE], im[k], turned);
            sum = vec_fma(w[GAIN_RE], re[k], sum);
            other = vec_fma(w[GAIN_IM], im[k], other);
        }
        tile->sum[g][i] = sum + other;
    }
    for (int k = 0; k < FEW; k++) {
        state[k][0] = re[k];
        state[k][1] = im[k];
    }
}

static void scan_tile(const Scan *scan, Tile *tile)
{
    fetch(tile);
    if (tile->accumulate)
        add_stored(tile);
    for (int g = 0; g < tile->n_groups; g++) {
        const int64_t first = g * scan->n_padded;
        if (g % LINE == 0)
            recur(tile, g, first, true);
        else
            recur(tile, g, first, false);
        for (int64_t k = FEW; k < scan->n_padded; k += FEW)
            recur(tile, g, first + k, false);
    }
    store(tile);
}

static int tokens_from(const Scan *scan, int64_t first)
{
    const int64_t left = scan->n_tokens - first;
    return left < TILE ? (left > 0 ? (int)left : 0) : TILE;
}

/* All tokens of the groups from `group` on, of one picture in one direction. */
static void scan_block(const Scan *scan, int64_t picture, int direction, int64_t group,
                       int n_groups, float *scratch)
{
    const int64_t left = scan->n_channels - group * VEC_LANES;
    const int64_t channels = left < n_groups * VEC_LANES ? left : n_groups * VEC_LANES;
    const bool back = scan->back[direction];
    const int64_t row = picture * scan->n_tokens + (back ? scan->n_tokens - 1 : 0);
    const Vec *packed = (const Vec *)(const void *)scan->weight[direction]->data;
    Tile tile;
    tile.state = (Vec(*)[2])(void *)scratch;
    tile.factors = (const Vec(*)[N_FACTORS])packed + group * scan->n_padded;
    tile.skip = packed + scan->n_groups * scan->n_padded * N_FACTORS + group;
    tile.u = scan->u + row * scan->u_stride + group * VEC_LANES;
    tile.y = scan->y + row * scan->y_stride + direction * scan->n_channels + group * VEC_LANES;
    tile.u_step = back ? -scan->u_stride : scan->u_stride;
    tile.y_step = back ? -scan->y_stride : scan->y_stride;
    tile.n_groups = n_groups;
    tile.accumulate = scan->accumulate;
    tile.n_full = (int)(channels / VEC_LANES);
    tile.n_left = (int)(channels % VEC_LANES);
    memset(scratch, 0, scan->scratch_floats * sizeof *scratch);
    for (int64_t i = 0; i < scan->n_tokens; i += TILE) {
        tile.n = tokens_from(scan, i);
        tile.n_next = tokens_from(scan, i + TILE);
        scan_tile(scan, &tile);
        tile.u += tile.n * tile.u_step;
        tile.y += tile.n * tile.y_step;
    }
}

/* Units are the groups of all pictures in each direction. */
static void scan_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Scan *scan = op;
    while (first < last) {
        const int64_t group = first % scan->n_groups, run = first / scan->n_groups;
        int64_t n = scan->n_groups - group;
        n = n < last - first ? n : last - first;
        n = n < BLOCK ? n : BLOCK;
        scan_block(scan, run / scan->n_directions, (int)(run % scan->n_directions), group, (int)n,
                   scan->scratch + (size_t)thread * scan->scratch_floats);
        first += n;
    }
}

static void run(DkDevice *dev, DkTensor y, DkTensor u, Scan scan)
{
    const DkWeight *any = scan.weight[0];
    scan.u = dk_data(u);
    scan.y = dk_data(y);
    scan.u_stride = u.row_stride;
    scan.y_stride = y.row_stride;
    scan.n_tokens = u.sizes[1];
    scan.n_channels = any->n;
    scan.n_groups = (any->n + VEC_LANES - 1) / VEC_LANES;
    scan.n_padded = s4d_padded(any->k);
    /* a multiple of 64 bytes */
    scan.scratch_floats = (size_t)scan.n_padded * 2 * BLOCK * VEC_LANES;
    scan.scratch =
        dk_scratch(dev, (size_t)dev->n_threads * scan.scratch_floats * sizeof *scan.scratch);
    if (!scan.scratch)
        return;
    dk_cpu_parallel(dev, u.sizes[0] * scan.n_directions * scan.n_groups,
                    (double)(scan.n_tokens * scan.n_padded) * 1.5, scan_part, &scan);
}

void DK_SIMD(s4d_scan)(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead,
                       const DkWeight *back)
{
    const Scan scan = {.weight = {ahead ? ahead : back, back},
                       .back = {!ahead, true},
                       .n_directions = ahead && back ? 2 : 1};
    run(dev, y, u, scan);
}

void DK_SIMD(s4d_scan_one)(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *w, bool back,
                           bool accumulate)
{
    const Scan scan = {.weight = {w}, .back = {back}, .n_directions = 1, .accumulate = accumulate};
    run(dev, y, u, scan);
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Floats before the skips of d channels. */
static size_t n_factors(int64_t d, int64_t n)
{
    const int64_t n_groups = (d + VEC_LANES - 1) / VEC_LANES;
    return (size_t)(n_groups * s4d_padded(n)) * N_FACTORS * VEC_LANES;
}

static void pack(DkWeight *w, const double *decay, const double *gain)
{
    for (int64_t i = 0; i < w->n; i++)
        for (int64_t k = 0; k < w->k; k++) {
            const double *a = decay + (i * w->k + k) * 2, *c = gain + (i * w->k + k) * 2;
            const int64_t state = i / VEC_LANES * s4d_padded(w->k) + k;
            float *to = w->data + state * N_FACTORS * VEC_LANES + i % VEC_LANES;
            to[DECAY_RE * VEC_LANES] = (float)a[0];
            to[DECAY_IM * VEC_LANES] = (float)a[1];
            to[GAIN_RE * VEC_LANES] = (float)(2 * c[0]);
            to[GAIN_IM * VEC_LANES] = (float)(-2 * c[1]);
        }
}

DkWeight *DK_SIMD(weight_s4d)(DkDevice *dev, const double *decay, const double *gain,
                              const double *skip, int64_t d, int64_t n)
{
    const size_t factors = n_factors(d, n), lanes = ((size_t)d + VEC_LANES - 1) / VEC_LANES;
    DkWeight *w = dk_weight_alloc(dev, DK_WEIGHT_S4D, d, n, 1, 1, factors + lanes * VEC_LANES);
    if (!w)
        return NULL;
    memset(w->data, 0, w->bytes);
    pack(w, decay, gain);
    for (int64_t i = 0; i < d; i++)
        w->data[factors + (size_t)i] = (float)skip[i];
    return w;
}

void DK_SIMD(weight_set_s4d)(DkDevice *dev, DkWeight *weight, DkTensor decay, DkTensor gain,
                             DkTensor skip)
{
    pack(weight, dk_data(decay), dk_data(gain));
    memcpy(weight->data + n_factors(weight->n, weight->k), dk_data(skip),
           (size_t)weight->n * sizeof(float));
}
