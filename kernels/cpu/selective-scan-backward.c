/* Backward of Mamba's recurrence; the formulas stand in kernels/ref/selective-scan-backward.c.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * As in selective-scan.c, a vector holds neighbouring channels (a group), and passes over tiles of
 * tokens follow each other. A unit of work is one picture and one block of groups:
 * - ahead: the recurrence over all tiles but the last, of which only the states at the tiles'
 *   beginnings are kept;
 * - back: the tiles from last to first. enter finds δ, the gate and their slopes; then, a few
 *   states at a time, each group's decays and states are computed anew and kept in cache, and the
 *   adjoint runs back over them; leave makes du, d dt and dz of what the states have gathered.
 *
 * dB and dC are sums over channels. Within a block their lanes stay apart until all groups are
 * added up, in a slab of the tile's tokens and the states at hand; each unit then leaves its sums
 * in a part of its own, and so it does with dA and dd, which are sums over pictures. The parts are
 * added up in the order of blocks and of pictures: no bit depends on the threads, and a single
 * picture still occupies several. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/selective-scan.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

enum {
    TILE = 384,             /* tokens at most */
    BLOCK = 64 / VEC_LANES, /* groups: 256 bytes of a row */
    LINE = 16 / VEC_LANES,  /* groups in a cache line */
    AHEAD = 8,              /* tokens from a fetch to its use */
    FEW = SCAN_FEW,
};

/* What lies between the passes for one group: vectors of each token. */
typedef enum {
    DELTA,     /* dt, then δ */
    INPUT,     /* u */
    OPEN,      /* dy, then q = dy · silu (z) */
    SUM,       /* d u + Σ S C */
    THROUGH_A, /* Σ g A exp (δ A) S[i-1], A as packed */
    THROUGH_B, /* Σ g B; at last du */
    DT_SLOPE,  /* softplus' (dt); at last d dt */
    Z_SLOPE,   /* z, then dy · silu' (z); at last dz */
    N_SLOTS
} Slot;

typedef struct {
    Vec slot[N_SLOTS][TILE];
} Group;

typedef struct {
    ScanRows u, dt, z, dy, b, c, du, ddt, dz, db, dc, da;
    const float *d, *a;
    float *dd;
    const int32_t *order;
    int64_t n_pictures, n_tokens, n_channels, n_groups, n_blocks, n_states, n_padded;
    int64_t n_tiles, tile; /* a tile's tokens; the last may have fewer */
    Vec *da_part;          /* [pictures][groups][padded states] */
    Vec *dd_part;          /* [pictures][groups] */
    float *sum_part;       /* [pictures][blocks][tokens][2][padded states]: dB, dC by stored row */
    float *scratch;
    size_t scratch_floats; /* of one thread */
} Scan;

/* One unit's memory, and the tile at hand. */
typedef struct {
    Group *group;
    Vec *start;            /* [tiles][groups][padded states]: the states before each tile */
    Vec *state;            /* [groups][padded states]: the adjoint, when going back */
    Vec (*decay)[FEW];     /* [tokens]: exp (δ A) of one group */
    Vec (*before)[FEW];    /* [tokens]: the states before each token */
    Vec (*slab)[2 * FEW];  /* [tokens]: dB and dC of a few states, lanes apart */
    float *b, *c;          /* [tokens][padded states] */
    const Vec *a;          /* [groups][padded states] */
    Vec *da, *dd;          /* the unit's parts: [groups][padded states], [groups] */
    float *sums;           /* [stored tokens][2][padded states] */
    int64_t row[TILE];     /* stored rows, from `base` on */
    int64_t base, channel; /* the picture's first row, the block's first channel */
    int n, n_groups, n_full, n_left; /* tokens, groups, those without a tail, the tail's channels */
} Unit;

/* ---- rows of memory and the tile's groups ---------------------------------------------------- */

/* The block's part of a row some tokens on, which no hardware prefetcher guesses. */
static inline void prefetch(const Unit *unit, ScanRows rows, int i, bool write)
{
    for (int g = 0; g < BLOCK && i + AHEAD < unit->n; g += LINE) {
        const float *line = scan_at(rows, unit->row[i + AHEAD], unit->channel + g * VEC_LANES);
        if (write)
            __builtin_prefetch(line, 1);
        else
            __builtin_prefetch(line);
    }
}

