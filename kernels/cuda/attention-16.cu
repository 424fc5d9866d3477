/* Softmax attention with products of bf16 or f16 numbers: queries, keys, values and weights are
 * rounded, sums and the softmax are f32. The formula stands in attention.cu.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block of four warps has 64 queries, a warp 16 of them, and takes 64 keys at a time, both
 * through shared memory 32 channels at a time, so any width of a head fits. A lane has the logits
 * of two queries with 16 keys (mma.cuh); rounded, they are what the second product takes, so the
 * weights stay in registers. Values lie turned over, [channel][key], since pairs of keys make a
 * word there. Heads wider than a kernel's J chunks are cut into slices, a block each, which find
 * the same products once more. */
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/mma.cuh"

enum { N_ROWS = 64, CHUNK = 32, THREADS = 128, N_TILES = N_ROWS / 8 };

/* Padded so that the rows that a warp reads together lie in other banks. */
template <class T> struct Chunk {
    T at[CHUNK + 8];
};
template <class T> struct Turned {
    T at[N_ROWS + 8];
};

template <class T> static inline __device__ T rounded(const DkHeadRows &x, int row, int column)
{
    return dk_to<T>(row < x.n && column < x.columns ? x.at[row * x.stride + column] : 0);
}

static inline __device__ int group()
{
    return (int)threadIdx.x % 32 / 4;
}

static inline __device__ int place()
{
    return (int)threadIdx.x % 4;
}

template <class T> static inline __device__ uint32_t pair_at(const T *at)
{
    return *reinterpret_cast<const uint32_t *>(at);
}

/* A warp a row. */
template <class T>
static inline __device__ void stage(Chunk<T> *to, const DkHeadRows &x, int column)
{
    const int lane = (int)threadIdx.x % 32;
    for (int row = (int)threadIdx.x / 32; row < N_ROWS; row += THREADS / 32)
        to[row].at[lane] = rounded<T>(x, row, column + lane);
}

template <class T>
static inline __device__ void stage_turned(Turned<T> *to, const DkHeadRows &x, int column)
{
    const int lane = (int)threadIdx.x % 32;
    for (int row = (int)threadIdx.x / 32; row < N_ROWS; row += THREADS / 32)
        to[lane].at[row] = rounded<T>(x, row, column + lane);
}

/* s += the warp's queries · keys, of the chunks in shared memory. */
template <class T>
static inline __device__ void add_logits(float (&s)[N_TILES][4], const Chunk<T> *queries,
                                         const Chunk<T> *keys)
{
    const Chunk<T> *q = queries + threadIdx.x / 32 * 16 + group();
    DK_UNROLL
    for (int c = 2 * place(); c < CHUNK; c += 16) {
        const uint32_t a[4] = {pair_at(q[0].at + c), pair_at(q[8].at + c), pair_at(q[0].at + c + 8),
                               pair_at(q[8].at + c + 8)};
        DK_UNROLL
        for (int j = 0; j < N_TILES; j++) {
            const T *key = keys[8 * j + group()].at + c;
            const uint32_t b[2] = {pair_at(key), pair_at(key + 8)};
            dk_mma<T>(s[j], a, b);
        }
    }
}

/* y += weights · values, of the chunk's 32 channels. */
template <class T>
static inline __device__ void add_values(float (*y)[4], const uint32_t (&weights)[N_TILES][2],
                                         const Turned<T> *values)
{
    DK_UNROLL
    for (int k = 0; k < N_TILES / 2; k++) {
        const uint32_t a[4] = {weights[2 * k][0], weights[2 * k][1], weights[2 * k + 1][0],
                               weights[2 * k + 1][1]};
        DK_UNROLL
        for (int j = 0; j < CHUNK / 8; j++) {
            const T *value = values[8 * j + group()].at + 16 * k + 2 * place();
            const uint32_t b[2] = {pair_at(value), pair_at(value + 8)};
            dk_mma<T>(y[j], a, b);
        }
    }
}

