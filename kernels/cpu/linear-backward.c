/* Gradients of products with respect to their weights: dw += dyᵀ · x, summed over the rows in
 * blocks of GEMM_DEPTH, which are added one after another.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A few blocks of rows at a time, dy and x are packed (once, by all threads), then multiplied:
 * tiles of dy's columns are the rows of the register tile, panels of x's columns its columns. */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"

enum {
    BLOCKS = 4,       /* of rows, packed together: some megabytes at the widths of a model */
    UNIT_TILES = 8,   /* of dy's columns in one unit of work */
    UNIT_PANELS = 4,  /* of x's columns */
    STRIP_BYTES = 256 /* of a row, packed together */
};

/* Columns of a matrix, packed: parts of `wide` columns, of each [blocks][GEMM_DEPTH][wide]; missing
 * columns are 0. */
typedef struct {
    DkTensor from;
    int64_t wide, n_parts;
    float *parts;
} Packed;

typedef struct {
    float *dw;
    int64_t dw_stride;
    Packed dy, x;
    int64_t first, rows; /* at hand */
} Backward;

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

/* Rows first.. of the parts of one strip; `wide` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void pack_strip(const Packed *p, int64_t wide,
                                                             int64_t strip, int64_t first,
                                                             int64_t block, int64_t depth)
{
    const int64_t part = strip * strip_parts(p), size = BLOCKS * GEMM_DEPTH * wide;
    const int64_t left = p->n_parts - part, n = left < strip_parts(p) ? left : strip_parts(p);
    float *to = p->parts + part * size + block * GEMM_DEPTH * wide;
    for (int64_t r = 0; r < depth; r++, to += wide) {
        const float *from = dk_row(p->from, first + r) + part * wide;
        int64_t columns = dk_columns(p->from) - part * wide;
        for (int64_t i = 0; i < n; i++, from += wide, columns -= wide)
            if (columns >= wide)
                memcpy(to + i * size, from, (size_t)wide * sizeof *to);
            else
                copy_columns(to + i * size, from, wide, columns);
    }
}

/* Units are the strips of dy, then those of x, of each block. */
static void pack_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *b = op;
    const int64_t n_dy = n_strips(&b->dy), n = n_dy + n_strips(&b->x);
    for (int64_t i = first; i < last; i++) {
        const int64_t block = i / n, strip = i % n, left = b->rows - block * GEMM_DEPTH;
        const int64_t depth = left < GEMM_DEPTH ? left : GEMM_DEPTH;
        const int64_t row = b->first + block * GEMM_DEPTH;
        if (strip < n_dy)
            pack_strip(&b->dy, GEMM_ROWS, strip, row, block, depth);
        else
            pack_strip(&b->x, GEMM_COLUMNS, strip - n_dy, row, block, depth);
    }
}

static int64_t units_across(const Backward *b)
{
    return (b->x.n_parts + UNIT_PANELS - 1) / UNIT_PANELS;
}

static int64_t units_down(const Backward *b)
{
    return (b->dy.n_parts + UNIT_TILES - 1) / UNIT_TILES;
}

static void unit(const Backward *b, int64_t tile, int64_t panel)
{
    enum { TILE = BLOCKS * GEMM_DEPTH * GEMM_ROWS, PANEL = BLOCKS * GEMM_DEPTH * GEMM_COLUMNS };
    const int64_t row = tile * GEMM_ROWS, column = panel * GEMM_COLUMNS;
    const int64_t below = dk_columns(b->dy.from) - row, right = dk_columns(b->x.from) - column;
    const int64_t rows = below < UNIT_TILES * GEMM_ROWS ? below : UNIT_TILES * GEMM_ROWS;
    const int64_t columns = right < UNIT_PANELS * GEMM_COLUMNS ? right : UNIT_PANELS * GEMM_COLUMNS;
    for (int64_t r = 0; r < b->rows; r += GEMM_DEPTH)
        DK_SIMD(gemm_block_of_columns)
    (b->dw + row * b->dw_stride + column, b->dw_stride, b->dy.parts + tile * TILE + r * GEMM_ROWS,
     TILE, rows, b->x.parts + panel * PANEL + r * GEMM_COLUMNS, PANEL,
     b->rows - r < GEMM_DEPTH ? b->rows - r : GEMM_DEPTH, columns);
}

static void multiply_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Backward *b = op;
    for (int64_t i = first; i < last; i++)
        unit(b, i / units_across(b) * UNIT_TILES, i % units_across(b) * UNIT_PANELS);
}

static Packed packed(DkTensor from, int64_t wide)
{
    return (Packed){from, wide, (dk_columns(from) + wide - 1) / wide, NULL};
}

static size_t packed_floats(const Packed *p)
{
    return (size_t)(p->n_parts * p->wide) * BLOCKS * GEMM_DEPTH;
}

void DK_SIMD(linear_backward_weight)(DkDevice *dev, DkTensor dw, DkTensor dy, DkTensor x)
{
    const int64_t rows = dk_rows(x);
    Backward b = {.dw = dk_data(dw),
                  .dw_stride = dw.row_stride,
                  .dy = packed(dy, GEMM_ROWS),
                  .x = packed(x, GEMM_COLUMNS)};
    b.x.parts = dk_scratch(dev, (packed_floats(&b.x) + packed_floats(&b.dy)) * sizeof(float));
    if (!b.x.parts)
        return;
    b.dy.parts = b.x.parts + packed_floats(&b.x);
    for (; b.first < rows && !dk_stopped(dev); b.first += BLOCKS * GEMM_DEPTH) {
        const int64_t left = rows - b.first, most = BLOCKS * GEMM_DEPTH;
        b.rows = left < most ? left : most;
        const int64_t blocks = (b.rows + GEMM_DEPTH - 1) / GEMM_DEPTH;
        const double work = (double)(UNIT_TILES * GEMM_ROWS * UNIT_PANELS * GEMM_COLUMNS * b.rows);
        dk_cpu_parallel(dev, blocks * (n_strips(&b.dy) + n_strips(&b.x)),
                        0.2 * STRIP_BYTES / 4 * GEMM_DEPTH, pack_part, &b);
        dk_cpu_parallel(dev, units_down(&b) * units_across(&b), work * GEMM_NS, multiply_part, &b);
    }
}
