/* The graph's operations: each a forward, a backward, and the function that adds it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "graph-op.h"

/* ---- products -------------------------------------------------------------------------------- */

static void refresh_product(DimGraph *g, Op *op)
{
    dk_weight_set(g->dk, op->weight, op->p[0].value, false);
    if (op->turned)
        dk_weight_set(g->dk, op->turned, op->p[0].value, true);
}

static void forward_linear(DimGraph *g, Op *op)
{
    dk_linear(g->dk, op->out->value, value(op, 0), op->weight, op->p[1].value, DK_ACT_NONE, false);
}

static void backward_linear(DimGraph *g, Op *op)
{
    const DkTensor none = {0};

    dk_linear_backward_weight(g->dk, op->p[0].grad, op->p[1].grad, result(op), value(op, 0));
    if (op->in[0]->wanted)
        dk_linear(g->dk, gradient(op, 0), result(op), op->turned, none, DK_ACT_NONE, !op->first[0]);
}

/* Room for packed weights; their numbers come with the first refresh. */
static DkWeight *room_linear(DimGraph *g, gint64 n, gint64 k)
{
    g_autofree float *zeros = g_try_new0(float, n *k);
    DkWeight *w = zeros ? dk_weight_linear(g->dk, zeros, n, k) : NULL;

    g->out_of_memory |= !w;
    return w;
}

DimVar *dim_graph_linear(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias)
{
    const gint64 n = weight.value.sizes[0], k = weight.value.sizes[1];
    gint64 sizes[DK_MAX_RANK];

    for (int i = 0; i < x->value.rank; i++)
        sizes[i] = x->value.sizes[i];
    sizes[x->value.rank - 1] = n;
    DimVar *out = made(g, x->value.rank, sizes);
    Op *op = dim_graph_op(g, forward_linear, backward_linear, out, 1, &x);
    op->refresh = refresh_product;
    op->p[0] = weight;
    op->p[1] = bias;
    op->weight = room_linear(g, n, k);
    op->turned = x->wanted ? room_linear(g, k, n) : NULL;
    return out;
}

static DkPad pad_of(const Op *op)
{
    const int down = (int)op->p[0].value.sizes[2] / 2, across = (int)op->p[0].value.sizes[3] / 2;
    return (DkPad){down, down, across, across};
}

static void forward_conv2d(DimGraph *g, Op *op)
{
    dk_conv2d(g->dk, op->out->value, value(op, 0), op->weight, op->p[1].value, 1, pad_of(op),
              DK_ACT_NONE, false);
}

static void backward_conv2d(DimGraph *g, Op *op)
{
    const DkTensor none = {0}, dy = result(op);
    const gint64 rows[] = {dy.sizes[0] * dy.sizes[1] * dy.sizes[2], dy.sizes[3]};

    dk_conv2d_backward_weight(g->dk, op->p[0].grad, dy, value(op, 0), pad_of(op));
    if (op->p[1].grad.buffer)
        dk_sum_rows(g->dk, op->p[1].grad, dk_tensor_reshape(dy, 2, rows));
    if (op->in[0]->wanted)
        dk_conv2d(g->dk, gradient(op, 0), dy, op->turned, none, 1, pad_of(op), DK_ACT_NONE,
                  !op->first[0]);
}

static DkWeight *room_conv2d(DimGraph *g, gint64 n, gint64 k, int kh, int kw)
{
    g_autofree float *zeros = g_try_new0(float, n *k *kh *kw);
    DkWeight *w = zeros ? dk_weight_conv2d(g->dk, zeros, n, k, kh, kw) : NULL;

    g->out_of_memory |= !w;
    return w;
}

DimVar *dim_graph_conv2d(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias)
{
    const gint64 *x_sizes = x->value.sizes, *w = weight.value.sizes;

    g_assert(w[2] % 2 == 1 && w[3] % 2 == 1);
    DimVar *out = made(g, 4, (gint64[]){x_sizes[0], x_sizes[1], x_sizes[2], w[0]});
    Op *op = dim_graph_op(g, forward_conv2d, backward_conv2d, out, 1, &x);
    op->refresh = refresh_product;
    op->p[0] = weight;
    op->p[1] = bias;
    op->weight = room_conv2d(g, w[0], w[1], (int)w[2], (int)w[3]);
    op->turned = x->wanted ? room_conv2d(g, w[1], w[0], (int)w[2], (int)w[3]) : NULL;
    return out;
}

/* ---- sums and activations -------------------------------------------------------------------- */

static void forward_act(DimGraph *g, Op *op)
{
    dk_act(g->dk, op->out->value, value(op, 0), op->act);
}

