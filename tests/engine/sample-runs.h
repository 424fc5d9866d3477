/* Runs of a model on the processor, and a model that knows no borders.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef SAMPLE_RUNS_H
#define SAMPLE_RUNS_H

#include "engine/dim.h"

typedef struct {
    DimDevice *device;
    DimModel *model;
} Runs;

void runs_open_folder(Runs *f, const char *folder, DimParts parts, int n_threads);
/* Backbone and decoder of a folder of the project, relative to this one. */
void runs_open(Runs *f, const char *path, int n_threads);
void runs_close(Runs *f);

/* A run before its first step, and one after all its steps; dim_sampler_free. */
DimSampler *runs_start(const Runs *f, const DimParams *params);
DimSampler *runs_finish(const Runs *f, const DimParams *params);
/* The sample of one; dim_array_clear. */
DimArray runs_latent(const Runs *f, const DimParams *params);

gboolean runs_same_bits(const DimArray *a, const DimArray *b);

/* Random weights with nothing that mixes tokens or knows their places; a token is a pixel of 3
 * channels, the native size is 8, and there is no autoencoder. `more` are further keys of the
 * backbone's configuration, ", ..." or "". A new folder; runs_remove_model. */
char *runs_pointwise_model(const char *more);
void runs_remove_model(char *folder);

#endif
