/* Mamba's recurrence (arXiv 2312.00752, eq. 2, zero-order hold of A, Euler's rule for B):
 *   δ = softplus (dt),  S[n] = exp (δ A[n]) S[n] + δ u B[n],  y = (Σ_n S[n] C[n] + d u) · silu (z).
 * One channel after another; the state of one channel is all that is held.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* One token of one channel; returns Σ_n S[n] C[n]. */
static double step(double *state, int64_t n_states, double delta, double u, const float *a,
                   const float *b, const float *c)
{
    double sum = 0;
    for (int64_t n = 0; n < n_states; n++) {
        state[n] = exp(delta * a[n]) * state[n] + delta * u * b[n];
        sum += state[n] * c[n];
    }
    return sum;
}

void dk_ref_selective_scan(DkDevice *dev, DkTensor y, DkTensor u, DkTensor dt, const DkWeight *a,
                           DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z, DkTensor order)
{
    const int64_t n = u.sizes[1];
    double *state = dk_scratch(dev, (size_t)a->k * sizeof *state);
    for (int64_t lane = 0; lane < u.sizes[0] * a->n && !dk_stopped(dev); lane++) {
        const int64_t e = lane % a->n, first = lane / a->n * n;
        for (int64_t k = 0; k < a->k; k++)
            state[k] = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = first + dk_ref_token(order, i);
            const double in = dk_row(u, row)[e], delta = softplus(dk_row(dt, row)[e]);
            const double sum = step(state, a->k, delta, in, a->data + e * a->k, dk_row(bmat, row),
                                    dk_row(cmat, row)) +
                               dk_row(d, 0)[e] * in;
            const double gate = z.buffer ? dk_ref_apply_act(dk_row(z, row)[e], DK_ACT_SILU) : 1.0;
            dk_row(y, row)[e] = (float)(sum * gate);
        }
    }
}
