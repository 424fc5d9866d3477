/* Backward operations against differences of forward ones: the reference's, and CUDA's as usage:
 * gradients [cuda].
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "gradient-case.h"

static const DkTensor none;

/* ---- products -------------------------------------------------------------------------------- */

static void linear_forward(Case *k)
{
    dk_weight_set(k->check->dev, k->weight, k->v[1], false);
    dk_linear(k->check->dev, k->y, k->v[0], k->weight, k->v[2], DK_ACT_NONE, false);
}

static void linear_backward(Case *k)
{
    dk_weight_set(k->check->dev, k->transposed, k->v[1], true);
    dk_linear(k->check->dev, k->g[0], k->dy, k->transposed, none, DK_ACT_NONE, false);
    dk_linear_backward_weight(k->check->dev, k->g[1], k->g[2], k->dy, k->v[0]);
}

static void linear(Check *c)
{
    enum { M = 6, N = 5, K = 7 };
    const float zeros[N * K] = {0};
    Case k = {.check = c, .text = "linear", .forward = linear_forward, .backward = linear_backward};
    k.weight = check_keep(c, dk_weight_linear(c->dev, zeros, N, K));
    k.transposed = check_keep(c, dk_weight_linear(c->dev, zeros, K, N));
    add(&k, "x", true, false, SIZES(M, K));
    add(&k, "w", true, true, SIZES(N, K));
    add(&k, "b", true, true, SIZES(N));
    output(&k, SIZES(M, N));
    run(&k);
}

static void conv2d_forward(Case *k)
{
    dk_weight_set(k->check->dev, k->weight, k->v[1], false);
    dk_conv2d(k->check->dev, k->y, k->v[0], k->weight, k->v[2], 1, k->pad, DK_ACT_NONE, false);
}

static void conv2d_backward(Case *k)
{
    const int below = k->weight->kh - 1, right = k->weight->kw - 1;
    const DkPad back = {below - k->pad.top, below - k->pad.bottom, right - k->pad.left,
                        right - k->pad.right};
    dk_weight_set(k->check->dev, k->transposed, k->v[1], true);
    dk_conv2d(k->check->dev, k->g[0], k->dy, k->transposed, none, 1, back, DK_ACT_NONE, false);
    dk_conv2d_backward_weight(k->check->dev, k->g[1], k->dy, k->v[0], k->pad);
    dk_sum_rows(k->check->dev, k->g[2], k->dy);
}

static void conv2d(Check *c, DkPad pad)
{
    enum { B = 2, H = 5, W = 4, I = 3, O = 2, DOWN = 3, ACROSS = 2 };
    const float zeros[O * I * DOWN * ACROSS] = {0};
    Case k = {.check = c,
              .text = "conv2d",
              .forward = conv2d_forward,
              .backward = conv2d_backward,
              .pad = pad};
    k.weight = check_keep(c, dk_weight_conv2d(c->dev, zeros, O, I, DOWN, ACROSS));
    k.transposed = check_keep(c, dk_weight_conv2d(c->dev, zeros, I, O, DOWN, ACROSS));
    add(&k, "x", true, false, SIZES(B, H, W, I));
    add(&k, "w", true, true, SIZES(O, I, DOWN, ACROSS));
    add(&k, "b", true, true, SIZES(O));
    output(&k,
           SIZES(B, H + pad.top + pad.bottom - DOWN + 1, W + pad.left + pad.right - ACROSS + 1, O));
    run(&k);
}

/* ---- state-space layers ---------------------------------------------------------------------- */

static void conv1d_dw_forward(Case *k)
{
    dk_conv1d_dw(k->check->dev, k->y, k->v[0], k->v[1], k->v[2], k->order, k->act);
}

static void conv1d_dw_backward(Case *k)
{
    dk_conv1d_dw_backward(k->check->dev, k->g[0], k->g[1], k->g[2], k->dy, k->v[0], k->v[1],
                          k->v[2], k->order, k->act);
}

