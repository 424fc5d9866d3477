/* Weights packed anew; the reference keeps them as given.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* weight[O, I, kh, kw] from w[I, O, kh, kw], taps turned by 180 degrees. */
static void turn_taps(DkWeight *weight, const float *w)
{
    const int64_t taps = (int64_t)weight->kh * weight->kw;
    for (int64_t o = 0; o < weight->n; o++)
        for (int64_t i = 0; i < weight->k; i++)
            for (int64_t t = 0; t < taps; t++)
                weight->data[(o * weight->k + i) * taps + t] =
                    w[(i * weight->n + o) * taps + taps - 1 - t];
}

void dk_ref_weight_set(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    const int64_t row = dk_columns(w);
    if (weight->kind == DK_WEIGHT_CONV2D && transposed) {
        turn_taps(weight, dk_data(w));
        return;
    }
    for (int64_t i = 0; i < dk_rows(w); i++)
        for (int64_t j = 0; j < row; j++)
            weight->data[transposed ? j * weight->k + i : i * row + j] =
                dk_operand(dk_row(w, i)[j], weight->products);
}
