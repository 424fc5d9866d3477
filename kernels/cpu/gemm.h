/* Matrix products: the register tile, and the loops over rows, columns and depth around it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Every element of the result is bias (+ y) + one sum for each GEMM_DEPTH of the depth, each sum
 * one chain of multiply-adds in the order of k, whatever the blocks, the threads and the other rows
 * are: so rows have the same bits alone, in a batch and in a strip. (oneDNN's products without
 * AVX-512, 2.6 and 3.7 alike, do not have this: their rows change with the number of rows.) */
#ifndef DK_CPU_GEMM_H
#define DK_CPU_GEMM_H

#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector.h"

/* The tile's accumulators fill the registers but for the operands; a panel of b for one depth fits
 * the first cache, a block of a the second. */
enum {
    GEMM_COLUMNS = 2 * VEC_LANES, /* of a tile, and of a panel of b */
    GEMM_ROWS = VEC_LANES == 16 ? 14 : 6,
    GEMM_BLOCK = 16 * GEMM_ROWS, /* rows of a block of a */
    GEMM_DEPTH =
        6144 / GEMM_COLUMNS, /* floats of a row in a block of a, its stride; panels of 24 KiB */
};

/* What a multiply-add takes on one thread, to judge by whether others are worth waking. */
#define GEMM_NS (0.2 / VEC_LANES)

/* Panels: columns j·GEMM_COLUMNS.. of b for all k lie together, [k][GEMM_COLUMNS], missing columns
 * 0. */
static inline int64_t gemm_panels(int64_t n)
{
    return parts_of(n, GEMM_COLUMNS);
}

/* One panel of b from its columns, `columns` runs of `depth` floats that are `stride` apart. */
void DK_SIMD(gemm_pack)(float *panel, const float *runs, int64_t stride, int64_t columns,
                        int64_t depth);

typedef struct {
    const float *bias; /* NULL: none */
    bool first;        /* the sum is added to bias, and to y only if `accumulate`; else to y */
    bool accumulate;
    DkAct act; /* at the store; DK_ACT_NONE before the last depth */
} GemmEnds;

/* What the block after this one is copied from, `n` runs of `floats`: fetched meanwhile. */
typedef struct {
    const float *data;
    int64_t stride, n, floats;
} GemmAhead;

/* y[rows, columns] = a · b for one block: a[rows][GEMM_DEPTH] of which `depth` are used, rows <=
 * GEMM_BLOCK; b the first panel, the next ones `panel` floats apart. The bias is of the first
 * column. */
void DK_SIMD(gemm_block)(float *y, int64_t y_stride, const float *a, int64_t rows, const float *b,
                         int64_t panel, int64_t depth, int64_t columns, GemmEnds ends,
                         GemmAhead ahead);

/* y[rows, columns] += aᵀ · b for one block, a packed in tiles of GEMM_ROWS of its columns,
 * [depth][GEMM_ROWS] each, which begin `tile` floats apart. */
void DK_SIMD(gemm_block_of_columns)(float *y, int64_t y_stride, const float *a, int64_t tile,
                                    int64_t rows, const float *b, int64_t panel, int64_t depth,
                                    int64_t columns);

/* A whole product against a packed weight. Row i of a is made of runs of `run` floats; source gives
 * run r of row i, NULL for zeros. */
typedef struct {
    DkTensor y;
    const DkWeight *w;
    DkTensor bias;
    DkAct act;
    bool accumulate;
    int64_t depth, run;
    const float *(*source)(const void *from, int64_t row, int64_t run);
    const void *from;
    /* Set by gemm_product: a block of a for each thread, and rows and panels of a unit of work. */
    float *blocks;
    int64_t unit_rows, panels;
} GemmProduct;
void DK_SIMD(gemm_product)(DkDevice *dev, GemmProduct *product);

/* A matrix whose rows are made of runs of `run` floats; source gives run r of row i, NULL for
 * zeros. */
typedef struct {
    int64_t columns, run;
    DkProducts products; /* what it is rounded to */
    const float *(*source)(const void *from, int64_t row, int64_t run);
    const void *from;
} GemmRows;

/* y[a's columns, b's columns] += aᵀ · b, sums over the rows; `sums`, unless NULL, += the sum of a's
 * rows, which then are one run each. `room` has so many bytes. */
void DK_SIMD(gemm_over_rows)(DkDevice *dev, float *y, int64_t y_stride, float *sums, GemmRows a,
                             GemmRows b, int64_t rows, float *room);
size_t DK_SIMD(gemm_over_rows_bytes)(const DkDevice *dev, GemmRows b);

#endif
