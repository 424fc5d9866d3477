/* Softmax attention (arXiv 1706.03762, section 3.2), one query at a time: the logits of one row are
 * all that is held.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* logits[L] becomes exp (logit - max); returns their sum. */
static double weigh(double *logits, int64_t n)
{
    double top = logits[0], sum = 0;
    for (int64_t l = 1; l < n; l++)
        top = fmax(top, logits[l]);
    for (int64_t l = 0; l < n; l++)
        sum += logits[l] = exp(logits[l] - top);
    return sum;
}

static double weight(double x, DkProducts products)
{
    return products == DK_PRODUCTS_F32 ? x : dk_operand((float)x, products);
}

/* One query q[C] over the keys and values whose rows start at `first` and columns at `column`. */
static void attend(float *y, const float *q, DkTensor k, DkTensor v, int64_t first, int64_t column,
                   int64_t width, double *logits, DkProducts products)
{
    const int64_t n = k.sizes[1];
    for (int64_t l = 0; l < n; l++) {
        const float *key = dk_row(k, first + l) + column;
        double sum = 0;
        for (int64_t c = 0; c < width; c++)
            sum += (double)dk_operand(q[c], products) * dk_operand(key[c], products);
        logits[l] = sum / sqrt((double)width);
    }
    const double total = weigh(logits, n);
    for (int64_t c = 0; c < width; c++) {
        double sum = 0;
        for (int64_t l = 0; l < n; l++)
            sum += weight(logits[l], products) *
                   dk_operand(dk_row(v, first + l)[column + c], products);
        y[c] = (float)(sum / total);
    }
}

void dk_ref_attention(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads,
                      DkProducts products)
{
    const int64_t n = k.sizes[1], width = q.sizes[2] / n_heads;
    double *logits = dk_scratch(dev, (size_t)n * sizeof *logits);
    for (int64_t i = 0; i < dk_rows(q) && !dk_stopped(dev); i++)
        for (int head = 0; head < n_heads; head++)
            attend(dk_row(y, i) + head * width, dk_row(q, i) + head * width, k, v,
                   i / q.sizes[1] * n, head * width, width, logits, products);
}
