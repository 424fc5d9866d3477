/* Group norm in two steps, so that statistics can be gathered from strips: per image row the count,
 * mean and M2 (sum of squares about the mean) of each group, merged in the order of the rows by
 * Chan's rule: n = na + nb,  d = mb - ma,  m = ma + d nb / n,  M2 = M2a + M2b + d² na nb / n.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

static void merge(double *into, double count, double mean, double m2)
{
    const double n = into[0] + count, d = mean - into[1];
    into[1] += d * (count / n);
    into[2] += m2 + d * d * (into[0] * count / n);
    into[0] = n;
}

/* Statistics of `width` channels from column `c` on, over `n` pixels from row `first` on. */
static void add_row(double *stats, DkTensor x, int64_t first, int64_t n, int64_t c, int64_t width)
{
    const double count = (double)(n * width);
    double sum = 0, m2 = 0;
    for (int64_t i = first; i < first + n; i++)
        for (int64_t k = c; k < c + width; k++)
            sum += dk_row(x, i)[k];
    const double mean = sum / count;
    for (int64_t i = first; i < first + n; i++)
        for (int64_t k = c; k < c + width; k++)
            m2 += (dk_row(x, i)[k] - mean) * (dk_row(x, i)[k] - mean);
    merge(stats, count, mean, m2);
}

void dk_ref_group_stats(DkDevice *dev, DkTensor stats, DkTensor x)
{
    const int64_t n_groups = stats.sizes[1], width = x.sizes[3] / n_groups;
    for (int64_t row = 0; row < x.sizes[0] * x.sizes[1] && !dk_stopped(dev); row++) {
        double *of_image = (double *)dk_data(stats) + row / x.sizes[1] * n_groups * 3;
        for (int64_t g = 0; g < n_groups; g++)
            add_row(of_image + 3 * g, x, row * x.sizes[2], x.sizes[2], g * width, width);
    }
}

void dk_ref_group_apply(DkDevice *dev, DkTensor y, DkTensor x, DkTensor stats, DkTensor w,
                        DkTensor b, float eps, DkAct act)
{
    const int64_t n_groups = stats.sizes[1], width = x.sizes[3] / n_groups;
    for (int64_t i = 0; i < dk_rows(x) && !dk_stopped(dev); i++) {
        const double *of_image =
            (const double *)dk_data(stats) + i / (x.sizes[1] * x.sizes[2]) * n_groups * 3;
        for (int64_t c = 0; c < x.sizes[3]; c++) {
            const double *s = of_image + c / width * 3;
            const double normal = (dk_row(x, i)[c] - s[1]) / sqrt(s[2] / s[0] + eps);
            dk_row(y, i)[c] =
                (float)dk_ref_apply_act(normal * dk_row(w, 0)[c] + dk_row(b, 0)[c], act);
        }
    }
}
