/* Random numbers, indexed by place or by count: the same seed and index give the same number
 * everywhere.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * No state: every number is a function of (seed, stream, channel, row, column), so a wider
 * picture's noise contains the narrower one's, in any order and on any number of threads. */
#ifndef DIM_RNG_H
#define DIM_RNG_H

#include <glib.h>

/* What the numbers are for. Numbers of two streams have nothing in common. */
typedef enum {
    DIM_NOISE_START,          /* the start noise of the picture, or of the small grid below it */
    DIM_NOISE_DETAIL,         /* what upsampling adds inside a cell */
    DIM_NOISE_STEP = 1 << 30, /* what step k adds: k pairs further on, as the two above */
} DimNoiseStream;

/* Philox 4x32 with ten rounds: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. Four words out of a counter and a key. */
void dim_philox(const guint32 counter[4], const guint32 key[2], guint32 out[4]);

/* N(0, 1), |z| < 8.7. The same bits on every machine: only IEEE additions, products, quotients and
 * roots are used, and nothing of the C library that may round one way or another. */
double dim_noise_at(gint64 seed, DimNoiseStream stream, int channel, int row, int column);

/* What training draws, sample by sample. A counter's last word is one of these or a DimNoiseStream,
 * so no number of a training is one of a picture's noise. */
typedef enum {
    DIM_RANDOM_WEIGHTS = 16, /* the weights that training starts from; index: of the tensor */
    DIM_RANDOM_CROP,         /* which picture, which part of it, how turned; index: of the sample */
    DIM_RANDOM_TEST_CROP,    /* the same of the test pictures */
    DIM_RANDOM_TRAIN,        /* noise level and dropped label; index: of the sample */
    DIM_RANDOM_TRAIN_NOISE,  /* k: the place in the latent */
    DIM_RANDOM_TEST,         /* the same for the test loss */
    DIM_RANDOM_TEST_NOISE,
    DIM_RANDOM_ROLL, /* not of training: a seamless picture's; index: of the evaluation, k: the side
                      */
    DIM_RANDOM_WINDOW, /* the same of windows */
} DimRandomStream;

/* Number k of those that belong to `index` of a stream: uniform in [0, 1), of 53 bits. The same
 * bits on every machine. A (stream, index, k) is for one use: uniform and normal there are made of
 * the same words. */
double dim_random_uniform(gint64 seed, DimRandomStream stream, gint64 index, guint32 k);
/* 0..n-1, each as likely as 2^-53 allows; n > 0. */
gint64 dim_random_below(gint64 seed, DimRandomStream stream, gint64 index, guint32 k, gint64 n);
/* N(0, 1), |z| < 8.7. */
double dim_random_normal(gint64 seed, DimRandomStream stream, gint64 index, guint32 k);

/* out [channels, height, width]: white noise for a picture that is sampled with upsampling factor
 * `factor` (1: none; else it divides both sides). A cell of factor x factor places holds
 * w - mean (w) + z / factor: w fresh, z the small grid's noise there. That is white again, and
 * factor times the cells' means is the small picture's noise, so that a thumbnail foretells the
 * picture. */
void dim_noise_fill(float *out, gint64 seed, int channels, int height, int width, int factor);
/* The same for what step `step` of a sampler adds, 0 the noisiest. */
void dim_noise_fill_step(float *out, gint64 seed, int step, int channels, int height, int width,
                         int factor);

/* ln u for 0 < u <= 1, and cosine and sine of 2 pi u for 0 <= u < 1: the same bits on every
 * machine, within 4e-16 (of the value; of 1). */
double dim_log(double u);
double dim_cos_turns(double u);
double dim_sin_turns(double u);

#endif
