/* Training: datasets and trainers, for `dim train` and its like. The rules of dim.h hold.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Everything random in a training is a function of its seed and of a count (of samples, of steps), so a run that was
 * stopped and goes on leaves the same bytes as one that was not, and processes that share a batch draw the same samples.
 */
#ifndef DIM_TRAIN_H
#define DIM_TRAIN_H

#include "dim.h"

/* clang-format off */

G_BEGIN_DECLS

/* ---- pictures by class --------------------------------------------------------------------------------- */

#define DIM_CROP_SCALES_MAX 8

/* How a crop is drawn from a picture. Probabilities are 0..1; colours are in [0, 1]. */
typedef struct {
    int    size;               /* of the crop, pixels */
    int    n_scales;           /* the picture's shorter side before cropping, one of these at random; each >= size */
    int    scales[DIM_CROP_SCALES_MAX];
    double flip_x, flip_y, turn; /* left-right, up-down, rows against columns */
    double gain;               /* colours x uniform (1 - gain, 1 + gain) */
    double shift, tint;        /* + N(0, shift) for all channels, + N(0, tint) for each */
    double balance;            /* share of the draws that pick a class first, then one of its pictures; the rest picks a picture */
} DimCropParams;

/* What default-model.md found: scales 1, 1.5 and 2 x size, flips 1/2, 1/4, turns 1/4, slight changes of colour, balance 0.7. */
void dim_crop_params_init (DimCropParams *params, int size);

typedef struct DimDataset DimDataset;

DimDataset *dim_dataset_new        (void);
void        dim_dataset_free       (DimDataset **dataset);
/* The label of a class, added where it is new. */
int         dim_dataset_add_class  (DimDataset *dataset, const char *name);
/* Copies 8-bit RGB. `test`: kept apart, never trained on. A picture that tiles (the step over a seam is at most 1.5 x the 99th
 * percentile of the steps inside, both ways: measured here) is cropped on the torus, any other inside of its borders.
 * DIM_ERROR_ARGUMENT where a side is less than DIM_PICTURE_MIN pixels. */
#define DIM_PICTURE_MIN 32
gboolean    dim_dataset_add_image  (DimDataset *dataset, int label, const guint8 *rgb, int width, int height, gsize row_stride,
                                    gboolean test, GError **error);
int         dim_dataset_size       (const DimDataset *dataset); /* of its crops, pixels; 0: not prepared yet */
int         dim_dataset_n_classes  (const DimDataset *dataset);
const char *dim_dataset_class_name (const DimDataset *dataset, int label); /* borrowed */
int         dim_dataset_n_images   (const DimDataset *dataset, int label, gboolean test); /* label -1: of all classes */
int         dim_dataset_n_tiling   (const DimDataset *dataset, int label, gboolean test); /* of those, how many tile */
/* Resizes every picture to every scale (box by whole factors, else bicubic); needed before crops are drawn, once: only the
 * scales are kept, and nothing can be added. Where a picture is smaller than a scale it is enlarged. On failure (cancelled,
 * no memory) the dataset can only be freed. */
gboolean    dim_dataset_prepare    (DimDataset *dataset, const DimCropParams *params, DimTask *task, GError **error);
/* Draw number `index` of the stream that `seed` names: rgb [3, size, size] in [-1, 1] (planes, as the encoders take it),
 * and its label. Any thread. At least one picture of the kind (test or not) must be there. */
int         dim_dataset_crop       (const DimDataset *dataset, gint64 seed, gint64 index, gboolean test, float *rgb);

/* ---- the linear autoencoder ---------------------------------------------------------------------------- */

typedef struct {
    int    block;    /* f, picture pixels a latent pixel, one way; 1..16, divides the crops' size */
    int    channels; /* of the latent, 1..3 f^2 */
    int    crops;    /* to fit it to */
    gint64 seed;
} DimCodecParams;

void     dim_codec_params_init (DimCodecParams *params); /* block 8, 16 channels, 400 crops */
/* Fits the autoencoder family `linear` to crops of a prepared dataset and writes its file, atomically; the same bytes on every
 * machine and with any number of threads. *psnr (may be NULL): mean over 400 test crops, dB; NAN where there is no test picture. */
gboolean dim_codec_fit         (const DimDataset *dataset, const DimCodecParams *params, const char *file, double *psnr,
                                DimTask *task, GError **error);

/* ---- training ------------------------------------------------------------------------------------------ */

typedef enum {
    DIM_OPTIMISER_ADAMW,
    DIM_OPTIMISER_MUON /* for the matrices between hidden layers, which takes their rate and decay; AdamW for the rest */
} DimOptimiserKind;

typedef enum { DIM_TIMES_UNIFORM, DIM_TIMES_LOGIT_NORMAL } DimTimes;