static inline __device__ float largest_of_four(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

static inline __device__ float sum_of_four(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

/* The logits of one of the lane's two queries become weights; answers what all earlier ones are to
 * be multiplied by. `sum` is of the lane's own keys. */
static inline __device__ float weigh(float (&s)[N_TILES][4], int query, float *top, float *sum,
                                     float factor, int n_keys)
{
    float most = -INFINITY, total = 0;
    DK_UNROLL
    for (int j = 0; j < N_TILES; j++)
        for (int i = 0; i < 2; i++) {
            float *logit = &s[j][2 * query + i];
            *logit = 8 * j + 2 * place() + i < n_keys ? *logit * factor : -INFINITY;
            most = fmaxf(most, *logit);
        }
    most = fmaxf(*top, largest_of_four(most));
    const float keep = exp2f(*top - most);
    DK_UNROLL
    for (int j = 0; j < N_TILES; j++)
        for (int i = 0; i < 2; i++)
            total += s[j][2 * query + i] = exp2f(s[j][2 * query + i] - most);
    *sum = *sum * keep + total;
    *top = most;
    return keep;
}

/* Launch: tiles of 64 queries, heads times slices of J chunks, batch; 128 threads. */
template <class T, int J>
static __global__ void __launch_bounds__(THREADS, 4) attend_16(DkAttention a)
{
    DK_SHARED(Chunk<T>, queries, [N_ROWS]);
    DK_SHARED(Chunk<T>, keys, [N_ROWS]);
    DK_SHARED(Turned<T>, values, [CHUNK]);
    const int head = (int)blockIdx.y / a.n_slices * a.width;
    const int slice = (int)blockIdx.y % a.n_slices * J * CHUNK;
    const int64_t first = (int64_t)blockIdx.x * N_ROWS, batch = blockIdx.z;
    const int n_queries = (int)min(a.n_queries - first, (int64_t)N_ROWS);
    const DkHeadRows q = dk_head_rows(a.q, batch * a.n_queries + first, n_queries, head, a.width);
    float y[J * CHUNK / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    for (int64_t key = 0; key < a.n_keys; key += N_ROWS) {
        const int n_keys = (int)min(a.n_keys - key, (int64_t)N_ROWS);
        const int64_t row = batch * a.n_keys + key;
        float s[N_TILES][4] = {};
        uint32_t weights[N_TILES][2];
        for (int c = 0; c < a.width; c += CHUNK) {
            stage(&queries[0], q, c);
            stage(&keys[0], dk_head_rows(a.k, row, n_keys, head, a.width), c);
            __syncthreads();
            add_logits(s, &queries[0], &keys[0]);
            __syncthreads();
        }
        for (int i = 0; i < 2; i++) {
            const float keep = weigh(s, i, &top[i], &sum[i], a.factor, n_keys);
            DK_UNROLL
            for (int j = 0; j < J * CHUNK / 8; j++) {
                y[j][2 * i] *= keep;
                y[j][2 * i + 1] *= keep;
            }
            DK_UNROLL
            for (int j = 0; j < N_TILES; j++)
                weights[j][i] = dk_round_pair<T>(s[j][2 * i], s[j][2 * i + 1]);
        }
        DK_UNROLL
        for (int j = 0; j < J; j++)
            if (slice + j * CHUNK < a.width) {
                stage_turned(&values[0], dk_head_rows(a.v, row, n_keys, head, a.width),
                             slice + j * CHUNK);
                __syncthreads();
                add_values(y + j * CHUNK / 8, weights, &values[0]);
                __syncthreads();
            }
    }
    DK_UNROLL
    for (int i = 0; i < 2; i++) {
        const int row = (int)threadIdx.x / 32 * 16 + group() + 8 * i;
        const float by = 1 / sum_of_four(sum[i]);
        float *to = a.y.at + (batch * a.n_queries + first + row) * a.y.stride + head;
        DK_UNROLL
        for (int j = 0; j < J * CHUNK / 8; j++)
            for (int k = 0; k < 2; k++) {
                const int c = slice + 8 * j + 2 * place() + k;
                if (row < n_queries && c < a.width)
                    to[c] = y[j][2 * i + k] * by;
            }
    }
}

template <class T, int J>
static void launch(DkDevice *dev, DkAttention a, int64_t n_batch, int n_heads)
{
    a.n_slices = (int)dk_cuda_ceil(a.width, J * CHUNK);
    const dim3 grid((unsigned)dk_cuda_ceil(a.n_queries, N_ROWS), (unsigned)(n_heads * a.n_slices),
                    (unsigned)n_batch);
    DK_LAUNCH(dev, (attend_16<T, J>), grid, dim3(THREADS), 0, a);
}

bool dk_cuda_attention_has_mma()
{
    return dk_mma_arch(attend_16<DkBf16, 1>) >= 80;
}

template <class T>
static void attend(DkDevice *dev, const DkAttention &a, int64_t n_batch, int n_heads)
{
    if (a.width <= CHUNK)
        launch<T, 1>(dev, a, n_batch, n_heads);
    else if (a.width <= 2 * CHUNK)
        launch<T, 2>(dev, a, n_batch, n_heads);
    else
        launch<T, 3>(dev, a, n_batch, n_heads);
}

void dk_cuda_attention_16(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v,
                          int n_heads, DkProducts products)
{
    const DkAttention a = dk_attention_of(y, q, k, v, n_heads);
    if (products == DK_PRODUCTS_BF16)
        attend<DkBf16>(dev, a, q.sizes[0], n_heads);
    else
        attend<DkF16>(dev, a, q.sizes[0], n_heads);
}
