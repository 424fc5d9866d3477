/* The Mersenne Twister, and normals out of it in PyTorch's order.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998), 3-30; PyTorch's
 * ATen/native/cpu/DistributionTemplates.h (normal_fill) and ATen/core/DistributionsHelper.h. */
#include "rng-torch.h"

#include <math.h>

#include "rng.h"

enum { N_WORDS = G_N_ELEMENTS(((DimTorchRng *)NULL)->words), PERIOD = 397, BLOCK = 16 };

void dim_torch_seed(DimTorchRng *rng, gint64 seed)
{
    *rng = (DimTorchRng){.used = N_WORDS};
    rng->words[0] = (guint32)seed;
    for (guint32 i = 1; i < N_WORDS; i++) {
        const guint32 last = rng->words[i - 1];
        rng->words[i] = 1812433253u * (last ^ last >> 30) + i;
    }
}

static void refill(DimTorchRng *rng)
{
    guint32 *w = rng->words;

    for (int i = 0; i < N_WORDS; i++) {
        const guint32 mixed = (w[i] & 0x80000000u) | (w[(i + 1) % N_WORDS] & 0x7fffffffu);
        w[i] = w[(i + PERIOD) % N_WORDS] ^ mixed >> 1 ^ (mixed & 1 ? 0x9908b0dfu : 0);
    }
    rng->used = 0;
}

static guint32 next_word(DimTorchRng *rng)
{
    if (rng->used == N_WORDS)
        refill(rng);
    guint32 y = rng->words[rng->used++];

    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

void dim_torch_uniform(DimTorchRng *rng, float *out, gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        out[i] = (float)(next_word(rng) & 0xffffff) * 0x1p-24f;
}

/* The first word is the upper half. */
static double uniform_53(DimTorchRng *rng)
{
    const guint64 high = next_word(rng), low = next_word(rng);

    return (double)((high << 32 | low) & ((G_GUINT64_CONSTANT(1) << 53) - 1)) * 0x1p-53;
}

/* Box and Muller in double, one number at a time; the other one of a pair comes next, whenever. */
static double next_normal(DimTorchRng *rng)
{
    if (rng->is_kept) {
        rng->is_kept = FALSE;
        return rng->second;
    }
    const double turns = uniform_53(rng);
    const double radius = sqrt(-2 * dim_log(1 - uniform_53(rng)));
    rng->second = radius * dim_sin_turns(turns);
    rng->is_kept = TRUE;
    return radius * dim_cos_turns(turns);
}

/* Sixteen uniform numbers to normal ones. Each value is rounded to f32 where PyTorch's is: near the
 * zeros of sine and cosine the rounding of the angle decides. */
static void transform(float *block)
{
    static const double two_pi = 6.28318530717958648;

    for (int i = 0; i < BLOCK / 2; i++) {
        const float angle = (float)two_pi * block[i + BLOCK / 2];
        const float radius = sqrtf(-2 * (float)dim_log(1 - (double)block[i]));
        block[i] = radius * (float)dim_cos_turns(angle / two_pi);
        block[i + BLOCK / 2] = radius * (float)dim_sin_turns(angle / two_pi);
    }
}

/* In blocks of sixteen; what is left over becomes a last block of new numbers, over the end of the
 * one before. Few numbers are made one by one. */
void dim_torch_normal(DimTorchRng *rng, float *out, gint64 n)
{
    if (n < BLOCK) {
        for (gint64 i = 0; i < n; i++)
            out[i] = (float)next_normal(rng);
        return;
    }
    dim_torch_uniform(rng, out, n);
    for (gint64 i = 0; i + BLOCK <= n; i += BLOCK)
        transform(out + i);
    if (n % BLOCK) {
        dim_torch_uniform(rng, out + n - BLOCK, BLOCK);
        transform(out + n - BLOCK);
    }
}
