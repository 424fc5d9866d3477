/* Depth-wise 3x3 cross-correlation with zero padding 1: x, y [B, H, W, D]; w [D, 9]; b [D].
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A thread has V channels and walks along STRIP pixels of a row with the window in registers: three
 * loads a pixel, of which the neighbouring rows' threads, in the same block, share two by the
 * cache. Launch: blocks of LANES channels' threads by ROWS rows; blockIdx.x the channels, .y the
 * strips of all rows of blocks, .z the image. */
#include "kernels/cuda/lanes.cuh"

enum { STRIP = 16, LANES = 32, ROWS = 8 };

struct Conv {
    DkCudaRows y, x;
    const float *w, *b;
    int64_t height, width, channels;
    int strips; /* of a row */
};

template <int V> struct Column {
    DkLanes<V> of[3]; /* rows above, here, below */
};

/* Column `c` of the window about row r; zeros outside. */
template <int V>
static __device__ Column<V> take(const Conv &s, int64_t r, int64_t c, int64_t channel)
{
    const int64_t image = (int64_t)blockIdx.z * s.height;
    Column<V> column = {};
    for (int i = 0; i < 3; i++) {
        const int64_t row = r + i - 1;
        if (row >= 0 && row < s.height && c >= 0 && c < s.width)
            column.of[i] =
                dk_load<V>(s.x.at + ((image + row) * s.width + c) * s.x.stride + channel);
    }
    return column;
}

template <int V> static __global__ void conv2d_dw(Conv s)
{
    const int64_t channel = ((int64_t)blockIdx.x * LANES + threadIdx.x) * V;
    const int64_t r = (int64_t)(blockIdx.y / s.strips) * ROWS + threadIdx.y;
    const int64_t first = (int64_t)(blockIdx.y % s.strips) * STRIP;
    const int64_t end = min(first + STRIP, s.width);
    if (channel >= s.channels || r >= s.height)
        return;
    float w[9][V];
    for (int i = 0; i < V; i++)
        for (int t = 0; t < 9; t++)
            w[t][i] = s.w[(channel + i) * 9 + t];
    const DkLanes<V> bias = s.b ? dk_load<V>(s.b + channel) : DkLanes<V>{};
    Column<V> left = take<V>(s, r, first - 1, channel), here = take<V>(s, r, first, channel);
    for (int64_t c = first; c < end; c++) {
        const Column<V> right = take<V>(s, r, c + 1, channel);
        DkLanes<V> sum = bias;
        for (int t = 0; t < 3; t++)
            for (int i = 0; i < V; i++) {
                sum.at[i] = fmaf(w[3 * t][i], left.of[t].at[i], sum.at[i]);
                sum.at[i] = fmaf(w[3 * t + 1][i], here.of[t].at[i], sum.at[i]);
                sum.at[i] = fmaf(w[3 * t + 2][i], right.of[t].at[i], sum.at[i]);
            }
        const int64_t pixel = ((int64_t)blockIdx.z * s.height + r) * s.width + c;
        dk_store<V>(s.y.at + pixel * s.y.stride + channel, sum);
        left = here;
        here = right;
    }
}

void dk_cuda_conv2d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b)
{
    const int64_t strips = dk_cuda_ceil(x.sizes[2], STRIP);
    const Conv s = {dk_cuda_rows(y), dk_cuda_rows(x), dk_cuda_rows(w).at, dk_cuda_rows(b).at,
                    x.sizes[1],      x.sizes[2],      x.sizes[3],         (int)strips};
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x) && dk_cuda_is_vector(b);
    const dim3 block(LANES, ROWS);
    const dim3 grid((unsigned)dk_cuda_ceil(s.channels, LANES * (wide ? 4 : 1)),
                    (unsigned)(strips * dk_cuda_ceil(s.height, ROWS)), (unsigned)x.sizes[0]);
    if (wide)
        DK_LAUNCH(dev, conv2d_dw<4>, grid, block, 0, s);
    else
        DK_LAUNCH(dev, conv2d_dw<1>, grid, block, 0, s);
}
