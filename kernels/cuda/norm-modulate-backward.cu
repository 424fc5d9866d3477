/* Backward of the modulated norm. With x^ = (x - mean) f, f = 1 / sqrt (mean square + eps), and
 * t = dy · w · (1 + scale):
 *     dx = f (t - x^ mean (t x^) - [LAYER: mean (t)])
 *     dshift = Σ_l dy,   dscale = Σ_l dy x^ w,   dw = Σ dy x^ (1 + scale)
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block takes a run of an item's rows, one after another, and a thread always the same columns:
 * the row's means, then dx and the columns' sums. So x and dy come from memory once (three times
 * from the first cache) and dx may lie where dy does. The sums stay in shared memory, 3 floats a
 * column (of rows too wide for it in scratch), until the run is over; then they are partial sums in
 * scratch, which a second launch adds up in order. */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/lanes.cuh"

/* With 16 rows the partial sums are at most an eighth of what else is moved. */
enum { THREADS = 256, WARPS = THREADS / 32, RUN = 16, N_SUMS = 3, SHARED_COLUMNS = 2048 };

struct Backward {
    DkCudaRows dx, dy, x, scale;
    const float *w;  /* NULL: ones */
    float *partials; /* [item][run][N_SUMS][columns]: dw's, dscale's, dshift's; NULL: not wanted */
    int64_t tokens, columns; /* tokens of an item */
    float eps;
    bool centred, accumulate; /* centred: LAYER */
};

struct RowMeans {
    float mean, factor, dot, t; /* f, mean (t x^), and mean (t) or 0 */
};

/* The sums over the block's threads, which all get. */
template <int N, class Partial> static __device__ void row_sums(float (&sums)[N], Partial &partial)
{
    const int warps = (int)blockDim.x / 32, warp = (int)threadIdx.x / 32;
    for (int n = 0; n < N; n++)
        sums[n] = dk_warp_sum(sums[n]);
    if (warps == 1)
        return;
    __syncthreads(); /* the last sums were read */
    for (int n = 0; n < N; n++)
        if (threadIdx.x % 32 == 0)
            partial[n][warp] = sums[n];
    __syncthreads();
    for (int n = 0; n < N; n++) {
        sums[n] = partial[n][0];
        for (int i = 1; i < warps; i++)
            sums[n] += partial[n][i];
    }
}

/* w and 1 + scale of some columns. */
template <int V> struct Factors {
    DkLanes<V> w, by;
    __device__ Factors(const Backward &k, int64_t item, int64_t c)
    {
        for (int i = 0; i < V; i++)
            w.at[i] = by.at[i] = 1;
        if (k.w)
            w = dk_load<V>(k.w + c);
        if (k.scale.at) {
            by = dk_load<V>(k.scale.at + item * k.scale.stride + c);
            for (int i = 0; i < V; i++)
                by.at[i] += 1;
        }
    }
};

template <int V, class Partial>
static __device__ RowMeans find_means(const Backward &k, int64_t item, int64_t row,
                                      Partial &partial)
{
    const float *x = k.x.at + row * k.x.stride, *dy = k.dy.at + row * k.dy.stride;
    const float share = 1 / (float)k.columns;
    float mean[1] = {}, sums[3] = {}; /* sums: (x - mean)², t (x - mean), t */
    if (k.centred) {
        for (int64_t c = threadIdx.x * V; c < k.columns; c += blockDim.x * V) {
            const DkLanes<V> in = dk_load<V>(x + c);
            for (int i = 0; i < V; i++)
                mean[0] += in.at[i];
        }
        row_sums(mean, partial);
        mean[0] *= share;
    }
    for (int64_t c = threadIdx.x * V; c < k.columns; c += blockDim.x * V) {
        const DkLanes<V> in = dk_load<V>(x + c), gradient = dk_load<V>(dy + c);
        const Factors<V> f(k, item, c);
        for (int i = 0; i < V; i++) {
            const float off = in.at[i] - mean[0], t = gradient.at[i] * f.w.at[i] * f.by.at[i];
            sums[0] += off * off;
            sums[1] += t * off;
            sums[2] += t;
        }
    }
    row_sums(sums, partial);
    const float factor = 1 / sqrtf(sums[0] * share + k.eps);
    return {mean[0], factor, sums[1] * factor * share, k.centred ? sums[2] * share : 0};
}

template <int V> static __device__ void add_to(float *sums, const DkLanes<V> &more)
{
    DkLanes<V> lanes = dk_load<V>(sums);
    for (int i = 0; i < V; i++)
        lanes.at[i] += more.at[i];
    dk_store<V>(sums, lanes);
}

/* dx of a row, and what it adds to the columns' sums (NULL: not wanted). */
template <int V>
static __device__ void find_gradient(const Backward &k, int64_t item, int64_t row,
                                     const RowMeans &m, float *sums)
{
    for (int64_t c = threadIdx.x * V; c < k.columns; c += blockDim.x * V) {
        const DkLanes<V> x = dk_load<V>(k.x.at + row * k.x.stride + c);
        const DkLanes<V> dy = dk_load<V>(k.dy.at + row * k.dy.stride + c);
        const Factors<V> f(k, item, c);
        float *to = k.dx.at + row * k.dx.stride + c;
        DkLanes<V> dx = {}, of_w, of_scale;
        if (k.accumulate)
            dx = dk_load<V>(to);
        for (int i = 0; i < V; i++) {
            const float hat = (x.at[i] - m.mean) * m.factor, t = dy.at[i] * f.w.at[i] * f.by.at[i];
            dx.at[i] += m.factor * (t - hat * m.dot - m.t);
            of_w.at[i] = dy.at[i] * hat * f.by.at[i];
            of_scale.at[i] = dy.at[i] * hat * f.w.at[i];
        }
        dk_store<V>(to, dx);
        if (sums) {
            add_to<V>(sums + c, of_w);
            add_to<V>(sums + k.columns + c, of_scale);
            add_to<V>(sums + 2 * k.columns + c, dy);
        }
    }
}

