/* Softmax attention, a tile of queries against one tile of keys after another: the weights of
 * queries times keys never leave the block (online softmax, arXiv 2205.14135).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * With logits s of the tile at hand, top the largest so far, m = max (top, max s):
 *     p = e^(s - m),   sum = sum e^(top - m) + Σ p,   y = y e^(top - m) + p v,   top = m
 * and y / sum in the end. Powers are taken to base 2.
 *
 * 256 threads, 16 across and 16 down. Queries, keys and values come into shared memory CHUNK
 * channels at a time, so any width of a head fits. Thread (x, y) has the logits of its queries with
 * every 16th key, then two neighbouring channels of each chunk of the output, which it holds until
 * the end. Heads wider than the widest kernel's J chunks are cut into slices, a block each, which
 * find the same logits once more. */
#include "kernels/cuda/cuda.h"

enum { KEYS = 64, CHUNK = 32, THREADS = 256 };

struct Attention {
    DkCudaRows y, q, k, v;
    int64_t n_queries, n_keys;
    int width, n_slices; /* width: channels of a head */
    float factor;        /* log2 (e) / sqrt (width) */
};

/* Rows in shared memory, padded so that rows side by side lie in other banks. */
struct Chunk {
    float4 at[CHUNK / 4 + 1];
};
struct Weights {
    float4 at[KEYS / 4 + 1];
};

/* to[n_rows] from the rows at `from`, a warp a row; zeros beyond `rows` and `columns`. */
static inline __device__ void stage(Chunk *to, int n_rows, const float *from, int64_t stride,
                                    int rows, int columns)
{
    const int thread = (int)(threadIdx.y * 16 + threadIdx.x), lane = thread % CHUNK;
    from += thread / CHUNK * stride + lane;
    DK_UNROLL_BY(4)
    for (int row = thread / CHUNK; row < n_rows; row += THREADS / CHUNK) {
        reinterpret_cast<float *>(to[row].at)[lane] = row < rows && lane < columns ? *from : 0;
        from += THREADS / CHUNK * stride;
    }
}

template <int R>
static inline __device__ void add_logits(float (&s)[R][4], const Chunk *queries, const Chunk *keys)
{
    DK_UNROLL_BY(1)
    for (int c = 0; c < CHUNK / 4; c++) {
        float4 q[R];
        DK_UNROLL
        for (int r = 0; r < R; r++)
            q[r] = queries[threadIdx.y * R + r].at[c];
        DK_UNROLL
        for (int j = 0; j < 4; j++) {
            const float4 k = keys[threadIdx.x + 16 * j].at[c];
            DK_UNROLL
            for (int r = 0; r < R; r++) {
                s[r][j] += q[r].x * k.x;
                s[r][j] += q[r].y * k.y;
                s[r][j] += q[r].z * k.z;
                s[r][j] += q[r].w * k.w;
            }
        }
    }
}

/* Over the 16 threads that share their queries. */
static inline __device__ float largest(float x)
{
    for (int far = 8; far > 0; far /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, far, 16));
    return x;
}

static inline __device__ float total(float x)
{
    for (int far = 8; far > 0; far /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, far, 16);
    return x;
}

/* One query's logits become weights; answers what all earlier ones are to be multiplied by. */
static inline __device__ float weigh(float (&s)[4], float *top, float *sum, int n_keys)
{
    DK_UNROLL
    for (int j = 0; j < 4; j++)
        if ((int)threadIdx.x + 16 * j >= n_keys)
            s[j] = -INFINITY;
    const float most = fmaxf(*top, largest(fmaxf(fmaxf(s[0], s[1]), fmaxf(s[2], s[3]))));
    const float keep = exp2f(*top - most);
    DK_UNROLL
    for (int j = 0; j < 4; j++)
        s[j] = exp2f(s[j] - most);
    *sum = *sum * keep + total(s[0] + s[1] + s[2] + s[3]);
    *top = most;
    return keep;
}

/* y[R][2] += weights · values, of all keys of the tile and the chunk's channels 2x and 2x + 1. */
template <int R>
static inline __device__ void add_values(float2 (&y)[R], const Weights *weights,
                                         const Chunk *values)
{
    DK_UNROLL_BY(1)
    for (int k = 0; k < KEYS / 4; k++) {
        float2 v[4];
        DK_UNROLL
        for (int i = 0; i < 4; i++)
            v[i] = reinterpret_cast<const float2 *>(values[4 * k + i].at)[threadIdx.x];
        DK_UNROLL
        for (int r = 0; r < R; r++) {
            const float4 p = weights[threadIdx.y * R + r].at[k];
            y[r].x += p.x * v[0].x;
            y[r].y += p.x * v[0].y;
            y[r].x += p.y * v[1].x;
            y[r].y += p.y * v[1].y;
            y[r].x += p.z * v[2].x;
            y[r].y += p.z * v[2].y;
            y[r].x += p.w * v[3].x;
            y[r].y += p.w * v[3].y;
        }
    }
}

