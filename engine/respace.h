/* The times of samplers that walk over steps of the schedule itself: DDPM's and DDIM's.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * `steps` of the schedule's `timesteps` are used, 1 <= steps <= timesteps. Point k = 0 .. steps is
 * a continuous time as schedule.h has it, the noisiest first; point `steps` is 0, the clean
 * picture. */
#ifndef DIM_RESPACE_H
#define DIM_RESPACE_H

/* Evenly from the first step to the last, halves to the even one (guided diffusion's
 * space_timesteps, arXiv 2102.09672). */
double dim_respace_even(int timesteps, int steps, int k);
/* From the first step on with the smallest whole stride that gives so many (its "ddimN"); where
 * none does, evenly. */
double dim_respace_strided(int timesteps, int steps, int k);

#endif
