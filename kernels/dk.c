/* Every operation of dk.h: its arguments are checked here, once for all back ends, then the table
 * is called.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk-check.h"

#define RUN(op, flop, ...) DK_RUN(ops, DkOps, 0, op, flop, __VA_ARGS__)

/* ---- memory ---------------------------------------------------------------------------------- */

DkBuffer *dk_buffer_new(DkDevice *dev, size_t bytes)
{
    DK_REQUIRE(!dev->repeating);
    return dev->ops.buffer_new(dev, bytes);
}

void dk_buffer_free(DkDevice *dev, DkBuffer **buffer)
{
    if (!*buffer)
        return;
    DK_REQUIRE(!dev->repeating);
    dev->ops.buffer_free(dev, buffer);
    *buffer = NULL;
}

void dk_write(DkDevice *dev, DkTensor y, const void *host)
{
    DK_REQUIRE(y.buffer && host && !dev->repeating);
    RUN(write, 0, dev, y, host);
}

void dk_read(DkDevice *dev, void *host, DkTensor x)
{
    DK_REQUIRE(x.buffer && host && !dev->repeating);
    RUN(read, 0, dev, host, x);
}

DkWeight *dk_weight_linear(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    DK_REQUIRE(w && n >= 1 && k >= 1 && !dev->repeating);
    return dev->ops.weight_linear(dev, w, n, k);
}

DkWeight *dk_weight_conv2d(DkDevice *dev, const float *w, int64_t out, int64_t in, int kh, int kw)
{
    DK_REQUIRE(w && out >= 1 && in >= 1 && kh >= 1 && kw >= 1 && !dev->repeating);
    return dev->ops.weight_conv2d(dev, w, out, in, kh, kw);
}

DkWeight *dk_weight_scan(DkDevice *dev, const float *a, int64_t e, int64_t n)
{
    DK_REQUIRE(a && e >= 1 && n >= 1 && !dev->repeating);
    return dev->ops.weight_scan(dev, a, e, n);
}

DkWeight *dk_weight_s4d(DkDevice *dev, const double *decay, const double *gain, const double *skip,
                        int64_t d, int64_t n)
{
    DK_REQUIRE(decay && gain && skip && d >= 1 && n >= 1 && !dev->repeating);
    return dev->ops.weight_s4d(dev, decay, gain, skip, d, n);
}

void dk_weight_free(DkDevice *dev, DkWeight **w)
{
    if (!*w)
        return;
    DK_REQUIRE(!dev->repeating);
    dev->ops.weight_free(dev, w);
    *w = NULL;
}

DkProducts dk_weight_products(const DkWeight *w)
{
    return w->products;
}

/* ---- repeats --------------------------------------------------------------------------------- */

void dk_repeat(DkDevice *dev, DkRepeat **kept, void (*enqueue)(void *data), void *data)
{
    DK_REQUIRE(kept && enqueue && !dev->repeating);
    if (dk_stopped(dev))
        return;
    dev->repeating = true;
    if (dev->profiling)
        enqueue(data);
    else
        dev->ops.repeat(dev, kept, enqueue, data);
    dev->repeating = false;
}

void dk_repeat_free(DkDevice *dev, DkRepeat **kept)
{
    if (!*kept)
        return;
    DK_REQUIRE(!dev->repeating);
    dev->ops.repeat_free(dev, kept);
    *kept = NULL;
}

/* ---- products -------------------------------------------------------------------------------- */

void dk_linear(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, DkAct act,
               bool accumulate)
{
    DK_REQUIRE(w && w->kind == DK_WEIGHT_LINEAR);
    DK_REQUIRE(is_f32(x) && dk_columns(x) == w->k);
    DK_REQUIRE(is_f32(y) && dk_columns(y) == w->n && dk_rows(y) == dk_rows(x));
    DK_REQUIRE(is_vector_or_empty(b, w->n));
    DK_REQUIRE(dk_tensor_disjoint(y, x) && dk_tensor_disjoint(y, b));
    RUN(linear, 2.0 * (double)dk_rows(x) * (double)w->n * (double)w->k, dev, y, x, w, b, act,
        accumulate);
}

