/* S4D's parameters to what its scan takes (arXiv 2206.11893, section 3), by the zero-order hold:
 *     A = -exp (log_a_real) + i a_imag   h = (exp (A dt) - 1) / A   decay = exp (A dt)   gain = c b
 *     h
 * The gradient of a complex number has those of its parts as parts; going back through w = f (z) it
 * is multiplied by conj (f').
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <complex.h>

static double complex number(DkTensor t, int64_t i)
{
    const float *parts = dk_data(t);
    return (double)parts[2 * i] + I * (double)parts[2 * i + 1];
}

static double complex wide(DkTensor t, int64_t i)
{
    const double *parts = dk_data(t);
    return parts[2 * i] + I * parts[2 * i + 1];
}

static void put(DkTensor t, int64_t i, double complex x)
{
    double *parts = dk_data(t);
    parts[2 * i] = creal(x);
    parts[2 * i + 1] = cimag(x);
}

static void add(DkTensor t, int64_t i, double complex x)
{
    float *parts = dk_data(t);
    parts[2 * i] += (float)creal(x);
    parts[2 * i + 1] += (float)cimag(x);
}

static double complex rate_of(const DkS4dParts *p, int64_t i)
{
    const float *real = dk_data(p->log_a_real), *imag = dk_data(p->a_imag);
    return -exp((double)real[i]) + I * (double)imag[i];
}

/* (exp (z) - 1) / z, by its series where that cancels. */
static double complex hold(double complex z)
{
    if (cabs(z) < 1e-3)
        return 1 + z / 2 * (1 + z / 3 * (1 + z / 4 * (1 + z / 5)));
    return (cexp(z) - 1) / z;
}

/* Its derivative, (z exp (z) - exp (z) + 1) / z². */
static double complex hold_slope(double complex z)
{
    if (cabs(z) < 2e-2)
        return 1.0 / 2 + z * (1.0 / 3 + z * (1.0 / 8 + z * (1.0 / 30 + z * (1.0 / 144 + z / 840))));
    return ((z - 1) * cexp(z) + 1) / (z * z);
}

void dk_ref_s4d_hold(DkDevice *dev, DkTensor decay, DkTensor gain, const DkS4dParts *of)
{
    const float *log_dt = dk_data(of->log_dt);
    const int64_t n = decay.sizes[1];
    for (int64_t i = 0; i < decay.sizes[0] * n; i++) {
        const double dt = exp((double)log_dt[i / n]);
        const double complex z = rate_of(of, i) * dt;
        put(decay, i, cexp(z));
        put(gain, i, number(of->b, i) * number(of->c, i) * dt * hold(z));
    }
}

/* State i of a channel whose step is dt; answers its share of dt's gradient. */
static double go_back(const DkS4dParts *to, const DkS4dParts *of, int64_t i, double dt,
                      double complex ddecay, double complex dgain)
{
    const double complex rate = rate_of(of, i), z = rate * dt, decay = cexp(z), h = dt * hold(z);
    const double complex b = number(of->b, i), c = number(of->c, i);
    const double complex dh = dgain * conj(b * c), dcb = dgain * conj(h);
    const double complex drate = ddecay * conj(dt * decay) + dh * conj(dt * dt * hold_slope(z));
    float *real = dk_data(to->log_a_real), *imag = dk_data(to->a_imag);
    add(to->b, i, dcb * conj(c));
    add(to->c, i, dcb * conj(b));
    real[i] += (float)(creal(drate) * creal(rate));
    imag[i] += (float)cimag(drate);
    return creal(ddecay * conj(rate * decay) + dh * conj(decay));
}

void dk_ref_s4d_hold_backward(DkDevice *dev, const DkS4dParts *gradients, DkTensor ddecay,
                              DkTensor dgain, const DkS4dParts *of)
{
    const float *log_dt = dk_data(of->log_dt);
    float *dlog_dt = dk_data(gradients->log_dt);
    const int64_t n = ddecay.sizes[1];
    for (int64_t d = 0; d < ddecay.sizes[0]; d++) {
        const double dt = exp((double)log_dt[d]);
        double sum = 0;
        for (int64_t i = d * n; i < (d + 1) * n; i++)
            sum += go_back(gradients, of, i, dt, wide(ddecay, i), wide(dgain, i));
        dlog_dt[d] += (float)(sum * dt);
    }
}
