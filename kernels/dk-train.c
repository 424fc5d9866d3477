/* Every operation of dk-train.h: its arguments are checked here, once for all back ends.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk-check.h"

#define RUN(op, flop, ...) DK_RUN(train, DkTrainOps, DK_N_OPS, op, flop, __VA_ARGS__)

/* ---- weights that change --------------------------------------------------------------------- */

static bool weight_fits(const DkWeight *weight, DkTensor w, bool transposed)
{
    const int64_t n = transposed ? weight->k : weight->n, k = transposed ? weight->n : weight->k;
    if (weight->kind == DK_WEIGHT_S4D)
        return false;
    if (weight->kind == DK_WEIGHT_CONV2D)
        return is_f32_of(w, 4, n, k, weight->kh, weight->kw) && is_gapless(w);
    return is_f32_of(w, 2, n, k, 0, 0) && !(transposed && weight->kind == DK_WEIGHT_SCAN);
}

void dk_weight_set(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    DK_REQUIRE(weight && weight_fits(weight, w, transposed));
    RUN(weight_set, 0, dev, weight, w, transposed);
}

static bool is_f64(DkTensor t)
{
    return t.buffer && t.type == DK_F64 && is_gapless(t);
}

/* [d, n, 2] in double */
static bool are_states(DkTensor t, int64_t d, int64_t n)
{
    return is_f64(t) && has_shape(t, 3, d, n, 2, 0);
}

void dk_weight_set_s4d(DkDevice *dev, DkWeight *weight, DkTensor decay, DkTensor gain,
                       DkTensor skip)
{
    DK_REQUIRE(weight && weight->kind == DK_WEIGHT_S4D && is_vector(skip, weight->n));
    DK_REQUIRE(are_states(decay, weight->n, weight->k) && are_states(gain, weight->n, weight->k));
    RUN(weight_set_s4d, 0, dev, weight, decay, gain, skip);
}

/* ---- backward of products -------------------------------------------------------------------- */

void dk_linear_backward_weight(DkDevice *dev, DkTensor dw, DkTensor db, DkTensor dy, DkTensor x)
{
    DK_REQUIRE(is_f32(dy) && is_f32(x) && dk_rows(dy) == dk_rows(x));
    DK_REQUIRE(is_f32_of(dw, 2, dk_columns(dy), dk_columns(x), 0, 0));
    DK_REQUIRE(is_vector_or_empty(db, dk_columns(dy)) && dk_tensor_disjoint(db, dy));
    DK_REQUIRE(dk_tensor_disjoint(dw, dy) && dk_tensor_disjoint(dw, x));
    RUN(linear_backward_weight,
        2.0 * (double)dk_rows(x) * (double)dk_columns(dy) * (double)dk_columns(x), dev, dw, db, dy,
        x);
}

void dk_conv2d_backward_weight(DkDevice *dev, DkTensor dw, DkTensor dy, DkTensor x, DkPad pad)
{
    DK_REQUIRE(pad.top >= 0 && pad.bottom >= 0 && pad.left >= 0 && pad.right >= 0);
    DK_REQUIRE(is_f32(dy) && dy.rank == 4 && is_gapless(dy));
    DK_REQUIRE(is_f32(x) && x.rank == 4 && is_gapless(x) && x.sizes[0] == dy.sizes[0]);
    DK_REQUIRE(is_f32(dw) && dw.rank == 4 && is_gapless(dw));
    DK_REQUIRE(dw.sizes[0] == dy.sizes[3] && dw.sizes[1] == x.sizes[3]);
    DK_REQUIRE(dy.sizes[1] == x.sizes[1] + pad.top + pad.bottom - dw.sizes[2] + 1);
    DK_REQUIRE(dy.sizes[2] == x.sizes[2] + pad.left + pad.right - dw.sizes[3] + 1);
    DK_REQUIRE(dk_tensor_disjoint(dw, dy) && dk_tensor_disjoint(dw, x));
    RUN(conv2d_backward_weight,
        2.0 * (double)dk_tensor_count(dy) * (double)dw.sizes[1] * (double)dw.sizes[2] *
            (double)dw.sizes[3],
        dev, dw, dy, x, pad);
}

