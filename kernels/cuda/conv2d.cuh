/* What the convolution and the gradient of its weights share: pictures as matrices whose numbers
 * are picked up where they lie.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_CONV2D_CUH
#define DK_CUDA_CONV2D_CUH

#include "kernels/cuda/tile.cuh"

/* Pictures x[B, H, W, I] that taps of kh x kw are laid over; the windows' corners begin at
 * (-top, -left) and move by `stride`, out_height times out_width of them a picture. `wide`: four
 * channels may be loaded at once. */
struct DkCudaWindows {
    const float *at;
    int64_t n_windows;
    int height, width, n_inputs, out_height, out_width;
    int kh, kw, stride, top, left;
    bool wide;
};

static inline DkCudaWindows dk_cuda_windows(DkTensor x, DkTensor y, int64_t kh, int64_t kw,
                                            int stride, DkPad pad)
{
    DkCudaWindows w = {};
    w.at = dk_cuda_rows(x).at;
    w.n_windows = dk_rows(y);
    w.height = (int)x.sizes[1];
    w.width = (int)x.sizes[2];
    w.n_inputs = (int)x.sizes[3];
    w.out_height = (int)y.sizes[1];
    w.out_width = (int)y.sizes[2];
    w.kh = (int)kh;
    w.kw = (int)kw;
    w.stride = stride;
    w.top = pad.top;
    w.left = pad.left;
    w.wide = dk_cuda_is_vector(x);
    return w;
}

/* A tap and a channel, one of the kh·kw·I inputs of an output, in the order of packed weights. */
struct DkCudaTap {
    int u, v, channel;
    __device__ void advance(const DkCudaWindows &w, int by)
    {
        channel += by;
        while (channel >= w.n_inputs) {
            channel -= w.n_inputs;
            if (++v == w.kw) {
                v = 0;
                u++;
            }
        }
    }
};

/* A window's corner; `picture` NULL: beyond the last one. */
struct DkCudaCorner {
    const float *picture;
    int row, column;
    __device__ DkCudaCorner(const DkCudaWindows &w, int64_t window)
    {
        const int64_t line = window / w.out_width, image = line / w.out_height;
        picture = nullptr;
        if (window < w.n_windows)
            picture = w.at + image * w.height * w.width * w.n_inputs;
        row = (int)(line % w.out_height) * w.stride - w.top;
        column = (int)(window % w.out_width) * w.stride - w.left;
    }
    __device__ const float *find(const DkCudaWindows &w, const DkCudaTap &tap) const
    {
        const int r = row + tap.u, c = column + tap.v;
        if (!picture || tap.u >= w.kh || r < 0 || r >= w.height || c < 0 || c >= w.width)
            return nullptr;
        return picture + ((int64_t)r * w.width + c) * w.n_inputs + tap.channel;
    }
    __device__ float one(const DkCudaWindows &w, DkCudaTap *tap) const
    {
        const float *from = find(w, *tap);
        tap->advance(w, 1);
        return from ? *from : 0;
    }
    /* The window's inputs from `tap` on; zeros outside of the picture. */
    __device__ float4 four(const DkCudaWindows &w, DkCudaTap tap) const
    {
        float4 x = make_float4(0, 0, 0, 0);
        if (w.wide) {
            const float *from = find(w, tap);
            if (from)
                x = *reinterpret_cast<const float4 *>(from);
            return x;
        }
        x.x = one(w, &tap);
        x.y = one(w, &tap);
        x.z = one(w, &tap);
        x.w = one(w, &tap);
        return x;
    }
};

#endif
