/* Backward of gates and activations, the loss, and the optimiser's step.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

void dk_ref_gate_add_backward(DkDevice *dev, DkTensor dy, DkTensor dgate, DkTensor dout,
                              DkTensor gate, DkTensor y)
{
    const int64_t length = y.sizes[1];
    for (int64_t b = 0; b < y.sizes[0] && !dk_stopped(dev); b++)
        for (int64_t c = 0; c < dk_columns(y); c++) {
            double sum = 0;
            for (int64_t i = b * length; i < (b + 1) * length; i++) {
                sum += (double)dk_row(dout, i)[c] * dk_row(y, i)[c];
                dk_row(dy, i)[c] = dk_row(dout, i)[c] * dk_row(gate, b)[c];
            }
            dk_row(dgate, b)[c] = (float)sum;
        }
}

void dk_ref_act_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor x, DkAct act)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++)
        for (int64_t c = 0; c < dk_columns(x); c++)
            dk_row(dx, i)[c] = (float)(dk_row(dy, i)[c] * dk_ref_act_slope(dk_row(x, i)[c], act));
}

void dk_ref_squared_error(DkDevice *dev, DkTensor loss, DkTensor dy, DkTensor y, DkTensor target,
                          double factor)
{
    double sum = 0;
    for (int64_t i = 0; i < dk_rows(y); i++)
        for (int64_t c = 0; c < dk_columns(y); c++) {
            const double off = (double)dk_row(y, i)[c] - dk_row(target, i)[c];
            sum += off * off;
            dk_row(dy, i)[c] = (float)(2 * factor * off);
        }
    *(double *)dk_data(loss) += factor * sum;
}

void dk_ref_sum_squares(DkDevice *dev, DkTensor sum, DkTensor x)
{
    double all = 0;
    for (int64_t i = 0; i < dk_rows(x); i++)
        for (int64_t c = 0; c < dk_columns(x); c++)
            all += (double)dk_row(x, i)[c] * dk_row(x, i)[c];
    *(double *)dk_data(sum) += all;
}

void dk_ref_adamw(DkDevice *dev, DkTensor w, DkTensor m, DkTensor v, DkTensor g,
                  const DkAdamW *settings)
{
    const double b1 = settings->beta1, b2 = settings->beta2;
    const double first = 1 / (1 - pow(b1, (double)settings->step)),
                 second = 1 / (1 - pow(b2, (double)settings->step));
    for (int64_t i = 0; i < dk_columns(w); i++) {
        float *weight = dk_row(w, 0) + i, *mean = dk_row(m, 0) + i, *square = dk_row(v, 0) + i;
        const double gradient = dk_row(g, 0)[i] * settings->gradient_factor;
        const double new_mean = b1 * *mean + (1 - b1) * gradient,
                     new_square = b2 * *square + (1 - b2) * gradient * gradient;
        const double update = new_mean * first / (sqrt(new_square * second) + settings->eps);
        *mean = (float)new_mean;
        *square = (float)new_square;
        *weight = (float)(*weight - settings->rate * (update + settings->decay * *weight));
    }
}
