/* Mamba's recurrence (arXiv 2312.00752, eq. 2, zero-order hold of A, Euler's rule for B):
 *   δ = softplus (dt),  S[n] = exp (δ A[n]) S[n] + δ u B[n],  y = (Σ_n S[n] C[n] + d u) · silu (z).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A vector holds neighbouring channels (a group), so that B[n] and C[n] are broadcasts and there is
 * no sum across lanes. The work of a thread is cut into blocks of groups, a block into tiles of
 * tokens, and a tile takes three passes, what lies between them staying in the first cache:
 * - enter: δ, δu and du of every token;
 * - recur: the recurrence, a few states in registers at a time, over all tokens of one group;
 * - leave: the gate.
 * Softplus within the recurrence would cost half as much again, since its latency does not fit the
 * processor's window; for the same reason each exponential's loop ends before the loop that uses
 * it, but for AVX-512's recurrence, which has every state in registers. Rows lie kilobytes apart
 * and in any order, which no hardware prefetcher sees through: recur prefetches what leave and the
 * next tile's enter will read.
 *
 * exp (δ A) is 2^(δ A log2 e); the factor is multiplied into A when it is packed, as
 * [groups][states][lanes] with zeros up to a multiple of FEW states. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/selective-scan.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

enum {
    TILE = 16,                         /* tokens */
    BLOCK = 128 / VEC_LANES,           /* groups: 512 bytes of a row */
    LINE = 16 / VEC_LANES,             /* groups in a cache line */
    FEW = SCAN_FEW,                    /* states at a time, where there are too few for MANY */
    MANY = VEC_LANES == 16 ? 16 : FEW, /* 16 states take half of AVX-512's registers */
    AHEAD = MANY == FEW,               /* exponentials in a loop of their own */
};

typedef struct {
    ScanRows u, dt, z, b, c;
    float *y;
    int64_t y_stride;
    const float *d, *a;
    const int32_t *order;
    int64_t n_tokens, n_channels, n_groups, n_states, n_padded;
    float *scratch;
    size_t scratch_floats; /* of one thread */
} Scan;

/* What lies between the passes for one group: three vectors a token, in slots. */
typedef struct {
    Vec slot[3][TILE];
} Group;

/* A tile of one block, and the block's state. */
typedef struct {
    Group group[BLOCK];
    Vec *state;                    /* [groups][padded states] */
    float *b, *c;                  /* [tokens][padded states] */
    const Vec *a;                  /* [groups][padded states] */
    int64_t row[TILE], next[TILE]; /* stored rows of this tile and the one after it */
    int64_t channel;               /* the block's first */
    int n, n_next;                 /* tokens */
    int n_groups, n_full, n_left;  /* groups, those without a tail, the tail's channels */
} Tile;

/* ---- rows of memory and the tile's groups
 * ---------------------------------------------------------- */

typedef enum { DELTA, INPUT, SUM } Slot;

/* Along the rows, a cache line at once: what lies kilobytes apart shares few sets of the caches,
 * and does not stay. Lanes that are no channels become 0. */
static void fetch(const Scan *scan, Tile *tile, ScanRows from, Slot slot)
{
    for (int i = 0; i < tile->n; i++) {
        const float *row = scan_at(from, tile->row[i], tile->channel);
        for (int g = 0; g < tile->n_full; g++)
            tile->group[g].slot[slot][i] = vec_load(row + g * VEC_LANES);
        if (tile->n_left)
            tile->group[tile->n_full].slot[slot][i] =
                vec_load_first(row + tile->n_full * VEC_LANES, tile->n_left);
    }
}

static void store(const Scan *scan, const Tile *tile)
{
    for (int i = 0; i < tile->n; i++) {
        float *row = scan->y + tile->row[i] * scan->y_stride + tile->channel;
        for (int g = 0; g < tile->n_full; g++)
            vec_store(row + g * VEC_LANES, tile->group[g].slot[SUM][i]);
        if (tile->n_left)
            vec_store_first(row + tile->n_full * VEC_LANES, tile->group[tile->n_full].slot[SUM][i],
                            tile->n_left);
    }
}

/* ---- the three passes
 * ----------------------------------------------------------------------------- */

/* DELTA holds dt and INPUT u; they become δ and δ u, and SUM, after the exponentials, d u. */
static void enter(const Scan *scan, Tile *tile, int g)
{
    const int64_t e = tile->channel + g * VEC_LANES;
    const Vec d = vec_load_first(scan->d + e, vec_lanes(e, scan->n_channels));
    Group *group = &tile->group[g];
    for (int i = 0; i < tile->n; i++)
        group->slot[SUM][i] = vec_exp_negative(-vec_abs(group->slot[DELTA][i]));
    for (int i = 0; i < tile->n; i++) {
        const Vec u = group->slot[INPUT][i];
        const Vec delta = vec_softplus(group->slot[DELTA][i], group->slot[SUM][i]);
        group->slot[DELTA][i] = vec_at_most(delta, SCAN_HUGE_FACTOR);
        group->slot[INPUT][i] = delta * u;
        group->slot[SUM][i] = d * u;
    }
}

