/* Softmax attention, a tile of queries against one tile of keys after another: the weights of
 * queries times keys never leave the block (online softmax, arXiv 2205.14135).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * With logits s of the tile at hand, top the largest so far, m = max (top, max s):
 *     p = e^(s - m),   sum = sum e^(top - m) + Σ p,   y = y e^(top - m) + p v,   top = m
 * and y / sum in the end. Powers are taken to base 2. attention.cuh has the tiles. */
#include "kernels/cuda/attention.cuh"

/* Launch: tiles of 16·R queries, heads times slices of J chunks, batch; 16 x 16 threads. */
template <int R, int J>
static __global__ void __launch_bounds__(DK_HEAD_THREADS, 2) attend(DkAttention a)
{
    DK_SHARED(DkChunk, queries, [16 * R]);
    DK_SHARED(DkChunk, others, [DK_OTHERS]);
    DK_SHARED(DkHeadWeights, weights, [16 * R]);
    const int head = (int)blockIdx.y / a.n_slices * a.width;
    const int slice = (int)blockIdx.y % a.n_slices * J * DK_CHUNK;
    const int64_t first = (int64_t)blockIdx.x * 16 * R, batch = blockIdx.z;
    const int n_queries = (int)min(a.n_queries - first, (int64_t)(16 * R));
    const DkHeadRows q = dk_head_rows(a.q, batch * a.n_queries + first, n_queries, head, a.width);
    float2 y[J][R] = {};
    float top[R], sum[R] = {};
    for (int r = 0; r < R; r++)
        top[r] = -INFINITY;
    for (int64_t key = 0; key < a.n_keys; key += DK_OTHERS) {
        const int n_keys = (int)min(a.n_keys - key, (int64_t)DK_OTHERS);
        const int64_t row = batch * a.n_keys + key;
        float s[R][4] = {};
        dk_add_head_products<R>(s, q, dk_head_rows(a.k, row, n_keys, head, a.width), &queries[0],
                                &others[0]);
        DK_UNROLL
        for (int r = 0; r < R; r++) {
            for (int j = 0; j < 4; j++)
                s[r][j] *= a.factor;
            const float keep = dk_weigh(s[r], &top[r], &sum[r], n_keys);
            DK_UNROLL
            for (int j = 0; j < J; j++) {
                y[j][r].x *= keep;
                y[j][r].y *= keep;
            }
        }
        dk_share_weights<R>(&weights[0], s);
        dk_add_head_values<R, J>(y, &weights[0],
                                 dk_head_rows(a.v, row, n_keys, head + slice, a.width - slice),
                                 &others[0]);
    }
    DK_UNROLL
    for (int r = 0; r < R; r++) {
        const int row = (int)threadIdx.y * R + r;
        if (row < n_queries)
            dk_store_head_row<R, J>(a.y.at + (batch * a.n_queries + first + row) * a.y.stride +
                                        head + slice,
                                    y, r, 1 / sum[r], a.width - slice);
    }
}

template <int R, int J>
static void launch(DkDevice *dev, DkAttention a, int64_t n_batch, int n_heads)
{
    a.n_slices = (int)dk_cuda_ceil(a.width, J * DK_CHUNK);
    const dim3 grid((unsigned)dk_cuda_ceil(a.n_queries, 16 * R), (unsigned)(n_heads * a.n_slices),
                    (unsigned)n_batch);
    DK_LAUNCH(dev, (attend<R, J>), grid, dim3(16, 16), 0, a);
}

void dk_cuda_attention(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads,
                       DkProducts products)
{
    if (products != DK_PRODUCTS_F32) {
        dk_cuda_attention_16(dev, y, q, k, v, n_heads, products);
        return;
    }
    const DkAttention a = dk_attention_of(y, q, k, v, n_heads);
    const int64_t n_chunks = dk_cuda_ceil(a.width, DK_CHUNK), n_batch = q.sizes[0];
    if (n_chunks <= 1)
        launch<4, 1>(dev, a, n_batch, n_heads);
    else if (n_chunks <= 2)
        launch<4, 2>(dev, a, n_batch, n_heads);
    else if (n_chunks <= 3)
        launch<4, 3>(dev, a, n_batch, n_heads);
    else if (n_chunks <= 4)
        launch<4, 4>(dev, a, n_batch, n_heads);
    else if (n_chunks <= 8)
        launch<2, 8>(dev, a, n_batch, n_heads);
    else
        launch<2, 16>(dev, a, n_batch, n_heads);
}
