/* One vector of floats, as wide as the instruction set that this file is compiled for.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The kernels of this folder are written once in these terms and compiled for each instruction set
 * (kernels/meson.build): 16 lanes with AVX-512, 8 with AVX2, else 4 in plain C; or DK_VEC_LANES in
 * plain C, so that the tests see the wide kernels' logic on every machine. Arithmetic is the
 * compilers' own vector extension; only what that lacks has a function here. */
#ifndef DK_CPU_VECTOR_H
#define DK_CPU_VECTOR_H

#include "kernels/dk.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
enum { VEC_LANES = 16 };
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { VEC_LANES = 8 };
#elif defined(DK_VEC_LANES)
enum { VEC_LANES = DK_VEC_LANES };
#else
enum { VEC_LANES = 4 };
#endif

typedef float Vec __attribute__((vector_size(4 * VEC_LANES)));
typedef int32_t VecInt __attribute__((vector_size(4 * VEC_LANES)));
/* Half as many lanes. */
typedef float VecHalf __attribute__((vector_size(2 * VEC_LANES)));
typedef double VecDouble __attribute__((vector_size(4 * VEC_LANES)));

/* The same, anywhere in memory. */
typedef float VecAt __attribute__((vector_size(4 * VEC_LANES), aligned(4), may_alias));

static inline Vec vec_load(const float *p)
{
    return *(const VecAt *)p;
}

static inline void vec_store(float *p, Vec x)
{
    *(VecAt *)p = x;
}

/* The first n lanes, n <= VEC_LANES; the others are 0 and their memory is not touched. */
static inline Vec vec_load_first(const float *p, int64_t n)
{
    if (n == VEC_LANES)
        return vec_load(p);
    Vec x = {0};
    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
}

static inline void vec_store_first(float *p, Vec x, int64_t n)
{
    if (n == VEC_LANES)
        vec_store(p, x);
    else
        memcpy(p, &x, (size_t)n * sizeof *p);
}

/* n floats. For rows of a head or a panel: a memcpy of unknown length becomes `rep movs`, which
 * takes longer to begin than such a row takes in all. */
static inline void vec_copy(float *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES)
        vec_store(to + i, vec_load(from + i));
    for (; i < n; i++)
        to[i] = from[i];
}

static inline int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many parts of `size` cover n. */
static inline int64_t parts_of(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* How many lanes are left of n elements from element i on. */
static inline int64_t vec_lanes(int64_t i, int64_t n)
{
    return n - i < VEC_LANES ? n - i : VEC_LANES;
}

static inline Vec vec_all(float x)
{
    return x - (Vec){0};
}

/* Half a vector of floats in memory as doubles, and two of such rounded and side by side. */
static inline VecDouble vec_double_load(const float *p)
{
#if defined(__AVX512F__)
    return (VecDouble)_mm512_cvtps_pd(_mm256_loadu_ps(p));
#elif defined(__AVX2__) && defined(__FMA__)
    return (VecDouble)_mm256_cvtps_pd(_mm_loadu_ps(p));
#else
    VecHalf half;
    memcpy(&half, p, sizeof half);
    return __builtin_convertvector(half, VecDouble);
#endif
}

static inline Vec vec_round(VecDouble low, VecDouble high)
{
#if defined(__AVX512F__)
    const __m512 wide = _mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low));
    return (Vec)_mm512_insertf32x8(wide, _mm512_cvtpd_ps((__m512d)high), 1);
#elif defined(__AVX2__) && defined(__FMA__)
    return (Vec)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#else
    const VecHalf halves[] = {__builtin_convertvector(low, VecHalf),
                              __builtin_convertvector(high, VecHalf)};
    Vec x;
    memcpy(&x, halves, sizeof x);
    return x;
#endif
}

