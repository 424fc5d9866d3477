/* Products over the rows of two matrices, y += aᵀ · b: the gradients of weights. Sums run over the
 * rows in blocks of GEMM_DEPTH, which are added one after another.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Of a block of rows, b is packed first, by all threads. Then each thread packs a group of a's
 * columns, which stays in its second cache while the panels of b go past it: tiles of a's columns
 * are the rows of the register tile, panels of b's columns its columns. */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"

enum {
    GROUP_TILES = 126 / GEMM_ROWS, /* of a's columns; or fewer, that each thread has some groups */
    LEAST_TILES = 48 / GEMM_ROWS,
    THREAD_UNITS = 4,
    STRIP_BYTES = 1024, /* of a row, packed together */
    ROWS_AHEAD = 8      /* fetched */
};

typedef struct {
    float *y, *sums; /* sums of a's columns, or NULL */
    int64_t y_stride;
    GemmRows a, b;
    int64_t first, depth;  /* rows at hand */
    int64_t tiles, panels; /* of a unit of work */
    int64_t strip;         /* panels of b that are packed together */
    float *packed;         /* b, panels [GEMM_DEPTH][GEMM_COLUMNS] */
    float *groups;         /* of a, one a thread, tiles [GEMM_DEPTH][GEMM_ROWS] */
} Product;

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

static inline void add_row(float *sums, const float *row, int64_t n)
{
    int64_t c = 0;
    for (; c + VEC_LANES <= n; c += VEC_LANES)
        vec_store(sums + c, vec_load(sums + c) + vec_load(row + c));
    for (; c < n; c++)
        sums[c] += row[c];
}

/* n parts of `wide` columns, [GEMM_DEPTH][wide] each, from column c on, of the rows at hand;
 * missing columns are 0. `sums`, unless NULL, += the columns' sums, not rounded. `wide` is a
 * constant where this is inlined. */
static inline __attribute__((always_inline)) void pack(const Product *p, const GemmRows *from,
                                                       float *to, int64_t wide, int64_t c,
                                                       int64_t n, float *sums)
{
    const int64_t run = c / from->run, at = c % from->run, columns = from->columns - c;
    const int64_t given = columns < n * wide ? columns : n * wide, whole = given / wide;
    float room[STRIP_BYTES / sizeof(float)], block[STRIP_BYTES / sizeof(float)] = {0};
    for (int64_t r = 0; r < p->depth; r++, to += wide) {
        const float *row = columns_of(from, p->first + r, run, at, given, room);
        fetch_row(from, p->first + r + ROWS_AHEAD, run, at, r + ROWS_AHEAD < p->depth ? given : 0);
        for (int64_t i = 0; i < whole; i++)
            memcpy(to + i * GEMM_DEPTH * wide, row + i * wide, (size_t)wide * sizeof *to);
        if (whole < n)
            copy_columns(to + whole * GEMM_DEPTH * wide, row + whole * wide, wide,
                         given - whole * wide);
        if (sums)
            add_row(block, from->source(from->from, p->first + r, run) + at, given);
    }
    if (sums)
        add_row(sums, block, given);
}

enum { STRIP_PANELS = STRIP_BYTES / sizeof(float) / GEMM_COLUMNS };

/* Units are strips of b. */
static void pack_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Product *p = op;
    const int64_t panels = gemm_panels(p->b.columns);
    for (int64_t i = first * p->strip; i < last * p->strip; i += p->strip)
        pack(p, &p->b, p->packed + i * GEMM_DEPTH * GEMM_COLUMNS, GEMM_COLUMNS, i * GEMM_COLUMNS,
             least(panels - i, p->strip), NULL);
}

static int64_t units_across(const Product *p)
{
    return parts_of(p->b.columns, p->panels * GEMM_COLUMNS);
}

static int64_t units_down(const Product *p)
{
    return parts_of(p->a.columns, p->tiles * GEMM_ROWS);
}

static void unit(const Product *p, const float *group, int64_t row, int64_t column)
{
    const int64_t below = p->a.columns - row, right = p->b.columns - column;
    const int64_t rows = below < p->tiles * GEMM_ROWS ? below : p->tiles * GEMM_ROWS;
    const int64_t columns = right < p->panels * GEMM_COLUMNS ? right : p->panels * GEMM_COLUMNS;
    DK_SIMD(gemm_block_of_columns)
    (p->y + row * p->y_stride + column, p->y_stride, group, GEMM_DEPTH * GEMM_ROWS, rows,
     p->packed + column * GEMM_DEPTH, GEMM_DEPTH * GEMM_COLUMNS, p->depth, columns);
}

/* Units next to each other are of one group, packed by the first of them that the thread has; the
 * first of all sees to the sums. */
static void multiply_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Product *p = op;
    float *group = p->groups + (int64_t)thread * GROUP_TILES * GEMM_DEPTH * GEMM_ROWS;
    const int64_t across = units_across(p);
    for (int64_t i = first; i < last; i++) {
        const int64_t row = i / across * p->tiles * GEMM_ROWS;
        const int64_t left = parts_of(p->a.columns - row, GEMM_ROWS);
        if (i == first || i % across == 0)
            pack(p, &p->a, group, GEMM_ROWS, row, left < p->tiles ? left : p->tiles,
                 p->sums && i % across == 0 ? p->sums + row : NULL);
        unit(p, group, row, i % across * p->panels * GEMM_COLUMNS);
    }
}

static size_t packed_floats(GemmRows b)
{
    return (size_t)(gemm_panels(b.columns) * GEMM_COLUMNS) * GEMM_DEPTH;
}

size_t DK_SIMD(gemm_over_rows_bytes)(const DkDevice *dev, GemmRows b)
{
    const size_t groups = (size_t)dev->n_threads * GROUP_TILES * GEMM_ROWS * GEMM_DEPTH;
    return (packed_floats(b) + groups) * sizeof(float);
}

/* Smaller groups first: however many they are, each is packed once. */
static void share(Product *p, int n_threads)
{
    p->tiles = GROUP_TILES;
    p->panels = gemm_panels(p->b.columns);
    p->strip = least(parts_of(p->panels, n_threads), STRIP_PANELS);
    while (n_threads > 1 && units_down(p) * units_across(p) < THREAD_UNITS * n_threads)
        if (p->tiles > LEAST_TILES)
            p->tiles = (p->tiles + 1) / 2;
        else if (p->panels > 1)
            p->panels = (p->panels + 1) / 2;
        else
            break;
}

void DK_SIMD(gemm_over_rows)(DkDevice *dev, float *y, int64_t y_stride, float *sums, GemmRows a,
                             GemmRows b, int64_t rows, float *room)
{
    Product p = {.y = y, .sums = sums, .y_stride = y_stride, .a = a, .b = b, .packed = room};
    p.groups = room + packed_floats(b);
    share(&p, dev->n_threads);
    const int64_t strips = parts_of(gemm_panels(b.columns), p.strip);
    for (; p.first < rows && !dk_stopped(dev); p.first += GEMM_DEPTH) {
        p.depth = rows - p.first < GEMM_DEPTH ? rows - p.first : GEMM_DEPTH;
        const double work = (double)(p.tiles * GEMM_ROWS * p.panels * GEMM_COLUMNS * p.depth);
        dk_cpu_parallel(dev, strips, 0.2 * (double)(p.strip * GEMM_COLUMNS * GEMM_DEPTH), pack_part,
                        &p);
        dk_cpu_parallel(dev, units_down(&p) * units_across(&p), work * GEMM_NS, multiply_part, &p);
    }
}