/* Lanes that are no channels become 0. */
static void fetch(Unit *unit, ScanRows from, Slot slot)
{
    for (int i = 0; i < unit->n; i++) {
        const float *row = scan_at(from, unit->row[i], unit->channel);
        prefetch(unit, from, i, false);
        for (int g = 0; g < unit->n_full; g++)
            unit->group[g].slot[slot][i] = vec_load(row + g * VEC_LANES);
        if (unit->n_left)
            unit->group[unit->n_full].slot[slot][i] =
                vec_load_first(row + unit->n_full * VEC_LANES, unit->n_left);
    }
}

static void store(const Unit *unit, ScanRows to, Slot slot)
{
    for (int i = 0; i < unit->n; i++) {
        float *row = scan_at(to, unit->row[i], unit->channel);
        prefetch(unit, to, i, true);
        for (int g = 0; g < unit->n_full; g++)
            vec_store(row + g * VEC_LANES, unit->group[g].slot[slot][i]);
        if (unit->n_left)
            vec_store_first(row + unit->n_full * VEC_LANES, unit->group[unit->n_full].slot[slot][i],
                            unit->n_left);
    }
}

/* B and C side by side for the tile, zeros in the padding. */
static void copy_states(const Scan *scan, Unit *unit)
{
    for (int i = 0; i < unit->n; i++) {
        const float *b = scan_at(scan->b, unit->row[i], 0), *c = scan_at(scan->c, unit->row[i], 0);
        for (int64_t k = 0; k < scan->n_states; k += VEC_LANES) {
            const int64_t n = vec_lanes(k, scan->n_states), to = i * scan->n_padded + k;
            vec_store_first(unit->b + to, vec_load_first(b + k, n), n);
            vec_store_first(unit->c + to, vec_load_first(c + k, n), n);
        }
    }
}

static void find_rows(const Scan *scan, Unit *unit, int64_t tile)
{
    const int64_t first = tile * scan->tile, left = scan->n_tokens - first;
    unit->n = (int)(left < scan->tile ? left : scan->tile);
    for (int i = 0; i < unit->n; i++)
        unit->row[i] = unit->base + (scan->order ? scan->order[first + i] : first + i);
}

/* ---- ahead: the states before each tile ------------------------------------------------------ */

/* δ; the exponentials first, for the reason given in selective-scan.c. */
static void enter_ahead(Unit *unit, int g)
{
    Group *group = &unit->group[g];
    Vec *delta = group->slot[DELTA], *e = group->slot[SUM];
    for (int i = 0; i < unit->n; i++)
        e[i] = vec_exp_negative(-vec_abs(delta[i]));
    for (int i = 0; i < unit->n; i++)
        delta[i] = vec_at_most(vec_softplus(delta[i], e[i]), SCAN_HUGE_FACTOR);
}

static inline __attribute__((always_inline)) void find_decay(const Scan *scan, Unit *unit, int g,
                                                             int64_t first)
{
    const Vec *delta = unit->group[g].slot[DELTA], *a = unit->a + g * scan->n_padded + first;
    for (int i = 0; i < unit->n; i++)
        for (int k = 0; k < FEW; k++)
            unit->decay[i][k] = vec_exp2_negative(delta[i] * a[k]);
}

/* A few states through a tile. */
static void recur_ahead(const Scan *scan, Unit *unit, int g, int64_t first, const Vec *from,
                        Vec *to)
{
    const Group *group = &unit->group[g];
    Vec s[FEW];
    find_decay(scan, unit, g, first);
    memcpy(s, from, sizeof s);
    for (int i = 0; i < unit->n; i++) {
        const float *b = unit->b + i * scan->n_padded + first;
        const Vec input = group->slot[DELTA][i] * group->slot[INPUT][i];
        for (int k = 0; k < FEW; k++)
            s[k] = vec_fma(unit->decay[i][k], s[k], input * b[k]);
    }
    memcpy(to, s, sizeof s);
}

static void run_ahead(const Scan *scan, Unit *unit)
{
    const int64_t n = scan->n_padded;
    for (int64_t tile = 0; tile + 1 < scan->n_tiles; tile++) {
        const Vec *from = unit->start + tile * BLOCK * n;
        Vec *to = unit->start + (tile + 1) * BLOCK * n;
        find_rows(scan, unit, tile);
        copy_states(scan, unit);
        fetch(unit, scan->dt, DELTA);
        fetch(unit, scan->u, INPUT);
        for (int g = 0; g < unit->n_groups; g++) {
            enter_ahead(unit, g);
            for (int64_t k = 0; k < n; k += FEW)
                recur_ahead(scan, unit, g, k, from + g * n + k, to + g * n + k);
        }
    }
}

