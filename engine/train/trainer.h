/* A trainer from the inside: what its three files share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_TRAINER_H
#define DIM_TRAIN_TRAINER_H

#include "engine/dim-train.h"
#include "engine/model.h"
#include "engine/schedule.h"
#include "loss.h"
#include "net-train.h"
#include "optimiser.h"

struct DimTrainer {
    DimDevice *device;
    DkDevice *dk;
    DimModelSpec *spec;
    DimTrainParams params;
    const DimDataset *dataset;
    DimTrainPeers peers;

    const DimTrainClass *class;
    DimParameters parameters;
    DimOptimiser optimiser;
    DimTrainNet net;
    DimSchedule schedule;
    DimAutoencoder *encoder;

    int size;               /* of a crop, pixels */
    int latent[3];          /* C, h, w */
    int share;              /* samples of a step that this process takes */
    int micro;              /* samples at a time */
    DimArray crops, z;      /* [micro, 3, size, size], [micro, C, h, w] */
    float *noised, *target; /* [micro, C, h, w] */
    DimGoal goal;           /* the same on the device, and what variances need */
    DkTensor loss, norm;    /* [1], f64 */
    DkBuffer *buffer;       /* of these three */

    const DimReplay *replay; /* may be NULL */
    int replayed;            /* samples of a batch, its first ones */

    gint64 step; /* optimiser steps done */
};

/* Sample `index` of the training (or test) stream and the following ones become the micro-batch on
 * the device. */
gboolean dim_trainer_feed(DimTrainer *trainer, gint64 index, gboolean test, GError **error);

/* The same noise level and noise as for a test sample of that index, for latent i of z. */
int dim_trainer_noise(DimTrainer *trainer, gint64 index, int i);
/* The averaged weights in place of those that are trained, and back; the gradient's memory is
 * used. */
void dim_trainer_swap_in(DimTrainer *trainer);
void dim_trainer_swap_out(DimTrainer *trainer);

/* Latent number `index` of those to train on (or of those kept apart): copied to z; its label. */
int dim_replay_latent(const DimReplay *replay, gint64 index, gboolean apart, float *z);
/* How many there are of the kind. */
int dim_replay_count(const DimReplay *replay, gboolean apart);
int dim_replay_no_class(const DimReplay *replay); /* the teacher's label; -1: none */
/* What the teacher answers: x, output [n, C, h, w], times, labels (its own) [n]. */
gboolean dim_replay_ask(const DimReplay *replay, int n, const int *latent, float *x,
                        const double *times, const gint64 *labels, float *output, GError **error);

/* Weights from the model's file; FALSE and an error, or TRUE where they were read. */
gboolean dim_trainer_read_weights(DimTrainer *trainer, GError **error);
/* All of an earlier run's checkpoint. */
gboolean dim_trainer_read_checkpoint(DimTrainer *trainer, const char *file, GError **error);

#endif
