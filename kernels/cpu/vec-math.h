/* Transcendental functions of vectors, good to 2.5e-7 relative for every finite input.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Exponentials below the smallest normal number are 0. Polynomials are minimax fits of the relative
 * error (Lawson's iteration), the leading coefficients fixed at their exact values. */
#ifndef DK_CPU_VEC_MATH_H
#define DK_CPU_VEC_MATH_H

#include "kernels/cpu/vector.h"
#include "kernels/dk.h"

/* Adding it rounds to the nearest integer, left in the low bits: 1.5 · 2^23. */
#define VEC_ROUNDER 12582912.f

/* 2^f, |f| <= 1/2; exactly 1 at 0. Error 0.9e-7. */
static inline Vec vec_exp2_fraction(Vec f)
{
    Vec p = vec_fma(f, vec_all(0.001326472731f), vec_all(0.009671512991f));
    p = vec_fma(p, f, vec_all(0.05550733581f));
    p = vec_fma(p, f, vec_all(0.2402224243f));
    p = vec_fma(p, f, vec_all(0.6931470037f));
    return vec_fma(p, f, vec_all(1));
}

/* 2^t for finite t <= 0: the scan's inner function, so nothing that t > 0 needs is paid for. */
static inline Vec vec_exp2_negative(Vec t)
{
#if defined(__AVX512F__)
    const __m512 k = _mm512_roundscale_ps((__m512)t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return (Vec)_mm512_scalef_ps((__m512)vec_exp2_fraction(t - (Vec)k), k);
#else
    /* At -127 the sum of the bits is exactly 0; just above it is a denormal, read as 0. */
    t = vec_at_least(t, -127);
    const Vec k = t + VEC_ROUNDER, f = t - (k - VEC_ROUNDER);
    return (Vec)((VecInt)vec_exp2_fraction(f) + ((VecInt)k << 23));
#endif
}

/* The same, and 0 for minus infinity, too. As a softmax's weights it is as exact as e^x: rounding t
 * costs |t| 2^t of a float's last bit. */
static inline Vec vec_exp2_weight(Vec t)
{
#if defined(__AVX512F__)
    t = vec_at_least(t, -150);
#endif
    return vec_exp2_negative(t);
}

/* e^x = what is returned times 2^k, k being the low bits of *shift. ln 2 is taken off in two parts,
 * the first with so few bits that its product with k is exact: no accuracy is lost for large |x|,
 * with or without FMA. */
static inline Vec vec_exp_fraction(Vec x, Vec *shift)
{
    const Vec k = vec_fma(x, vec_all(1.442695041f), vec_all(VEC_ROUNDER)), n = k - VEC_ROUNDER;
    const Vec r = vec_fma(n, vec_all(2.12194440e-4f), vec_fma(n, vec_all(-0.693359375f), x));
    Vec p = vec_fma(r, vec_all(0.001381443348f), vec_all(0.008368796669f));
    p = vec_fma(p, r, vec_all(0.04166839644f));
    p = vec_fma(p, r, vec_all(0.1666651964f));
    p = vec_fma(p, r, vec_all(0.4999999404f));
    *shift = k;
    return vec_fma(p * r, r, r) + 1;
}

/* e^x for x <= 0, minus infinity included. */
static inline Vec vec_exp_negative(Vec x)
{
    Vec k;
    const Vec p = vec_exp_fraction(vec_at_least(x, -88), &k);
    const VecInt bits = (VecInt)p + ((VecInt)k << 23);
    return (Vec)(~(x < -87.33f) & bits);
}

/* e^x for any x; the scale is applied in two steps, since 2^128 is no float. */
static inline Vec vec_exp(Vec x)
{
    Vec shift;
    const Vec p = vec_exp_fraction(vec_at_most(vec_at_least(x, -104), 89), &shift);
    const VecInt k = (VecInt)shift - (VecInt)vec_all(VEC_ROUNDER), half = k >> 1;
    return p * (Vec)((half + 127) << 23) * (Vec)((k - half + 127) << 23);
}

/* log (1 + e^x) = max (x, 0) + log1p (e), e = e^-|x|; log1p (e) = 2 artanh (e / (2 + e)), which
 * keeps its relative accuracy as e goes to 0. The caller finds e by vec_exp_negative. */
static inline Vec vec_softplus(Vec x, Vec e)
{
    const Vec w = e / (e + 2), s = w * w;
    Vec p = vec_fma(s, vec_all(0.1400599480f), vec_all(0.1400090307f));
    p = vec_fma(p, s, vec_all(0.2001076341f));
    p = vec_fma(p, s, vec_all(0.3333320916f));
    const Vec log1p = vec_fma(p * s, w, w);
    return vec_at_least(x, 0) + (log1p + log1p);
}

/* 1 / (1 + e^-x) by e = e^-|x|. */
static inline Vec vec_sigmoid_by(Vec x, Vec e)
{
    return vec_select(x < 0, e, vec_all(1)) / (e + 1);
}

/* x / (1 + e^-x) by e = e^-|x|: the exponential of whichever of x and -x is negative. */
static inline Vec vec_silu_by(Vec x, Vec e)
{
    return x * vec_select(x < 0, e, vec_all(1)) / (e + 1);
}

/* Its derivative s (1 + x (1 - s)), s the sigmoid; 1 - s without cancellation. */
static inline Vec vec_silu_slope_by(Vec x, Vec e)
{
    const Vec large = 1 / (e + 1), small = e * large;
    const VecInt negative = x < 0;
    return vec_select(negative, small, large) *
           vec_fma(x, vec_select(negative, large, small), vec_all(1));
}

static inline Vec vec_silu(Vec x)
{
    return vec_silu_by(x, vec_exp_negative(-vec_abs(x)));
}

static inline Vec vec_tanh(Vec x)
{
    const Vec a = vec_abs(x), e = vec_exp_negative(a * -2), s = x * x;
    Vec p = vec_fma(s, vec_all(-0.005704986397f), vec_all(0.02063908614f));
    p = vec_fma(p, s, vec_all(-0.05373971537f));
    p = vec_fma(p, s, vec_all(0.1333144158f));
    p = vec_fma(p, s, vec_all(-0.3333328068f));
    const Vec small = vec_fma(p * s, x, x), large = (1 - e) / (1 + e);
    const VecInt sign = (VecInt)x & INT32_MIN;
    return vec_select(a < 0.625f, small, (Vec)((VecInt)large | sign));
}

/* GELU is x times the sigmoid of 2 sqrt (2 / π) (x + 0.044715 x³), to 3e-7 of |x|. Here is 2^t, of
 * which that sigmoid is 1 / (1 + 2^t): infinite from t = 128 on, so that GELU of large negative x
 * is 0. */
static inline Vec vec_gelu_power(Vec x)
{
    Vec t = x * vec_fma(x * x, vec_all(-0.1029432396f), vec_all(-2.302208198f));
    t = vec_at_most(vec_at_least(t, -126), 128);
    const Vec k = t + VEC_ROUNDER, f = t - (k - VEC_ROUNDER);
    return (Vec)((VecInt)vec_exp2_fraction(f) + ((VecInt)k << 23));
}

static inline Vec vec_gelu(Vec x)
{
    return x / (vec_gelu_power(x) + 1);
}

/* s (1 + (1 - s) x z'), s the sigmoid, z its argument; 1 - s without cancellation. Beyond 10 it is
 * 0 or 1, and within the power is finite. */
static inline Vec vec_gelu_slope(Vec x)
{
    x = vec_at_most(vec_at_least(x, -10), 10);
    const Vec e = vec_gelu_power(x), s = 1 / (e + 1);
    const Vec slope = vec_fma(x * x, vec_all(0.2140644488f), vec_all(1.595769122f));
    return vec_fma(s * (e * s), x * slope, s);
}

static inline Vec vec_act(Vec x, DkAct act)
{
    switch (act) {
    case DK_ACT_SILU:
        return vec_silu(x);
    case DK_ACT_RELU:
        return vec_at_least(x, 0);
    case DK_ACT_TANH:
        return vec_tanh(x);
    case DK_ACT_GELU:
        return vec_gelu(x);
    case DK_ACT_NONE:
        break;
    }
    return x;
}

/* act' (x) */
static inline Vec vec_act_slope(Vec x, DkAct act)
{
    switch (act) {
    case DK_ACT_SILU:
        return vec_silu_slope_by(x, vec_exp_negative(-vec_abs(x)));
    case DK_ACT_RELU:
        return (Vec)((x > 0) & (VecInt)vec_all(1));
    case DK_ACT_TANH: { /* 1 - t² = 4 e / (1 + e)², e = e^-2|x|: no cancellation for large x */
        const Vec e = vec_exp_negative(vec_abs(x) * -2), w = 1 / (e + 1);
        return e * 4 * w * w;
    }
    case DK_ACT_GELU:
        return vec_gelu_slope(x);
    case DK_ACT_NONE:
        break;
    }
    return vec_all(1);
}

#endif