static void conv1d_dw(Check *c, DkAct act, bool bias, bool ordered)
{
    enum { B = 2, L = 6, E = 3, TAPS = 4 };
    Case k = {.check = c,
              .text = "conv1d_dw",
              .forward = conv1d_dw_forward,
              .backward = conv1d_dw_backward,
              .act = act};
    add(&k, "x", true, false, SIZES(B, L, E));
    add(&k, "w", true, true, SIZES(E, TAPS));
    add(&k, "b", bias, true, SIZES(E));
    if (ordered)
        k.order = indices(&k, L, (int32_t[]){3, 0, 5, 1, 2, 4});
    output(&k, SIZES(B, L, E));
    run(&k);
}

enum { U, DT, A, BMAT, CMAT, D, Z };

static void scan_forward(Case *k)
{
    const DkTensor *v = k->v;
    dk_weight_set(k->check->dev, k->weight, v[A], false);
    dk_selective_scan(k->check->dev, k->y, v[U], v[DT], k->weight, v[BMAT], v[CMAT], v[D], v[Z],
                      k->order);
}

static void scan_backward(Case *k)
{
    const DkTensor *v = k->v, *g = k->g;
    dk_selective_scan_backward(k->check->dev, g[U], g[DT], g[A], g[BMAT], g[CMAT], g[D], g[Z],
                               k->dy, v[U], v[DT], k->weight, v[BMAT], v[CMAT], v[D], v[Z],
                               k->order);
}

static void selective_scan(Check *c, bool gated, bool ordered)
{
    enum { B = 2, L = 7, E = 3, N = 4 };
    const float zeros[E * N] = {0};
    float decay[E * N];
    Case k = {.check = c,
              .text = gated ? "selective_scan with a gate" : "selective_scan",
              .forward = scan_forward,
              .backward = scan_backward};
    k.weight = check_keep(c, dk_weight_scan(c->dev, zeros, E, N));
    add(&k, "u", true, false, SIZES(B, L, E));
    add(&k, "dt", true, false, SIZES(B, L, E));
    add(&k, "A", true, true, SIZES(E, N));
    add(&k, "B", true, false, SIZES(B, L, N));
    add(&k, "C", true, false, SIZES(B, L, N));
    add(&k, "d", true, true, SIZES(E));
    add(&k, "z", gated, false, SIZES(B, L, E));
    for (int i = 0; i < E * N; i++)
        decay[i] = -0.3f - 0.2f * (float)i;
    dk_write(c->dev, k.v[A], decay);
    if (ordered)
        k.order = indices(&k, L, (int32_t[]){3, 0, 5, 1, 6, 2, 4});
    output(&k, SIZES(B, L, E));
    run(&k);
}

static void neg_exp_forward(Case *k)
{
    dk_neg_exp(k->check->dev, k->y, k->v[0]);
}

static void neg_exp_backward(Case *k)
{
    dk_neg_exp_backward(k->check->dev, k->g[0], k->dy, k->y);
}

static void neg_exp(Check *c)
{
    Case k = {
        .check = c, .text = "neg_exp", .forward = neg_exp_forward, .backward = neg_exp_backward};
    add(&k, "x", true, true, SIZES(4, 5));
    output(&k, SIZES(4, 5));
    run(&k);
}

/* ---- norms, elementwise ---------------------------------------------------------------------- */

static void norm_forward(Case *k)
{
    dk_norm_modulate(k->check->dev, k->y, k->v[0], k->v[1], k->v[2], k->v[3], k->norm, 0.01f);
}

static void norm_backward(Case *k)
{
    dk_norm_modulate_backward(k->check->dev, k->g[0], k->g[1], k->g[2], k->g[3], k->dy, k->v[0],
                              k->v[1], k->v[2], k->norm, 0.01f, k->added[0]);
}

static void norm_modulate(Check *c, DkNorm norm, int there)
{
    enum { B = 2, L = 3, WIDTH = 6 };
    Case k = {.check = c,
              .text = norm == DK_NORM_RMS ? "norm_modulate, RMS" : "norm_modulate, LAYER",
              .forward = norm_forward,
              .backward = norm_backward,
              .norm = norm};
    add(&k, "x", true, there & 1, SIZES(B, L, WIDTH));
    add(&k, "w", there & 2, true, SIZES(WIDTH));
    add(&k, "scale", there & 4, false, SIZES(B, WIDTH));
    add(&k, "shift", there & 8, false, SIZES(B, WIDTH));
    output(&k, SIZES(B, L, WIDTH));
    run(&k);
}