/* a·b + c, rounded once where the instruction set has it. */
static inline Vec vec_fma(Vec a, Vec b, Vec c)
{
#if defined(__AVX512F__)
    return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* c - a·b */
static inline Vec vec_fnma(Vec a, Vec b, Vec c)
{
#if defined(__AVX512F__)
    return (Vec)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (Vec)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return c - a * b;
#endif
}

static inline Vec vec_select(VecInt mask, Vec yes, Vec no)
{
    return (Vec)((mask & (VecInt)yes) | (~mask & (VecInt)no));
}

/* The larger of x and the number `least`; a NaN in x stays. */
static inline Vec vec_at_least(Vec x, float least)
{
#if defined(__AVX512F__)
    return (Vec)_mm512_max_ps((__m512)vec_all(least), (__m512)x);
#elif defined(__AVX2__) && defined(__FMA__)
    return (Vec)_mm256_max_ps((__m256)vec_all(least), (__m256)x);
#else
    return vec_select(vec_all(least) > x, vec_all(least), x);
#endif
}

static inline Vec vec_at_most(Vec x, float most)
{
#if defined(__AVX512F__)
    return (Vec)_mm512_min_ps((__m512)vec_all(most), (__m512)x);
#elif defined(__AVX2__) && defined(__FMA__)
    return (Vec)_mm256_min_ps((__m256)vec_all(most), (__m256)x);
#else
    return vec_select(vec_all(most) < x, vec_all(most), x);
#endif
}

/* Rounded to bf16, ties to even; a NaN stays one. */
static inline Vec vec_bf16(Vec x)
{
    typedef uint32_t Bits __attribute__((vector_size(4 * VEC_LANES)));
    const Bits bits = (Bits)x, rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    return vec_select(x == x, (Vec)rounded, x);
}

/* To f16, as dk_f16. */
static inline Vec vec_f16(Vec x)
{
    typedef uint32_t Bits __attribute__((vector_size(4 * VEC_LANES)));
    const Bits sign = (Bits)x & 0x80000000;
    const Vec size = (Vec)((Bits)x ^ sign), within = vec_at_most(size, 65504);
    const Bits bits = (Bits)within, rounded = (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
    const Vec small = within + 0.5f - 0.5f;
    const Vec y = vec_select(within < vec_all(0x1p-14f), small, (Vec)rounded);
    return vec_select(size <= vec_all(FLT_MAX), (Vec)((Bits)y | sign), x);
}

/* n operands of a product, in place. */
static inline void vec_round_operands(float *x, int64_t n, DkProducts products)
{
    if (products == DK_PRODUCTS_BF16)
        for (int64_t i = 0; i < n; i += VEC_LANES)
            vec_store_first(x + i, vec_bf16(vec_load_first(x + i, vec_lanes(i, n))),
                            vec_lanes(i, n));
    else if (products == DK_PRODUCTS_F16)
        for (int64_t i = 0; i < n; i += VEC_LANES)
            vec_store_first(x + i, vec_f16(vec_load_first(x + i, vec_lanes(i, n))),
                            vec_lanes(i, n));
}

/* a and b lane by lane in turns: the first half of that, and the second. */
static inline Vec vec_interleave_low(Vec a, Vec b)
{
#if defined(__AVX512F__) || DK_VEC_LANES == 16
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif defined(__AVX2__) && defined(__FMA__)
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}

static inline Vec vec_interleave_high(Vec a, Vec b)
{
#if defined(__AVX512F__) || DK_VEC_LANES == 16
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
#elif defined(__AVX2__) && defined(__FMA__)
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

/* Rows become columns. An element's place is the bits of its row and then those of its column; each
 * round moves the first of both to their ends. */
static inline void vec_transpose(Vec x[VEC_LANES])
{
    for (int round = 1; round < VEC_LANES; round *= 2) {
        Vec y[VEC_LANES];
        for (int i = 0; i < VEC_LANES / 2; i++) {
            y[2 * i] = vec_interleave_low(x[i], x[i + VEC_LANES / 2]);
            y[2 * i + 1] = vec_interleave_high(x[i], x[i + VEC_LANES / 2]);
        }
        memcpy(x, y, sizeof y);
    }
}

static inline Vec vec_abs(Vec x)
{
    return (Vec)((VecInt)x & 0x7fffffff);
}

static inline Vec vec_sqrt(Vec x)
{
#if defined(__AVX512F__)
    return (Vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__) && defined(__FMA__)
    return (Vec)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < VEC_LANES; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

static inline double vec_double_sum(VecDouble x)
{
    double sum = 0;
    for (int i = 0; i < VEC_LANES / 2; i++)
        sum += x[i];
    return sum;
}

/* The sum of the lanes of each of eight vectors. */
static inline void vec_sum_eight(const Vec v[8], float sums[8])
{
#if defined(__AVX2__) && defined(__FMA__)
    __m256 x[8];
    for (int i = 0; i < 8; i++) {
#if defined(__AVX512F__)
        x[i] = _mm256_add_ps(_mm512_castps512_ps256((__m512)v[i]),
                             _mm512_extractf32x8_ps((__m512)v[i], 1));
#else
        x[i] = (__m256)v[i];
#endif
    }
    for (int n = 4; n > 1; n /= 2) /* neighbours, within each half */
        for (int i = 0; i < n; i++)
            x[i] = _mm256_hadd_ps(x[2 * i], x[2 * i + 1]);
    _mm256_storeu_ps(sums, _mm256_add_ps(_mm256_permute2f128_ps(x[0], x[1], 0x20),
                                         _mm256_permute2f128_ps(x[0], x[1], 0x31)));
#else
    for (int i = 0; i < 8; i++) {
        sums[i] = 0;
        for (int lane = 0; lane < VEC_LANES; lane++)
            sums[i] += v[i][lane];
    }
#endif
}

#endif
