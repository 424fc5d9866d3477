/* A network as a list of operations that can be run backward: what training works on.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A graph is built once, for one batch and grid, by functions that each add an operation and return
 * what it makes; then it is run as often as there are micro-batches. Values live as long as the
 * graph. Gradients live only between the first operation that adds to them and the one that made
 * their value (going backward), and share their memory otherwise.
 *
 *     DimVar *y = dim_graph_linear(g, x, weight, bias);
 *     ...
 *     dim_graph_finish(g, output, &error);
 *     dim_graph_refresh(g);                     after each change of the weights
 *     dim_graph_forward(g);
 *     ... gradient of the loss to dim_graph_gradient(output) ...
 *     dim_graph_backward(g);                    adds to the parameters' gradients
 *
 * Errors of the device stick to it, as everywhere: dk_sync has them. */
#ifndef DIM_TRAIN_GRAPH_H
#define DIM_TRAIN_GRAPH_H

#include "parameters.h"

typedef struct DimGraph DimGraph;
typedef struct DimVar DimVar; /* owned by the graph */

DimGraph *dim_graph_new(DkDevice *dk);
void dim_graph_free(DimGraph **graph);
DkDevice *dim_graph_device(const DimGraph *g);

DkTensor dim_var_value(const DimVar *var);
/* Of the last operation's result: the loss's gradient is written here between forward and backward.
 */
DkTensor dim_var_gradient(const DimVar *var);

/* ---- leaves ---------------------------------------------------------------------------------- */

/* Written by the caller before each forward; no gradient. */
DimVar *dim_graph_input(DimGraph *g, int rank, const gint64 *sizes);
/* A parameter as a value: its gradient is added to what the parameter has. */
DimVar *dim_graph_parameter(DimGraph *g, DimParameter parameter);
/* Numbers that stay: no gradient. */
DimVar *dim_graph_fixed(DimGraph *g, DkTensor value);
/* Row numbers, on the device for as long as the graph: fixed, or written before each forward. */
DkTensor dim_graph_rows(DimGraph *g, gint64 n, const gint32 *rows);

/* ---- views: no operation, the gradient is a view, too ---------------------------------------- */

DimVar *dim_graph_reshape(DimGraph *g, DimVar *x, int rank, const gint64 *sizes);
/* All columns of a value that is viewed so must be used, each once, and the value itself not. */
DimVar *dim_graph_columns(DimGraph *g, DimVar *x, gint64 first, gint64 count);

/* ---- operations; the formulas are dk.h's ----------------------------------------------------- */

/* bias may have no buffer */
DimVar *dim_graph_linear(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias);
DimVar *dim_graph_act(DimGraph *g, DimVar *x, DkAct act);
DimVar *dim_graph_add(DimGraph *g, DimVar *x, DimVar *y);
/* x[M, N] + row[N] */
DimVar *dim_graph_add_row(DimGraph *g, DimVar *x, DimVar *row);
/* out[B, L, D]: row l is row rows[i][l] of sources[i] [B or 1, M, D] where that is not negative;
 * each row has one source. */
DimVar *dim_graph_gather(DimGraph *g, gint64 batch, gint64 length, int n_sources,
                         DimVar *const *sources, const DkTensor *rows);
DimVar *dim_graph_norm_modulate(DimGraph *g, DimVar *x, DimParameter weight, DimVar *scale,
                                DimVar *shift, DkNorm norm, double eps);
/* x + gate[B, D] · y, and x + (1 + gate) · y */
DimVar *dim_graph_gate_add(DimGraph *g, DimVar *x, DimVar *gate, DimVar *y);
DimVar *dim_graph_gate_add_1(DimGraph *g, DimVar *x, DimVar *gate, DimVar *y);
/* x · y, number by number */
DimVar *dim_graph_multiply(DimGraph *g, DimVar *x, DimVar *y);
DimVar *dim_graph_conv1d_dw(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias,
                            DkTensor order, DkAct act);
/* A = -exp (a_log[E, N]) */
DimVar *dim_graph_selective_scan(DimGraph *g, DimVar *u, DimVar *dt, DimParameter a_log, DimVar *b,
                                 DimVar *c, DimParameter d, DimVar *z, DkTensor order);
DimVar *dim_graph_attention(DimGraph *g, DimVar *q, DimVar *k, DimVar *v, int n_heads);
/* The parameters of one direction: dk-train.h's DkS4dParts, and the skip [D]. */
typedef struct {
    DimParameter log_dt, log_a_real, a_imag, b, c, skip;
} DimS4dParameters;
/* [B, L, 2D]: ahead and back side by side */
DimVar *dim_graph_s4d_scan(DimGraph *g, DimVar *u, const DimS4dParameters *ahead,
                           const DimS4dParameters *back);
DimVar *dim_graph_conv2d_dw(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias);
/* stride 1, zeros around the picture so that its size stays; weight [O, I, kh, kw] with odd sides
 */
DimVar *dim_graph_conv2d(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias);
/* [B, C, h·p, w·p] from tokens [B, h·w, p·p·C]; with p 1 from NHWC to NCHW. */
DimVar *dim_graph_unpatchify(DimGraph *g, DimVar *x, int p, gint64 height, gint64 width);
/* [B, h·w, C·p·p] from pictures; where a gradient is wanted p must be 1: NCHW to NHWC. */
DimVar *dim_graph_patchify(DimGraph *g, DimVar *x, int p);

/* ---- running --------------------------------------------------------------------------------- */

/* Ends the building: lays out the gradients. DIM_ERROR_NO_MEMORY. */
gboolean dim_graph_finish(DimGraph *g, DimVar *output, GError **error);
/* Packs all weights anew from their parameters. */
void dim_graph_refresh(DimGraph *g);
void dim_graph_forward(DimGraph *g);
void dim_graph_backward(DimGraph *g);

#endif
