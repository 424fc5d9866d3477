/* A trainer from the inside: what its three files share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_TRAINER_H
#define DIM_TRAIN_TRAINER_H

#include "engine/dim-train.h"
#include "engine/model.h"
#include "engine/schedule.h"
#include "net-train.h"

struct DimTrainer {
    DimDevice *device;
    DkDevice *dk;
    DimModelSpec *spec;
    DimTrainParams params;
    const DimDataset *dataset;
    DimTrainPeers peers;

    const DimTrainClass *class;
    DimParameters parameters;
    DimTrainNet net;
    DimSchedule schedule;
    DimAutoencoder *encoder;

    int size;               /* of a crop, pixels */
    int latent[3];          /* C, h, w */
    int share;              /* samples of a step that this process takes */
    int micro;              /* samples at a time */
    DimArray crops, z;      /* [micro, 3, size, size], [micro, C, h, w] */
    float *noised, *target; /* [micro, C, h, w] */
    DkTensor goal;          /* the same on the device */
    DkTensor loss, norm;    /* [1], f64 */
    DkBuffer *buffer;       /* of these three */

    gint64 step; /* optimiser steps done */
};

/* Sample `index` of the training (or test) stream and the following ones become the micro-batch on
 * the device. */
gboolean dim_trainer_feed(DimTrainer *trainer, gint64 index, gboolean test, GError **error);

/* Weights from the model's file; FALSE and an error, or TRUE where they were read. */
gboolean dim_trainer_read_weights(DimTrainer *trainer, GError **error);
/* All of an earlier run's checkpoint. */
gboolean dim_trainer_read_checkpoint(DimTrainer *trainer, const char *file, GError **error);

#endif