void dk_sum_rows(DkDevice *dev, DkTensor y, DkTensor x)
{
    DK_REQUIRE(is_f32(x) && is_vector(y, dk_columns(x)) && dk_tensor_disjoint(y, x));
    RUN(sum_rows, (double)dk_tensor_count(x), dev, y, x);
}

void dk_attention_backward(DkDevice *dev, DkTensor dq, DkTensor dkey, DkTensor dv, DkTensor dy,
                           DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads)
{
    DK_REQUIRE(is_f32(q) && q.rank == 3 && is_f32(k) && k.rank == 3 && is_f32(v));
    DK_REQUIRE(n_heads > 0 && q.sizes[2] % n_heads == 0 && same_shape(v, k));
    DK_REQUIRE(k.sizes[0] == q.sizes[0] && k.sizes[2] == q.sizes[2]);
    DK_REQUIRE(is_f32(y) && same_shape(y, q) && is_f32(dy) && same_shape(dy, q));
    DK_REQUIRE(is_f32(dq) && same_shape(dq, q) && is_f32(dkey) && same_shape(dkey, k));
    DK_REQUIRE(is_f32(dv) && same_shape(dv, k) && dk_tensor_disjoint(dq, dkey));
    DK_REQUIRE(dk_tensor_disjoint(dq, dv) && dk_tensor_disjoint(dkey, dv));
    const DkTensor in[] = {dy, y, q, k, v};
    for (int i = 0; i < 5; i++)
        DK_REQUIRE(dk_tensor_disjoint(dq, in[i]) && dk_tensor_disjoint(dkey, in[i]) &&
                   dk_tensor_disjoint(dv, in[i]));
    RUN(attention_backward, 10.0 * (double)dk_tensor_count(q) * (double)k.sizes[1], dev, dq, dkey,
        dv, dy, y, q, k, v, n_heads);
}

/* ---- backward of state-space layers ---------------------------------------------------------- */

void dk_conv1d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                           DkTensor x, DkTensor w, DkTensor b, DkTensor order, DkAct act)
{
    DK_REQUIRE(is_f32(x) && x.rank == 3 && is_f32(dx) && same_shape(dx, x));
    DK_REQUIRE(is_f32(dy) && same_shape(dy, x));
    DK_REQUIRE(is_f32(w) && w.rank == 2 && w.sizes[0] == dk_columns(x) && is_gapless(w));
    DK_REQUIRE(w.sizes[1] <= 8 && is_f32(dw) && same_shape(dw, w) && is_gapless(dw));
    DK_REQUIRE(is_vector_or_empty(b, dk_columns(x)) && is_vector_or_empty(db, dk_columns(x)));
    DK_REQUIRE(is_order_or_empty(order, x.sizes[1]));
    DK_REQUIRE(dk_tensor_disjoint(dx, x) && dk_tensor_disjoint(dx, dy));
    RUN(conv1d_dw_backward, 6.0 * (double)dk_tensor_count(x) * (double)w.sizes[1], dev, dx, dw, db,
        dy, x, w, b, order, act);
}

