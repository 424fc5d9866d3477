/* Noise from the caller, from the seed by place, or as PyTorch's generator has it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "noise.h"

#include <string.h>

#include "error.h"
#include "rng.h"

static const char *const names[] = {"philox", "torch", NULL};

const char *const *dim_rng_names(void)
{
    return names;
}

static gboolean check_start(const DimNoise *noise, GError **error)
{
    const DimArray *given = noise->given_start;

    if (!given || (given->rank == 4 && !memcmp(given->sizes, noise->sizes, sizeof noise->sizes)))
        return TRUE;
    return dim_fail(error, DIM_ERROR_ARGUMENT, "noise",
                    "expected x of shape [1, %d, %d, %d], the working grid of this size",
                    (int)noise->sizes[1], (int)noise->sizes[2], (int)noise->sizes[3]);
}

static gboolean check_steps(const DimNoise *noise, int steps, GError **error)
{
    const DimArray *given = noise->given_steps;

    if (!given || (given->rank == 5 && given->sizes[0] == steps &&
                   !memcmp(given->sizes + 1, noise->sizes, sizeof noise->sizes)))
        return TRUE;
    return dim_fail(error, DIM_ERROR_ARGUMENT, "noise",
                    "expected step_noise of shape [%d, 1, %d, %d, %d], the steps and the working "
                    "grid of this size",
                    steps, (int)noise->sizes[1], (int)noise->sizes[2], (int)noise->sizes[3]);
}

gboolean dim_noise_init(DimNoise *noise, const DimParams *params, const DimMethod *method,
                        const gint64 *sizes, int factor, GError **error)
{
    *noise = (DimNoise){.rng = params->rng,
                        .seed = params->seed,
                        .factor = factor,
                        .given_start = params->noise,
                        .given_steps = method->adds_noise ? params->step_noise : NULL};
    memcpy(noise->sizes, sizes, sizeof noise->sizes);
    dim_torch_seed(&noise->torch, params->seed);
    return check_start(noise, error) && check_steps(noise, params->steps, error);
}

static gsize count(const DimNoise *noise)
{
    return (gsize)noise->sizes[1] * noise->sizes[2] * noise->sizes[3];
}

/* `step` -1: the start. */
static void draw(DimNoise *noise, int step, float *out)
{
    const int c = (int)noise->sizes[1], h = (int)noise->sizes[2], w = (int)noise->sizes[3];

    if (noise->rng == DIM_RNG_TORCH)
        dim_torch_normal(&noise->torch, out, (gint64)count(noise));
    else if (step < 0)
        dim_noise_fill(out, noise->seed, c, h, w, noise->factor);
    else
        dim_noise_fill_step(out, noise->seed, step, c, h, w, noise->factor);
}

/* The seed's steps are the same whether or not the start is the caller's. */
void dim_noise_start(DimNoise *noise, float *out)
{
    if (!noise->given_start || noise->rng == DIM_RNG_TORCH)
        draw(noise, -1, out);
    if (noise->given_start)
        memcpy(out, noise->given_start->data, sizeof *out * count(noise));
}

void dim_noise_step(DimNoise *noise, int k, float *out)
{
    if (noise->given_steps)
        memcpy(out, noise->given_steps->data + (gsize)k * count(noise), sizeof *out * count(noise));
    else
        draw(noise, k, out);
}