static void backward_act(DimGraph *g, Op *op)
{
    g_assert(op->first[0]); /* it writes, so nothing else may use its input after it */
    dk_act_backward(g->dk, gradient(op, 0), result(op), value(op, 0), op->act);
}

DimVar *dim_graph_act(DimGraph *g, DimVar *x, DkAct act)
{
    DimVar *out = like(g, x);
    Op *op = dim_graph_op(g, forward_act, x->wanted ? backward_act : NULL, out, 1, &x);

    op->act = act;
    out->wanted = x->wanted;
    op->moves = 0;
    return out;
}

static void forward_add(DimGraph *g, Op *op)
{
    dk_axpby(g->dk, op->out->value, 1, value(op, 0), 0);
    dk_axpby(g->dk, op->out->value, 1, value(op, 1), 1);
}

static void backward_add(DimGraph *g, Op *op)
{
    pass_on(g, op, 1);
    pass_on(g, op, 0);
}

DimVar *dim_graph_add(DimGraph *g, DimVar *x, DimVar *y)
{
    DimVar *out = like(g, x);
    Op *op = dim_graph_op(g, forward_add, backward_add, out, 2, (DimVar *[]){x, y});

    out->wanted = x->wanted || y->wanted;
    op->moves = 0;
    return out;
}

static void forward_add_row(DimGraph *g, Op *op)
{
    dk_add_row(g->dk, op->out->value, value(op, 0), value(op, 1));
}

static void backward_add_row(DimGraph *g, Op *op)
{
    if (op->in[1]->wanted)
        dk_sum_rows(g->dk, gradient(op, 1), result(op));
    pass_on(g, op, 0);
}

