/* Products over the rows of two matrices, y += aᵀ · b: the gradients of weights. Sums run over the
 * rows in blocks of GEMM_DEPTH, which are added one after another.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A few blocks of rows at a time, a and b are packed (once, by all threads), then multiplied: tiles
 * of a's columns are the rows of the register tile, panels of b's columns its columns. */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"

enum {
    BLOCKS = 4,       /* of rows, packed together: some megabytes at the widths of a model */
    UNIT_TILES = 16,  /* of dy's columns in one unit of work */
    UNIT_PANELS = 16, /* of x's columns, or fewer, that each thread has some units */
    THREAD_UNITS = 4,
    STRIP_BYTES = 1024, /* of a row, packed together */
    ROWS_AHEAD = 8      /* fetched */
};

/* Columns of a matrix, packed: parts of `wide` columns, of each [blocks][GEMM_DEPTH][wide]; missing
 * columns are 0. */
typedef struct {
    GemmRows from;
    int64_t wide, n_parts;
    float *parts;
} Packed;

typedef struct {
    float *y;
    int64_t y_stride;
    Packed a, b;
    int64_t first, rows; /* at hand */
    int64_t panels;      /* of a unit */
} Product;

static int64_t strip_parts(const Packed *p)
{
    return STRIP_BYTES / ((int64_t)sizeof(float) * p->wide);
}

static int64_t n_strips(const Packed *p)
{
    return (p->n_parts + strip_parts(p) - 1) / strip_parts(p);
}

static inline __attribute__((always_inline)) void copy_columns(float *to, const float *from,
                                                               int64_t wide, int64_t n)
{
    for (int64_t c = 0; c < wide; c++)
        to[c] = c < n ? from[c] : 0;
}

/* n columns of a row from column `at` of its run `run` on, put together in `room` where they are
 * not of one run or have to be rounded. */
static const float *columns_of(const GemmRows *m, int64_t row, int64_t run, int64_t at, int64_t n,
                               float *room)
{
    const float *from = m->source(m->from, row, run);
    if (at + n <= m->run && from && m->products != DK_PRODUCTS_F32) {
        memcpy(room, from + at, (size_t)n * sizeof *room);
        vec_round_operands(room, n, m->products);
        return room;
    }
    if (at + n <= m->run)
        return from ? from + at : memset(room, 0, (size_t)n * sizeof *room);
    for (int64_t c = 0; c < n; c++) {
        room[c] = from ? from[at] : 0;
        if (++at == m->run && c + 1 < n) {
            from = m->source(m->from, row, ++run);
            at = 0;
        }
    }
    vec_round_operands(room, n, m->products);
    return room;
}

/* n columns of a row, from column `at` of a run on. */
static inline void fetch_row(const GemmRows *m, int64_t row, int64_t run, int64_t at, int64_t n)
{
    const float *from = n > 0 ? m->source(m->from, row, run) : NULL;
    for (int64_t c = 0; from && c < n; c += 16)
        __builtin_prefetch(from + at + c, 0, 3);
}

/* Rows first.. of the parts of one strip; `wide` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void pack_strip(const Packed *p, int64_t wide,
                                                             int64_t strip, int64_t first,
                                                             int64_t block, int64_t depth)
{
    const int64_t part = strip * strip_parts(p), size = BLOCKS * GEMM_DEPTH * wide;
    const int64_t left = p->n_parts - part, n = left < strip_parts(p) ? left : strip_parts(p);
    const int64_t run = part * wide / p->from.run, at = part * wide % p->from.run;
    const int64_t columns = p->from.columns - part * wide;
    const int64_t given = columns < n * wide ? columns : n * wide, whole = given / wide;
    float room[STRIP_BYTES / sizeof(float)], *to = p->parts + part * size;
    to += block * GEMM_DEPTH * wide;
    for (int64_t r = 0; r < depth; r++, to += wide) {
        const float *from = columns_of(&p->from, first + r, run, at, given, room);
        fetch_row(&p->from, first + r + ROWS_AHEAD, run, at, r + ROWS_AHEAD < depth ? given : 0);
        for (int64_t i = 0; i < whole; i++)
            memcpy(to + i * size, from + i * wide, (size_t)wide * sizeof *to);
        if (whole < n)
            copy_columns(to + whole * size, from + whole * wide, wide, given - whole * wide);
    }
}

/* Units are the strips of a, then those of b, of each block. */
static void pack_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Product *p = op;
    const int64_t n_a = n_strips(&p->a), n = n_a + n_strips(&p->b);
    for (int64_t i = first; i < last; i++) {
        const int64_t block = i / n, strip = i % n, left = p->rows - block * GEMM_DEPTH;
        const int64_t depth = left < GEMM_DEPTH ? left : GEMM_DEPTH;
        const int64_t row = p->first + block * GEMM_DEPTH;
        if (strip < n_a)
            pack_strip(&p->a, GEMM_ROWS, strip, row, block, depth);
        else
            pack_strip(&p->b, GEMM_COLUMNS, strip - n_a, row, block, depth);
    }
}

