/* S4D (arXiv 2206.11893) as a recurrence, one channel after another:
 *   X[n] = decay[n] X[n] + u,  y = 2 Re Σ_n gain[n] X[n] + skip u,  X complex, 0 before the first.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <string.h>

DkWeight *dk_ref_weight_s4d(DkDevice *dev, const double *decay, const double *gain,
                            const double *skip, int64_t d, int64_t n)
{
    const size_t states = (size_t)(d * n) * 2;
    DkWeight *w = dk_weight_alloc(dev, DK_WEIGHT_S4D, d, n, 1, 1,
                                  (2 * states + (size_t)d) * (sizeof(double) / sizeof(float)));
    if (!w)
        return NULL;
    double *to = (double *)(void *)w->data;
    memcpy(to, decay, states * sizeof *to);
    memcpy(to + states, gain, states * sizeof *to);
    memcpy(to + 2 * states, skip, (size_t)d * sizeof *to);
    return w;
}

void dk_ref_weight_set_s4d(DkDevice *dev, DkWeight *weight, DkTensor decay, DkTensor gain,
                           DkTensor skip)
{
    const int64_t states = weight->n * weight->k * 2;
    double *to = (double *)(void *)weight->data;
    memcpy(to, dk_data(decay), (size_t)states * sizeof *to);
    memcpy(to + states, dk_data(gain), (size_t)states * sizeof *to);
    for (int64_t i = 0; i < weight->n; i++)
        to[2 * states + i] = dk_row(skip, 0)[i];
}

DkRefS4d dk_ref_s4d_channel(const DkWeight *w, int64_t channel)
{
    const double *data = (const double *)(const void *)w->data;
    const int64_t states = w->n * w->k * 2;
    return (DkRefS4d){data + channel * w->k * 2, data + states + channel * w->k * 2,
                      data[2 * states + channel]};
}

/* One token; returns y. */
static double step(double *x, int64_t n_states, DkRefS4d w, double u)
{
    double sum = 0;
    for (int64_t i = 0; i < 2 * n_states; i += 2) {
        const double re = w.decay[i] * x[i] - w.decay[i + 1] * x[i + 1] + u;
        x[i + 1] = w.decay[i] * x[i + 1] + w.decay[i + 1] * x[i];
        x[i] = re;
        sum += w.gain[i] * x[i] - w.gain[i + 1] * x[i + 1];
    }
    return 2 * sum + w.skip * u;
}

/* Columns first.. of y. */
static void scan(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *w, bool back, int64_t first)
{
    const int64_t n = u.sizes[1];
    double *x = dk_scratch(dev, (size_t)w->k * 2 * sizeof *x);
    for (int64_t lane = 0; x && lane < u.sizes[0] * w->n && !dk_stopped(dev); lane++) {
        const int64_t d = lane % w->n, picture = lane / w->n;
        memset(x, 0, (size_t)w->k * 2 * sizeof *x);
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = picture * n + (back ? n - 1 - i : i);
            dk_row(y, row)[first + d] =
                (float)step(x, w->k, dk_ref_s4d_channel(w, d), dk_row(u, row)[d]);
        }
    }
}

void dk_ref_s4d_scan(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead,
                     const DkWeight *back)
{
    if (ahead)
        scan(dev, y, u, ahead, false, 0);
    if (back)
        scan(dev, y, u, back, true, ahead ? ahead->n : 0);
}
