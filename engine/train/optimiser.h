/* What a step does to the weights once their gradient is there.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_OPTIMISER_H
#define DIM_TRAIN_OPTIMISER_H

#include "engine/dim-train.h"
#include "parameters.h"

typedef struct {
    const DimParameters *parameters;
    gboolean muon;
    GArray *shapes;   /* of the matrices that Muon takes */
    DkBuffer *buffer; /* of what follows */
    DkTensor x, y;    /* [numbers of the largest such matrix] */
    DkTensor a, b;    /* [square of the largest shorter side] */
    DkTensor sum;     /* [1], f64 */
} DimOptimiser;

/* For committed parameters, which outlive it. DIM_ERROR_NO_MEMORY. */
gboolean dim_optimiser_init(DimOptimiser *optimiser, const DimParameters *parameters,
                            DimOptimiserKind kind, GError **error);
void dim_optimiser_clear(DimOptimiser *optimiser);

/* Weights and moments from the gradient. AdamW's settings are for tensors that want nothing else;
 * Muon's matrices take their rate and decay. */
void dim_optimiser_step(DimOptimiser *optimiser, const DkAdamW *settings);

#endif
