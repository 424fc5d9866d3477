/* dw[O, I, kh, kw] += the correlation of dy with x: an implicit matrix product over the places of
 * all pictures' outputs, as in conv2d.cu.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Rows of the product are the output channels, columns the inputs (tap, channel), k the places.
 * These are cut into runs, a block each, whose partial sums a second launch adds up in order. */
#include "kernels/cuda/conv2d.cuh"

/* Four output channels of dy at one place. */
struct Gradients {
    const float *at;
    int64_t channels, step; /* of the thread's that there are; floats from place to place */
    int64_t left;           /* places */
    bool wide;

    __device__ float4 next()
    {
        float4 x = make_float4(0, 0, 0, 0);
        if (left > 0 && channels > 0) {
            if (wide)
                x = *reinterpret_cast<const float4 *>(at);
            else
                x = make_float4(at[0], channels > 1 ? at[1] : 0, channels > 2 ? at[2] : 0,
                                channels > 3 ? at[3] : 0);
        }
        at += DK_TILE_K * step;
        left -= DK_TILE_K;
        return x;
    }
};

/* Four inputs of the window at one place; zeros past the last input. */
struct Inputs {
    const DkCudaWindows &w;
    DkCudaCorner corner;
    int64_t left; /* places */
    DkCudaTap tap;

    __device__ Inputs(const DkCudaWindows &windows, int64_t place, int64_t n_places, int64_t input)
        : w(windows), corner(windows, place), left(n_places)
    {
        const int t = (int)(input / w.n_inputs);
        tap = {t / w.kw, t % w.kw, (int)(input % w.n_inputs)};
    }
    __device__ float4 next()
    {
        const float4 x = left > 0 ? corner.four(w, tap) : make_float4(0, 0, 0, 0);
        left -= DK_TILE_K;
        corner.column += DK_TILE_K;
        while (corner.column >= w.out_width - w.left) {
            corner.column -= w.out_width;
            if (++corner.row == w.out_height - w.top) {
                corner.row = -w.top;
                corner.picture += (int64_t)w.height * w.width * w.n_inputs;
            }
        }
        return x;
    }
};

/* partials[run][n_outputs][n inputs]. Launch: tiles of inputs, tiles of outputs, runs. */
template <int RM, int RN>
static __global__ void __launch_bounds__(DK_TILE_THREADS, 2)
    correlate(float *partials, DkCudaRows dy, int64_t n_outputs, DkCudaWindows x, int64_t length,
              bool wide)
{
    const int64_t first_output = (int64_t)blockIdx.y * 16 * RM,
                  first_input = (int64_t)blockIdx.x * 16 * RN;
    const int64_t place = blockIdx.z * length, n = (int64_t)x.kh * x.kw * x.n_inputs;
    const int64_t n_places = min(length, x.n_windows - place);
    const DkTilePlace<RM, false> a(dk_tile_thread());
    const DkTilePlace<RN, false> b(dk_tile_thread());
    const int64_t output = first_output + a.row;
    Gradients gradients = {dy.at + (place + a.k) * dy.stride + output, n_outputs - output,
                           dy.stride, n_places - a.k, wide};
    Inputs inputs(x, place + b.k, n_places - b.k, first_input + b.row);
    float c[RM][RN] = {};
    dk_tile_product<false, false>(c, gradients, inputs, n_places);
    DK_UNROLL
    for (int i = 0; i < RM; i++) {
        const int64_t o = first_output + dk_tile_index<RM>((int)threadIdx.y, i);
        DK_UNROLL
        for (int j = 0; j < RN; j++) {
            const int64_t input = first_input + dk_tile_index<RN>((int)threadIdx.x, j);
            if (o < n_outputs && input < n)
                partials[(blockIdx.z * n_outputs + o) * n + input] = c[i][j];
        }
    }
}

/* Launch: 256 of a filter's numbers, outputs. */
static __global__ void add_partials(float *dw, const float *partials, int64_t n_runs, int64_t n,
                                    int64_t n_inputs)
{
    const int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, taps = n / n_inputs;
    const int64_t output = blockIdx.y, n_outputs = gridDim.y;
    float sum = 0;
    if (at >= n)
        return;
    for (int64_t run = 0; run < n_runs; run++)
        sum += partials[(run * n_outputs + output) * n + at];
    dw[output * n + at % n_inputs * taps + at / n_inputs] += sum;
}

/* How many places a run has: enough runs to fill a card, as long as their sums take little memory;
 * the sizes alone decide. */
static int64_t run_length(int64_t n_places, int64_t n_weights)
{
    const int64_t least = 1024, most_runs = 64, most_floats = 16 << 20;
    int64_t n_runs = most_floats / n_weights;
    n_runs = n_runs < 1 ? 1 : n_runs > most_runs ? most_runs : n_runs;
    const int64_t length = dk_cuda_ceil(n_places, n_runs);
    return dk_cuda_ceil(length < least ? least : length, DK_TILE_K) * DK_TILE_K;
}

template <int RM, int RN>
static void launch(DkDevice *dev, float *partials, DkTensor dy, const DkCudaWindows &x,
                   int64_t length)
{
    const int64_t n_outputs = dk_columns(dy), n = (int64_t)x.kh * x.kw * x.n_inputs;
    const dim3 grid((unsigned)dk_cuda_ceil(n, 16 * RN), (unsigned)dk_cuda_ceil(n_outputs, 16 * RM),
                    (unsigned)dk_cuda_ceil(x.n_windows, length));
    DK_LAUNCH(dev, (correlate<RM, RN>), grid, dim3(16, 16), 0, partials, dk_cuda_rows(dy),
              n_outputs, x, length, dk_cuda_is_vector(dy));
}

void dk_cuda_conv2d_backward_weight(DkDevice *dev, DkTensor dw, DkTensor dy, DkTensor x, DkPad pad)
{
    const int64_t kh = dw.sizes[2], kw = dw.sizes[3];
    const int64_t n_outputs = dw.sizes[0], n = dw.sizes[1] * kh * kw, n_places = dk_rows(dy);
    const int64_t length = run_length(n_places, n_outputs * n);
    const int64_t n_runs = dk_cuda_ceil(n_places, length);
    const DkCudaWindows windows = dk_cuda_windows(x, dy, kh, kw, 1, pad);
    float *partials = static_cast<float *>(
        dk_cuda_scratch(dev, (size_t)(n_runs * n_outputs * n) * sizeof *partials));
    if (!partials)
        return;
    launch<4, 8>(dev, partials, dy, windows, length);
    DK_LAUNCH(dev, add_partials, dim3((unsigned)dk_cuda_ceil(n, 256), (unsigned)n_outputs),
              dim3(256), 0, dk_cuda_rows(dw).at, partials, n_runs, n, dw.sizes[1]);
}
