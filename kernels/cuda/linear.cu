/* y = act (x · wᵀ + b + (accumulate ? y : 0)): one product; w[N, K] as given, or rounded
 * to 16 bits.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Bias and most activations are applied by the product; SiLU and tanh take a pass over y. For
 * products of 16-bit numbers a pass rounds x into scratch. */
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/products.h"

#include <stdlib.h>

template <int V, class T> struct alignas(2 * V) Rounded {
    T at[V];
};

/* to[rows, columns], without gaps. Launch: dk_cuda_sheet. */
template <int V, class T>
static __global__ void round_rows(T *to, DkCudaRows x, int64_t rows, int64_t columns)
{
    const int64_t c = dk_sheet_column<V>();
    if (c >= columns)
        return;
    for (int64_t row = dk_sheet_first(); row < dk_sheet_end(rows); row += blockDim.y) {
        const DkLanes<V> in = dk_load<V>(x.at + row * x.stride + c);
        Rounded<V, T> out;
        for (int i = 0; i < V; i++)
            out.at[i] = dk_to<T>(in.at[i]);
        *reinterpret_cast<Rounded<V, T> *>(to + row * columns + c) = out;
    }
}

template <class T> static void launch(DkDevice *dev, T *to, DkTensor x)
{
    const int64_t rows = dk_rows(x), columns = dk_columns(x);
    const bool wide = dk_cuda_is_vector(x);
    const DkCudaSheet s = dk_cuda_sheet(rows, columns, wide ? 4 : 1);
    if (wide)
        DK_LAUNCH(dev, (round_rows<4, T>), s.grid, s.block, 0, to, dk_cuda_rows(x), rows, columns);
    else
        DK_LAUNCH(dev, (round_rows<1, T>), s.grid, s.block, 0, to, dk_cuda_rows(x), rows, columns);
}

void dk_cuda_round_rows(DkDevice *dev, void *to, DkTensor x, DkProducts products)
{
    if (products == DK_PRODUCTS_BF16)
        launch(dev, static_cast<DkBf16 *>(to), x);
    else
        launch(dev, static_cast<DkF16 *>(to), x);
}

template <class T>
static DkWeight *upload_rounded(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    const size_t count = (size_t)n * (size_t)k;
    T *rounded = static_cast<T *>(malloc(count * sizeof *rounded));
    if (!rounded)
        return nullptr;
    for (size_t i = 0; i < count; i++)
        rounded[i] = dk_to<T>(w[i]);
    DkWeight *weight =
        dk_cuda_weight_new(dev, DK_WEIGHT_LINEAR, n, k, 1, 1, count * sizeof *rounded);
    weight = dk_cuda_weight_fill(dev, weight, rounded);
    free(rounded);
    return weight;
}

DkWeight *dk_cuda_weight_linear(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    if (dev->products == DK_PRODUCTS_BF16)
        return upload_rounded<DkBf16>(dev, w, n, k);
    if (dev->products == DK_PRODUCTS_F16)
        return upload_rounded<DkF16>(dev, w, n, k);
    const size_t bytes = (size_t)n * (size_t)k * sizeof *w;
    return dk_cuda_weight_fill(dev, dk_cuda_weight_new(dev, DK_WEIGHT_LINEAR, n, k, 1, 1, bytes),
                               w);
}

void dk_cuda_linear(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, DkAct act,
                    bool accumulate)
{
    DkCudaProduct p = {};
    p.m = dk_rows(x);
    p.n = w->n;
    p.k = w->k;
    p.n_batch = 1;
    p.a = dk_data(x);
    p.a_stride = x.row_stride;
    p.b = w->data;
    p.b_stride = w->k;
    p.b_transposed = true;
    p.c = dk_cuda_rows(y).at;
    p.c_stride = y.row_stride;
    p.accumulate = accumulate;
    p.bias = dk_cuda_rows(b).at;
    p.act = dk_cuda_product_has(act) ? act : DK_ACT_NONE;
    p.products = w->products;
    if (w->products != DK_PRODUCTS_F32) {
        void *rounded =
            dk_cuda_scratch(dev, (size_t)(p.m * p.k * dk_cuda_operand_bytes(w->products)));
        if (!rounded)
            return;
        dk_cuda_round_rows(dev, rounded, x, w->products);
        p.a = rounded;
        p.a_stride = p.k;
    }
    dk_cuda_product(dev, &p);
    if (p.act != act)
        dk_cuda_act(dev, y, y, act);
}