/* to = from, or zeros; the thread's columns of all sums. */
template <int V> static __device__ void put_sums(float *to, const float *from, int64_t columns)
{
    for (int64_t c = threadIdx.x * V; c < columns; c += blockDim.x * V)
        for (int n = 0; n < N_SUMS; n++) {
            DkLanes<V> lanes = {};
            if (from)
                lanes = dk_load<V>(from + n * columns + c);
            dk_store<V>(to + n * columns + c, lanes);
        }
}

/* Launch: runs, items; up to 256 threads, by the number of columns alone. */
template <int V>
static __global__ void __launch_bounds__(THREADS, 4) norm_modulate_backward(Backward k)
{
    typedef float Partial[WARPS];
    DK_SHARED(Partial, partial, [N_SUMS]);
    DK_SHARED_DYNAMIC(float, room);
    const int64_t item = blockIdx.y, first = (int64_t)blockIdx.x * RUN;
    const int64_t last = min(first + RUN, k.tokens);
    float *left = nullptr, *sums = nullptr;
    if (k.partials) {
        left = k.partials + (item * gridDim.x + blockIdx.x) * N_SUMS * k.columns;
        sums = k.columns <= SHARED_COLUMNS ? room : left;
        put_sums<V>(sums, nullptr, k.columns);
    }
    for (int64_t row = item * k.tokens + first; row < item * k.tokens + last; row++)
        find_gradient<V>(k, item, row, find_means<V>(k, item, row, partial), sums);
    if (left != sums)
        put_sums<V>(left, sums, k.columns);
}

/* Where the sums go; dw's is one over all items. */
struct StoreWeight {
    float *dw;
    __device__ void store(int, int64_t, int64_t column, float sum) const
    {
        dw[column] += sum;
    }
};

struct StoreItems {
    DkCudaRows dscale, dshift;
    __device__ void store(int n, int64_t item, int64_t column, float sum) const
    {
        float *to = n == 0 ? dscale.at : dshift.at;
        if (to)
            to[item * (n == 0 ? dscale.stride : dshift.stride) + column] = sum;
    }
};

template <class Op>
static void add_runs(DkDevice *dev, const float *partials, int64_t runs, int64_t columns, dim3 grid,
                     Op op)
{
    grid.x = (unsigned)dk_cuda_ceil(columns, DK_COLUMNS_X);
    DK_LAUNCH(dev, (dk_columns_totals<N_SUMS, Op>), grid, dim3(DK_COLUMNS_X, DK_COLUMNS_Y), 0,
              partials, runs, columns, op);
}

static void launch(DkDevice *dev, const Backward &k, dim3 grid, bool wide)
{
    const size_t room =
        k.partials && k.columns <= SHARED_COLUMNS ? (size_t)k.columns * N_SUMS * sizeof(float) : 16;
    unsigned threads = 32;
    while (threads < THREADS && threads * 4 < k.columns)
        threads *= 2;
    if (wide)
        DK_LAUNCH(dev, norm_modulate_backward<4>, grid, dim3(threads), room, k);
    else
        DK_LAUNCH(dev, norm_modulate_backward<1>, grid, dim3(threads), room, k);
}

void dk_cuda_norm_modulate_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor dscale,
                                    DkTensor dshift, DkTensor dy, DkTensor x, DkTensor w,
                                    DkTensor scale, DkNorm norm, float eps, bool accumulate)
{
    const int64_t items = x.sizes[0], tokens = x.sizes[1], columns = x.sizes[2];
    const int64_t runs = dk_cuda_ceil(tokens, RUN);
    const StoreWeight weight = {dk_cuda_rows(dw).at};
    const StoreItems of_items = {dk_cuda_rows(dscale), dk_cuda_rows(dshift)};
    const bool has_items = of_items.dscale.at || of_items.dshift.at;
    Backward k = {};
    k.dx = dk_cuda_rows(dx);
    k.dy = dk_cuda_rows(dy);
    k.x = dk_cuda_rows(x);
    k.scale = dk_cuda_rows(scale);
    k.w = dk_cuda_rows(w).at;
    k.tokens = tokens;
    k.columns = columns;
    k.eps = eps;
    k.centred = norm == DK_NORM_LAYER;
    k.accumulate = accumulate;
    if (weight.dw || has_items) {
        k.partials = static_cast<float *>(
            dk_cuda_scratch(dev, (size_t)(items * runs * N_SUMS * columns) * sizeof(float)));
        if (!k.partials)
            return;
    }
    launch(dev, k, dim3((unsigned)runs, (unsigned)items),
           dk_cuda_is_vector(dx) && dk_cuda_is_vector(dy) && dk_cuda_is_vector(x) &&
               dk_cuda_is_vector(w) && dk_cuda_is_vector(scale));
    if (weight.dw)
        add_runs(dev, k.partials, items * runs, columns, dim3(1, 1, 1), weight);
    if (has_items)
        add_runs(dev, k.partials + columns, runs, columns, dim3(1, 2, (unsigned)items), of_items);
}
