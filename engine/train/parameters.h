/* The numbers that training changes: all of a network's tensors side by side in a few flat blocks,
 * so that the optimiser, the average and a sum over processes are each one call.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_PARAMETERS_H
#define DIM_TRAIN_PARAMETERS_H

#include "engine/dim.h"
#include "kernels/dk-train.h"

/* A tensor, and the gradient of the loss with respect to it; views of parameters keep the two
 * together. */
typedef struct {
    DkTensor value, grad;
} DimParameter;

/* What a tensor is started with. */
typedef enum {
    DIM_INIT_ZERO,
    DIM_INIT_ONE,
    DIM_INIT_NORMAL,    /* N(0, size²) */
    DIM_INIT_UNIFORM,   /* uniform in middle ±size */
    DIM_INIT_CENTRE,    /* taps of a 3x3 filter: uniform in ±size, 1 added to the middle one */
    DIM_INIT_PASS,      /* [d, 2d]: uniform in ±size, 1 added to the diagonal of the first half */
    DIM_INIT_STATES,    /* [E, N]: ln (1..N) in each row */
    DIM_INIT_STEP_BIAS, /* inverse softplus of a log-uniform value in [0.001, 0.1] */
    DIM_INIT_FREQUENCIES, /* [D, N]: π (0..N-1) in each row */
    DIM_INIT_REAL,        /* [.., 2]: the complex number 1 */
} DimInit;

typedef struct {
    char *name; /* as published */
    int rank;
    gint64 sizes[4];  /* as published */
    gint64 at, count; /* place in the flat blocks */
    gboolean turned;  /* [1, d, P] in files, [P, d] here */
    DimInit init;
    double middle, size;
    gboolean
        hidden; /* a matrix [outputs, inputs] between hidden layers: Muon's, where it is used */
    gboolean no_decay; /* AdamW's is not for this one */
    double rate_most;  /* the learning rate is at most so much; 0: any */
    float *fixed;      /* these numbers, or those of a file, and never others; taken over, g_free */
} DimTrained;

enum {
    DIM_BLOCK_WEIGHTS,
    DIM_BLOCK_GRADIENT,
    DIM_BLOCK_MEAN,    /* AdamW's first moment, Muon's momentum */
    DIM_BLOCK_SQUARE,  /* AdamW's second */
    DIM_BLOCK_AVERAGE, /* of the weights over the steps, exponentially */
    DIM_N_BLOCKS
};

typedef struct {
    DkDevice *dk;
    GArray *list; /* of DimTrained, in the order of the network's walk */
    gint64 count; /* numbers of a block, the gaps that keep tensors aligned included */
    DkBuffer *buffer;
    DkTensor block[DIM_N_BLOCKS]; /* [count] each */
    gint64 fixed_count;
    DkTensor fixed; /* [fixed_count]: what is never trained, in no block */
} DimParameters;

void dim_parameters_init(DimParameters *p, DkDevice *dk);
void dim_parameters_clear(DimParameters *p);
/* Before dim_parameters_commit; the entry's name is copied, its place is filled in. */
void dim_parameters_add(DimParameters *p, const DimTrained *tensor);
/* Takes the memory; everything is 0. DIM_ERROR_NO_MEMORY. */
gboolean dim_parameters_commit(DimParameters *p, GError **error);
/* Xavier's uniform initial values of a matrix (Glorot and Bengio 2010), rank 2 or a convolution. */
void dim_trained_xavier(DimTrained *tensor);
/* How many numbers are trained, without gaps. */
gint64 dim_parameters_total(const DimParameters *p);
/* Initial weights from the seed; the average starts as a copy of them. */
void dim_parameters_draw(DimParameters *p, gint64 seed);
/* One tensor in another shape of as many numbers; a fixed one has no gradient. The name is one of
 * ours: an unknown one asserts. */
DimParameter dim_parameter(const DimParameters *p, const char *name, int rank, const gint64 *sizes);
/* A tensor of rank 2 in a block. */
DkTensor dim_parameters_matrix(const DimParameters *p, int block, const DimTrained *tensor);
gboolean dim_parameters_has(const DimParameters *p, const char *name);
DimParameter dim_parameter_columns(DimParameter parameter, gint64 first, gint64 count);
DimParameter dim_parameter_slice(DimParameter parameter, gint64 first, gint64 count);

/* One tensor of a block in its published shape and order, from and to the host: `values` has
 * tensor->count. A fixed tensor is the same in all blocks. */
void dim_parameters_get(const DimParameters *p, int block, const DimTrained *tensor, float *values);
void dim_parameters_put(DimParameters *p, int block, const DimTrained *tensor, const float *values);

#endif
