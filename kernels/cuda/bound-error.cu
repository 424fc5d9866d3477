/* The variational bound's terms (arXiv 2102.09672), in double as the formulas in
 * ref/bound-error.c: a pass that writes dv and leaves sums, then the sums' sum.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/sums.cuh"

/* (1 + tanh (sqrt (2/π) (x + 0.044715 x³))) / 2, and its derivative. */
static inline __device__ double below(double x, double *density)
{
    const double slope = 1.5957691216057308, cubic = 0.044715;
    const double part = 1 / (1 + exp(-slope * (x + cubic * x * x * x)));
    *density = part * (1 - part) * slope * (1 + 3 * cubic * x * x);
    return part;
}

/* -ln of the likelihood in nats, and its derivative by s. */
static inline __device__ double bin_term(double x0, double e, double s, double *slope)
{
    const double least = 1e-12, bin = 1.0 / 255, edge = 0.999;
    const double scale = exp(-s / 2), high = scale * (e + bin), low = scale * (e - bin);
    double at_high, at_low;
    double part = below(high, &at_high), change = -at_high * high / 2;
    const double under = below(low, &at_low);
    if (x0 > edge) {
        part = 1 - under;
        change = at_low * low / 2;
    } else if (x0 >= -edge) {
        part -= under;
        change += at_low * low / 2;
    }
    *slope = part > least ? -change / part : 0;
    return -log(fmax(part, least));
}

static inline __device__ double divergence(double r, double e, double s, double *slope)
{
    const double ratio = exp(r - s), off = e * e * exp(-s);
    *slope = (1 - ratio - off) / 2;
    return (s - r - 1 + ratio + off) / 2;
}

struct BoundError {
    DkCudaRows dv, v, y, target, x0;
    const double *terms;
    double factor;
    __device__ double at(int64_t row, int64_t column) const
    {
        const double *term = terms + 4 * row;
        const double lower = term[0], half = (term[1] - lower) / 2;
        const double s = lower + half * (1 + v.at[row * v.stride + column]);
        const double off =
            (double)y.at[row * y.stride + column] - (double)target.at[row * target.stride + column];
        double slope;
        const double sum = term[3] != 0 ? bin_term((double)x0.at[row * x0.stride + column],
                                                   term[2] * off, s, &slope)
                                        : divergence(lower, term[2] * off, s, &slope);
        dv.at[row * dv.stride + column] = (float)(factor * slope * half);
        return sum;
    }
};

void dk_cuda_bound_error(DkDevice *dev, DkTensor loss, DkTensor dv, DkTensor v, DkTensor y,
                         DkTensor target, DkTensor x0, DkTensor terms, double factor)
{
    const double by = factor / log(2.0);
    const BoundError op = {dk_cuda_rows(dv),
                           dk_cuda_rows(v),
                           dk_cuda_rows(y),
                           dk_cuda_rows(target),
                           dk_cuda_rows(x0),
                           static_cast<const double *>(dk_data(terms)),
                           by};
    dk_sum_all(dev, loss, v, false, by, op);
}
