/* The exp yardstick: 2^x by a polynomial of degree 5 and nothing else, which bounds a selective
 * scan.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Compiled for each instruction set, as the kernels are. */
#include "exp-rate.h"

#include "kernels/cpu/vector.h"

/* For x <= 0 and not far from it: without the kernels' care for what underflows. */
static inline Vec exp2_plain(Vec x)
{
    const Vec k = x + 12582912.f, f = x - (k - 12582912.f);
    Vec p = vec_fma(f, vec_all(0.00133990f), vec_all(0.00961788f));
    p = vec_fma(p, f, vec_all(0.0555032f));
    p = vec_fma(p, f, vec_all(0.240226462f));
    p = vec_fma(p, f, vec_all(0.693147182f));
    p = vec_fma(p, f, vec_all(1));
    return (Vec)((VecInt)p + ((VecInt)k << 23));
}

int64_t EXP_RATE(DK_SIMD_ISA)(int64_t n, float *sum)
{
    enum { CHAINS = 4 };
    Vec x[CHAINS], total[CHAINS] = {{0}};
    for (int j = 0; j < CHAINS; j++)
        x[j] = vec_all(-0.01f * (float)j);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < CHAINS; j++) {
            total[j] += exp2_plain(x[j]);
            x[j] -= 1e-7f;
        }
    total[0] += total[1] + total[2] + total[3];
    *sum = total[0][0];
    return n * CHAINS * VEC_LANES;
}
