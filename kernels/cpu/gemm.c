/* Matrix products. The scheme is that of Goto and van de Geijn (Anatomy of high-performance matrix
 * multiplication, ACM TOMS 34, 2008): blocks of a in the second cache, panels of b in the first, a
 * tile of y in registers.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vec-math.h"

/* A unit of work: columns in panels, where threads share them and where a row goes on beyond
 * GEMM_DEPTH, so that what is added up stays in the second cache. With fewer units a thread than
 * THREAD_UNITS it counts that each gets as many, if they do not become smaller than LEAST. */
enum {
    UNIT_PANELS = 16,
    DEEP_PANELS = 24,
    LEAST_PANELS = 64 / GEMM_COLUMNS,
    LEAST_ROWS = 24,
    THREAD_UNITS = 8
};

/* ---- packing --------------------------------------------------------------------------------- */

/* Columns c.. of a panel, as many as a vector has lanes, for n of the depth; less than a vector
 * only at the panel's edges. */
static inline void pack_square(float *panel, const float *runs, int64_t stride, int64_t columns,
                               int64_t n)
{
    Vec square[VEC_LANES];
    if (columns >= VEC_LANES && n == VEC_LANES)
        for (int64_t c = 0; c < VEC_LANES; c++)
            square[c] = vec_load(runs + c * stride);
    else
        for (int64_t c = 0; c < VEC_LANES; c++)
            square[c] = c < columns ? vec_load_first(runs + c * stride, n) : (Vec){0};
    vec_transpose(square);
    for (int64_t i = 0; i < n; i++)
        vec_store(panel + i * GEMM_COLUMNS, square[i]);
}

/* A cache line of each column at a time: columns whose distance is a multiple of 4 KiB share few
 * places of the first cache. */
void DK_SIMD(gemm_pack)(float *panel, const float *runs, int64_t stride, int64_t columns,
                        int64_t depth)
{
    enum { LINE = 16 };
    for (int64_t from = 0; from < depth; from += LINE)
        for (int64_t c = 0; c < GEMM_COLUMNS; c += VEC_LANES)
            for (int64_t i = from; i < from + LINE && i < depth; i += VEC_LANES)
                pack_square(panel + i * GEMM_COLUMNS + c, runs + c * stride + i, stride,
                            columns - c, vec_lanes(i, depth));
}

/* ---- one tile -------------------------------------------------------------------------------- */

enum { TILES = GEMM_BLOCK / GEMM_ROWS };

typedef Vec Tile[GEMM_ROWS][2];

static void find_bias(Vec bias[2], const float *from, int64_t columns)
{
    const int64_t left = columns < VEC_LANES ? columns : VEC_LANES;
    bias[0] = from ? vec_load_first(from, left) : (Vec){0};
    bias[1] = from ? vec_load_first(from + VEC_LANES, columns - left) : (Vec){0};
}

/* Element k of row r of tile t of a is at data[t * tile + r * across + k * along]. */
typedef struct {
    const float *data;
    int64_t tile, across, along;
} Left;

/* The tile's place in y, while its sums are made: stores go out in order, a miss after the other.
 */
static inline void prefetch_tile(const float *y, int64_t y_stride, int64_t rows)
{
    for (int64_t r = 0; r < GEMM_ROWS && r < rows; r++)
        __builtin_prefetch(y + r * y_stride, 1, 3);
}

/* A tile's part of a panel, of as many as a block has tiles: into the second cache, since the first
 * one holds the panel at hand. */
static inline void prefetch_part(const float *part, int64_t depth)
{
    for (int64_t k = 0; k < depth * GEMM_COLUMNS / TILES; k += 16)
        __builtin_prefetch(part + k, 0, 2);
}

/* So many cache lines of it, and on. */
static inline void fetch_ahead(GemmAhead *ahead, int64_t *at, int64_t lines)
{
    for (; lines > 0 && ahead->n > 0; lines--) {
        __builtin_prefetch(ahead->data + *at, 0, 2);
        if ((*at += 16) >= ahead->floats) {
            *at = 0;
            ahead->data += ahead->stride;
            ahead->n--;
        }
    }
}

/* sum = a · b. Unrolled: counting is 3 of 23 instructions, and the other hardware thread of a
 * rented core, somebody else's, may take half of what it decodes. `next` is the tile's part of the
 * next panel. */
static inline __attribute__((always_inline)) void
multiply_tile(Tile sum, Left a, int64_t tile, const float *b, const float *next, int64_t depth)
{
    const float *rows = a.data + tile * a.tile;
    prefetch_part(next, depth);
#pragma GCC unroll 14
    for (int r = 0; r < GEMM_ROWS; r++)
        sum[r][0] = sum[r][1] = (Vec){0};
#pragma GCC unroll 4
    for (int64_t k = 0; k < depth; k++, b += GEMM_COLUMNS) {
        const Vec left = vec_load(b), right = vec_load(b + VEC_LANES);
#pragma GCC unroll 14
        for (int r = 0; r < GEMM_ROWS; r++) {
            const Vec x = vec_all(rows[r * a.across + k * a.along]);
            sum[r][0] = vec_fma(x, left, sum[r][0]);
            sum[r][1] = vec_fma(x, right, sum[r][1]);
        }
    }
}