static bool conv2d_shapes_fit(DkTensor y, DkTensor x, const DkWeight *w, int stride, DkPad pad)
{
    const int64_t h = x.sizes[1] + pad.top + pad.bottom - w->kh;
    const int64_t v = x.sizes[2] + pad.left + pad.right - w->kw;
    return x.sizes[3] == w->k && h >= 0 && v >= 0 &&
           has_shape(y, 4, x.sizes[0], h / stride + 1, v / stride + 1, w->n);
}

void dk_conv2d(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, int stride,
               DkPad pad, DkAct act, bool accumulate)
{
    DK_REQUIRE(w && w->kind == DK_WEIGHT_CONV2D);
    DK_REQUIRE(stride >= 1 && pad.top >= 0 && pad.bottom >= 0 && pad.left >= 0 && pad.right >= 0);
    DK_REQUIRE(is_f32(x) && x.rank == 4 && is_gapless(x));
    DK_REQUIRE(is_f32(y) && y.rank == 4 && is_gapless(y));
    DK_REQUIRE(conv2d_shapes_fit(y, x, w, stride, pad));
    DK_REQUIRE(is_vector_or_empty(b, w->n));
    DK_REQUIRE(dk_tensor_disjoint(y, x) && dk_tensor_disjoint(y, b));
    RUN(conv2d, 2.0 * (double)dk_tensor_count(y) * (double)w->k * w->kh * w->kw, dev, y, x, w, b,
        stride, pad, act, accumulate);
}

void dk_attention(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads,
                  DkProducts products)
{
    DK_REQUIRE(is_f32(q) && q.rank == 3);
    const int64_t n_batch = q.sizes[0], d = q.sizes[2];
    DK_REQUIRE(n_heads >= 1 && d % n_heads == 0);
    DK_REQUIRE(is_f32_of(y, 3, n_batch, q.sizes[1], d, 0));
    DK_REQUIRE(is_f32(k) && k.rank == 3);
    DK_REQUIRE(is_f32_of(k, 3, n_batch, k.sizes[1], d, 0));
    DK_REQUIRE(is_f32(v) && same_shape(v, k));
    DK_REQUIRE(dk_tensor_disjoint(y, q) && dk_tensor_disjoint(y, k) && dk_tensor_disjoint(y, v));
    RUN(attention, 4.0 * (double)dk_tensor_count(q) * (double)k.sizes[1], dev, y, q, k, v, n_heads,
        products);
}

/* ---- state-space layers ---------------------------------------------------------------------- */

void dk_conv1d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b, DkTensor order,
                  DkAct act)
{
    DK_REQUIRE(is_f32(x) && x.rank == 3);
    DK_REQUIRE(is_f32(y) && same_shape(y, x));
    DK_REQUIRE(is_f32(w) && w.rank == 2 && w.sizes[0] == dk_columns(x) && is_gapless(w));
    DK_REQUIRE(w.sizes[1] <= 8);
    DK_REQUIRE(is_vector_or_empty(b, dk_columns(x)));
    DK_REQUIRE(is_order_or_empty(order, x.sizes[1]));
    DK_REQUIRE(dk_tensor_disjoint(y, x));
    RUN(conv1d_dw, 2.0 * (double)dk_tensor_count(x) * (double)w.sizes[1], dev, y, x, w, b, order,
        act);
}

void dk_selective_scan(DkDevice *dev, DkTensor y, DkTensor u, DkTensor dt, const DkWeight *a,
                       DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z, DkTensor order)
{
    DK_REQUIRE(a && a->kind == DK_WEIGHT_SCAN);
    DK_REQUIRE(is_f32(u) && u.rank == 3 && u.sizes[2] == a->n);
    DK_REQUIRE(is_f32(y) && same_shape(y, u) && is_f32(dt) && same_shape(dt, u));
    DK_REQUIRE(is_f32_of(bmat, 3, u.sizes[0], u.sizes[1], a->k, 0));
    DK_REQUIRE(is_f32_of(cmat, 3, u.sizes[0], u.sizes[1], a->k, 0));
    DK_REQUIRE(is_vector(d, a->n));
    DK_REQUIRE(dk_tensor_is_empty(z) || (is_f32(z) && same_shape(z, u)));
    DK_REQUIRE(is_order_or_empty(order, u.sizes[1]));
    DK_REQUIRE(same_or_disjoint(y, u) && same_or_disjoint(y, dt) && same_or_disjoint(y, z));
    DK_REQUIRE(dk_tensor_disjoint(y, bmat) && dk_tensor_disjoint(y, cmat));
    RUN(selective_scan, 8.0 * (double)dk_tensor_count(u) * (double)a->k, dev, y, u, dt, a, bmat,
        cmat, d, z, order);
}