/* ---- back ------------------------------------------------------------------------------------ */

/* δ and softplus' (dt) */
static void enter_dt(Group *group, int n)
{
    Vec *delta = group->slot[DELTA], *e = group->slot[DT_SLOPE];
    for (int i = 0; i < n; i++)
        e[i] = vec_exp_negative(-vec_abs(delta[i]));
    for (int i = 0; i < n; i++) {
        const Vec dt = delta[i];
        delta[i] = vec_at_most(vec_softplus(dt, e[i]), SCAN_HUGE_FACTOR);
        e[i] = vec_sigmoid_by(dt, e[i]);
    }
}

/* q = dy · silu (z) and dy · silu' (z) */
static void enter_gate(Group *group, int n)
{
    Vec *z = group->slot[Z_SLOPE], *q = group->slot[OPEN], *e = group->slot[SUM];
    for (int i = 0; i < n; i++)
        e[i] = vec_exp_negative(-vec_abs(z[i]));
    for (int i = 0; i < n; i++) {
        const Vec slope = vec_silu_slope_by(z[i], e[i]), open = vec_silu_by(z[i], e[i]);
        z[i] = q[i] * slope;
        q[i] *= open;
    }
}

static void enter(const Scan *scan, Unit *unit, int g)
{
    const int64_t e = unit->channel + g * VEC_LANES;
    const Vec d = vec_load_first(scan->d + e, vec_lanes(e, scan->n_channels));
    Group *group = &unit->group[g];
    Vec dd = {0};
    enter_dt(group, unit->n);
    if (scan->z.data)
        enter_gate(group, unit->n);
    for (int i = 0; i < unit->n; i++) {
        const Vec u = group->slot[INPUT][i];
        dd = vec_fma(group->slot[OPEN][i], u, dd);
        group->slot[SUM][i] = d * u;
        group->slot[THROUGH_A][i] = group->slot[THROUGH_B][i] = (Vec){0};
    }
    unit->dd[g] += dd;
}

/* The recurrence once more: the states before each token, and what needs those after it: their sum
 * with C, and dC. The first group begins the slab; `is_first` is a constant where this is inlined.
 */
static inline __attribute__((always_inline)) void find_states(const Scan *scan, Unit *unit, int g,
                                                              int64_t first, const Vec *start,
                                                              const bool is_first)
{
    Group *group = &unit->group[g];
    Vec s[FEW];
    memcpy(s, start, sizeof s);
    for (int i = 0; i < unit->n; i++) {
        const float *b = unit->b + i * scan->n_padded + first;
        const float *c = unit->c + i * scan->n_padded + first;
        const Vec q = group->slot[OPEN][i], input = group->slot[DELTA][i] * group->slot[INPUT][i];
        Vec sum = group->slot[SUM][i], *dc = unit->slab[i] + FEW;
        for (int k = 0; k < FEW; k++) {
            unit->before[i][k] = s[k];
            s[k] = vec_fma(unit->decay[i][k], s[k], input * b[k]);
            sum = vec_fma(s[k], vec_all(c[k]), sum);
            dc[k] = is_first ? q * s[k] : vec_fma(q, s[k], dc[k]);
        }
        group->slot[SUM][i] = sum;
    }
}

/* The adjoint g of a few states from the last token to the first; between tokens it is kept after
 * its decay, which is what the token before sees of it. */
static inline __attribute__((always_inline)) void run_adjoint(const Scan *scan, Unit *unit, int g,
                                                              int64_t first, const bool is_first)
{
    Group *group = &unit->group[g];
    const Vec *a = unit->a + g * scan->n_padded + first;
    Vec *state = unit->state + g * scan->n_padded + first,
        *da = unit->da + g * scan->n_padded + first;
    Vec decayed[FEW], da_sum[FEW] = {{0}};
    memcpy(decayed, state, sizeof decayed);
    for (int i = unit->n - 1; i >= 0; i--) {
        const float *b = unit->b + i * scan->n_padded + first;
        const float *c = unit->c + i * scan->n_padded + first;
        const Vec q = group->slot[OPEN][i], delta = group->slot[DELTA][i];
        const Vec input = delta * group->slot[INPUT][i];
        Vec through_a = group->slot[THROUGH_A][i], through_b = group->slot[THROUGH_B][i];
        for (int k = 0; k < FEW; k++) {
            const Vec adjoint = vec_fma(q, vec_all(c[k]), decayed[k]);
            unit->slab[i][k] =
                is_first ? adjoint * input : vec_fma(adjoint, input, unit->slab[i][k]);
            through_b = vec_fma(adjoint, vec_all(b[k]), through_b);
            decayed[k] = adjoint * unit->decay[i][k];
            const Vec by_decay = decayed[k] * unit->before[i][k];
            through_a = vec_fma(by_decay, a[k], through_a);
            da_sum[k] = vec_fma(by_decay, delta, da_sum[k]);
        }
        group->slot[THROUGH_A][i] = through_a;
        group->slot[THROUGH_B][i] = through_b;
    }
    memcpy(state, decayed, sizeof decayed);
    for (int k = 0; k < FEW; k++)
        da[k] += da_sum[k];
}

