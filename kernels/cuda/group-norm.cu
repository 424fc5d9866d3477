/* Group norm in two steps, so that statistics can be gathered from strips: per image row the count,
 * mean and sum of squares about it, merged row by row (Chan's formula, in double); then one pass
 * that normalises.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/lanes.cuh"

enum { THREADS = 256 };

/* ---- statistics ------------------------------------------------------------------------------ */

/* of_rows[B·H][G]: mean and sum of squares about it of an image row's pixels in a group. */
struct Stats {
    double2 *of_rows;
    double *stats; /* [B, G, 3] */
    DkCudaRows x;
    int64_t pixels;             /* of a row */
    int64_t rows;               /* of an image */
    int groups, width, at_once; /* groups; channels of one; groups that a block takes */
};

/* Sums of x and x² less the group's first number, over a thread's part of the block's channels:
 * threads lie side by side on the channels, and the rest of them on further pixels. */
static __device__ double2 sum_part(const Stats &s, const float *x, int channels)
{
    const int t = (int)threadIdx.x, abreast = channels < THREADS ? channels : THREADS;
    const int step = THREADS / abreast;
    double2 sum = make_double2(0, 0);
    if (t / abreast >= step)
        return sum;
    for (int c = t % abreast; c < channels; c += abreast) {
        const float centre = x[c / s.width * s.width];
        for (int64_t i = t / abreast; i < s.pixels; i += step) {
            const double d = (double)x[i * s.x.stride + c] - centre;
            sum.x += d;
            sum.y += d * d;
        }
    }
    return sum;
}

/* Launch: a block of THREADS for each image row and `at_once` groups. */
static __global__ void row_stats(Stats s)
{
    DK_SHARED(double2, parts, [THREADS]);
    const int first = (int)blockIdx.y * s.at_once, t = (int)threadIdx.x;
    const int n = min(s.at_once, s.groups - first), channels = n * s.width;
    const float *x = s.x.at + (int64_t)blockIdx.x * s.pixels * s.x.stride + first * s.width;
    parts[t] = sum_part(s, x, channels);
    __syncthreads();
    if (t >= n)
        return;
    /* In one order: a group's threads side by side, then those further on. */
    const int abreast = channels < THREADS ? channels : THREADS;
    const int of_group = n == 1 ? abreast : s.width;
    double2 sum = make_double2(0, 0);
    for (int far = 0; far < THREADS / abreast; far++)
        for (int c = 0; c < of_group; c++) {
            const double2 part = parts[far * abreast + t * of_group + c];
            sum.x += part.x;
            sum.y += part.y;
        }
    const double count = (double)s.pixels * s.width, mean = sum.x / count;
    s.of_rows[(int64_t)blockIdx.x * s.groups + first + t] =
        make_double2(x[t * s.width] + mean, sum.y - sum.x * mean);
}

/* Launch: a thread for each image and group. */
static __global__ void merge_rows(Stats s, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    double count = s.stats[3 * i], mean = s.stats[3 * i + 1], m2 = s.stats[3 * i + 2];
    const double more = (double)s.pixels * s.width;
    const double2 *row = s.of_rows + i / s.groups * s.rows * s.groups + i % s.groups;
    for (int64_t r = 0; r < s.rows; r++) {
        const double2 of_row = row[r * s.groups];
        const double all = count + more, d = of_row.x - mean;
        mean += d * (more / all);
        m2 += of_row.y + d * d * (count * more / all);
        count = all;
    }
    s.stats[3 * i] = count;
    s.stats[3 * i + 1] = mean;
    s.stats[3 * i + 2] = m2;
}

void dk_cuda_group_stats(DkDevice *dev, DkTensor stats, DkTensor x)
{
    Stats s = {};
    const int64_t image_rows = x.sizes[0] * x.sizes[1];
    s.groups = (int)stats.sizes[1];
    s.width = (int)(x.sizes[3] / s.groups);
    s.at_once = s.width < 64 ? min(64 / s.width, s.groups) : 1;
    s.x = dk_cuda_rows(x);
    s.pixels = x.sizes[2];
    s.rows = x.sizes[1];
    s.stats = static_cast<double *>(dk_data(stats));
    s.of_rows = static_cast<double2 *>(
        dk_cuda_scratch(dev, (size_t)(image_rows * s.groups) * sizeof(double2)));
    if (!s.of_rows)
        return;
    const dim3 grid((unsigned)image_rows, (unsigned)dk_cuda_ceil(s.groups, s.at_once));
    const int64_t n = x.sizes[0] * s.groups;
    DK_LAUNCH(dev, row_stats, grid, THREADS, 0, s);
    DK_LAUNCH(dev, merge_rows, (unsigned)dk_cuda_ceil(n, 32), 32, 0, s, n);
}

/* ---- normalising ----------------------------------------------------------------------------- */

struct Apply {
    DkCudaRows y, x;
    const double *stats;
    const float *w, *b;
    int64_t pixels, channels; /* of an image */
    int groups;
    float eps;
    DkAct act;
};

/* Launch: dk_cuda_sheet over an image's pixels, blockIdx.z the image. A mean that floats cannot
 * hold is taken away in two parts. */
template <int V> static __global__ void group_apply(Apply s)
{
    const int64_t c = dk_sheet_column<V>(), width = s.channels / s.groups;
    if (c >= s.channels)
        return;
    const double *stats = s.stats + (int64_t)blockIdx.z * s.groups * 3;
    DkLanes<V> high, low, factor;
    const DkLanes<V> w = dk_load<V>(s.w + c), b = dk_load<V>(s.b + c);
    for (int i = 0; i < V; i++) {
        const double *of = stats + (c + i) / width * 3;
        high.at[i] = (float)of[1];
        low.at[i] = (float)(of[1] - high.at[i]);
        factor.at[i] = (float)(1 / sqrt(of[2] / of[0] + s.eps)) * w.at[i];
    }
    const int64_t image = (int64_t)blockIdx.z * s.pixels;
    for (int64_t row = dk_sheet_first(); row < dk_sheet_end(s.pixels); row += blockDim.y) {
        DkLanes<V> x = dk_load<V>(s.x.at + (image + row) * s.x.stride + c);
        for (int i = 0; i < V; i++)
            x.at[i] =
                dk_apply_act(fmaf(x.at[i] - high.at[i] - low.at[i], factor.at[i], b.at[i]), s.act);
        dk_store<V>(s.y.at + (image + row) * s.y.stride + c, x);
    }
}

void dk_cuda_group_apply(DkDevice *dev, DkTensor y, DkTensor x, DkTensor stats, DkTensor w,
                         DkTensor b, float eps, DkAct act)
{
    const Apply s = {dk_cuda_rows(y),
                     dk_cuda_rows(x),
                     static_cast<const double *>(dk_data(stats)),
                     dk_cuda_rows(w).at,
                     dk_cuda_rows(b).at,
                     x.sizes[1] * x.sizes[2],
                     x.sizes[3],
                     (int)stats.sizes[1],
                     eps,
                     act};
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x) && dk_cuda_is_vector(w) &&
                      dk_cuda_is_vector(b);
    DkCudaSheet sheet = dk_cuda_sheet(s.pixels, s.channels, wide ? 4 : 1);
    sheet.grid.z = (unsigned)x.sizes[0];
    if (wide)
        DK_LAUNCH(dev, group_apply<4>, sheet.grid, sheet.block, 0, s);
    else
        DK_LAUNCH(dev, group_apply<1>, sheet.grid, sheet.block, 0, s);
}