static bool is_s4d_or_null(const DkWeight *w, int64_t channels)
{
    return !w || (w->kind == DK_WEIGHT_S4D && w->n == channels);
}

void dk_s4d_scan(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *ahead, const DkWeight *back)
{
    DK_REQUIRE(is_f32(u) && u.rank == 3 && (ahead || back));
    DK_REQUIRE(is_s4d_or_null(ahead, u.sizes[2]) && is_s4d_or_null(back, u.sizes[2]));
    DK_REQUIRE(!ahead || !back || ahead->k == back->k);
    const int64_t n_directions = ahead && back ? 2 : 1;
    DK_REQUIRE(is_f32_of(y, 3, u.sizes[0], u.sizes[1], n_directions * u.sizes[2], 0));
    DK_REQUIRE(dk_tensor_disjoint(y, u));
    RUN(s4d_scan, 12.0 * (double)dk_tensor_count(y) * (double)(ahead ? ahead : back)->k, dev, y, u,
        ahead, back);
}

/* ---- norms, elementwise ---------------------------------------------------------------------- */

void dk_norm_modulate(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor scale,
                      DkTensor shift, DkNorm norm, float eps)
{
    DK_REQUIRE(is_f32(x) && x.rank == 3);
    DK_REQUIRE(is_f32(y) && same_shape(y, x) && same_or_disjoint(y, x));
    DK_REQUIRE(is_vector_or_empty(w, x.sizes[2]));
    DK_REQUIRE(is_matrix_or_empty(scale, x.sizes[0], x.sizes[2]));
    DK_REQUIRE(is_matrix_or_empty(shift, x.sizes[0], x.sizes[2]));
    RUN(norm_modulate, 4.0 * (double)dk_tensor_count(x), dev, y, x, w, scale, shift, norm, eps);
}

void dk_gate_add(DkDevice *dev, DkTensor x, DkTensor gate, DkTensor y)
{
    DK_REQUIRE(is_f32(x) && x.rank == 3);
    DK_REQUIRE(is_f32(y) && same_shape(y, x) && dk_tensor_disjoint(x, y));
    DK_REQUIRE(is_f32(gate) && is_matrix_or_empty(gate, x.sizes[0], x.sizes[2]));
    DK_REQUIRE(dk_tensor_disjoint(x, gate));
    RUN(gate_add, 2.0 * (double)dk_tensor_count(x), dev, x, gate, y);
}

void dk_add_row(DkDevice *dev, DkTensor y, DkTensor x, DkTensor b)
{
    DK_REQUIRE(is_f32(x) && is_f32(y) && same_shape(y, x) && same_or_disjoint(y, x));
    DK_REQUIRE(is_vector(b, dk_columns(x)) && dk_tensor_disjoint(y, b));
    RUN(add_row, (double)dk_tensor_count(x), dev, y, x, b);
}

void dk_act(DkDevice *dev, DkTensor y, DkTensor x, DkAct act)
{
    DK_REQUIRE(is_f32(x) && is_f32(y) && same_shape(y, x) && same_or_disjoint(y, x));
    RUN(act, (double)dk_tensor_count(x), dev, y, x, act);
}

void dk_axpby(DkDevice *dev, DkTensor y, float a, DkTensor x, float b)
{
    DK_REQUIRE(is_f32(x) && is_f32(y) && same_shape(y, x) && same_or_disjoint(y, x));
    RUN(axpby, 3.0 * (double)dk_tensor_count(x), dev, y, a, x, b);
}