/* A few states of all groups. */
static void recur(const Scan *scan, Unit *unit, const Vec *start, int64_t first)
{
    const int64_t n = scan->n_padded;
    for (int g = 0; g < unit->n_groups; g++) {
        find_decay(scan, unit, g, first);
        if (g == 0) {
            find_states(scan, unit, g, first, start + first, true);
            run_adjoint(scan, unit, g, first, true);
        } else {
            find_states(scan, unit, g, first, start + g * n + first, false);
            run_adjoint(scan, unit, g, first, false);
        }
    }
    for (int i = 0; i < unit->n; i++) {
        float sums[2 * FEW], *to = unit->sums + (unit->row[i] - unit->base) * 2 * n + first;
        vec_sum_eight(unit->slab[i], sums);
        memcpy(to, sums, FEW * sizeof *to);
        memcpy(to + n, sums + FEW, FEW * sizeof *to);
    }
}

static void leave(const Scan *scan, Unit *unit, int g)
{
    const float ln_2 = 0.6931471806f; /* A was packed times log2 e */
    const int64_t e = unit->channel + g * VEC_LANES;
    const Vec d = vec_load_first(scan->d + e, vec_lanes(e, scan->n_channels));
    Group *group = &unit->group[g];
    for (int i = 0; i < unit->n; i++) {
        const Vec u = group->slot[INPUT][i], through_b = group->slot[THROUGH_B][i];
        group->slot[THROUGH_B][i] =
            vec_fma(group->slot[DELTA][i], through_b, group->slot[OPEN][i] * d);
        group->slot[DT_SLOPE][i] *= vec_fma(u, through_b, group->slot[THROUGH_A][i] * ln_2);
        group->slot[Z_SLOPE][i] *= group->slot[SUM][i];
    }
}

static void run_tile_back(const Scan *scan, Unit *unit, int64_t tile)
{
    find_rows(scan, unit, tile);
    copy_states(scan, unit);
    fetch(unit, scan->dt, DELTA);
    fetch(unit, scan->u, INPUT);
    fetch(unit, scan->dy, OPEN);
    if (scan->z.data)
        fetch(unit, scan->z, Z_SLOPE);
    for (int g = 0; g < unit->n_groups; g++)
        enter(scan, unit, g);
    for (int64_t k = 0; k < scan->n_padded; k += FEW)
        recur(scan, unit, unit->start + tile * BLOCK * scan->n_padded, k);
    for (int g = 0; g < unit->n_groups; g++)
        leave(scan, unit, g);
    store(unit, scan->du, THROUGH_B);
    store(unit, scan->ddt, DT_SLOPE);
    if (scan->z.data)
        store(unit, scan->dz, Z_SLOPE);
}

/* ---- units, parts, threads ------------------------------------------------------------------- */

/* In floats; every array is a multiple of 64 bytes. */
static size_t unit_floats(const Scan *scan)
{
    const size_t n = (size_t)scan->n_padded, states = BLOCK * n;
    return BLOCK * (sizeof(Group) / sizeof(float)) +
           ((size_t)scan->n_tiles + 1) * states * VEC_LANES + (size_t)TILE * 4 * FEW * VEC_LANES +
           2 * TILE * n;
}