void dk_selective_scan_backward(DkDevice *dev, DkTensor du, DkTensor ddt, DkTensor da,
                                DkTensor dbmat, DkTensor dcmat, DkTensor dd, DkTensor dz,
                                DkTensor dy, DkTensor u, DkTensor dt, const DkWeight *a,
                                DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z,
                                DkTensor order)
{
    DK_REQUIRE(a && a->kind == DK_WEIGHT_SCAN);
    DK_REQUIRE(is_f32(u) && u.rank == 3 && u.sizes[2] == a->n && is_f32(dt) && same_shape(dt, u));
    DK_REQUIRE(is_f32(du) && same_shape(du, u) && is_f32(ddt) && same_shape(ddt, u));
    DK_REQUIRE(is_f32(dy) && same_shape(dy, u) && is_f32_of(da, 2, a->n, a->k, 0, 0));
    DK_REQUIRE(is_f32_of(bmat, 3, u.sizes[0], u.sizes[1], a->k, 0) && same_shape(cmat, bmat));
    DK_REQUIRE(is_f32(cmat) && is_f32(dbmat) && is_f32(dcmat));
    DK_REQUIRE(same_shape(dbmat, bmat) && same_shape(dcmat, bmat));
    DK_REQUIRE(is_vector(d, a->n) && is_vector(dd, a->n) && is_order_or_empty(order, u.sizes[1]));
    DK_REQUIRE(dk_tensor_is_empty(z) == dk_tensor_is_empty(dz));
    DK_REQUIRE(dk_tensor_is_empty(z) ||
               (is_f32(z) && is_f32(dz) && same_shape(z, u) && same_shape(dz, u)));
    DK_REQUIRE(same_or_disjoint(du, dy) && dk_tensor_disjoint(ddt, dy));
    RUN(selective_scan_backward, 24.0 * (double)dk_tensor_count(u) * (double)a->k, dev, du, ddt, da,
        dbmat, dcmat, dd, dz, dy, u, dt, a, bmat, cmat, d, z, order);
}

static bool gradient_fits(const DkS4dGradient *g, const DkWeight *w)
{
    return !w || (w->kind == DK_WEIGHT_S4D && g && are_states(g->decay, w->n, w->k) &&
                  are_states(g->gain, w->n, w->k) && is_vector(g->skip, w->n));
}

void dk_s4d_scan_backward(DkDevice *dev, DkTensor du, const DkS4dGradient *of_ahead,
                          const DkS4dGradient *of_back, DkTensor dy, DkTensor u,
                          const DkWeight *ahead, const DkWeight *back)
{
    const DkWeight *any = ahead ? ahead : back;
    DK_REQUIRE(any && gradient_fits(of_ahead, ahead) && gradient_fits(of_back, back));
    DK_REQUIRE(!ahead || !back || (ahead->n == back->n && ahead->k == back->k));
    DK_REQUIRE(!ahead || !back ||
               (dk_tensor_disjoint(of_ahead->skip, of_back->skip) &&
                dk_tensor_disjoint(of_ahead->decay, of_back->decay) &&
                dk_tensor_disjoint(of_ahead->gain, of_back->gain)));
    DK_REQUIRE(is_f32(u) && u.rank == 3 && u.sizes[2] == any->n && is_f32(du) && same_shape(du, u));
    DK_REQUIRE(is_f32_of(dy, 3, u.sizes[0], u.sizes[1], ahead && back ? 2 * any->n : any->n, 0));
    DK_REQUIRE(dk_tensor_disjoint(du, dy) && dk_tensor_disjoint(du, u));
    RUN(s4d_scan_backward, 36.0 * (double)dk_tensor_count(dy) * (double)any->k, dev, du, of_ahead,
        of_back, dy, u, ahead, back);
}

static bool parts_fit(const DkS4dParts *p, DkTensor states)
{
    const int64_t d = states.sizes[0], n = states.sizes[1];
    return p && is_vector(p->log_dt, d) && is_f32_of(p->log_a_real, 2, d, n, 0, 0) &&
           is_f32_of(p->a_imag, 2, d, n, 0, 0) && is_f32_of(p->b, 3, d, n, 2, 0) &&
           is_f32_of(p->c, 3, d, n, 2, 0) && is_gapless(p->log_a_real) && is_gapless(p->a_imag) &&
           is_gapless(p->b) && is_gapless(p->c);
}

void dk_s4d_hold(DkDevice *dev, DkTensor decay, DkTensor gain, const DkS4dParts *of)
{
    DK_REQUIRE(are_states(decay, decay.sizes[0], decay.sizes[1]) && is_f64(gain));
    DK_REQUIRE(same_shape(gain, decay) && parts_fit(of, decay));
    RUN(s4d_hold, 0, dev, decay, gain, of);
}

