/* Backward of softmax attention, a tile of rows against one tile of others after another: no
 * matrix of queries times keys is stored (arXiv 2205.14135, algorithm 4).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * With weights p = softmax (s), s = q · k / sqrt (width), and y = Σ p v,
 *     dv = Σ p dy,   ds = p (dy · v - dy · y),   dq = Σ ds k / sqrt (width),   dk = Σ ds q / sqrt
 * (width) Two launches: what a query's weights are found anew by goes to scratch, 3 floats; then
 * the first blocks of a head have queries and take all keys for dq, the others have keys and take
 * all queries for dk and dv. So each sum is one thread's, in one order, and a head's blocks find
 * each other's operands in the second-level cache. A query's gradient and a key's are the same sum
 * with sides changed. Powers are taken to base 2. */
#include "kernels/cuda/attention.cuh"

/* Of a query: p = 2^(s - top) · share, s to base 2; mean = dy · y. */
struct Softmax {
    float top, share, mean;
};

/* Queries or keys: what the logits are made of, and what the weights' gradients are. */
struct Side {
    DkCudaRows logits, gradients; /* queries: q and dy; keys: k and v */
    int64_t n;
};

struct AttentionBackward {
    Side queries, keys;
    DkCudaRows dq, dkey, dv, y;
    Softmax *softmax; /* [B, heads, Lq] */
    int width, n_slices;
    float factor, root; /* log2 (e) / sqrt (width), 1 / sqrt (width) */
};

/* dy · y of a row, by the 16 threads that share it. */
static inline __device__ float find_mean(const AttentionBackward &a, int64_t row, int column)
{
    const float *dy = a.queries.gradients.at + row * a.queries.gradients.stride + column;
    const float *y = a.y.at + row * a.y.stride + column;
    float sum = 0;
    for (int c = (int)threadIdx.x; c < a.width; c += 16)
        sum += dy[c] * y[c];
    return dk_head_total(sum);
}

/* Launch: tiles of 16·R queries, heads, batch; 16 x 16 threads. */
template <int R>
static __global__ void __launch_bounds__(DK_HEAD_THREADS, 2) find_softmax(AttentionBackward a)
{
    DK_SHARED(DkChunk, rows, [16 * R]);
    DK_SHARED(DkChunk, others, [DK_OTHERS]);
    const int head = (int)blockIdx.y * a.width;
    const int64_t first = (int64_t)blockIdx.x * 16 * R, batch = blockIdx.z;
    const int n_rows = (int)min(a.queries.n - first, (int64_t)(16 * R));
    const int64_t at = batch * a.queries.n + first;
    const DkHeadRows q = dk_head_rows(a.queries.logits, at, n_rows, head, a.width);
    float top[R], sum[R] = {};
    for (int r = 0; r < R; r++)
        top[r] = -INFINITY;
    for (int64_t key = 0; key < a.keys.n; key += DK_OTHERS) {
        const int n_keys = (int)min(a.keys.n - key, (int64_t)DK_OTHERS);
        float s[R][4] = {};
        dk_add_head_products<R>(
            s, q, dk_head_rows(a.keys.logits, batch * a.keys.n + key, n_keys, head, a.width),
            &rows[0], &others[0]);
        DK_UNROLL
        for (int r = 0; r < R; r++) {
            for (int j = 0; j < 4; j++)
                s[r][j] *= a.factor;
            dk_weigh(s[r], &top[r], &sum[r], n_keys);
        }
    }
    Softmax *to = a.softmax + (batch * gridDim.y + blockIdx.y) * a.queries.n + first;
    DK_UNROLL
    for (int r = 0; r < R; r++) {
        const int row = (int)threadIdx.y * R + r;
        const float mean = find_mean(a, at + min(row, n_rows - 1), head);
        if (row < n_rows && threadIdx.x == 0)
            to[row] = {top[r], 1 / sum[r], mean};
    }
}

/* One pair's logit becomes its weight, and dy · v the logit's gradient. */
static inline __device__ void weigh(float *p, float *ds, const Softmax &of, float factor)
{
    *p = exp2f(*p * factor - of.top) * of.share;
    *ds = *p * (*ds - of.mean);
}

/* The same of the tile; none where there is no query or no key. */
template <int R, bool OF_KEYS>
static inline __device__ void weigh_tile(float (&p)[R][4], float (&ds)[R][4],
                                         const Softmax *softmax, int64_t row, int n_rows,
                                         int64_t other, int n_others, float factor)
{
    DK_UNROLL
    for (int r = 0; r < R; r++) {
        DK_UNROLL
        for (int j = 0; j < 4; j++) {
            const int y = (int)threadIdx.y * R + r, x = (int)threadIdx.x + 16 * j;
            if (y < n_rows && x < n_others)
                weigh(&p[r][j], &ds[r][j], softmax[OF_KEYS ? other + x : row + y], factor);
            else
                p[r][j] = ds[r][j] = 0;
        }
    }
}

/* In shared memory. */
struct Tiles {
    DkChunk *rows, *others;
    DkHeadWeights *weights;
};

