/* S4D three ways, in double on ref: as a recurrence, as a convolution by FFT, and as the plain sum
 * over all lags.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "check.h"

#include "kernels/ref/ref.h"

#include <complex.h>

typedef struct {
    double complex *decay, *gain;
    double *skip;
} States;

/* As trained models have them: steps from 0.001 to 0.1, decays of 1/2, angles of π n. */
static States make_states(Check *c, int64_t d, int64_t n)
{
    States s = {check_memory(malloc((size_t)(d * n) * sizeof *s.decay)),
                check_memory(malloc((size_t)(d * n) * sizeof *s.gain)),
                check_memory(malloc((size_t)d * sizeof *s.skip))};
    float *random = check_numbers(c, d * n * 2 + 2 * d);
    for (int64_t i = 0; i < d; i++) {
        const double step = 0.001 * pow(100, (random[i] + 1) / 2);
        s.skip[i] = random[d + i];
        for (int64_t k = 0; k < n; k++) {
            const float *at = random + 2 * (d + i * n + k);
            s.decay[i * n + k] = cexp(step * (-0.5 + I * 3.14159265358979 * (double)k));
            s.gain[i * n + k] = at[0] + I * at[1];
        }
    }
    free(random);
    return s;
}

static void free_states(States s)
{
    free(s.decay);
    free(s.gain);
    free(s.skip);
}

/* y_l = Σ_s k_s u_{l-s} + skip u_l of one direction, powers by their logarithms. */
static void add_up(double *y, int64_t width, const float *u, States s, int64_t length, int64_t d,
                   int64_t n, bool back)
{
    double *kernel = check_memory(malloc((size_t)length * sizeof *kernel));
    for (int64_t i = 0; i < d; i++) {
        for (int64_t lag = 0; lag < length; lag++) {
            kernel[lag] = lag ? 0 : s.skip[i];
            for (int64_t k = 0; k < n; k++)
                kernel[lag] +=
                    2 * creal(s.gain[i * n + k] * cexp((double)lag * clog(s.decay[i * n + k])));
        }
        for (int64_t l = 0; l < length; l++) {
            double sum = 0;
            for (int64_t lag = 0; lag < (back ? length - l : l + 1); lag++)
                sum += kernel[lag] * u[(back ? l + lag : l - lag) * d + i];
            y[l * width + i] = sum;
        }
    }
    free(kernel);
}

/* All to a float's rounding of the largest number. */
static void expect_equal(Check *c, DkTensor y, const double *expected)
{
    float *got = check_read(c, y);
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < dk_tensor_count(y); i++) {
        largest = fmax(largest, fabs(expected[i]));
        worst = fmax(worst, fabs(got[i] - expected[i]));
    }
    EXPECT(c, largest > 0 && worst <= 0x1p-24 * largest + 1e-12);
    free(got);
}

static void forms(Check *c, int64_t length, int64_t d, int64_t n)
{
    const States ahead = make_states(c, d, n), back = make_states(c, d, n);
    const DkTensor u = check_random(c, SIZES(1, length, d));
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, length, 2 * d));
    DkWeight *w[2] = {check_keep(c, dk_weight_s4d(c->dev, (double *)ahead.decay,
                                                  (double *)ahead.gain, ahead.skip, d, n)),
                      check_keep(c, dk_weight_s4d(c->dev, (double *)back.decay, (double *)back.gain,
                                                  back.skip, d, n))};
    float *in = check_read(c, u);
    double *sums = check_memory(malloc((size_t)(length * 2 * d) * sizeof *sums));
    add_up(sums, 2 * d, in, ahead, length, d, n, false);
    add_up(sums + d, 2 * d, in, back, length, d, n, true);
    dk_s4d_scan(c->dev, y, u, w[0], w[1]);
    expect_equal(c, y, sums);
    dk_clear(c->dev, y);
    dk_ref_s4d_fft(c->dev, y, u, w[0], w[1]);
    expect_equal(c, y, sums);
    free(in);
    free(sums);
    free_states(ahead);
    free_states(back);
    check_release(c);
}

int main(void)
{
    Check c = {.dev = check_memory(dk_device_open(DK_BACKEND_REF, 1, 0)), .text = "ref"};
    forms(&c, 1, 1, 1);
    forms(&c, 2, 3, 2);
    forms(&c, 64, 5, 8);
    forms(&c, 65, 5, 8); /* 2 L - 1 just above a power of two */
    forms(&c, 264, 4, 16);
    forms(&c, 1000, 2, 32);
    dk_device_close(&c.dev);
    return c.n_failures > 0;
}