/* What a tile's sums are added to: the bias, and y as it is where that counts. */
static inline __attribute__((always_inline)) void
store_whole_tile(Tile sum, float *y, int64_t y_stride, const Vec bias[2], bool add)
{
    for (int64_t r = 0; r < GEMM_ROWS; r++, y += y_stride) {
        const Vec left = add ? bias[0] + vec_load(y) : bias[0];
        const Vec right = add ? bias[1] + vec_load(y + VEC_LANES) : bias[1];
        vec_store(y, left + sum[r][0]);
        vec_store(y + VEC_LANES, right + sum[r][1]);
    }
}

/* The same of a tile at an edge, or with an activation: out of line, since most have neither. */
static __attribute__((noinline)) void store_tile(Tile sum, float *y, int64_t y_stride,
                                                 const Vec bias[2], bool add, DkAct act,
                                                 int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < GEMM_ROWS && r < rows; r++, y += y_stride)
        for (int i = 0; i < 2; i++) {
            const int64_t left = columns - i * VEC_LANES, n = left < VEC_LANES ? left : VEC_LANES;
            if (n <= 0)
                continue;
            float *to = y + i * VEC_LANES;
            const Vec x = add ? bias[i] + vec_load_first(to, n) : bias[i];
            vec_store_first(to, vec_act(x + sum[r][i], act), n);
        }
}

/* The distances in a are constants where this is inlined. */
static inline __attribute__((always_inline)) void
run_block(float *y, int64_t y_stride, Left a, int64_t rows, const float *b, int64_t panel,
          int64_t depth, int64_t columns, GemmEnds ends, GemmAhead ahead)
{
    const int64_t tiles = (rows + GEMM_ROWS - 1) / GEMM_ROWS * gemm_panels(columns);
    const int64_t lines = (ahead.n * ((ahead.floats + 15) / 16) + tiles - 1) / tiles;
    int64_t at = 0;
    const bool add = !ends.first || ends.accumulate;
    for (int64_t c = 0; c < columns; c += GEMM_COLUMNS, b += panel) {
        const int64_t wide = columns - c < GEMM_COLUMNS ? columns - c : GEMM_COLUMNS;
        Vec bias[2];
        find_bias(bias, ends.first && ends.bias ? ends.bias + c : NULL, wide);
        for (int64_t r = 0; r < rows; r += GEMM_ROWS) {
            Tile sum;
            float *corner = y + r * y_stride + c;
            const int64_t tile = r / GEMM_ROWS;
            fetch_ahead(&ahead, &at, lines);
            prefetch_tile(corner, y_stride, rows - r);
            multiply_tile(sum, a, tile, b, b + panel + tile * depth * GEMM_COLUMNS / TILES, depth);
            if (rows - r >= GEMM_ROWS && wide == GEMM_COLUMNS && ends.act == DK_ACT_NONE) {
                store_whole_tile(sum, corner, y_stride, bias, add);
            } else {
                Tile edge;
                memcpy(edge, sum, sizeof edge);
                store_tile(edge, corner, y_stride, bias, add, ends.act, rows - r, wide);
            }
        }
    }
}

void DK_SIMD(gemm_block)(float *y, int64_t y_stride, const float *a, int64_t rows, const float *b,
                         int64_t panel, int64_t depth, int64_t columns, GemmEnds ends,
                         GemmAhead ahead)
{
    const Left left = {a, GEMM_ROWS * GEMM_DEPTH, GEMM_DEPTH, 1};
    run_block(y, y_stride, left, rows, b, panel, depth, columns, ends, ahead);
}

void DK_SIMD(gemm_block_of_columns)(float *y, int64_t y_stride, const float *a, int64_t tile,
                                    int64_t rows, const float *b, int64_t panel, int64_t depth,
                                    int64_t columns)
{
    const Left left = {a, tile, 1, GEMM_ROWS};
    run_block(y, y_stride, left, rows, b, panel, depth, columns, (GemmEnds){.first = false},
              (GemmAhead){.n = 0});
}

/* ---- the whole product ----------------------------------------------------------------------- */

/* Depth k..k+depth-1 of row i to one row of the block. */
static void copy_row(const GemmProduct *p, float *block, int64_t i, int64_t k, int64_t depth)
{
    while (depth > 0) {
        const int64_t at = k % p->run, n = p->run - at < depth ? p->run - at : depth;
        const float *from = p->source(p->from, i, k / p->run);
        if (from)
            memcpy(block, from + at, (size_t)n * sizeof *block);
        else
            memset(block, 0, (size_t)n * sizeof *block);
        block += n;
        k += n;
        depth -= n;
    }
}