/* Of a tile of queries dq; OF_KEYS, of a tile of keys dk and dv. */
template <int R, int J, bool OF_KEYS>
static inline __device__ void walk(const AttentionBackward &a, int64_t tile, const Tiles &in)
{
    const Side &mine = OF_KEYS ? a.keys : a.queries, &theirs = OF_KEYS ? a.queries : a.keys;
    const int n_heads = (int)gridDim.y / a.n_slices, head = (int)blockIdx.y / a.n_slices;
    const int slice = (int)blockIdx.y % a.n_slices * J * DK_CHUNK, column = head * a.width;
    const int columns = a.width - slice;
    const int64_t first = tile * 16 * R, batch = blockIdx.z;
    const int n_rows = (int)min(mine.n - first, (int64_t)(16 * R));
    const int64_t at = batch * mine.n + first;
    const Softmax *softmax = a.softmax + (batch * n_heads + head) * a.queries.n;
    float2 d_logits[J][R] = {}, dv[OF_KEYS ? J : 1][R] = {};
    for (int64_t other = 0; other < theirs.n; other += DK_OTHERS) {
        const int n = (int)min(theirs.n - other, (int64_t)DK_OTHERS);
        const int64_t from = batch * theirs.n + other;
        float p[R][4] = {}, ds[R][4] = {};
        dk_add_head_products<R>(p, dk_head_rows(mine.logits, at, n_rows, column, a.width),
                                dk_head_rows(theirs.logits, from, n, column, a.width), in.rows,
                                in.others);
        dk_add_head_products<R>(ds, dk_head_rows(mine.gradients, at, n_rows, column, a.width),
                                dk_head_rows(theirs.gradients, from, n, column, a.width), in.rows,
                                in.others);
        weigh_tile<R, OF_KEYS>(p, ds, softmax, first, n_rows, other, n, a.factor);
        dk_share_weights<R>(in.weights, ds);
        dk_add_head_values<R, J>(d_logits, in.weights,
                                 dk_head_rows(theirs.logits, from, n, column + slice, columns),
                                 in.others);
        if constexpr (OF_KEYS) {
            dk_share_weights<R>(in.weights, p);
            dk_add_head_values<R, J>(
                dv, in.weights, dk_head_rows(theirs.gradients, from, n, column + slice, columns),
                in.others);
        }
    }
    const DkCudaRows &to = OF_KEYS ? a.dkey : a.dq;
    DK_UNROLL
    for (int r = 0; r < R; r++) {
        const int row = (int)threadIdx.y * R + r;
        if (row >= n_rows)
            break;
        dk_store_head_row<R, J>(to.at + (at + row) * to.stride + column + slice, d_logits, r,
                                a.root, columns);
        if constexpr (OF_KEYS)
            dk_store_head_row<R, J>(a.dv.at + (at + row) * a.dv.stride + column + slice, dv, r, 1,
                                    columns);
    }
}

/* Launch: tiles of 16·R queries, then of keys, heads times slices of J chunks, batch; 16 x 16
 * threads. */
template <int R, int J>
static __global__ void __launch_bounds__(DK_HEAD_THREADS, 2) find_gradients(AttentionBackward a)
{
    DK_SHARED(DkChunk, rows, [16 * R]);
    DK_SHARED(DkChunk, others, [DK_OTHERS]);
    DK_SHARED(DkHeadWeights, weights, [16 * R]);
    const Tiles in = {&rows[0], &others[0], &weights[0]};
    const int64_t n_queries = (a.queries.n + 16 * R - 1) / (16 * R);
    if (blockIdx.x < n_queries)
        walk<R, J, false>(a, blockIdx.x, in);
    else
        walk<R, J, true>(a, blockIdx.x - n_queries, in);
}

template <int R, int J>
static void launch(DkDevice *dev, AttentionBackward a, int64_t n_batch, int n_heads)
{
    const dim3 block(16, 16);
    const int64_t tiles = dk_cuda_ceil(a.queries.n, 16 * R) + dk_cuda_ceil(a.keys.n, 16 * R);
    a.n_slices = (int)dk_cuda_ceil(a.width, J * DK_CHUNK);
    DK_LAUNCH(dev, find_softmax<4>,
              dim3((unsigned)dk_cuda_ceil(a.queries.n, 64), (unsigned)n_heads, (unsigned)n_batch),
              block, 0, a);
    DK_LAUNCH(dev, (find_gradients<R, J>),
              dim3((unsigned)tiles, (unsigned)(n_heads * a.n_slices), (unsigned)n_batch), block, 0,
              a);
}

void dk_cuda_attention_backward(DkDevice *dev, DkTensor dq, DkTensor dkey, DkTensor dv, DkTensor dy,
                                DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads)
{
    AttentionBackward a = {};
    const int64_t n_batch = q.sizes[0];
    const size_t n_softmax = (size_t)(dk_rows(q) * n_heads);
    a.queries = {dk_cuda_rows(q), dk_cuda_rows(dy), q.sizes[1]};
    a.keys = {dk_cuda_rows(k), dk_cuda_rows(v), k.sizes[1]};
    a.dq = dk_cuda_rows(dq);
    a.dkey = dk_cuda_rows(dkey);
    a.dv = dk_cuda_rows(dv);
    a.y = dk_cuda_rows(y);
    a.softmax = static_cast<Softmax *>(dk_cuda_scratch(dev, n_softmax * sizeof(Softmax)));
    a.width = (int)(q.sizes[2] / n_heads);
    a.root = (float)(1 / sqrt((double)a.width));
    a.factor = (float)(1.4426950408889634 / sqrt((double)a.width));
    if (!a.softmax)
        return;
    if (a.width <= DK_CHUNK)
        launch<4, 1>(dev, a, n_batch, n_heads);
    else if (a.width <= 2 * DK_CHUNK)
        launch<4, 2>(dev, a, n_batch, n_heads);
    else
        launch<2, 4>(dev, a, n_batch, n_heads);
}