static inline void prefetch(const Scan *scan, const Tile *tile, int g, int i)
{
    const int64_t e = tile->channel + g * VEC_LANES;
    if (scan->z.data)
        __builtin_prefetch(scan_at(scan->z, tile->row[i], e));
    __builtin_prefetch(scan->y + tile->row[i] * scan->y_stride + e, 1);
    if (i < tile->n_next) {
        __builtin_prefetch(scan_at(scan->u, tile->next[i], e));
        __builtin_prefetch(scan_at(scan->dt, tile->next[i], e));
    }
}

/* decay[i][k] = exp (δ A[k]) of each token, and the prefetch, which would take the recurrence's
 * registers. */
static inline __attribute__((always_inline)) void
find_decay(const Scan *scan, const Tile *tile, int g, int64_t first, Vec decay[TILE][FEW])
{
    const Vec *a = tile->a + g * scan->n_padded + first;
    if (first == 0 && g % LINE == 0)
        for (int i = 0; i < tile->n; i++)
            prefetch(scan, tile, g, i);
    for (int i = 0; i < tile->n; i++)
        for (int k = 0; k < FEW; k++)
            decay[i][k] = vec_exp2_negative(tile->group[g].slot[DELTA][i] * a[k]);
}

/* States first..first+n-1 of group g; n is a constant where this is inlined. */
static inline __attribute__((always_inline)) void recur(const Scan *scan, Tile *tile, int g,
                                                        int64_t first, const int n)
{
    const Vec *a = tile->a + g * scan->n_padded + first;
    Vec *state = tile->state + g * scan->n_padded + first, s[MANY], decay[TILE][FEW];
    if (AHEAD)
        find_decay(scan, tile, g, first, decay);
    for (int k = 0; k < n; k++)
        s[k] = state[k];
    for (int i = 0; i < tile->n; i++) {
        const float *b = tile->b + i * scan->n_padded + first;
        const float *c = tile->c + i * scan->n_padded + first;
        const Vec delta = tile->group[g].slot[DELTA][i], input = tile->group[g].slot[INPUT][i];
        Vec sum = tile->group[g].slot[SUM][i];
        if (!AHEAD && first == 0)
            prefetch(scan, tile, g, i);
#pragma GCC unroll 16
        for (int k = 0; k < n; k++) {
            const Vec e = AHEAD ? decay[i][k] : vec_exp2_negative(delta * a[k]);
            s[k] = vec_fma(e, s[k], input * b[k]);
            sum = vec_fma(s[k], vec_all(c[k]), sum);
        }
        tile->group[g].slot[SUM][i] = sum;
    }
    for (int k = 0; k < n; k++)
        state[k] = s[k];
}

/* DELTA holds z; SUM becomes y, and INPUT the exponentials. */
static void leave(Tile *tile, int g)
{
    Group *group = &tile->group[g];
    for (int i = 0; i < tile->n; i++)
        group->slot[INPUT][i] = vec_exp_negative(-vec_abs(group->slot[DELTA][i]));
    for (int i = 0; i < tile->n; i++)
        group->slot[SUM][i] *= vec_silu_by(group->slot[DELTA][i], group->slot[INPUT][i]);
}

/* ---- tiles, blocks, threads
 * ----------------------------------------------------------------------- */

/* Stored rows of tokens first.. of a picture whose first row is `base`; how many there were. */
static int find_rows(const Scan *scan, int64_t base, int64_t first, int64_t rows[TILE])
{
    const int64_t left = scan->n_tokens - first;
    const int n = left < TILE ? (left > 0 ? (int)left : 0) : TILE;
    for (int i = 0; i < n; i++)
        rows[i] = base + (scan->order ? scan->order[first + i] : first + i);
    return n;
}

/* B and C side by side for the tile, zeros in the padding. */
static void copy_states(const Scan *scan, Tile *tile)
{
    for (int i = 0; i < tile->n; i++) {
        const float *b = scan_at(scan->b, tile->row[i], 0), *c = scan_at(scan->c, tile->row[i], 0);
        for (int64_t k = 0; k < scan->n_states; k += VEC_LANES) {
            const int64_t n = vec_lanes(k, scan->n_states), to = i * scan->n_padded + k;
            vec_store_first(tile->b + to, vec_load_first(b + k, n), n);
            vec_store_first(tile->c + to, vec_load_first(c + k, n), n);
        }
    }
}

static void recur_all(const Scan *scan, Tile *tile, int g)
{
    int64_t k = 0;
    for (; k + MANY <= scan->n_padded; k += MANY)
        recur(scan, tile, g, k, MANY);
    for (; k < scan->n_padded; k += FEW)
        recur(scan, tile, g, k, FEW);
}

