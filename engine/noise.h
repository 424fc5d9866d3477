/* The random numbers of a run: its start noise and what its steps add.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_NOISE_H
#define DIM_NOISE_H

#include "dim.h"
#include "method.h"
#include "rng-torch.h"

typedef struct {
    DimRng rng;
    gint64 seed;
    gint64 sizes[4];                           /* [1, C, h, w] */
    int factor;                                /* of upsampling */
    const DimArray *given_start, *given_steps; /* the caller's, or NULL */
    DimTorchRng torch;
} DimNoise;

/* Refuses a caller's noise of another shape than sizes; step noise is looked at only where the
 * method adds any. It is not copied. */
gboolean dim_noise_init(DimNoise *noise, const DimParams *params, const DimMethod *method,
                        const gint64 *sizes, int factor, GError **error);

/* Both fill out [C, h, w]. The start first, then the steps from 0 on, each once. */
void dim_noise_start(DimNoise *noise, float *out);
void dim_noise_step(DimNoise *noise, int k, float *out);

#endif