/* The row is a parameter, whose gradient is always added to, or has none. */
DimVar *dim_graph_add_row(DimGraph *g, DimVar *x, DimVar *row)
{
    DimVar *out = like(g, x);
    Op *op = dim_graph_op(g, forward_add_row, backward_add_row, out, 2, (DimVar *[]){x, row});

    g_assert(row->root->track->written || !row->wanted);
    out->wanted = x->wanted || row->wanted;
    op->moves = 0;
    return out;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void forward_gather(DimGraph *g, Op *op)
{
    for (int i = 0; i < op->n_in; i++)
        dk_gather(g->dk, op->out->value, value(op, i), op->t[i]);
}

static void backward_gather(DimGraph *g, Op *op)
{
    for (int i = 0; i < op->n_in; i++) {
        if (!op->in[i]->wanted)
            continue;
        if (op->first[i])
            dk_clear(g->dk, gradient(op, i));
        dk_gather_backward(g->dk, gradient(op, i), result(op), op->t[i]);
    }
}

DimVar *dim_graph_gather(DimGraph *g, gint64 batch, gint64 length, int n_sources,
                         DimVar *const *sources, const DkTensor *rows)
{
    DimVar *out = dim_graph_value(g, 3, (gint64[]){batch, length, sources[0]->value.sizes[2]});
    Op *op = dim_graph_op(g, forward_gather, backward_gather, out, n_sources, sources);

    for (int i = 0; i < n_sources; i++) {
        op->t[i] = rows[i];
        out->wanted |= sources[i]->wanted;
    }
    return out;
}

static void forward_unpatchify(DimGraph *g, Op *op)
{
    dk_unpatchify(g->dk, op->out->value, value(op, 0), op->size);
}

static void backward_unpatchify(DimGraph *g, Op *op)
{
    g_assert(op->first[0]);
    dk_unpatchify_backward(g->dk, gradient(op, 0), result(op), op->size);
}

DimVar *dim_graph_unpatchify(DimGraph *g, DimVar *x, int p, gint64 height, gint64 width)
{
    const gint64 channels = x->value.sizes[x->value.rank - 1] / p / p;
    DimVar *out = made(g, 4, (gint64[]){x->value.sizes[0], channels, height, width});

    dim_graph_op(g, forward_unpatchify, backward_unpatchify, out, 1, &x)->size = p;
    return out;
}

static void forward_patchify(DimGraph *g, Op *op)
{
    dk_patchify(g->dk, op->out->value, value(op, 0), op->size);
}

static void backward_patchify(DimGraph *g, Op *op)
{
    g_assert(op->first[0]);
    dk_unpatchify(g->dk, gradient(op, 0), result(op), 1);
}

DimVar *dim_graph_patchify(DimGraph *g, DimVar *x, int p)
{
    const gint64 *s = x->value.sizes;
    DimVar *out = dim_graph_value(g, 3, (gint64[]){s[0], s[2] / p * (s[3] / p), s[1] * p * p});

    g_assert(p == 1 || !x->wanted);
    out->wanted = x->wanted;
    dim_graph_op(g, forward_patchify, backward_patchify, out, 1, &x)->size = p;
    return out;
}

/* ---- norm and gate --------------------------------------------------------------------------- */

static void forward_norm(DimGraph *g, Op *op)
{
    dk_norm_modulate(g->dk, op->out->value, value(op, 0), op->p[0].value, value(op, 1),
                     value(op, 2), op->norm, op->eps);
}

static void backward_norm(DimGraph *g, Op *op)
{
    g_assert(op->first[1] && op->first[2] && op->in[0]->wanted);
    dk_norm_modulate_backward(g->dk, gradient(op, 0), op->p[0].grad, gradient(op, 1),
                              gradient(op, 2), result(op), value(op, 0), op->p[0].value,
                              value(op, 1), op->norm, op->eps, !op->first[0]);
}

DimVar *dim_graph_norm_modulate(DimGraph *g, DimVar *x, DimParameter weight, DimVar *scale,
                                DimVar *shift, DkNorm norm, double eps)
{
    DimVar *out = like(g, x);
    Op *op = dim_graph_op(g, forward_norm, backward_norm, out, 3, (DimVar *[]){x, scale, shift});

    op->p[0] = weight;
    op->norm = norm;
    op->eps = (float)eps;
    return out;
}

enum { GATE_PLUS_1, GATE_ONES }; /* tensors that a gate keeps, where it has a 1 added */

static DkTensor gate_of(const Op *op)
{
    return op->t[GATE_PLUS_1].buffer ? op->t[GATE_PLUS_1] : value(op, 1);
}

static void forward_gate(DimGraph *g, Op *op)
{
    if (op->t[GATE_PLUS_1].buffer)
        dk_add_row(g->dk, op->t[GATE_PLUS_1], value(op, 1), op->t[GATE_ONES]);
    dk_axpby(g->dk, op->out->value, 1, value(op, 0), 0);
    dk_gate_add(g->dk, op->out->value, gate_of(op), value(op, 2));
}

static void backward_gate(DimGraph *g, Op *op)
{
    g_assert(op->first[1] && op->first[2]);
    dk_gate_add_backward(g->dk, gradient(op, 2), gradient(op, 1), result(op), gate_of(op),
                         value(op, 2));
    pass_on(g, op, 0);
}

static Op *add_gate(DimGraph *g, DimVar *x, DimVar *gate, DimVar *y)
{
    Op *op = dim_graph_op(g, forward_gate, backward_gate, like(g, x), 3, (DimVar *[]){x, gate, y});

    op->moves = 0;
    return op;
}

DimVar *dim_graph_gate_add(DimGraph *g, DimVar *x, DimVar *gate, DimVar *y)
{
    return add_gate(g, x, gate, y)->out;
}

DimVar *dim_graph_gate_add_1(DimGraph *g, DimVar *x, DimVar *gate, DimVar *y)
{
    const gint64 *s = x->value.sizes, width = s[2];
    Op *op = add_gate(g, x, gate, y);
    g_autofree float *ones = g_new(float, width);

    for (gint64 i = 0; i < width; i++)
        ones[i] = 1;
    op->t[GATE_PLUS_1] = dim_graph_keep(g, DK_F32, 2, (gint64[]){s[0], width});
    op->t[GATE_ONES] = dim_graph_keep(g, DK_F32, 1, &width);
    if (op->t[GATE_ONES].buffer)
        dk_write(g->dk, op->t[GATE_ONES], ones);
    return op->out;
}

/* A product is a gate for each row on a sum that is 0. */
static DkTensor as_gates(DkTensor t)
{
    const gint64 width = t.sizes[t.rank - 1];
    return dk_tensor_reshape(t, 2, (gint64[]){dk_tensor_count(t) / width, width});
}

static DkTensor as_rows(DkTensor t)
{
    const gint64 width = t.sizes[t.rank - 1];
    return dk_tensor_reshape(t, 3, (gint64[]){dk_tensor_count(t) / width, 1, width});
}

static void forward_multiply(DimGraph *g, Op *op)
{
    dk_clear(g->dk, op->out->value);
    dk_gate_add(g->dk, as_rows(op->out->value), as_gates(value(op, 0)), as_rows(value(op, 1)));
}

static void backward_multiply(DimGraph *g, Op *op)
{
    g_assert(op->first[0] && op->first[1]);
    dk_gate_add_backward(g->dk, as_rows(gradient(op, 1)), as_gates(gradient(op, 0)),
                         as_rows(result(op)), as_gates(value(op, 0)), as_rows(value(op, 1)));
}

DimVar *dim_graph_multiply(DimGraph *g, DimVar *x, DimVar *y)
{
    DimVar *out = like(g, x);

    dim_graph_op(g, forward_multiply, backward_multiply, out, 2, (DimVar *[]){x, y});
    return out;
}

/* ---- state-space layers and filters ---------------------------------------------------------- */

static void forward_conv1d(DimGraph *g, Op *op)
{
    dk_conv1d_dw(g->dk, op->out->value, value(op, 0), op->p[0].value, op->p[1].value, op->t[0],
                 op->act);
}

static void backward_conv1d(DimGraph *g, Op *op)
{
    g_assert(op->first[0]);
    dk_conv1d_dw_backward(g->dk, gradient(op, 0), op->p[0].grad, op->p[1].grad, result(op),
                          value(op, 0), op->p[0].value, op->p[1].value, op->t[0], op->act);
}

DimVar *dim_graph_conv1d_dw(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias,
                            DkTensor order, DkAct act)
{
    DimVar *out = like(g, x);
    Op *op = dim_graph_op(g, forward_conv1d, backward_conv1d, out, 1, &x);

    op->p[0] = weight;
    op->p[1] = bias;
    op->t[0] = order;
    op->act = act;
    return out;
}

enum { IN_U, IN_DT, IN_B, IN_C, IN_Z, N_SCAN_INPUTS };
enum { SCAN_ORDER, SCAN_A, SCAN_DA }; /* tensors that a scan keeps */

static void refresh_scan(DimGraph *g, Op *op)
{
    dk_neg_exp(g->dk, op->t[SCAN_A], op->p[0].value);
    dk_weight_set(g->dk, op->weight, op->t[SCAN_A], false);
}

static void forward_scan(DimGraph *g, Op *op)
{
    dk_selective_scan(g->dk, op->out->value, value(op, IN_U), value(op, IN_DT), op->weight,
                      value(op, IN_B), value(op, IN_C), op->p[1].value, value(op, IN_Z),
                      op->t[SCAN_ORDER]);
}

static void backward_scan(DimGraph *g, Op *op)
{
    for (int i = 0; i < N_SCAN_INPUTS; i++)
        g_assert(op->first[i]);
    dk_clear(g->dk, op->t[SCAN_DA]);
    dk_selective_scan_backward(g->dk, gradient(op, IN_U), gradient(op, IN_DT), op->t[SCAN_DA],
                               gradient(op, IN_B), gradient(op, IN_C), op->p[1].grad,
                               gradient(op, IN_Z), result(op), value(op, IN_U), value(op, IN_DT),
                               op->weight, value(op, IN_B), value(op, IN_C), op->p[1].value,
                               value(op, IN_Z), op->t[SCAN_ORDER]);
    dk_neg_exp_backward(g->dk, op->p[0].grad, op->t[SCAN_DA], op->t[SCAN_A]);
}

DimVar *dim_graph_selective_scan(DimGraph *g, DimVar *u, DimVar *dt, DimParameter a_log, DimVar *b,
                                 DimVar *c, DimParameter d, DimVar *z, DkTensor order)
{
    const gint64 *sizes = a_log.value.sizes;
    g_autofree float *zeros = g_try_new0(float, sizes[0] * sizes[1]);
    DimVar *out = like(g, u);
    Op *op = dim_graph_op(g, forward_scan, backward_scan, out, N_SCAN_INPUTS,
                          (DimVar *[]){u, dt, b, c, z});

    op->refresh = refresh_scan;
    op->p[0] = a_log;
    op->p[1] = d;
    op->weight = zeros ? dk_weight_scan(g->dk, zeros, sizes[0], sizes[1]) : NULL;
    g->out_of_memory |= !op->weight;
    op->t[SCAN_ORDER] = order;
    op->t[SCAN_A] = dim_graph_keep(g, DK_F32, 2, sizes);
    op->t[SCAN_DA] = dim_graph_keep(g, DK_F32, 2, sizes);
    return out;
}

static void forward_conv2d_dw(DimGraph *g, Op *op)
{
    dk_conv2d_dw(g->dk, op->out->value, value(op, 0), op->p[0].value, op->p[1].value);
}

static void backward_conv2d_dw(DimGraph *g, Op *op)
{
    g_assert(op->first[0]);
    dk_conv2d_dw_backward(g->dk, gradient(op, 0), op->p[0].grad, op->p[1].grad, result(op),
                          value(op, 0), op->p[0].value);
}

DimVar *dim_graph_conv2d_dw(DimGraph *g, DimVar *x, DimParameter weight, DimParameter bias)
{
    DimVar *out = like(g, x);
    Op *op = dim_graph_op(g, forward_conv2d_dw, backward_conv2d_dw, out, 1, &x);

    op->p[0] = weight;
    op->p[1] = bias;
    return out;
}
