/* What a backbone family must provide to be trained: its tensors, and itself as a graph.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_NET_TRAIN_H
#define DIM_TRAIN_NET_TRAIN_H

#include "engine/net.h"
#include "graph.h"

/* What a network is given for a micro-batch of B samples on a latent grid of h x w. */
typedef struct {
    DimGraph *graph;
    int batch;
    DimVar *x;      /* [B, C, h, w]: the noised latents */
    DimVar *output; /* [B, Co, h, w] */
    void *inputs;   /* the family's own; g_free */
} DimTrainNet;

/* What a backbone family must provide for training. */
typedef struct {
    const char *family;
    /* FALSE and an error where the configuration cannot be trained. */
    gboolean (*check)(const void *config, GError **error);
    /* Adds every tensor of the network, with its initial values. h, w: latent grid to train on. */
    void (*parameters)(const void *config, int h, int w, DimParameters *parameters);
    /* Builds the graph up to output; finish is the caller's. */
    void (*build)(const void *config, const DimParameters *parameters, int batch, int h, int w,
                  DkDevice *dk, DimTrainNet *net);
    /* Times and labels of the micro-batch, [B] each; x is the caller's. */
    void (*feed)(const void *config, DimTrainNet *net, const double *t, const gint64 *y);
    /* The time that the model is given for training step n = 1..timesteps. */
    double (*time_of_step)(int n);
    /* A tensor read from another model of the family in that model's shape, brought to this one's:
     * weak to strong. FALSE: its shape does not fit. */
    gboolean (*adapt)(const DimTrained *tensor, int rank, const gint64 *sizes, const float *from,
                      float *to);
    /* Whether it is a table with a row for each class and one for "no class", [K + 1, d]. */
    gboolean (*is_label_table)(const char *name);
} DimTrainClass;

extern const DimTrainClass dim_train_dim, dim_train_dit, dim_train_diffussm;

const DimTrainClass *dim_train_class(const char *family); /* NULL: no training of this family */

#endif
