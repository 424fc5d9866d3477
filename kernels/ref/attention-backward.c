/* Backward of softmax attention, one query at a time (arXiv 2205.14135, appendix B.2): with weights
 * p = softmax (s), s = q · k / sqrt (width), and y = Σ p v,
 *     dv += p dy    dp = dy · v    ds = p (dp - dy · y)    dq = Σ ds k / sqrt (width)    dk += ds q
 *     / sqrt (width)
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <string.h>

/* A head of a picture: its rows and columns, and sums over its queries. */
typedef struct {
    DkTensor q, k, v, y, dy, dq;
    int64_t first, column, width; /* first row of the keys */
    double *weights;              /* [L] */
    double *dkey, *dv;            /* [L, width] */
} Head;

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static const float *at(const Head *h, DkTensor t, int64_t row)
{
    return dk_row(t, row) + h->column;
}

static void find_weights(const Head *h, int64_t query)
{
    const int64_t n = h->k.sizes[1];
    double top = -INFINITY, sum = 0;
    for (int64_t l = 0; l < n; l++) {
        h->weights[l] =
            dot(at(h, h->q, query), at(h, h->k, h->first + l), h->width) / sqrt((double)h->width);
        top = fmax(top, h->weights[l]);
    }
    for (int64_t l = 0; l < n; l++)
        sum += h->weights[l] = exp(h->weights[l] - top);
    for (int64_t l = 0; l < n; l++)
        h->weights[l] /= sum;
}

static void run_query(const Head *h, int64_t query, double *dq)
{
    const float *q = at(h, h->q, query), *dy = at(h, h->dy, query);
    const double mean = dot(dy, at(h, h->y, query), h->width);
    memset(dq, 0, (size_t)h->width * sizeof *dq);
    find_weights(h, query);
    for (int64_t l = 0; l < h->k.sizes[1]; l++) {
        const float *key = at(h, h->k, h->first + l);
        const double dp = dot(dy, at(h, h->v, h->first + l), h->width);
        const double ds = h->weights[l] * (dp - mean) / sqrt((double)h->width);
        for (int64_t c = 0; c < h->width; c++) {
            h->dv[l * h->width + c] += h->weights[l] * dy[c];
            h->dkey[l * h->width + c] += ds * q[c];
            dq[c] += ds * key[c];
        }
    }
    for (int64_t c = 0; c < h->width; c++)
        dk_row(h->dq, query)[h->column + c] = (float)dq[c];
}

static void store(const Head *h, DkTensor to, const double *from)
{
    for (int64_t l = 0; l < h->k.sizes[1]; l++)
        for (int64_t c = 0; c < h->width; c++)
            dk_row(to, h->first + l)[h->column + c] = (float)from[l * h->width + c];
}

void dk_ref_attention_backward(DkDevice *dev, DkTensor dq, DkTensor dkey, DkTensor dv, DkTensor dy,
                               DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads)
{
    const int64_t n = k.sizes[1], width = q.sizes[2] / n_heads;
    double *scratch = dk_scratch(dev, (size_t)(n + (2 * n + 1) * width) * sizeof *scratch);
    for (int64_t i = 0; scratch && i < q.sizes[0] * n_heads && !dk_stopped(dev); i++) {
        const Head h = {.q = q,
                        .k = k,
                        .v = v,
                        .y = y,
                        .dy = dy,
                        .dq = dq,
                        .first = i / n_heads * n,
                        .column = i % n_heads * width,
                        .width = width,
                        .weights = scratch,
                        .dkey = scratch + n,
                        .dv = scratch + n + n * width};
        memset(h.dkey, 0, (size_t)(2 * n * width) * sizeof *h.dkey);
        for (int64_t l = 0; l < q.sizes[1]; l++)
            run_query(&h, i / n_heads * q.sizes[1] + l, h.dv + n * width);
        store(&h, dkey, h.dkey);
        store(&h, dv, h.dv);
    }
}