void dk_s4d_hold_backward(DkDevice *dev, const DkS4dParts *gradients, DkTensor ddecay,
                          DkTensor dgain, const DkS4dParts *of)
{
    DK_REQUIRE(are_states(ddecay, ddecay.sizes[0], ddecay.sizes[1]) && is_f64(dgain));
    DK_REQUIRE(same_shape(dgain, ddecay) && parts_fit(of, ddecay) && parts_fit(gradients, ddecay));
    RUN(s4d_hold_backward, 0, dev, gradients, ddecay, dgain, of);
}

void dk_neg_exp(DkDevice *dev, DkTensor y, DkTensor x)
{
    DK_REQUIRE(is_f32(x) && is_f32(y) && same_shape(y, x) && same_or_disjoint(y, x));
    RUN(neg_exp, (double)dk_tensor_count(x), dev, y, x);
}

void dk_neg_exp_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor y)
{
    DK_REQUIRE(is_f32(dx) && is_f32(dy) && is_f32(y) && same_shape(dx, y) && same_shape(dy, y));
    DK_REQUIRE(dk_tensor_disjoint(dx, dy) && dk_tensor_disjoint(dx, y));
    RUN(neg_exp_backward, 2.0 * (double)dk_tensor_count(y), dev, dx, dy, y);
}

/* ---- backward of norms, elementwise ---------------------------------------------------------- */

void dk_norm_modulate_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor dscale,
                               DkTensor dshift, DkTensor dy, DkTensor x, DkTensor w, DkTensor scale,
                               DkNorm norm, float eps, bool accumulate)
{
    DK_REQUIRE(is_f32(x) && x.rank == 3 && is_f32(dy) && same_shape(dy, x));
    DK_REQUIRE(is_f32(dx) && same_shape(dx, x) && same_or_disjoint(dx, dy));
    DK_REQUIRE(dk_tensor_disjoint(dx, x) && !(accumulate && dk_tensor_same(dx, dy)));
    DK_REQUIRE(is_vector_or_empty(w, x.sizes[2]) && is_vector_or_empty(dw, x.sizes[2]));
    DK_REQUIRE(is_matrix_or_empty(scale, x.sizes[0], x.sizes[2]));
    DK_REQUIRE(is_matrix_or_empty(dscale, x.sizes[0], x.sizes[2]));
    DK_REQUIRE(is_matrix_or_empty(dshift, x.sizes[0], x.sizes[2]));
    RUN(norm_modulate_backward, 12.0 * (double)dk_tensor_count(x), dev, dx, dw, dscale, dshift, dy,
        x, w, scale, norm, eps, accumulate);
}

void dk_gate_add_backward(DkDevice *dev, DkTensor dy, DkTensor dgate, DkTensor dout, DkTensor gate,
                          DkTensor y)
{
    DK_REQUIRE(is_f32(y) && y.rank == 3 && is_f32(dy) && same_shape(dy, y));
    DK_REQUIRE(is_f32(dout) && same_shape(dout, y) && dk_tensor_disjoint(dy, dout));
    DK_REQUIRE(is_f32(gate) && is_matrix_or_empty(gate, y.sizes[0], y.sizes[2]));
    DK_REQUIRE(is_f32(dgate) && is_matrix_or_empty(dgate, y.sizes[0], y.sizes[2]));
    RUN(gate_add_backward, 3.0 * (double)dk_tensor_count(y), dev, dy, dgate, dout, gate, y);
}

void dk_act_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor x, DkAct act)
{
    DK_REQUIRE(is_f32(x) && is_f32(dx) && is_f32(dy) && same_shape(dx, x) && same_shape(dy, x));
    DK_REQUIRE(same_or_disjoint(dx, dy));
    RUN(act_backward, 4.0 * (double)dk_tensor_count(x), dev, dx, dy, x, act);
}

/* ---- backward of images and rows ------------------------------------------------------------- */

