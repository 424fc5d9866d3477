/* S4D (arXiv 2206.11893) as a convolution by FFT: y_l = Σ_s k_s u_{l-s} + skip u_l with
 *   k_s = 2 Re Σ_n gain[n] decay[n]^s.
 * The same operation as dk_s4d_scan by another way, for the tests and for devices whose FFT is
 * faster than a recurrence.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <complex.h>

typedef double complex Complex;

/* In place, n a power of two; sign -1: forward, 1: backward without the division by n. */
static void fft(Complex *x, int64_t n, int sign)
{
    for (int64_t i = 1, j = 0; i < n; i++) { /* bits of the index reversed */
        int64_t bit = n / 2;
        for (; j & bit; bit /= 2)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            const Complex t = x[i];
            x[i] = x[j];
            x[j] = t;
        }
    }
    for (int64_t half = 1; half < n; half *= 2)
        for (int64_t k = 0; k < half; k++) {
            const Complex turn = cexp(sign * I * 3.14159265358979323846 * (double)k / (double)half);
            for (int64_t i = k; i < n; i += 2 * half) {
                const Complex t = turn * x[i + half];
                x[i + half] = x[i] - t;
                x[i] += t;
            }
        }
}

static void find_kernel(Complex *kernel, int64_t n, DkRefS4d w, int64_t n_states)
{
    for (int64_t s = 0; s < n; s++)
        kernel[s] = s ? 0 : w.skip;
    for (int64_t i = 0; i < 2 * n_states; i += 2) {
        const Complex decay = w.decay[i] + I * w.decay[i + 1];
        Complex power = 2 * (w.gain[i] + I * w.gain[i + 1]);
        for (int64_t s = 0; s < n; s++) {
            kernel[s] += creal(power);
            power *= decay;
        }
    }
}

/* One channel of one picture; kernel and x have room for `size` numbers. */
static void convolve(DkTensor y, int64_t column, DkTensor u, int64_t d, int64_t picture,
                     const DkWeight *w, bool back, Complex *kernel, int64_t size)
{
    const int64_t n = u.sizes[1];
    Complex *x = kernel + size;
    find_kernel(kernel, n, dk_ref_s4d_channel(w, d), w->k);
    for (int64_t i = n; i < size; i++)
        kernel[i] = 0;
    for (int64_t i = 0; i < size; i++)
        x[i] = i < n ? dk_row(u, picture * n + (back ? n - 1 - i : i))[d] : 0;
    fft(kernel, size, -1);
    fft(x, size, -1);
    for (int64_t i = 0; i < size; i++)
        x[i] *= kernel[i] / (double)size;
    fft(x, size, 1);
    for (int64_t i = 0; i < n; i++)
        dk_row(y, picture * n + (back ? n - 1 - i : i))[column] = (float)creal(x[i]);
}

void dk_ref_s4d_fft(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead,
                    const DkWeight *back)
{
    const int64_t channels = u.sizes[2];
    int64_t size = 1;
    while (size < 2 * u.sizes[1] - 1) /* shorter, and the end would wrap around to the start */
        size *= 2;
    Complex *room = dk_scratch(dev, 2 * (size_t)size * sizeof *room);
    for (int64_t lane = 0; room && lane < u.sizes[0] * channels && !dk_stopped(dev); lane++) {
        const int64_t d = lane % channels, picture = lane / channels;
        if (ahead)
            convolve(y, d, u, d, picture, ahead, false, room, size);
        if (back)
            convolve(y, (ahead ? channels : 0) + d, u, d, picture, back, true, room, size);
    }
}
