/* Backward of S4D's recurrence X[t] = a X[t-1] + u[t], y = 2 Re Σ_n g X + skip u. The adjoint
 * divided by what all tokens share, W[t] = dy[t] + a W[t+1], is the same recurrence the other way,
 * and a state's derivative by its decay, V[t] = a V[t-1] + X[t-1], another beside it:
 *     du = 2 Re Σ_n g W + skip dy     dskip = Σ dy u
 *     dg = 2 conj (Σ dy X)            da = 2 conj (g Σ dy V)
 * where the gradient of a complex number has those of its parts as parts.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <complex.h>

/* One channel of one direction. */
typedef struct {
    DkTensor u, dy;
    bool back;
    int64_t d, column; /* its columns in u and dy */
} Lane;

static int64_t row_of(const Lane *l, int64_t picture, int64_t i, bool back)
{
    const int64_t n = l->u.sizes[1];
    return picture * n + (back ? n - 1 - i : i);
}

static double complex number(const double *parts, int64_t n)
{
    return parts[2 * n] + I * parts[2 * n + 1];
}

static void put(double *to, double complex x)
{
    to[0] = creal(x);
    to[1] = cimag(x);
}

/* State n: its share of du is added to sum[B·L], by stored row. */
static void run_state(const Lane *l, DkRefS4d w, int64_t n, double *sum, double *decay,
                      double *gain)
{
    const double complex a = number(w.decay, n), g = number(w.gain, n);
    double complex of_decay = 0, of_gain = 0;
    for (int64_t picture = 0; picture < l->u.sizes[0]; picture++) {
        double complex x = 0, v = 0, adjoint = 0;
        for (int64_t i = 0; i < l->u.sizes[1]; i++) {
            const int64_t row = row_of(l, picture, i, l->back);
            const int64_t turned = row_of(l, picture, i, !l->back);
            const double dy = dk_row(l->dy, row)[l->column];
            v = a * v + x;
            x = a * x + dk_row(l->u, row)[l->d];
            of_decay += dy * v;
            of_gain += dy * x;
            adjoint = a * adjoint + dk_row(l->dy, turned)[l->column];
            sum[turned] += 2 * creal(g * adjoint);
        }
    }
    put(decay, 2 * conj(g * of_decay));
    put(gain, 2 * conj(of_gain));
}

static void run_lane(const Lane *l, const DkWeight *w, const DkS4dGradient *gradient, double *sum)
{
    const DkRefS4d channel = dk_ref_s4d_channel(w, l->d);
    double *decay = (double *)dk_data(gradient->decay) + l->d * w->k * 2, skip = 0;
    double *gain = (double *)dk_data(gradient->gain) + l->d * w->k * 2;
    for (int64_t i = 0; i < dk_rows(l->u); i++) {
        const double dy = dk_row(l->dy, i)[l->column];
        sum[i] += channel.skip * dy;
        skip += dy * dk_row(l->u, i)[l->d];
    }
    dk_row(gradient->skip, 0)[l->d] += (float)skip;
    for (int64_t n = 0; n < w->k; n++)
        run_state(l, channel, n, sum, decay + 2 * n, gain + 2 * n);
}

void dk_ref_s4d_scan_backward(DkDevice *dev, DkTensor du, const DkS4dGradient *of_ahead,
                              const DkS4dGradient *of_back, DkTensor dy, DkTensor u,
                              const DkWeight *ahead, const DkWeight *back)
{
    const int64_t width = u.sizes[2];
    double *sum = dk_scratch(dev, (size_t)dk_rows(u) * sizeof *sum);
    for (int64_t d = 0; sum && d < width && !dk_stopped(dev); d++) {
        for (int64_t i = 0; i < dk_rows(u); i++)
            sum[i] = 0;
        if (ahead)
            run_lane(&(Lane){u, dy, false, d, d}, ahead, of_ahead, sum);
        if (back)
            run_lane(&(Lane){u, dy, true, d, ahead ? width + d : d}, back, of_back, sum);
        for (int64_t i = 0; i < dk_rows(u); i++)
            dk_row(du, i)[d] = (float)sum[i];
    }
}