void dk_conv2d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                           DkTensor x, DkTensor w)
{
    DK_REQUIRE(is_f32(x) && x.rank == 4 && is_f32(dx) && same_shape(dx, x));
    DK_REQUIRE(is_f32(dy) && same_shape(dy, x) && dk_tensor_disjoint(dx, dy));
    DK_REQUIRE(is_f32_of(w, 2, x.sizes[3], 9, 0, 0) && is_gapless(w));
    DK_REQUIRE(is_f32(dw) && same_shape(dw, w) && is_gapless(dw));
    DK_REQUIRE(is_vector_or_empty(db, x.sizes[3]));
    RUN(conv2d_dw_backward, 38.0 * (double)dk_tensor_count(x), dev, dx, dw, db, dy, x, w);
}

void dk_gather_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor rows)
{
    DK_REQUIRE(is_f32(dx) && dx.rank == 3 && is_f32(dy) && dy.rank == 3);
    DK_REQUIRE(dx.sizes[0] == dy.sizes[0] || dx.sizes[0] == 1);
    DK_REQUIRE(dx.sizes[2] == dy.sizes[2]);
    DK_REQUIRE(rows.buffer && is_order_or_empty(rows, dy.sizes[1]));
    DK_REQUIRE(dk_tensor_disjoint(dx, dy));
    RUN(gather_backward, (double)dk_tensor_count(dy), dev, dx, dy, rows);
}

void dk_unpatchify_backward(DkDevice *dev, DkTensor dx, DkTensor dy, int p)
{
    DK_REQUIRE(tokens_fit(dx, dy, p) && dk_tensor_disjoint(dx, dy));
    RUN(unpatchify_backward, 0, dev, dx, dy, p);
}

/* ---- loss and optimiser ---------------------------------------------------------------------- */

static bool is_one_double(DkTensor t)
{
    return t.buffer && t.type == DK_F64 && dk_tensor_count(t) == 1;
}

void dk_squared_error(DkDevice *dev, DkTensor loss, DkTensor dy, DkTensor y, DkTensor target,
                      double factor)
{
    DK_REQUIRE(is_one_double(loss) && is_f32(y) && is_f32(dy) && is_f32(target));
    DK_REQUIRE(same_shape(dy, y) && same_shape(target, y) && same_or_disjoint(dy, y));
    RUN(squared_error, 5.0 * (double)dk_tensor_count(y), dev, loss, dy, y, target, factor);
}

void dk_bound_error(DkDevice *dev, DkTensor loss, DkTensor dv, DkTensor v, DkTensor y,
                    DkTensor target, DkTensor x0, DkTensor terms, double factor)
{
    DK_REQUIRE(is_one_double(loss) && is_f32(v) && v.rank == 2 && is_f32(dv) && same_shape(dv, v));
    DK_REQUIRE(is_f32(y) && same_shape(y, v) && is_f32(target) && same_shape(target, v));
    DK_REQUIRE(is_f32(x0) && same_shape(x0, v) && same_or_disjoint(dv, v));
    DK_REQUIRE(is_f64(terms) && has_shape(terms, 2, v.sizes[0], 4, 0, 0));
    RUN(bound_error, 30.0 * (double)dk_tensor_count(v), dev, loss, dv, v, y, target, x0, terms,
        factor);
}

void dk_sum_squares(DkDevice *dev, DkTensor sum, DkTensor x)
{
    DK_REQUIRE(is_one_double(sum) && is_f32(x));
    RUN(sum_squares, 2.0 * (double)dk_tensor_count(x), dev, sum, x);
}

void dk_adamw(DkDevice *dev, DkTensor w, DkTensor m, DkTensor v, DkTensor g,
              const DkAdamW *settings)
{
    DK_REQUIRE(settings && settings->step >= 1 && is_f32(w) && dk_rows(w) == 1);
    DK_REQUIRE(is_vector(m, dk_columns(w)) && is_vector(v, dk_columns(w)));
    DK_REQUIRE(is_vector(g, dk_columns(w)));
    RUN(adamw, 16.0 * (double)dk_columns(w), dev, w, m, v, g, settings);
}