static void gate_add_forward(Case *k)
{
    dk_axpby(k->check->dev, k->y, 1, k->v[0], 0);
    dk_gate_add(k->check->dev, k->y, k->v[1], k->v[2]);
}

static void gate_add_backward(Case *k)
{
    dk_axpby(k->check->dev, k->g[0], 1, k->dy, 0);
    dk_gate_add_backward(k->check->dev, k->g[2], k->g[1], k->dy, k->v[1], k->v[2]);
}

static void gate_add(Check *c)
{
    Case k = {
        .check = c, .text = "gate_add", .forward = gate_add_forward, .backward = gate_add_backward};
    add(&k, "x", true, false, SIZES(2, 3, 5));
    add(&k, "gate", true, false, SIZES(2, 5));
    add(&k, "y", true, false, SIZES(2, 3, 5));
    output(&k, SIZES(2, 3, 5));
    run(&k);
}

static void act_forward(Case *k)
{
    dk_act(k->check->dev, k->y, k->v[0], k->act);
}

static void act_backward(Case *k)
{
    dk_act_backward(k->check->dev, k->g[0], k->dy, k->v[0], k->act);
}

/* Steps do not cross 0, where the slope of relu leaps. */
static void act(Check *c, DkAct act)
{
    Case k = {
        .check = c, .text = "act", .forward = act_forward, .backward = act_backward, .act = act};
    add(&k, "x", true, false, SIZES(8));
    dk_write(c->dev, k.v[0], (float[]){-3, -1.5f, -0.7f, -0.2f, 0.2f, 0.8f, 1.4f, 4});
    output(&k, SIZES(8));
    run(&k);
}

/* ---- images and rows ------------------------------------------------------------------------- */

static void conv2d_dw_forward(Case *k)
{
    dk_conv2d_dw(k->check->dev, k->y, k->v[0], k->v[1], k->v[2]);
}

static void conv2d_dw_backward(Case *k)
{
    dk_conv2d_dw_backward(k->check->dev, k->g[0], k->g[1], k->g[2], k->dy, k->v[0], k->v[1]);
}

static void conv2d_dw(Check *c)
{
    Case k = {.check = c,
              .text = "conv2d_dw",
              .forward = conv2d_dw_forward,
              .backward = conv2d_dw_backward};
    add(&k, "x", true, false, SIZES(2, 4, 3, 5));
    add(&k, "w", true, true, SIZES(5, 9));
    add(&k, "b", true, true, SIZES(5));
    output(&k, SIZES(2, 4, 3, 5));
    run(&k);
}

static void gather_forward(Case *k)
{
    dk_gather(k->check->dev, k->y, k->v[0], k->order);
}

static void gather_backward(Case *k)
{
    dk_gather_backward(k->check->dev, k->g[0], k->dy, k->order);
}

/* A row twice, one never, one of y that stays. */
static void gather(Check *c, int64_t items)
{
    Case k = {.check = c,
              .text = items == 1 ? "gather of one item" : "gather",
              .forward = gather_forward,
              .backward = gather_backward};
    add(&k, "x", true, true, SIZES(items, 4, 3));
    k.order = indices(&k, 5, (int32_t[]){2, 0, -1, 2, 3});
    output(&k, SIZES(2, 5, 3));
    run(&k);
}

static void unpatchify_forward(Case *k)
{
    dk_unpatchify(k->check->dev, k->y, k->v[0], 2);
}

static void unpatchify_backward(Case *k)
{
    dk_unpatchify_backward(k->check->dev, k->g[0], k->dy, 2);
}

static void unpatchify(Check *c)
{
    Case k = {.check = c,
              .text = "unpatchify",
              .forward = unpatchify_forward,
              .backward = unpatchify_backward};
    add(&k, "x", true, false, SIZES(2, 2 * 3, 2 * 2 * 5));
    output(&k, SIZES(2, 5, 4, 6));
    run(&k);
}