static Unit unit_of(const Scan *scan, int64_t picture, int64_t block, float *scratch)
{
    const int64_t n = scan->n_padded, group = block * BLOCK;
    const int64_t left = scan->n_channels - group * VEC_LANES;
    const int64_t channels = left < BLOCK * VEC_LANES ? left : BLOCK * VEC_LANES;
    Unit unit = {.group = (Group *)scratch,
                 .a = (const Vec *)scan->a + group * n,
                 .da = scan->da_part + (picture * scan->n_groups + group) * n,
                 .dd = scan->dd_part + picture * scan->n_groups + group,
                 .sums =
                     scan->sum_part + (picture * scan->n_blocks + block) * scan->n_tokens * 2 * n,
                 .base = picture * scan->n_tokens,
                 .channel = group * VEC_LANES,
                 .n_groups = (int)((channels + VEC_LANES - 1) / VEC_LANES),
                 .n_full = (int)(channels / VEC_LANES),
                 .n_left = (int)(channels % VEC_LANES)};
    unit.start = (Vec *)(unit.group + BLOCK);
    unit.state = unit.start + scan->n_tiles * BLOCK * n;
    unit.decay = (Vec(*)[FEW])(unit.state + BLOCK * n);
    unit.before = unit.decay + TILE;
    unit.slab = (Vec(*)[2 * FEW])(unit.before + TILE);
    unit.b = (float *)(unit.slab + TILE);
    unit.c = unit.b + TILE * n;
    return unit;
}

static void scan_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Scan *scan = op;
    float *scratch = scan->scratch + (size_t)thread * scan->scratch_floats;
    for (int64_t i = first; i < last; i++) {
        Unit unit = unit_of(scan, i / scan->n_blocks, i % scan->n_blocks, scratch);
        const size_t states = (size_t)unit.n_groups * (size_t)scan->n_padded;
        memset(unit.start, 0, BLOCK * (size_t)scan->n_padded * sizeof *unit.start);
        memset(unit.state, 0, BLOCK * (size_t)scan->n_padded * sizeof *unit.state);
        memset(unit.b, 0, 2 * TILE * (size_t)scan->n_padded * sizeof *unit.b);
        memset(unit.da, 0, states * sizeof *unit.da);
        memset(unit.dd, 0, (size_t)unit.n_groups * sizeof *unit.dd);
        run_ahead(scan, &unit);
        for (int64_t tile = scan->n_tiles - 1; tile >= 0; tile--)
            run_tile_back(scan, &unit, tile);
    }
}

/* dB and dC of stored rows: the blocks' parts in order. */
static void sum_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Scan *scan = op;
    const int64_t width = 2 * scan->n_padded;
    for (int64_t i = first; i < last; i++) {
        const float *part = scan->sum_part +
                            i / scan->n_tokens * scan->n_blocks * scan->n_tokens * width +
                            i % scan->n_tokens * width;
        for (int64_t k = 0; k < scan->n_states; k += VEC_LANES) {
            const int64_t n = vec_lanes(k, scan->n_states);
            Vec db = {0}, dc = {0};
            for (int64_t block = 0; block < scan->n_blocks; block++) {
                const float *from = part + block * scan->n_tokens * width + k;
                db += vec_load_first(from, n);
                dc += vec_load_first(from + scan->n_padded, n);
            }
            vec_store_first(scan_at(scan->db, i, k), db, n);
            vec_store_first(scan_at(scan->dc, i, k), dc, n);
        }
    }
}

/* Adds the pictures' parts of a group's dA and dd, in order. */
static void add_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Scan *scan = op;
    for (int64_t g = first; g < last; g++) {
        const int64_t channel = g * VEC_LANES, n = vec_lanes(channel, scan->n_channels);
        Vec dd = {0};
        for (int64_t p = 0; p < scan->n_pictures; p++)
            dd += scan->dd_part[p * scan->n_groups + g];
        for (int64_t lane = 0; lane < n; lane++)
            scan->dd[channel + lane] += dd[lane];
        for (int64_t k = 0; k < scan->n_states; k++) {
            Vec da = {0};
            for (int64_t p = 0; p < scan->n_pictures; p++)
                da += scan->da_part[(p * scan->n_groups + g) * scan->n_padded + k];
            for (int64_t lane = 0; lane < n; lane++)
                *scan_at(scan->da, channel + lane, k) += da[lane];
        }
    }
}