/* The block's output, channels from `column` on, `columns` of which are the head's. */
template <int R, int J>
static inline __device__ void store(const Attention &a, const float2 (&y)[J][R],
                                    const float (&sum)[R], int column, int columns)
{
    DK_UNROLL
    for (int r = 0; r < R; r++) {
        const int64_t query = (int64_t)blockIdx.x * 16 * R + threadIdx.y * R + r;
        if (query >= a.n_queries)
            break;
        float *to = a.y.at + (blockIdx.z * a.n_queries + query) * a.y.stride + column;
        const float by = 1 / sum[r];
        DK_UNROLL
        for (int j = 0; j < J; j++) {
            const int c = j * CHUNK + 2 * (int)threadIdx.x;
            if (c < columns)
                to[c] = y[j][r].x * by;
            if (c + 1 < columns)
                to[c + 1] = y[j][r].y * by;
        }
    }
}

/* Launch: tiles of 16·R queries, heads times slices of J chunks, batch; 16 x 16 threads. */
template <int R, int J> static __global__ void __launch_bounds__(THREADS, 2) attend(Attention a)
{
    DK_SHARED(Chunk, queries, [16 * R]);
    DK_SHARED(Chunk, others, [KEYS]);
    DK_SHARED(Weights, weights, [16 * R]);
    const int head = (int)blockIdx.y / a.n_slices * a.width;
    const int slice = (int)blockIdx.y % a.n_slices * J * CHUNK;
    const int64_t first = (int64_t)blockIdx.x * 16 * R, batch = blockIdx.z;
    const int n_queries = (int)min(a.n_queries - first, (int64_t)(16 * R));
    const float *q = a.q.at + (batch * a.n_queries + first) * a.q.stride + head;
    float2 y[J][R] = {};
    float top[R], sum[R] = {};
    for (int r = 0; r < R; r++)
        top[r] = -INFINITY;
    for (int64_t key = 0; key < a.n_keys; key += KEYS) {
        const float *k = a.k.at + (batch * a.n_keys + key) * a.k.stride + head;
        const float *v = a.v.at + (batch * a.n_keys + key) * a.v.stride + head + slice;
        const int n_keys = (int)min(a.n_keys - key, (int64_t)KEYS);
        float s[R][4] = {};
        for (int c = 0; c < a.width; c += CHUNK) {
            stage(&queries[0], 16 * R, q + c, a.q.stride, n_queries, a.width - c);
            stage(&others[0], KEYS, k + c, a.k.stride, n_keys, a.width - c);
            __syncthreads();
            add_logits<R>(s, &queries[0], &others[0]);
            __syncthreads();
        }
        DK_UNROLL
        for (int r = 0; r < R; r++) {
            for (int j = 0; j < 4; j++)
                s[r][j] *= a.factor;
            const float keep = weigh(s[r], &top[r], &sum[r], n_keys);
            for (int j = 0; j < 4; j++)
                reinterpret_cast<float *>(weights[threadIdx.y * R + r].at)[threadIdx.x + 16 * j] =
                    s[r][j];
            DK_UNROLL
            for (int j = 0; j < J; j++) {
                y[j][r].x *= keep;
                y[j][r].y *= keep;
            }
        }
        DK_UNROLL
        for (int j = 0; j < J; j++) {
            if (slice + j * CHUNK < a.width) {
                stage(&others[0], KEYS, v + j * CHUNK, a.v.stride, n_keys,
                      a.width - slice - j * CHUNK);
                __syncthreads();
                add_values<R>(y[j], &weights[0], &others[0]);
                __syncthreads();
            }
        }
    }
    store<R, J>(a, y, sum, head + slice, a.width - slice);
}

template <int R, int J> static void launch(DkDevice *dev, Attention a, int64_t n_batch, int n_heads)
{
    a.n_slices = (int)dk_cuda_ceil(a.width, J * CHUNK);
    const dim3 grid((unsigned)dk_cuda_ceil(a.n_queries, 16 * R), (unsigned)(n_heads * a.n_slices),
                    (unsigned)n_batch);
    DK_LAUNCH(dev, (attend<R, J>), grid, dim3(16, 16), 0, a);
}

void dk_cuda_attention(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads)
{
    Attention a = {};
    a.y = dk_cuda_rows(y);
    a.q = dk_cuda_rows(q);
    a.k = dk_cuda_rows(k);
    a.v = dk_cuda_rows(v);
    a.n_queries = q.sizes[1];
    a.n_keys = k.sizes[1];
    a.width = (int)(q.sizes[2] / n_heads);
    a.factor = (float)(1.4426950408889634 / sqrt((double)a.width));
    const int64_t n_chunks = dk_cuda_ceil(a.width, CHUNK), n_batch = q.sizes[0];
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
