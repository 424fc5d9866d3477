/* Gradients of a product's weight and bias.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/row-sums.h"

static const float *row(const void *from, int64_t i, int64_t run)
{
    return dk_row(*(const DkTensor *)from, i);
}

void DK_SIMD(linear_backward_weight)(DkDevice *dev, DkTensor dw, DkTensor db, DkTensor dy,
                                     DkTensor x)
{
    const GemmRows a = {dk_columns(dy), dk_columns(dy), dev->products, row, &dy};
    const GemmRows b = {dk_columns(x), dk_columns(x), dev->products, row, &x};
    float *room = dk_scratch(dev, DK_SIMD(gemm_over_rows_bytes)(dev, b));
    if (room)
        DK_SIMD(gemm_over_rows)
        (dev, dk_data(dw), dw.row_stride, dk_data(db), a, b, dk_rows(x), room);
}

typedef struct {
    DkTensor x;
    float *sums;
} Sum;

static void sum_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Sum *s = op;
    const int64_t rows = dk_rows(s->x), n = dk_columns(s->x);
    for (int64_t block = first; block < last; block++) {
        float *sums = s->sums + block * n;
        memset(sums, 0, (size_t)n * sizeof *sums);
        for (int64_t i = block * ROW_BLOCK; i < rows && i < (block + 1) * ROW_BLOCK; i++)
            for (int64_t c = 0; c < n; c += VEC_LANES) {
                const int64_t lanes = vec_lanes(c, n);
                const Vec x = vec_load_first(dk_row(s->x, i) + c, lanes);
                vec_store_first(sums + c, vec_load_first(sums + c, lanes) + x, lanes);
            }
    }
}

void DK_SIMD(sum_rows)(DkDevice *dev, DkTensor y, DkTensor x)
{
    const int64_t blocks = row_blocks(dk_rows(x)), n = dk_columns(x);
    const Sum s = {x, dk_scratch(dev, (size_t)(blocks * n) * sizeof(float))};
    if (!s.sums)
        return;
    dk_cpu_parallel(dev, blocks, 0.3 * (double)(ROW_BLOCK * n), sum_part, &s);
    add_row_sums(dev, y, s.sums, blocks, true);
}
