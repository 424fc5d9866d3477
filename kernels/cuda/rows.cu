/* Rows moved about: patches to tokens and back, and picking rows by index. Copies only.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Launch: dk_cuda_sheet over the output, so that writes are of neighbours; the patches of a row of
 * tokens use up the image rows that they read. */
#include "kernels/cuda/lanes.cuh"

/* y[b, l] = x[b or 0, rows[l]] unless that is negative. */
struct Gather {
    DkCudaRows y, x;
    const int32_t *rows;
    int64_t n, tokens, columns;
    int64_t from; /* rows of x for each b; 0: x has one for all */
};

template <int V> static __global__ void gather(Gather g)
{
    const int64_t c = dk_sheet_column<V>();
    if (c >= g.columns)
        return;
    for (int64_t i = dk_sheet_first(); i < dk_sheet_end(g.n); i += blockDim.y) {
        const int64_t row = g.rows[i % g.tokens];
        if (row < 0)
            continue;
        const float *x = g.x.at + (i / g.tokens * g.from + row) * g.x.stride;
        dk_store<V>(g.y.at + i * g.y.stride + c, dk_load<V>(x + c));
    }
}

void dk_cuda_gather(DkDevice *dev, DkTensor y, DkTensor x, DkTensor rows)
{
    const Gather g = {dk_cuda_rows(y),
                      dk_cuda_rows(x),
                      static_cast<const int32_t *>(dk_data(rows)),
                      dk_rows(y),
                      y.sizes[1],
                      dk_columns(y),
                      x.sizes[0] == 1 ? 0 : x.sizes[1]};
    const bool wide = dk_cuda_is_vector(y) && dk_cuda_is_vector(x);
    const DkCudaSheet s = dk_cuda_sheet(g.n, g.columns, wide ? 4 : 1);
    if (wide)
        DK_LAUNCH(dev, gather<4>, s.grid, s.block, 0, g);
    else
        DK_LAUNCH(dev, gather<1>, s.grid, s.block, 0, g);
}

/* ---- patches --------------------------------------------------------------------------------- */

/* Tokens [B, h·w, ..] of p x p patches of an image [B, C, h·p, w·p]. */
struct Patches {
    DkCudaRows tokens, image;
    int64_t batch, channels, h, w;
    int p;
};

static Patches patches_of(DkTensor tokens, DkTensor image, int p)
{
    return {dk_cuda_rows(tokens),
            dk_cuda_rows(image),
            image.sizes[0],
            image.sizes[1],
            image.sizes[2] / p,
            image.sizes[3] / p,
            p};
}

/* Inside a token: channel, row, column. */
static __global__ void patchify(Patches s)
{
    const int64_t i = dk_sheet_column<1>(), area = (int64_t)s.p * s.p, n = s.batch * s.h * s.w;
    if (i >= s.channels * area)
        return;
    const int64_t channel = i / area, a = i % area / s.p, b = i % s.p;
    for (int64_t token = dk_sheet_first(); token < dk_sheet_end(n); token += blockDim.y) {
        const int64_t plane = token / (s.h * s.w) * s.channels + channel;
        const int64_t row = (plane * s.h + token / s.w % s.h) * s.p + a;
        s.tokens.at[token * s.tokens.stride + i] =
            s.image.at[row * s.image.stride + token % s.w * s.p + b];
    }
}

void dk_cuda_patchify(DkDevice *dev, DkTensor y, DkTensor x, int p)
{
    const DkCudaSheet s = dk_cuda_sheet(dk_rows(y), dk_columns(y), 1);
    DK_LAUNCH(dev, patchify, s.grid, s.block, 0, patches_of(y, x, p));
}

/* Inside a token: row, column, channel. */
static __global__ void unpatchify(Patches s)
{
    const int64_t x = dk_sheet_column<1>(), n = s.batch * s.channels * s.h * s.p;
    if (x >= s.w * s.p)
        return;
    for (int64_t row = dk_sheet_first(); row < dk_sheet_end(n); row += blockDim.y) {
        const int64_t plane = row / (s.h * s.p), y = row % (s.h * s.p);
        const int64_t token = (plane / s.channels * s.h + y / s.p) * s.w + x / s.p;
        const int64_t place = (y % s.p * s.p + x % s.p) * s.channels + plane % s.channels;
        s.image.at[row * s.image.stride + x] = s.tokens.at[token * s.tokens.stride + place];
    }
}

void dk_cuda_unpatchify(DkDevice *dev, DkTensor y, DkTensor x, int p)
{
    const DkCudaSheet s = dk_cuda_sheet(dk_rows(y), dk_columns(y), 1);
    DK_LAUNCH(dev, unpatchify, s.grid, s.block, 0, patches_of(x, y, p));
}