static void scan_tile(const Scan *scan, Tile *tile)
{
    copy_states(scan, tile);
    fetch(scan, tile, scan->dt, DELTA);
    fetch(scan, tile, scan->u, INPUT);
    for (int g = 0; g < tile->n_groups; g++)
        enter(scan, tile, g);
    for (int g = 0; g < tile->n_groups; g++)
        recur_all(scan, tile, g);
    if (scan->z.data) {
        fetch(scan, tile, scan->z, DELTA);
        for (int g = 0; g < tile->n_groups; g++)
            leave(tile, g);
    }
    store(scan, tile);
}

/* All tokens of the groups from `group` on, of one picture. */
static void scan_block(const Scan *scan, int64_t picture, int64_t group, int n_groups,
                       float *scratch)
{
    const int64_t n = scan->n_padded, base = picture * scan->n_tokens;
    const int64_t left = scan->n_channels - group * VEC_LANES;
    const int64_t channels = left < n_groups * VEC_LANES ? left : n_groups * VEC_LANES;
    memset(scratch, 0, scan->scratch_floats * sizeof *scratch);
    Tile tile = {.state = (Vec *)scratch,
                 .b = scratch + BLOCK * n * VEC_LANES,
                 .c = scratch + BLOCK * n * VEC_LANES + TILE * n,
                 .a = (const Vec *)scan->a + group * n,
                 .channel = group * VEC_LANES,
                 .n_groups = n_groups,
                 .n_full = (int)(channels / VEC_LANES),
                 .n_left = (int)(channels % VEC_LANES)};
    tile.n_next = find_rows(scan, base, 0, tile.next);
    for (int64_t i = 0; i < scan->n_tokens; i += TILE) {
        memcpy(tile.row, tile.next, sizeof tile.row);
        tile.n = tile.n_next;
        tile.n_next = find_rows(scan, base, i + TILE, tile.next);
        scan_tile(scan, &tile);
    }
}

/* Units are the groups of all pictures. */
static void scan_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Scan *scan = op;
    while (first < last) {
        const int64_t group = first % scan->n_groups;
        int64_t n = scan->n_groups - group;
        n = n < last - first ? n : last - first;
        n = n < BLOCK ? n : BLOCK;
        scan_block(scan, first / scan->n_groups, group, (int)n,
                   scan->scratch + (size_t)thread * scan->scratch_floats);
        first += n;
    }
}

void DK_SIMD(selective_scan)(DkDevice *dev, DkTensor y, DkTensor u, DkTensor dt, const DkWeight *a,
                             DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z, DkTensor order)
{
    const int64_t n_padded = scan_padded(a->k);
    Scan scan = {.u = scan_rows(u),
                 .dt = scan_rows(dt),
                 .z = scan_rows(z),
                 .b = scan_rows(bmat),
                 .c = scan_rows(cmat),
                 .y = dk_data(y),
                 .y_stride = y.row_stride,
                 .d = dk_data(d),
                 .a = a->data,
                 .order = dk_data(order),
                 .n_tokens = u.sizes[1],
                 .n_channels = a->n,
                 .n_groups = (a->n + VEC_LANES - 1) / VEC_LANES,
                 .n_states = a->k,
                 .n_padded = n_padded,
                 /* a multiple of 64 bytes */
                 .scratch_floats = (size_t)(BLOCK * VEC_LANES + 2 * TILE) * (size_t)n_padded};
    scan.scratch =
        dk_scratch(dev, (size_t)dev->n_threads * scan.scratch_floats * sizeof *scan.scratch);
    if (!scan.scratch)
        return;
    const double ns = (double)(scan.n_tokens * n_padded) * 2;
    dk_cpu_parallel(dev, u.sizes[0] * scan.n_groups, ns, scan_part, &scan);
}

static void pack(DkWeight *weight, const float *a, int64_t stride)
{
    const double log2_e = 1.4426950408889634;
    memset(weight->data, 0, weight->bytes);
    for (int64_t i = 0; i < weight->n; i++)
        for (int64_t k = 0; k < weight->k; k++) {
            const double factor = a[i * stride + k] * log2_e;
            weight->data[(i / VEC_LANES * scan_padded(weight->k) + k) * VEC_LANES + i % VEC_LANES] =
                factor < -SCAN_HUGE_FACTOR ? -SCAN_HUGE_FACTOR : (float)factor;
        }
}

DkWeight *DK_SIMD(weight_scan)(DkDevice *dev, const float *a, int64_t e, int64_t n)
{
    const int64_t n_groups = (e + VEC_LANES - 1) / VEC_LANES;
    DkWeight *w = dk_weight_alloc(dev, DK_WEIGHT_SCAN, e, n, 1, 1,
                                  (size_t)n_groups * (size_t)scan_padded(n) * VEC_LANES);
    if (w)
        pack(w, a, n);
    return w;
}

void DK_SIMD(scan_set)(DkDevice *dev, DkWeight *weight, DkTensor a)
{
    pack(weight, dk_data(a), a.row_stride);
}
