/* Resizing of [B, H, W, C]: repeated values, means of cells, bilinear with half-pixel centres.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: dk_cuda_sheet over the pixels of the output and their channels. */
#include "kernels/cuda/lanes.cuh"

struct Resize {
    DkCudaRows y, x;
    int64_t n; /* pixels of y */
    int64_t channels;
    int to_height, to_width, height, width;
};

template <int V>
static __device__ DkLanes<V> pixel(const Resize &s, int64_t image, int r, int c, int64_t channel)
{
    return dk_load<V>(s.x.at + ((image * s.height + r) * s.width + c) * s.x.stride + channel);
}

struct Nearest {
    template <int V>
    static __device__ DkLanes<V> at(const Resize &s, int64_t image, int r, int c, int64_t channel)
    {
        return pixel<V>(s, image, r / (s.to_height / s.height), c / (s.to_width / s.width),
                        channel);
    }
};

struct Box {
    template <int V>
    static __device__ DkLanes<V> at(const Resize &s, int64_t image, int r, int c, int64_t channel)
    {
        const int rows = s.height / s.to_height, columns = s.width / s.to_width;
        DkLanes<V> sum = {};
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) {
                const DkLanes<V> x = pixel<V>(s, image, r * rows + i, c * columns + j, channel);
                for (int k = 0; k < V; k++)
                    sum.at[k] += x.at[k];
            }
        for (int k = 0; k < V; k++)
            sum.at[k] /= (float)(rows * columns);
        return sum;
    }
};

/* Where output pixel i reads: two rows (or columns) of the input, and the second one's share. */
struct Tap {
    int low, high;
    float share;
};

/* (i + 1/2) · from / to - 1/2, at least 0, in whole numbers of 1 / (2 to). */
static __device__ Tap bilinear_tap(int i, int from, int to)
{
    const int64_t at = (2 * (int64_t)i + 1) * from - to, unit = 2 * (int64_t)to;
    if (at < 0)
        return {0, from > 1 ? 1 : 0, 0};
    const int low = (int)(at / unit);
    return {low, low + 1 < from ? low + 1 : low, (float)(at % unit) / (float)unit};
}

struct Bilinear {
    template <int V>
    static __device__ DkLanes<V> at(const Resize &s, int64_t image, int r, int c, int64_t channel)
    {
        const Tap v = bilinear_tap(r, s.height, s.to_height);
        const Tap h = bilinear_tap(c, s.width, s.to_width);
        const DkLanes<V> a = pixel<V>(s, image, v.low, h.low, channel);
        const DkLanes<V> b = pixel<V>(s, image, v.low, h.high, channel);
        const DkLanes<V> d = pixel<V>(s, image, v.high, h.low, channel);
        const DkLanes<V> e = pixel<V>(s, image, v.high, h.high, channel);
        DkLanes<V> y;
        for (int i = 0; i < V; i++) {
            const float top = (1 - h.share) * a.at[i] + h.share * b.at[i];
            const float bottom = (1 - h.share) * d.at[i] + h.share * e.at[i];
            y.at[i] = (1 - v.share) * top + v.share * bottom;
        }
        return y;
    }
};

template <int V, class Mode> static __global__ void resize(Resize s)
{
    const int64_t channel = dk_sheet_column<V>();
    if (channel >= s.channels)
        return;
    for (int64_t i = dk_sheet_first(); i < dk_sheet_end(s.n); i += blockDim.y) {
        const int64_t row = i / s.to_width;
        dk_store<V>(s.y.at + i * s.y.stride + channel,
                    Mode::template at<V>(s, row / s.to_height, (int)(row % s.to_height),
                                         (int)(i % s.to_width), channel));
    }
}

template <class Mode> static void run(DkDevice *dev, const Resize &s, bool wide)
{
    const DkCudaSheet sheet = dk_cuda_sheet(s.n, s.channels, wide ? 4 : 1);
    if (wide)
        DK_LAUNCH(dev, (resize<4, Mode>), sheet.grid, sheet.block, 0, s);
    else
        DK_LAUNCH(dev, (resize<1, Mode>), sheet.grid, sheet.block, 0, s);
}

void dk_cuda_resize(DkDevice *dev, DkTensor y, DkTensor x, DkResize mode)
{
    const Resize s = {dk_cuda_rows(y), dk_cuda_rows(x), dk_rows(y),      y.sizes[3],
                      (int)y.sizes[1], (int)y.sizes[2], (int)x.sizes[1], (int)x.sizes[2]};
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x);
    if (mode == DK_RESIZE_NEAREST)
        run<Nearest>(dev, s, wide);
    else if (mode == DK_RESIZE_BOX)
        run<Box>(dev, s, wide);
    else
        run<Bilinear>(dev, s, wide);
}
