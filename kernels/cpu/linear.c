/* dk_linear: weights are packed into panels once; rows of x are the rows of a.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/gemm.h"

#include "kernels/cpu/parallel.h"

/* From w[N, K], or w[K, N] where `transposed`. */
typedef struct {
    float *panels;
    const float *w;
    int64_t stride, n, k; /* of w's rows; outputs and inputs */
    bool transposed;
    DkProducts products;
} Pack;

/* A panel of a transposed weight is a strip of its rows. */
static void pack_strip(const Pack *p, float *panel, int64_t j)
{
    const int64_t columns = p->n - j < GEMM_COLUMNS ? p->n - j : GEMM_COLUMNS;
    for (int64_t i = 0; i < p->k; i++, panel += GEMM_COLUMNS)
        for (int64_t c = 0; c < GEMM_COLUMNS; c += VEC_LANES) {
            const int64_t n = columns > c ? vec_lanes(c, columns) : 0;
            vec_store(panel + c, vec_load_first(p->w + i * p->stride + j + c, n));
        }
}

static void pack_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Pack *p = op;
    for (int64_t i = first; i < last; i++) {
        const int64_t j = i * GEMM_COLUMNS;
        if (p->transposed)
            pack_strip(p, p->panels + j * p->k, j);
        else
            DK_SIMD(gemm_pack)
        (p->panels + j * p->k, p->w + j * p->stride, p->stride, p->n - j, p->k);
        vec_round_operands(p->panels + j * p->k, GEMM_COLUMNS * p->k, p->products);
    }
}

DkWeight *DK_SIMD(weight_linear)(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    const size_t floats = (size_t)gemm_panels(n) * GEMM_COLUMNS * (size_t)k;
    DkWeight *packed = dk_weight_alloc(dev, DK_WEIGHT_LINEAR, n, k, 1, 1, floats);
    if (packed)
        pack_part(&(Pack){packed->data, w, k, n, k, false, packed->products}, 0, gemm_panels(n), 0);
    return packed;
}

void DK_SIMD(linear_set)(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    const Pack p = {weight->data, dk_data(w), w.row_stride,    weight->n,
                    weight->k,    transposed, weight->products};
    dk_cpu_parallel(dev, gemm_panels(p.n), 0.5 * (double)(GEMM_COLUMNS * p.k), pack_part, &p);
}

static const float *row(const void *from, int64_t i, int64_t run)
{
    return dk_row(*(const DkTensor *)from, i);
}

void DK_SIMD(linear)(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b,
                     DkAct act, bool accumulate)
{
    GemmProduct product = {.y = y,
                           .w = w,
                           .bias = b,
                           .act = act,
                           .accumulate = accumulate,
                           .depth = w->k,
                           .run = w->k,
                           .source = row,
                           .from = &x};
    DK_SIMD(gemm_product)(dev, &product);
}
