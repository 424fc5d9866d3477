/* RMS and layer norm over the channels of each token, scaled and shifted per picture.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* Mean (RMS: 0) and 1 / sqrt (mean square about it + eps). */
static double centre(const float *x, int64_t n, DkNorm norm, double eps, double *mean)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    *mean = norm == DK_NORM_LAYER ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    return 1 / sqrt(squares / (double)n + eps);
}

void dk_ref_norm_modulate(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor scale,
                          DkTensor shift, DkNorm norm, float eps)
{
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        const float *in = dk_row(x, i);
        const int64_t b = i / x.sizes[1];
        double mean;
        const double factor = centre(in, dk_columns(x), norm, eps, &mean);
        for (int64_t c = 0; c < dk_columns(x); c++) {
            const double by = scale.buffer ? 1 + (double)dk_row(scale, b)[c] : 1;
            const double add = shift.buffer ? (double)dk_row(shift, b)[c] : 0;
            dk_row(y, i)[c] = (float)((in[c] - mean) * factor * dk_ref_at(w, c, 1) * by + add);
        }
    }
}
