/* The graph's operations that carry something from token to token at every distance: attention and
 * S4D's scan. Mamba's, which is older, is in graph-ops.c.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "graph-op.h"

/* ---- attention ------------------------------------------------------------------------------- */

static void forward_attention(DimGraph *g, Op *op)
{
    dk_attention(g->dk, op->out->value, value(op, 0), value(op, 1), value(op, 2), op->size,
                 DK_PRODUCTS_F32);
}

static void backward_attention(DimGraph *g, Op *op)
{
    g_assert(op->first[0] && op->first[1] && op->first[2]);
    dk_attention_backward(g->dk, gradient(op, 0), gradient(op, 1), gradient(op, 2), result(op),
                          op->out->value, value(op, 0), value(op, 1), value(op, 2), op->size);
}

DimVar *dim_graph_attention(DimGraph *g, DimVar *q, DimVar *k, DimVar *v, int n_heads)
{
    DimVar *out = like(g, q);

    dim_graph_op(g, forward_attention, backward_attention, out, 3, (DimVar *[]){q, k, v})->size =
        n_heads;
    return out;
}

/* ---- S4D ------------------------------------------------------------------------------------- */

enum { AHEAD, BACK };
/* Of a direction: parameters, and tensors that its half of the operation keeps. */
enum { LOG_DT, LOG_A_REAL, A_IMAG, IN, OUT, SKIP, N_PARAMETERS };
enum { DECAY, GAIN, OF_DECAY, OF_GAIN, N_TENSORS };

static DkS4dParts parts(const Op *op, int direction, gboolean of_gradient)
{
    const DimParameter *p = op->p + direction * N_PARAMETERS;

    return of_gradient ? (DkS4dParts){p[LOG_DT].grad, p[LOG_A_REAL].grad, p[A_IMAG].grad,
                                      p[IN].grad, p[OUT].grad}
                       : (DkS4dParts){p[LOG_DT].value, p[LOG_A_REAL].value, p[A_IMAG].value,
                                      p[IN].value, p[OUT].value};
}

static DkWeight *weight_of(const Op *op, int direction)
{
    return direction == AHEAD ? op->weight : op->turned;
}

static void refresh_s4d(DimGraph *g, Op *op)
{
    for (int i = AHEAD; i <= BACK; i++) {
        const DkTensor *t = op->t + i * N_TENSORS;
        const DkS4dParts of = parts(op, i, FALSE);
        dk_s4d_hold(g->dk, t[DECAY], t[GAIN], &of);
        dk_weight_set_s4d(g->dk, weight_of(op, i), t[DECAY], t[GAIN],
                          op->p[i * N_PARAMETERS + SKIP].value);
    }
}

static void forward_s4d(DimGraph *g, Op *op)
{
    dk_s4d_scan(g->dk, op->out->value, value(op, 0), op->weight, op->turned);
}

static void backward_s4d(DimGraph *g, Op *op)
{
    DkS4dGradient to[2];

    g_assert(op->first[0]);
    for (int i = AHEAD; i <= BACK; i++)
        to[i] = (DkS4dGradient){op->t[i * N_TENSORS + OF_DECAY], op->t[i * N_TENSORS + OF_GAIN],
                                op->p[i * N_PARAMETERS + SKIP].grad};
    dk_s4d_scan_backward(g->dk, gradient(op, 0), &to[AHEAD], &to[BACK], result(op), value(op, 0),
                         op->weight, op->turned);
    for (int i = AHEAD; i <= BACK; i++) {
        const DkS4dParts of = parts(op, i, FALSE), gradients = parts(op, i, TRUE);
        dk_s4d_hold_backward(g->dk, &gradients, to[i].decay, to[i].gain, &of);
    }
}

/* Room for packed states; their numbers come with the first refresh. */
static DkWeight *room_s4d(DimGraph *g, gint64 d, gint64 n)
{
    g_autofree double *zeros = g_try_new0(double, 2 * d * n);
    DkWeight *w = zeros ? dk_weight_s4d(g->dk, zeros, zeros, zeros, d, n) : NULL;

    g->out_of_memory |= !w;
    return w;
}

static void keep_direction(DimGraph *g, Op *op, int direction, const DimS4dParameters *p)
{
    const gint64 d = p->a_imag.value.sizes[0], n = p->a_imag.value.sizes[1];
    const DimParameter all[N_PARAMETERS] = {p->log_dt, p->log_a_real, p->a_imag,
                                            p->b,      p->c,          p->skip};

    for (int i = 0; i < N_PARAMETERS; i++)
        op->p[direction * N_PARAMETERS + i] = all[i];
    for (int i = 0; i < N_TENSORS; i++)
        op->t[direction * N_TENSORS + i] = dim_graph_keep(g, DK_F64, 3, (gint64[]){d, n, 2});
    *(direction == AHEAD ? &op->weight : &op->turned) = room_s4d(g, d, n);
}

DimVar *dim_graph_s4d_scan(DimGraph *g, DimVar *u, const DimS4dParameters *ahead,
                           const DimS4dParameters *back)
{
    const gint64 *s = u->value.sizes;
    DimVar *out = made(g, 3, (gint64[]){s[0], s[1], 2 * s[2]});
    Op *op = dim_graph_op(g, forward_s4d, backward_s4d, out, 1, &u);

    op->refresh = refresh_s4d;
    keep_direction(g, op, AHEAD, ahead);
    keep_direction(g, op, BACK, back);
    return out;
}
