/* What the files of the graph's operations share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_GRAPH_OP_H
#define DIM_TRAIN_GRAPH_OP_H

#include "graph-private.h"

/* Of input i. */
static inline DkTensor value(const Op *op, int i)
{
    return op->in[i]->value;
}

/* Of input i; the empty tensor where there is no such input. */
static inline DkTensor gradient(const Op *op, int i)
{
    return op->in[i] ? dim_var_gradient(op->in[i]) : (DkTensor){0};
}

static inline DkTensor result(const Op *op)
{
    return dim_var_gradient(op->out);
}

/* The gradient of input i is the result's own, added to what is there. */
static inline void pass_on(DimGraph *g, const Op *op, int i)
{
    const DkTensor to = gradient(op, i);

    if (op->in[i]->wanted && !(op->moved && op->moves == i))
        dk_axpby(g->dk, to, 1, dk_tensor_reshape(result(op), to.rank, to.sizes),
                 op->first[i] ? 0 : 1);
}

/* A new value as large as x that has a gradient. */
static inline DimVar *like(DimGraph *g, const DimVar *x)
{
    DimVar *out = dim_graph_value(g, x->value.rank, x->value.sizes);

    out->wanted = TRUE;
    return out;
}

static inline DimVar *made(DimGraph *g, int rank, const gint64 *sizes)
{
    DimVar *out = dim_graph_value(g, rank, sizes);

    out->wanted = TRUE;
    return out;
}

#endif