typedef struct {
    gint64   steps, warmup;     /* optimiser steps in all; of them with a rate that rises from 0 */
    int      batch;             /* samples of a step, over all processes */
    int      micro_batch;       /* samples at a time; divides each process's share; 0: the engine picks */
    double   rate, rate_floor;  /* learning rate after warm-up; it falls as a cosine to rate_floor x rate (1: constant) */
    double   beta1, beta2, eps, decay; /* AdamW */
    double   clip;              /* largest norm of the gradient; 0: not clipped */
    double   average;           /* of the weights, exponential, every step */
    double   label_drop;        /* share of samples trained without their class */
    DimTimes times;             /* which noise levels are trained on */
    double   times_mean, times_deviation; /* of the logit of tc, for DIM_TIMES_LOGIT_NORMAL */
    gint64   seed;
    DimOptimiserKind optimiser;
    DimPrecision precision;     /* of products; BF16 rounds both operands, weights and sums stay float */
} DimTrainParams;

void dim_train_params_init (DimTrainParams *params);

/* Other processes that share the batch; one process: n 1, sum NULL. */
typedef struct {
    int    rank, n;
    void (*sum) (float *values, gsize count, void *data); /* adds up over all processes, in place, the same order everywhere */
    void  *data;
} DimTrainPeers;

typedef struct {
    gint64 step;     /* steps done */
    gint64 samples;  /* seen so far, over all processes */
    double loss;     /* mean of this step's batch */
    double rate, gradient_norm;
} DimTrainReport;

typedef struct DimTrainer DimTrainer;

/* A trainer of the backbone of `folder`, a model folder whose model.json says everything; the autoencoder's file is there.
 * The backbone's weights are drawn from the seed where its file does not exist, else they are where training starts
 * from (the weak-to-strong step: a position table of another grid is resized to this one's).
 * `checkpoint` (a file, may be missing) is what an earlier run left: then training goes on from there.
 * `dataset` is prepared with crops of the size to train on; dataset and device outlive the trainer. peers may be NULL. */
DimTrainer *dim_trainer_new       (DimDevice *device, const char *folder, const char *checkpoint, const DimTrainParams *params,
                                   const DimDataset *dataset, const DimTrainPeers *peers, GError **error);
void        dim_trainer_free      (DimTrainer **trainer);
gint64      dim_trainer_at        (const DimTrainer *trainer); /* steps done */
gint64      dim_trainer_parameters(const DimTrainer *trainer);
/* One optimiser step. On DIM_ERROR_CANCELLED nothing has changed. */
gboolean    dim_trainer_step      (DimTrainer *trainer, DimTask *task, DimTrainReport *report, GError **error);
/* Mean loss over `count` test crops (the averaged weights), the same ones and the same noise at each call. */
gboolean    dim_trainer_test_loss (DimTrainer *trainer, int count, DimTask *task, double *loss, GError **error);
/* Everything that the next run needs to go on; atomically. */
gboolean    dim_trainer_save      (DimTrainer *trainer, const char *checkpoint, GError **error);
/* The averaged weights under their published names; `dtype` "F32" or "BF16". Atomically. */
gboolean    dim_trainer_export    (DimTrainer *trainer, const char *file, const char *dtype, GError **error);
/* Another number of steps in all (>= 1), which the learning rate follows from here on. */
void        dim_trainer_aim       (DimTrainer *trainer, gint64 steps);

/* ---- weights to start from ----------------------------------------------------------------------------- */

/* The weights of the backbone of `folder`, as F32, in `file`; atomically. With `labels` [n] for n other classes: each table of labels
 * has a row for each of them and one for "no class", which is kept; labels[i] is whose row of `folder` a class starts with, 0..K-1, or
 * -1, the mean of all K. `labels` NULL: for the same. DIM_ERROR_UNSUPPORTED for a family that is not trained. */
gboolean dim_train_copy_weights (const char *folder, int n, const int *labels, const char *file, GError **error);

/* What a model can do already: latents that it made itself, and itself to ask. */
typedef struct DimReplay DimReplay;

/* `each` (>= 2) latents of each class (of at most 64, evenly spread), sampled without guidance, to a file. */
gboolean   dim_replay_make (DimModel *teacher, int each, gint64 seed, const char *file, DimTask *task, GError **error);
/* The teacher outlives it. */
DimReplay *dim_replay_open (DimModel *teacher, const char *file, GError **error);
void       dim_replay_free (DimReplay **replay);

/* From here on the first `count` samples of a batch are latents of the replay with their labels, and the goal is what the teacher
 * answers (learning without forgetting, arXiv 1606.09282); label_drop acts on these only, as "no class" is the teacher's too.
 * The teacher's labels are the trainer's, but for "no class". The last latent of each class is kept apart. The replay outlives
 * the trainer. */
gboolean dim_trainer_set_replay (DimTrainer *trainer, const DimReplay *replay, int count, GError **error);
/* How far the averaged weights have moved from the teacher: mean squared difference of the two outputs over that of the teacher's
 * alone, on the latents kept apart, `count` of them (noised alike at each call). */
gboolean dim_trainer_drift      (DimTrainer *trainer, int count, DimTask *task, double *drift, GError **error);

G_END_DECLS

/* clang-format on */

#endif
