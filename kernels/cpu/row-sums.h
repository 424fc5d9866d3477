/* Sums over rows, for the gradients of what rows share: each block of rows leaves sums of floats,
 * blocks are added in order in double. So they depend neither on the number of threads nor on what
 * else is in a batch.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CPU_ROW_SUMS_H
#define DK_CPU_ROW_SUMS_H

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vector.h"

enum { ROW_BLOCK = 16, ROW_STRIP = 64 /* columns added up together */ };

static inline int64_t row_blocks(int64_t rows)
{
    return (rows + ROW_BLOCK - 1) / ROW_BLOCK;
}

static inline int64_t row_strips(int64_t columns)
{
    return (columns + ROW_STRIP - 1) / ROW_STRIP;
}

/* of[n] = the sum of `blocks` blocks' sums, `stride` floats apart; n <= ROW_STRIP. */
static inline void add_blocks(double of[ROW_STRIP], const float *sums, int64_t blocks,
                              int64_t stride, int64_t n)
{
    memset(of, 0, ROW_STRIP * sizeof *of);
    for (int64_t i = 0; i < blocks; i++, sums += stride)
        for (int64_t c = 0; c < n; c++)
            of[c] += sums[c];
}

typedef struct {
    DkTensor y;
    const float *sums;
    int64_t blocks;
    bool accumulate;
} RowSums;

static inline void row_sums_part(const void *op, int64_t first, int64_t last, int thread)
{
    const RowSums *s = op;
    const int64_t columns = dk_columns(s->y), strips = row_strips(columns);
    for (int64_t i = first; i < last; i++) {
        const int64_t item = i / strips, c0 = i % strips * ROW_STRIP;
        const int64_t n = columns - c0 < ROW_STRIP ? columns - c0 : ROW_STRIP;
        float *y = dk_row(s->y, item) + c0;
        double of[ROW_STRIP];
        add_blocks(of, s->sums + item * s->blocks * columns + c0, s->blocks, columns, n);
        for (int64_t c = 0; c < n; c++)
            y[c] = (s->accumulate ? y[c] : 0) + (float)of[c];
    }
}

/* y[items, n] = or += the sums of each item's blocks, sums[items][blocks][n]. */
static inline void add_row_sums(DkDevice *dev, DkTensor y, const float *sums, int64_t blocks,
                                bool accumulate)
{
    const RowSums s = {y, sums, blocks, accumulate};
    dk_cpu_parallel(dev, dk_rows(y) * row_strips(dk_columns(y)), 0.5 * ROW_STRIP * (double)blocks,
                    row_sums_part, &s);
}

#endif
