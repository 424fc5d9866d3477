/* Operations of one element, or of one element and one of a row.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

void dk_ref_gate_add(DkDevice *dev, DkTensor x, DkTensor gate, DkTensor y)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        const float *by = dk_row(gate, i / x.sizes[1]), *in = dk_row(y, i);
        float *out = dk_row(x, i);
        for (int64_t c = 0; c < dk_columns(x); c++)
            out[c] = (float)(out[c] + (double)by[c] * in[c]);
    }
}

void dk_ref_add_row(DkDevice *dev, DkTensor y, DkTensor x, DkTensor b)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++)
        for (int64_t c = 0; c < dk_columns(x); c++)
            dk_row(y, i)[c] = dk_row(x, i)[c] + dk_row(b, 0)[c];
}

void dk_ref_act(DkDevice *dev, DkTensor y, DkTensor x, DkAct act)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++)
        for (int64_t c = 0; c < dk_columns(x); c++)
            dk_row(y, i)[c] = (float)dk_ref_apply_act(dk_row(x, i)[c], act);
}

void dk_ref_axpby(DkDevice *dev, DkTensor y, float a, DkTensor x, float b)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        float *out = dk_row(y, i);
        for (int64_t c = 0; c < dk_columns(x); c++)
            out[c] = (float)((double)a * dk_row(x, i)[c] + (b != 0 ? (double)b * out[c] : 0));
    }
}
