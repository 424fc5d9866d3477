/* Backward of the modulated norm. With x^ = (x - mean) f, f = 1 / sqrt (mean square + eps), and
 * t = dy · w · (1 + scale):
 *     dx = f (t - x^ mean (t x^) - [LAYER: mean (t)])
 *     dshift = Σ_l dy,   dscale = Σ_l dy x^ w,   dw = Σ dy x^ (1 + scale)
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

typedef struct {
    DkTensor dx, dw, dscale, dshift, dy, x, w, scale;
    DkNorm norm;
    double eps;
    bool accumulate;
    double *hat, *t;                          /* [D] of the row at hand */
    double *dw_sum, *dscale_sum, *dshift_sum; /* [D] */
} Backward;

static double factor_of(const Backward *k, const float *x)
{
    const int64_t n = dk_columns(k->x);
    double mean = 0, squares = 0;
    for (int64_t c = 0; c < n && k->norm == DK_NORM_LAYER; c++)
        mean += x[c] / (double)n;
    for (int64_t c = 0; c < n; c++)
        squares += (x[c] - mean) * (x[c] - mean);
    const double factor = 1 / sqrt(squares / (double)n + k->eps);
    for (int64_t c = 0; c < n; c++)
        k->hat[c] = (x[c] - mean) * factor;
    return factor;
}

static void run_row(const Backward *k, int64_t i)
{
    const int64_t n = dk_columns(k->x), b = i / k->x.sizes[1];
    const double factor = factor_of(k, dk_row(k->x, i));
    const float *dy = dk_row(k->dy, i);
    double dot = 0, mean = 0;
    for (int64_t c = 0; c < n; c++) {
        const double w = dk_ref_at(k->w, c, 1);
        const double by = k->scale.buffer ? 1 + (double)dk_row(k->scale, b)[c] : 1;
        k->t[c] = dy[c] * w * by;
        dot += k->t[c] * k->hat[c] / (double)n;
        mean += k->norm == DK_NORM_LAYER ? k->t[c] / (double)n : 0;
        k->dw_sum[c] += dy[c] * k->hat[c] * by;
        k->dscale_sum[c] += dy[c] * k->hat[c] * w;
        k->dshift_sum[c] += dy[c];
    }
    float *dx = dk_row(k->dx, i);
    for (int64_t c = 0; c < n; c++)
        dx[c] = (float)((k->accumulate ? dx[c] : 0) + factor * (k->t[c] - k->hat[c] * dot - mean));
}

void dk_ref_norm_modulate_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor dscale,
                                   DkTensor dshift, DkTensor dy, DkTensor x, DkTensor w,
                                   DkTensor scale, DkNorm norm, float eps, bool accumulate)
{
    const int64_t n = dk_columns(x), length = x.sizes[1];
    double *work = dk_scratch(dev, 5 * (size_t)n * sizeof *work);
    if (!work)
        return;
    const Backward k = {dx,       dw,           dscale,       dshift,      dy,         x,
                        w,        scale,        norm,         (double)eps, accumulate, work,
                        work + n, work + 2 * n, work + 3 * n, work + 4 * n};
    for (int64_t c = 0; c < n; c++)
        k.dw_sum[c] = 0;
    for (int64_t b = 0; b < x.sizes[0] && !dk_stopped(dev); b++) {
        for (int64_t c = 0; c < n; c++)
            k.dscale_sum[c] = k.dshift_sum[c] = 0;
        for (int64_t i = 0; i < length; i++)
            run_row(&k, b * length + i);
        for (int64_t c = 0; c < n; c++) {
            if (dscale.buffer)
                dk_row(dscale, b)[c] = (float)k.dscale_sum[c];
            if (dshift.buffer)
                dk_row(dshift, b)[c] = (float)k.dshift_sum[c];
        }
    }
    for (int64_t c = 0; c < n && dw.buffer; c++)
        dk_row(dw, 0)[c] += (float)k.dw_sum[c];
}
