/* A step's term of the variational bound (arXiv 2102.09672): of the Gaussian that the network
 * predicts, mean off by e and logarithm of the variance s, against the true one, of logarithm r,
 *     (s - r - 1 + exp (r - s) + e² exp (-s)) / 2
 * nats; of the last step the likelihood of x0 in its bin, the outermost ones open. As in the
 * authors' program the normal distribution is (1 + tanh (sqrt (2/π) (x + 0.044715 x³))) / 2, and no
 * likelihood is less than 1e-12.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

static const double LEAST = 1e-12, BIN = 1.0 / 255, EDGE = 0.999;

/* The distribution at x, and its density. */
static double below(double x, double *density)
{
    const double z = dk_ref_gelu_inner(x), part = 1 / (1 + exp(-z));
    *density = part * (1 - part) * 1.5957691216057308 * (1 + 3 * 0.044715 * x * x);
    return part;
}

/* -ln of the likelihood in nats, and its derivative by s. */
static double bin_term(double x0, double e, double s, double *slope)
{
    const double scale = exp(-s / 2), high = scale * (e + BIN), low = scale * (e - BIN);
    double at_high, at_low;
    double part = below(high, &at_high) - below(low, &at_low);
    double change = -(at_high * high - at_low * low) / 2;
    if (x0 < -EDGE) {
        part = below(high, &at_high);
        change = -at_high * high / 2;
    } else if (x0 > EDGE) {
        part = 1 - below(low, &at_low);
        change = at_low * low / 2;
    }
    *slope = part > LEAST ? -change / part : 0;
    return -log(fmax(part, LEAST));
}

static double divergence(double r, double e, double s, double *slope)
{
    const double ratio = exp(r - s), off = e * e * exp(-s);
    *slope = (1 - ratio - off) / 2;
    return (s - r - 1 + ratio + off) / 2;
}

/* Row i; returns the sum of its terms in nats. */
static double run_row(float *dv, const float *v, const float *y, const float *target,
                      const float *x0, const double *terms, int64_t n, double factor)
{
    const double lower = terms[0], upper = terms[1], half = (upper - lower) / 2;
    double sum = 0;
    for (int64_t c = 0; c < n; c++) {
        const double s = lower + half * (1 + v[c]), e = terms[2] * ((double)y[c] - target[c]);
        double slope;
        sum +=
            terms[3] != 0 ? bin_term((double)x0[c], e, s, &slope) : divergence(lower, e, s, &slope);
        dv[c] = (float)(factor * slope * half);
    }
    return sum;
}

void dk_ref_bound_error(DkDevice *dev, DkTensor loss, DkTensor dv, DkTensor v, DkTensor y,
                        DkTensor target, DkTensor x0, DkTensor terms, double factor)
{
    const double bits = 1 / log(2);
    double sum = 0;
    for (int64_t i = 0; i < dk_rows(v) && !dk_stopped(dev); i++)
        sum += run_row(dk_row(dv, i), dk_row(v, i), dk_row(y, i), dk_row(target, i), dk_row(x0, i),
                       (const double *)dk_data(terms) + 4 * i, dk_columns(v), factor * bits);
    if (!dk_stopped(dev))
        *(double *)dk_data(loss) += factor * bits * sum;
}
