/* PyTorch's random numbers on the CPU: what torch.manual_seed, torch.rand and torch.randn give.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Unlike those of rng.h they have a state: a picture's size and the order of the calls decide what
 * comes. f32 only. */
#ifndef DIM_RNG_TORCH_H
#define DIM_RNG_TORCH_H

#include <glib.h>

typedef struct {
    guint32 words[624]; /* of the Mersenne Twister MT19937 */
    int used;           /* how many of them are spent */
    double second;      /* the second normal of a pair, while is_kept */
    gboolean is_kept;
} DimTorchRng;

/* torch.manual_seed: of the seed only the lower 32 bits count. */
void dim_torch_seed(DimTorchRng *rng, gint64 seed);
/* torch.rand(n): in [0, 1), of 24 bits; PyTorch's to the bit. */
void dim_torch_uniform(DimTorchRng *rng, float *out, gint64 n);
/* torch.randn(n), within 4 ulp of PyTorch's, whose own bits differ between its builds; these are
 * the same on every machine. */
void dim_torch_normal(DimTorchRng *rng, float *out, gint64 n);

#endif
