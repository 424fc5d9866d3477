/* Backward of the modulated norm. With x^ = (x - mean) f, f = 1 / sqrt (mean square + eps), and
 * t = dy · w · (1 + scale):
 *     dx = f (t - x^ mean (t x^) - [LAYER: mean (t)])
 *     dshift = Σ_l dy,   dscale = Σ_l dy x^ w,   dw = Σ dy x^ (1 + scale)
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Three passes: what a row is reduced to, a warp each, into scratch; sums over the rows; dx. The
 * sums come before dx, which may lie where dy does. */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/elementwise.cuh"

/* Of one row: mean, f, mean (t x^), and mean (t) or 0. */
struct RowMeans {
    float mean, factor, dot, t;
};

struct Backward {
    DkCudaRows dy, x, scale;
    const float *w; /* NULL: ones */
    const RowMeans *rows;
    int64_t tokens; /* of an item */
    float *dw;
    DkCudaRows dscale, dshift;

    __device__ float weight(int64_t column) const
    {
        return w ? w[column] : 1;
    }
    __device__ float modulation(int64_t item, int64_t column) const
    {
        return scale.at ? 1 + scale.at[item * scale.stride + column] : 1;
    }

    struct Kept {
        float w, by;
    };
    __device__ Kept column(int64_t item, int64_t column) const
    {
        return {weight(column), modulation(item, column)};
    }
    __device__ void add(float (&sums)[3], const Kept &kept, int64_t item, int64_t row,
                        int64_t column) const
    {
        const int64_t i = item * tokens + row;
        const float gradient = dy.at[i * dy.stride + column];
        const float hat = (x.at[i * x.stride + column] - rows[i].mean) * rows[i].factor;
        sums[0] += gradient * hat * kept.by;
        sums[1] += gradient * hat * kept.w;
        sums[2] += gradient;
    }
};

/* Where the three sums go; dw's is one over all items. */
struct StoreWeight {
    float *dw;
    __device__ void store(int n, int64_t, int64_t column, float sum) const
    {
        if (n == 0)
            dw[column] += sum;
    }
};

struct StoreItems {
    DkCudaRows dscale, dshift;
    __device__ void store(int n, int64_t item, int64_t column, float sum) const
    {
        if (n == 1 && dscale.at)
            dscale.at[item * dscale.stride + column] = sum;
        if (n == 2 && dshift.at)
            dshift.at[item * dshift.stride + column] = sum;
    }
};

/* Launch: 8 rows; 32 x 8 threads. */
static __global__ void reduce_rows(RowMeans *rows, Backward k, int64_t n_rows, int64_t columns,
                                   bool centred, float eps)
{
    const int64_t row = (int64_t)blockIdx.x * 8 + threadIdx.y;
    if (row >= n_rows)
        return;
    const float *x = k.x.at + row * k.x.stride, *dy = k.dy.at + row * k.dy.stride;
    const float share = 1 / (float)columns;
    float mean = 0, squares = 0, dot = 0, sum = 0;
    for (int64_t c = threadIdx.x; c < columns && centred; c += 32)
        mean += x[c];
    mean = dk_warp_sum(mean) * share;
    for (int64_t c = threadIdx.x; c < columns; c += 32)
        squares += (x[c] - mean) * (x[c] - mean);
    const float factor = 1 / sqrtf(dk_warp_sum(squares) * share + eps);
    for (int64_t c = threadIdx.x; c < columns; c += 32) {
        const float t = dy[c] * k.weight(c) * k.modulation(row / k.tokens, c);
        dot += t * ((x[c] - mean) * factor);
        sum += t;
    }
    dot = dk_warp_sum(dot) * share;
    sum = dk_warp_sum(sum) * share;
    if (threadIdx.x == 0)
        rows[row] = {mean, factor, dot, centred ? sum : 0};
}

/* dy's lanes become dx's. */
struct Gradient : DkNoColumn {
    Backward k;
    bool accumulate;
    template <int V>
    __device__ void apply(DkLanes<V> &dy, const float *dx, int64_t row, int64_t c, int) const
    {
        const RowMeans means = k.rows[row];
        const DkLanes<V> x = dk_load<V>(k.x.at + row * k.x.stride + c);
        DkLanes<V> old = {};
        if (accumulate)
            old = dk_load<V>(dx);
        for (int i = 0; i < V; i++) {
            const float t = dy.at[i] * k.weight(c + i) * k.modulation(row / k.tokens, c + i);
            const float hat = (x.at[i] - means.mean) * means.factor;
            dy.at[i] = means.factor * (t - hat * means.dot - means.t) + old.at[i];
        }
    }
};

static void sum(DkDevice *dev, const Backward &k, float *partials, DkTensor x)
{
    const int64_t items = x.sizes[0], tokens = x.sizes[1], columns = x.sizes[2];
    dk_columns_sum<3>(dev, partials, items, tokens, columns, k);
    if (k.dw)
        dk_columns_finish<3>(dev, partials, items, tokens, columns, true, StoreWeight{k.dw});
    if (k.dscale.at || k.dshift.at)
        dk_columns_finish<3>(dev, partials, items, tokens, columns, false,
                             StoreItems{k.dscale, k.dshift});
}

void dk_cuda_norm_modulate_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor dscale,
                                    DkTensor dshift, DkTensor dy, DkTensor x, DkTensor w,
                                    DkTensor scale, DkNorm norm, float eps, bool accumulate)
{
    const int64_t n_rows = dk_rows(x), columns = dk_columns(x);
    const size_t room = (size_t)dk_columns_room(3, x.sizes[0], x.sizes[1], columns);
    RowMeans *rows = static_cast<RowMeans *>(
        dk_cuda_scratch(dev, (size_t)n_rows * sizeof *rows + room * sizeof(float)));
    if (!rows)
        return;
    const Backward k = {
        dk_cuda_rows(dy), dk_cuda_rows(x),     dk_cuda_rows(scale),  dk_cuda_rows(w).at,  rows,
        x.sizes[1],       dk_cuda_rows(dw).at, dk_cuda_rows(dscale), dk_cuda_rows(dshift)};
    DK_LAUNCH(dev, reduce_rows, dim3((unsigned)dk_cuda_ceil(n_rows, 8)), dim3(32, 8), 0, rows, k,
              n_rows, columns, norm == DK_NORM_LAYER, eps);
    if (k.dw || k.dscale.at || k.dshift.at)
        sum(dev, k, reinterpret_cast<float *>(rows + n_rows), x);
    Gradient op;
    op.k = k;
    op.accumulate = accumulate;
    dk_elementwise_run(dev, dx, dy, x, op);
}