static bool is_stats_of(DkTensor stats, DkTensor x)
{
    return stats.buffer && stats.type == DK_F64 && stats.rank == 3 && is_gapless(stats) &&
           stats.sizes[0] == x.sizes[0] && x.sizes[3] % stats.sizes[1] == 0 && stats.sizes[2] == 3;
}

void dk_group_stats(DkDevice *dev, DkTensor stats, DkTensor x)
{
    DK_REQUIRE(is_f32(x) && x.rank == 4);
    DK_REQUIRE(is_stats_of(stats, x));
    RUN(group_stats, 4.0 * (double)dk_tensor_count(x), dev, stats, x);
}

void dk_group_apply(DkDevice *dev, DkTensor y, DkTensor x, DkTensor stats, DkTensor w, DkTensor b,
                    float eps, DkAct act)
{
    DK_REQUIRE(is_f32(x) && x.rank == 4);
    DK_REQUIRE(is_f32(y) && same_shape(y, x) && same_or_disjoint(y, x));
    DK_REQUIRE(is_stats_of(stats, x));
    DK_REQUIRE(is_vector(w, x.sizes[3]) && is_vector(b, x.sizes[3]));
    RUN(group_apply, 2.0 * (double)dk_tensor_count(x), dev, y, x, stats, w, b, eps, act);
}

void dk_clear(DkDevice *dev, DkTensor y)
{
    DK_REQUIRE(y.buffer);
    RUN(clear, 0, dev, y);
}

/* ---- images and rows ------------------------------------------------------------------------- */

void dk_conv2d_dw(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b)
{
    DK_REQUIRE(is_f32(x) && x.rank == 4);
    DK_REQUIRE(is_f32(y) && same_shape(y, x) && dk_tensor_disjoint(y, x));
    DK_REQUIRE(is_f32_of(w, 2, x.sizes[3], 9, 0, 0) && is_gapless(w));
    DK_REQUIRE(is_vector_or_empty(b, x.sizes[3]));
    RUN(conv2d_dw, 18.0 * (double)dk_tensor_count(x), dev, y, x, w, b);
}

void dk_patchify(DkDevice *dev, DkTensor y, DkTensor x, int p)
{
    DK_REQUIRE(tokens_fit(y, x, p) && dk_tensor_disjoint(y, x));
    RUN(patchify, 0, dev, y, x, p);
}

void dk_unpatchify(DkDevice *dev, DkTensor y, DkTensor x, int p)
{
    DK_REQUIRE(tokens_fit(x, y, p) && dk_tensor_disjoint(y, x));
    RUN(unpatchify, 0, dev, y, x, p);
}

void dk_gather(DkDevice *dev, DkTensor y, DkTensor x, DkTensor rows)
{
    DK_REQUIRE(is_f32(x) && x.rank == 3 && is_f32(y) && y.rank == 3);
    DK_REQUIRE(x.sizes[0] == y.sizes[0] || x.sizes[0] == 1);
    DK_REQUIRE(x.sizes[2] == y.sizes[2]);
    DK_REQUIRE(rows.buffer && is_order_or_empty(rows, y.sizes[1]));
    DK_REQUIRE(dk_tensor_disjoint(y, x));
    RUN(gather, 0, dev, y, x, rows);
}

void dk_resize(DkDevice *dev, DkTensor y, DkTensor x, DkResize mode)
{
    DK_REQUIRE(is_f32(x) && x.rank == 4 && is_f32(y) && y.rank == 4);
    DK_REQUIRE(y.sizes[0] == x.sizes[0] && y.sizes[3] == x.sizes[3]);
    DK_REQUIRE(mode != DK_RESIZE_NEAREST ||
               (y.sizes[1] % x.sizes[1] == 0 && y.sizes[2] % x.sizes[2] == 0));
    DK_REQUIRE(mode != DK_RESIZE_BOX ||
               (x.sizes[1] % y.sizes[1] == 0 && x.sizes[2] % y.sizes[2] == 0));
    DK_REQUIRE(dk_tensor_disjoint(y, x));
    RUN(resize, mode == DK_RESIZE_BILINEAR ? 8.0 * (double)dk_tensor_count(y) : 0.0, dev, y, x,
        mode);
}