/* Sizes, and all scratch; false: no memory. */
static bool lay_out(DkDevice *dev, Scan *scan)
{
    scan->n_groups = (scan->n_channels + VEC_LANES - 1) / VEC_LANES;
    scan->n_blocks = (scan->n_groups + BLOCK - 1) / BLOCK;
    scan->n_padded = scan_padded(scan->n_states);
    scan->n_tiles = (scan->n_tokens + TILE - 1) / TILE;
    scan->tile = (scan->n_tokens + scan->n_tiles - 1) / scan->n_tiles;
    scan->scratch_floats = unit_floats(scan);
    const size_t pictures = (size_t)scan->n_pictures, n = (size_t)scan->n_padded;
    const size_t groups = pictures * (size_t)scan->n_groups * VEC_LANES;
    const size_t threads = (size_t)dev->n_threads * scan->scratch_floats;
    const size_t sums = pictures * (size_t)(scan->n_blocks * scan->n_tokens) * 2 * n;
    scan->scratch = dk_scratch(dev, (threads + groups * (n + 1) + sums) * sizeof(float));
    if (!scan->scratch)
        return false;
    scan->da_part = (Vec *)(scan->scratch + threads);
    scan->dd_part = scan->da_part + groups * n / VEC_LANES;
    scan->sum_part = (float *)(scan->dd_part + groups / VEC_LANES);
    return true;
}

void DK_SIMD(selective_scan_backward)(DkDevice *dev, DkTensor du, DkTensor ddt, DkTensor da,
                                      DkTensor dbmat, DkTensor dcmat, DkTensor dd, DkTensor dz,
                                      DkTensor dy, DkTensor u, DkTensor dt, const DkWeight *a,
                                      DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z,
                                      DkTensor order)
{
    Scan scan = {.u = scan_rows(u),
                 .dt = scan_rows(dt),
                 .z = scan_rows(z),
                 .dy = scan_rows(dy),
                 .b = scan_rows(bmat),
                 .c = scan_rows(cmat),
                 .du = scan_rows(du),
                 .ddt = scan_rows(ddt),
                 .dz = scan_rows(dz),
                 .db = scan_rows(dbmat),
                 .dc = scan_rows(dcmat),
                 .da = scan_rows(da),
                 .d = dk_data(d),
                 .a = a->data,
                 .dd = dk_data(dd),
                 .order = dk_data(order),
                 .n_pictures = u.sizes[0],
                 .n_tokens = u.sizes[1],
                 .n_channels = a->n,
                 .n_states = a->k};
    if (!lay_out(dev, &scan))
        return;
    const double steps = (double)scan.n_tokens * (double)scan.n_padded; /* of a group, 6 ns each */
    dk_cpu_parallel(dev, scan.n_pictures * scan.n_blocks, 6 * BLOCK * steps, scan_part, &scan);
    if (dk_stopped(dev))
        return;
    dk_cpu_parallel(dev, scan.n_pictures * scan.n_tokens, (double)(scan.n_blocks * scan.n_padded),
                    sum_part, &scan);
    dk_cpu_parallel(dev, scan.n_groups, (double)(scan.n_pictures * scan.n_padded) * VEC_LANES,
                    add_part, &scan);
}

/* ---- A from its logarithm -------------------------------------------------------------------- */

typedef struct {
    ScanRows out, in, y;
    int64_t n_columns;
} Rows;

static void neg_exp_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Rows *rows = op;
    for (int64_t i = first; i < last; i++)
        for (int64_t c = 0; c < rows->n_columns; c += VEC_LANES) {
            const int64_t n = vec_lanes(c, rows->n_columns);
            vec_store_first(scan_at(rows->out, i, c),
                            -vec_exp(vec_load_first(scan_at(rows->in, i, c), n)), n);
        }
}

void DK_SIMD(neg_exp)(DkDevice *dev, DkTensor y, DkTensor x)
{
    const Rows rows = {.out = scan_rows(y), .in = scan_rows(x), .n_columns = dk_columns(x)};
    dk_cpu_parallel(dev, dk_rows(x), (double)rows.n_columns, neg_exp_part, &rows);
}

static void neg_exp_backward_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Rows *rows = op;
    for (int64_t i = first; i < last; i++)
        for (int64_t c = 0; c < rows->n_columns; c += VEC_LANES) {
            const int64_t n = vec_lanes(c, rows->n_columns);
            float *out = scan_at(rows->out, i, c);
            vec_store_first(out,
                            vec_fma(vec_load_first(scan_at(rows->in, i, c), n),
                                    vec_load_first(scan_at(rows->y, i, c), n),
                                    vec_load_first(out, n)),
                            n);
        }
}

void DK_SIMD(neg_exp_backward)(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor y)
{
    const Rows rows = {scan_rows(dx), scan_rows(dy), scan_rows(y), dk_columns(y)};
    dk_cpu_parallel(dev, dk_rows(y), (double)rows.n_columns, neg_exp_backward_part, &rows);
}
