/* A row's mean, its squares about the mean, and its normalised numbers.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Sums and the division run in double: neither huge nor nearly equal values lose anything, and at
 * the width of a model the row is in the first cache by then. */
#ifndef DK_CPU_NORM_ROW_H
#define DK_CPU_NORM_ROW_H

#include "kernels/cpu/vector.h"
#include "kernels/dk.h"

#include <math.h>

enum { HALF = VEC_LANES / 2 };

static inline double sum(const float *x, int64_t n)
{
    VecDouble a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * HALF <= n; i += 2 * HALF) {
        a += vec_double_load(x + i);
        b += vec_double_load(x + i + HALF);
    }
    double rest = 0;
    for (; i < n; i++)
        rest += x[i];
    return vec_double_sum(a + b) + rest;
}

static inline double squares_about(const float *x, int64_t n, double mean)
{
    VecDouble a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * HALF <= n; i += 2 * HALF) {
        const VecDouble p = vec_double_load(x + i) - mean;
        const VecDouble q = vec_double_load(x + i + HALF) - mean;
        a += p * p;
        b += q * q;
    }
    double rest = 0;
    for (; i < n; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    return vec_double_sum(a + b) + rest;
}

/* (x - mean) · factor of n lanes, rounded to float once. */
static inline Vec normal(const float *x, double mean, double factor, int64_t n)
{
    float lanes[VEC_LANES] = {0};
    if (n < VEC_LANES)
        x = memcpy(lanes, x, (size_t)n * sizeof *x);
    return vec_round((vec_double_load(x) - mean) * factor,
                     (vec_double_load(x + HALF) - mean) * factor);
}

/* What normal takes: the mean to subtract, and 1 / sqrt (mean square about it + eps). */
static inline double norm_factor(const float *x, int64_t n, DkNorm norm, double eps, double *mean)
{
    *mean = norm == DK_NORM_LAYER ? sum(x, n) / (double)n : 0;
    return 1 / sqrt(squares_about(x, n, *mean) / (double)n + eps);
}

#endif
