/* y = act (x · wᵀ + b + (accumulate ? y : 0)); w[N, K] as given.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* x is rounded as w was. */
static double dot(const float *x, const float *w, int64_t n, DkProducts products)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (double)dk_operand(x[k], products) * w[k];
    return sum;
}

void dk_ref_linear(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, DkAct act,
                   bool accumulate)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        float *out = dk_row(y, i);
        for (int64_t n = 0; n < w->n; n++) {
            const double sum =
                dot(dk_row(x, i), w->data + n * w->k, w->k, w->products) + dk_ref_at(b, n, 0);
            out[n] = (float)dk_ref_apply_act(sum + (accumulate ? (double)out[n] : 0), act);
        }
    }
}
