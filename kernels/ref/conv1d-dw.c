/* Causal depth-wise convolution along the tokens in a given order, as the short convolution of a
 * Mamba block.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

void dk_ref_conv1d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b, DkTensor order,
                      DkAct act)
{
    const int64_t n = x.sizes[1], n_taps = w.sizes[1];
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        const int64_t first = i / n * n, token = i % n;
        float *out = dk_row(y, first + dk_ref_token(order, token));
        for (int64_t e = 0; e < dk_columns(x); e++) {
            double sum = dk_ref_at(b, e, 0);
            for (int64_t a = 0; a < n_taps; a++) {
                const int64_t from = token - (n_taps - 1) + a;
                if (from >= 0)
                    sum +=
                        (double)dk_row(w, e)[a] * dk_row(x, first + dk_ref_token(order, from))[e];
            }
            out[e] = (float)dk_ref_apply_act(sum, act);
        }
    }
}
