/* S4D's parameters to what its scan takes, and back; the formulas stand in kernels/ref/s4d-hold.c.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * In double throughout: a few operations a weight, once a step. Launch: a thread a channel, which
 * adds up its states' share of the step's gradient in order. */
#include "kernels/cuda/cuda.h"

struct Parts {
    float *log_dt;
    float *log_a_real, *a_imag; /* [channels][states] */
    float2 *b, *c;
};

static Parts parts_of(const DkS4dParts *of)
{
    return {static_cast<float *>(dk_data(of->log_dt)),
            static_cast<float *>(dk_data(of->log_a_real)),
            static_cast<float *>(dk_data(of->a_imag)), static_cast<float2 *>(dk_data(of->b)),
            static_cast<float2 *>(dk_data(of->c))};
}

/* ---- complex numbers ------------------------------------------------------------------------- */

static __device__ double2 times(double2 a, double2 b)
{
    return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

static __device__ double2 times(double a, double2 b)
{
    return make_double2(a * b.x, a * b.y);
}

static __device__ double2 plus(double2 a, double2 b)
{
    return make_double2(a.x + b.x, a.y + b.y);
}

static __device__ double2 conjugate(double2 a)
{
    return make_double2(a.x, -a.y);
}

static __device__ double2 over(double2 a, double2 b)
{
    return times(1 / (b.x * b.x + b.y * b.y), times(a, conjugate(b)));
}

static __device__ double2 exponential(double2 z)
{
    return times(exp(z.x), make_double2(cos(z.y), sin(z.y)));
}

static __device__ double2 wide(float2 a)
{
    return make_double2(a.x, a.y);
}

/* c[0] + c[1] z + ... */
template <int N> static __device__ double2 series(const double (&c)[N], double2 z)
{
    double2 sum = make_double2(c[N - 1], 0);
    for (int i = N - 2; i >= 0; i--)
        sum = plus(make_double2(c[i], 0), times(z, sum));
    return sum;
}

/* ---- the hold -------------------------------------------------------------------------------- */

/* (exp (z) - 1) / z, by its series where that cancels. */
static __device__ double2 hold(double2 z)
{
    if (hypot(z.x, z.y) < 1e-3)
        return series({1, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120}, z);
    return over(plus(exponential(z), make_double2(-1, 0)), z);
}

/* Its derivative, (z exp (z) - exp (z) + 1) / z². */
static __device__ double2 hold_slope(double2 z)
{
    if (hypot(z.x, z.y) < 2e-2)
        return series({1.0 / 2, 1.0 / 3, 1.0 / 8, 1.0 / 30, 1.0 / 144, 1.0 / 840}, z);
    const double2 top = times(plus(z, make_double2(-1, 0)), exponential(z));
    return over(plus(top, make_double2(1, 0)), times(z, z));
}

static __device__ double2 rate_of(const Parts &p, int64_t i)
{
    return make_double2(-exp((double)p.log_a_real[i]), p.a_imag[i]);
}

static __global__ void s4d_hold(double2 *decay, double2 *gain, Parts of, int64_t n_channels,
                                int64_t n_states)
{
    const int64_t d = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (d >= n_channels)
        return;
    const double dt = exp((double)of.log_dt[d]);
    for (int64_t i = d * n_states; i < (d + 1) * n_states; i++) {
        const double2 z = times(dt, rate_of(of, i));
        decay[i] = exponential(z);
        gain[i] = times(times(wide(of.b[i]), wide(of.c[i])), times(dt, hold(z)));
    }
}

static __device__ void add(float2 *to, double2 x)
{
    *to = make_float2(to->x + (float)x.x, to->y + (float)x.y);
}

/* State i of a channel whose step is dt; answers its share of dt's gradient. */
static __device__ double go_back(const Parts &to, const Parts &of, int64_t i, double dt,
                                 double2 ddecay, double2 dgain)
{
    const double2 rate = rate_of(of, i), z = times(dt, rate), decay = exponential(z);
    const double2 b = wide(of.b[i]), c = wide(of.c[i]);
    const double2 dh = times(dgain, conjugate(times(b, c)));
    const double2 dcb = times(dgain, conjugate(times(dt, hold(z))));
    const double2 by_decay = times(ddecay, conjugate(times(dt, decay)));
    const double2 drate = plus(by_decay, times(dh, conjugate(times(dt * dt, hold_slope(z)))));
    add(to.b + i, times(dcb, conjugate(c)));
    add(to.c + i, times(dcb, conjugate(b)));
    to.log_a_real[i] += (float)(drate.x * rate.x);
    to.a_imag[i] += (float)drate.y;
    return plus(times(ddecay, conjugate(times(rate, decay))), times(dh, conjugate(decay))).x;
}

static __global__ void s4d_hold_backward(Parts to, const double2 *ddecay, const double2 *dgain,
                                         Parts of, int64_t n_channels, int64_t n_states)
{
    const int64_t d = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (d >= n_channels)
        return;
    const double dt = exp((double)of.log_dt[d]);
    double sum = 0;
    for (int64_t i = d * n_states; i < (d + 1) * n_states; i++)
        sum += go_back(to, of, i, dt, ddecay[i], dgain[i]);
    to.log_dt[d] += (float)(sum * dt);
}

/* ---- launches -------------------------------------------------------------------------------- */

enum { THREADS = 64 };

void dk_cuda_s4d_hold(DkDevice *dev, DkTensor decay, DkTensor gain, const DkS4dParts *of)
{
    const int64_t n_channels = decay.sizes[0];
    DK_LAUNCH(dev, s4d_hold, (unsigned)dk_cuda_ceil(n_channels, THREADS), THREADS, 0,
              static_cast<double2 *>(dk_data(decay)), static_cast<double2 *>(dk_data(gain)),
              parts_of(of), n_channels, decay.sizes[1]);
}

void dk_cuda_s4d_hold_backward(DkDevice *dev, const DkS4dParts *gradients, DkTensor ddecay,
                               DkTensor dgain, const DkS4dParts *of)
{
    const int64_t n_channels = ddecay.sizes[0];
    DK_LAUNCH(dev, s4d_hold_backward, (unsigned)dk_cuda_ceil(n_channels, THREADS), THREADS, 0,
              parts_of(gradients), static_cast<const double2 *>(dk_data(ddecay)),
              static_cast<const double2 *>(dk_data(dgain)), parts_of(of), n_channels,
              ddecay.sizes[1]);
}
