/* Upsample guidance: a large picture follows the small one that the model was trained to make.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * arXiv 2404.01709, as DiM's program does it: while there is much noise, the large grid's noise
 * prediction is pulled, cell by cell, to the one made on the grid divided by the factor m. */
#ifndef DIM_UPSAMPLE_H
#define DIM_UPSAMPLE_H

#include "schedule.h"

/* The small pass at one time. */
typedef struct {
    double scale; /* the cells' means are multiplied by this: again as large as a sample at `at` */
    DimTime at;   /* the noise level at which the model is asked */
} DimUpsample;

/* The small pass runs while tc >= (1 - eta) t. */
gboolean dim_upsample_wanted(double eta, double t, double tc);
DimUpsample dim_upsample_at(const DimSchedule *schedule, int factor, double tc);
/* The integer nearest to sqrt (width height) / native_size, halves up, where that is 2 or more,
 * else 1. */
int dim_upsample_factor(int width, int height, int native_size);

#endif
