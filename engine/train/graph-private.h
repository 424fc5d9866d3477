/* Inside the graph: what graph.c and graph-ops.c share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_GRAPH_PRIVATE_H
#define DIM_TRAIN_GRAPH_PRIVATE_H

#include "graph.h"

enum { MAX_INPUTS = 6, MAX_PARAMETERS = 12, MAX_TENSORS = 8 };

/* Whether, going backward, a gradient holds something yet. Columns count for the value they are
 * of, seen as rows of `width`. */
typedef struct Track {
    gboolean written;
    gint64 columns, width;
    struct Track *whole; /* NULL, or of what these columns are a part of */
} Track;

struct DimVar {
    DkTensor value;
    DimVar *root;      /* whose memory this is a view of; itself */
    DkTensor gradient; /* the root's, once laid out */
    int block;         /* of the gradient memory, -1: none, or a parameter's */
    gboolean wanted;   /* has a gradient */
    Track *track, own_track;
    DkBuffer *buffer;
};

typedef struct Op Op;
typedef void (*OpRun)(DimGraph *g, Op *op);

struct Op {
    OpRun refresh, forward, backward; /* refresh may be NULL */
    DimVar *in[MAX_INPUTS], *out;
    int n_in;
    int moves; /* this input's gradient may take over the result's memory; -1: none */
    gboolean first[MAX_INPUTS]; /* nothing has been added to this input's gradient before */
    gboolean moved;
    DimParameter p[MAX_PARAMETERS];
    DkWeight *weight, *turned; /* owned; turned: for the gradient of the input */
    DkTensor t[MAX_TENSORS];   /* tables, and what the operation keeps */
    DkAct act;
    DkNorm norm;
    float eps;
    int size;
};

struct DimGraph {
    DkDevice *dk;
    GPtrArray *vars, *ops, *buffers; /* buffers: DkBuffer *, freed with the graph */
    GArray *blocks;                  /* of gradient memory */
    gboolean out_of_memory;
};

DimVar *dim_graph_value(DimGraph *g, int rank, const gint64 *sizes); /* what an operation makes */
DkTensor dim_graph_keep(DimGraph *g, DkType type, int rank, const gint64 *sizes);
/* A new operation with its inputs; `out` is added by the caller. */
Op *dim_graph_op(DimGraph *g, OpRun forward, OpRun backward, DimVar *out, int n_in,
                 DimVar *const *in);

#endif