/* What comes after the rows first.. up to depth k: the rest of them, or the next rows, unless they
 * are made of runs. */
static GemmAhead next_block(const GemmProduct *p, int64_t first, int64_t panel, int64_t k)
{
    const bool last = k == p->depth;
    const int64_t row = last ? first + p->unit_rows : first, left = dk_rows(p->y) - row;
    if (p->run < p->depth || left <= 0 || (last && panel + p->panels < gemm_panels(p->w->n)))
        return (GemmAhead){.n = 0};
    const float *data = p->source(p->from, row, 0);
    const float *second = left > 1 ? p->source(p->from, row + 1, 0) : data;
    if (!data || !second)
        return (GemmAhead){.n = 0};
    const int64_t floats = last ? p->depth : p->depth - k;
    return (GemmAhead){.data = data + (last ? 0 : k),
                       .stride = second - data,
                       .n = left < p->unit_rows ? left : p->unit_rows,
                       .floats = floats < GEMM_DEPTH ? floats : GEMM_DEPTH};
}

/* Rows first.. and panels from `panel` on; the last tile's missing rows are 0. */
static void unit(const GemmProduct *p, int64_t first, int64_t panel, float *block)
{
    const int64_t left = dk_rows(p->y) - first, rows = left < p->unit_rows ? left : p->unit_rows;
    const int64_t column = panel * GEMM_COLUMNS, end = column + p->panels * GEMM_COLUMNS;
    const int64_t columns = (end < p->w->n ? end : p->w->n) - column;
    for (int64_t k = 0; k < p->depth; k += GEMM_DEPTH) {
        const int64_t depth = p->depth - k < GEMM_DEPTH ? p->depth - k : GEMM_DEPTH;
        const GemmEnds ends = {
            .bias = p->bias.buffer ? dk_row(p->bias, 0) + column : NULL,
            .first = k == 0,
            .accumulate = p->accumulate,
            .act = k + depth == p->depth ? p->act : DK_ACT_NONE,
        };
        for (int64_t r = 0; r < rows; r++) {
            copy_row(p, block + r * GEMM_DEPTH, first + r, k, depth);
            vec_round_operands(block + r * GEMM_DEPTH, depth, p->w->products);
        }
        for (int64_t r = rows; r % GEMM_ROWS; r++)
            memset(block + r * GEMM_DEPTH, 0, (size_t)depth * sizeof *block);
        DK_SIMD(gemm_block)
        (dk_row(p->y, first) + column, p->y.row_stride, block, rows,
         p->w->data + (panel * p->depth + k) * GEMM_COLUMNS, p->depth * GEMM_COLUMNS, depth,
         columns, ends, next_block(p, first, panel, k + depth));
    }
}

static int64_t units_across(const GemmProduct *p)
{
    return parts_of(gemm_panels(p->w->n), p->panels);
}

static void part(const void *op, int64_t first, int64_t last, int thread)
{
    const GemmProduct *p = op;
    float *block = p->blocks + (int64_t)thread * GEMM_BLOCK * GEMM_DEPTH;
    for (int64_t i = first; i < last; i++)
        unit(p, i / units_across(p) * p->unit_rows, i % units_across(p) * p->panels, block);
}

/* Narrower units first: a block of a is copied for each, which is less than going past the panels
 * once more. */
static void share(GemmProduct *p, int n_threads)
{
    const int64_t rows = dk_rows(p->y), panels = gemm_panels(p->w->n);
    int64_t down = parts_of(rows, GEMM_BLOCK), across = parts_of(panels, UNIT_PANELS);
    if (down * across < THREAD_UNITS * n_threads) {
        while (down * across % n_threads && (across + 1) * LEAST_PANELS <= panels)
            across++;
        while (down * across % n_threads && (down + 1) * LEAST_ROWS <= rows)
            down++;
    }
    p->panels = parts_of(panels, across);
    p->unit_rows = parts_of(parts_of(rows, down), GEMM_ROWS) * GEMM_ROWS;
}

void DK_SIMD(gemm_product)(DkDevice *dev, GemmProduct *p)
{
    if (dev->n_threads > 1) {
        share(p, dev->n_threads);
    } else {
        /* A block of a is copied once for all columns where nobody else wants some of them. */
        p->unit_rows = GEMM_BLOCK;
        p->panels = p->depth > GEMM_DEPTH ? DEEP_PANELS : gemm_panels(p->w->n);
    }
    p->blocks = dk_scratch(dev, (size_t)dev->n_threads * GEMM_BLOCK * GEMM_DEPTH * sizeof(float));
    if (!p->blocks)
        return;
    const int64_t rows = dk_rows(p->y), n = parts_of(rows, p->unit_rows) * units_across(p);
    const double work = (double)rows * (double)p->w->n * (double)p->depth;
    dk_cpu_parallel(dev, n, work / (double)n * GEMM_NS, part, p);
}