static int64_t units_across(const Product *p)
{
    return (p->b.n_parts + p->panels - 1) / p->panels;
}

static int64_t units_down(const Product *p)
{
    return (p->a.n_parts + UNIT_TILES - 1) / UNIT_TILES;
}

static void unit(const Product *p, int64_t tile, int64_t panel)
{
    enum { TILE = BLOCKS * GEMM_DEPTH * GEMM_ROWS, PANEL = BLOCKS * GEMM_DEPTH * GEMM_COLUMNS };
    const int64_t row = tile * GEMM_ROWS, column = panel * GEMM_COLUMNS;
    const int64_t below = p->a.from.columns - row, right = p->b.from.columns - column;
    const int64_t rows = below < UNIT_TILES * GEMM_ROWS ? below : UNIT_TILES * GEMM_ROWS;
    const int64_t columns = right < p->panels * GEMM_COLUMNS ? right : p->panels * GEMM_COLUMNS;
    for (int64_t r = 0; r < p->rows; r += GEMM_DEPTH)
        DK_SIMD(gemm_block_of_columns)
    (p->y + row * p->y_stride + column, p->y_stride, p->a.parts + tile * TILE + r * GEMM_ROWS, TILE,
     rows, p->b.parts + panel * PANEL + r * GEMM_COLUMNS, PANEL,
     p->rows - r < GEMM_DEPTH ? p->rows - r : GEMM_DEPTH, columns);
}

static void multiply_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Product *p = op;
    for (int64_t i = first; i < last; i++)
        unit(p, i / units_across(p) * UNIT_TILES, i % units_across(p) * p->panels);
}

static Packed packed(GemmRows from, int64_t wide)
{
    return (Packed){from, wide, (from.columns + wide - 1) / wide, NULL};
}

static size_t packed_floats(const Packed *p)
{
    return (size_t)(p->n_parts * p->wide) * BLOCKS * GEMM_DEPTH;
}

size_t DK_SIMD(gemm_over_rows_bytes)(GemmRows a, GemmRows b)
{
    const Packed left = packed(a, GEMM_ROWS), right = packed(b, GEMM_COLUMNS);
    return (packed_floats(&left) + packed_floats(&right)) * sizeof(float);
}

void DK_SIMD(gemm_over_rows)(DkDevice *dev, float *y, int64_t y_stride, GemmRows a, GemmRows b,
                             int64_t rows, float *room)
{
    Product p = {
        .y = y, .y_stride = y_stride, .a = packed(a, GEMM_ROWS), .b = packed(b, GEMM_COLUMNS)};
    p.b.parts = room;
    p.a.parts = room + packed_floats(&p.b);
    p.panels = UNIT_PANELS;
    while (dev->n_threads > 1 && p.panels > 1 &&
           units_down(&p) * units_across(&p) < THREAD_UNITS * dev->n_threads)
        p.panels /= 2;
    for (; p.first < rows && !dk_stopped(dev); p.first += BLOCKS * GEMM_DEPTH) {
        const int64_t left = rows - p.first, most = BLOCKS * GEMM_DEPTH;
        p.rows = left < most ? left : most;
        const int64_t blocks = (p.rows + GEMM_DEPTH - 1) / GEMM_DEPTH;
        const double work = (double)(UNIT_TILES * GEMM_ROWS * p.panels * GEMM_COLUMNS * p.rows);
        dk_cpu_parallel(dev, blocks * (n_strips(&p.a) + n_strips(&p.b)),
                        0.2 * STRIP_BYTES / 4 * GEMM_DEPTH, pack_part, &p);
        dk_cpu_parallel(dev, units_down(&p) * units_across(&p), work * GEMM_NS, multiply_part, &p);
    }
}