/* ---- loss and optimiser ---------------------------------------------------------------------- */

static void error_forward(Case *k)
{
    DkTensor unused = check_tensor(k->check, DK_F32, SIZES(3, 4));
    dk_squared_error(k->check->dev, k->y, unused, k->v[0], k->order, 0.7);
    dk_buffer_free(k->check->dev, &k->check->buffers[--k->check->n_buffers]);
}

static void error_backward(Case *k)
{
    dk_squared_error(k->check->dev, k->y, k->g[0], k->v[0], k->order, 0.7);
}

static void squared_error(Check *c)
{
    Case k = {
        .check = c, .text = "squared_error", .forward = error_forward, .backward = error_backward};
    add(&k, "y", true, false, SIZES(3, 4));
    k.order = check_random(c, SIZES(3, 4)); /* the target */
    k.y = check_tensor(c, DK_F64, SIZES(1));
    run(&k);
}

static void sum_squares(Check *c)
{
    const DkTensor x = check_values(c, SIZES(2, 2), (float[]){1, -2, 3, 0.5f});
    const DkTensor sum = check_tensor(c, DK_F64, SIZES(1));
    dk_write(c->dev, sum, (double[]){100});
    dk_sum_squares(c->dev, sum, x);
    double got;
    dk_read(c->dev, &got, sum);
    EXPECT(c, got == 114.25);
    check_release(c);
}

/* Algorithm 2 of arXiv 1711.05101 line by line, moments kept in double. */
static void adamw(Check *c)
{
    double w = 2, m = 0, v = 0;
    const DkTensor weight = check_values(c, SIZES(1), (float[]){2});
    const DkTensor mean = check_values(c, SIZES(1), (float[]){0});
    const DkTensor square = check_values(c, SIZES(1), (float[]){0});
    const DkTensor gradient = check_tensor(c, DK_F32, SIZES(1));
    for (int t = 1; t <= 4; t++) {
        const float g = 3.0f - 2.0f * (float)t;
        const DkAdamW settings = {0.1, 0.9, 0.99, 1e-3, 0.05, 0.5, t};
        dk_write(c->dev, gradient, &g);
        dk_adamw(c->dev, weight, mean, square, gradient, &settings);
        m = 0.9 * m + 0.1 * (0.5 * g);
        v = 0.99 * v + 0.01 * (0.5 * g) * (0.5 * g);
        w -= 0.1 * (m / (1 - pow(0.9, t)) / (sqrt(v / (1 - pow(0.99, t))) + 1e-3) + 0.05 * w);
        EXPECT(c, check_near(c, weight, &w, 1e-6));
        EXPECT(c, check_near(c, mean, &m, 1e-6));
        EXPECT(c, check_near(c, square, &v, 1e-6));
    }
    check_release(c);
}

int main(int argc, char **argv)
{
    Check c = gradients_open(argc, argv);
    linear(&c);
    conv2d(&c, (DkPad){0, 0, 0, 0});
    conv2d(&c, (DkPad){1, 2, 0, 1});
    for (int i = 0; i < 8; i++)
        conv1d_dw(&c, i < 4 ? DK_ACT_SILU : i < 6 ? DK_ACT_TANH : DK_ACT_NONE, i % 2, i / 2 % 2);
    for (int i = 0; i < 4; i++)
        selective_scan(&c, i % 2, i / 2);
    neg_exp(&c);
    for (int there = 0; there < 16; there++) {
        norm_modulate(&c, DK_NORM_RMS, there);
        norm_modulate(&c, DK_NORM_LAYER, there);
    }
    gate_add(&c);
    act(&c, DK_ACT_NONE);
    act(&c, DK_ACT_SILU);
    act(&c, DK_ACT_RELU);
    act(&c, DK_ACT_TANH);
    act(&c, DK_ACT_GELU);
    conv2d_dw(&c);
    gather(&c, 2);
    gather(&c, 1);
    unpatchify(&c);
    squared_error(&c);
    sum_squares(&c);
    adamw(&c);
    EXPECT(&c, dk_sync(c.dev) == DK_OK);
    dk_device_close(&c.dev);
    return c.n_failures > 0;
}
