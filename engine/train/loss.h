/* The loss of a micro-batch: mean squared error of the prediction and, where a network predicts
 * variances, too, the variational bound's term (arXiv 2102.09672, section 3.1: L_hybrid).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_LOSS_H
#define DIM_TRAIN_LOSS_H

#include "engine/model.h"
#include "engine/schedule.h"
#include "kernels/dk-train.h"

enum { DIM_LOSS_TERMS = 4 };

/* What a micro-batch is compared with, on the device. */
typedef struct {
    DkTensor target; /* [B, C, h, w]: of the prediction */
    DkTensor clean;  /* the same of x0, and */
    DkTensor terms;  /* [B, 4] (f64), a row of dim_loss_terms each; both empty without variances */
    double weight;   /* of the bound: 0.001 for each step of the schedule */
} DimGoal;

/* dk_bound_error's of training step n, 1..timesteps. */
void dim_loss_terms(const DimSchedule *schedule, DimPrediction prediction, int n,
                    double terms[DIM_LOSS_TERMS]);
/* Adds factor x the loss of y [B, C or 2C, h, w], summed over samples and elements, to loss[1]
 * (f64); dy is its gradient. */
void dim_loss_run(DkDevice *dk, DkTensor loss, DkTensor dy, DkTensor y, const DimGoal *goal,
                  double factor);

#endif
