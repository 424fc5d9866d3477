/* Backward operations that transformers and S4D add, ref's or CUDA's, against differences of the
 * forward ones; the variational bound also against numbers that were found another way.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "gradient-case.h"

/* ---- attention ------------------------------------------------------------------------------- */

static void attention_forward(Case *k)
{
    dk_attention(k->check->dev, k->y, k->v[0], k->v[1], k->v[2], k->optional, DK_PRODUCTS_F32);
}

static void attention_backward(Case *k)
{
    dk_attention_backward(k->check->dev, k->g[0], k->g[1], k->g[2], k->dy, k->y, k->v[0], k->v[1],
                          k->v[2], k->optional);
}

static void attention(Check *c, int64_t queries, int64_t keys, int heads)
{
    enum { B = 2, WIDTH = 5 };
    Case k = {.check = c,
              .text = "attention",
              .forward = attention_forward,
              .backward = attention_backward,
              .optional = heads};
    add(&k, "q", true, false, SIZES(B, queries, WIDTH * heads));
    add(&k, "k", true, false, SIZES(B, keys, WIDTH * heads));
    add(&k, "v", true, false, SIZES(B, keys, WIDTH * heads));
    output(&k, SIZES(B, queries, WIDTH * heads));
    run(&k);
}

/* ---- S4D ------------------------------------------------------------------------------------- */

enum { U, SKIP, LOG_DT, LOG_A_REAL, A_IMAG, IN, OUT };
enum { B = 2, L = 9, D = 3, N = 4, AHEAD = 1, BACK = 2 };

static DkS4dParts parts(const DkTensor *t)
{
    return (DkS4dParts){t[LOG_DT], t[LOG_A_REAL], t[A_IMAG], t[IN], t[OUT]};
}

static DkTensor states(Check *c)
{
    return check_tensor(c, DK_F64, SIZES(D, N, 2));
}

/* Both directions have the same parameters: their gradients add up. */
static void s4d_forward(Case *k)
{
    Check *c = k->check;
    const int n_buffers = c->n_buffers;
    const DkTensor decay = states(c), gain = states(c);
    const DkS4dParts of = parts(k->v);
    dk_s4d_hold(c->dev, decay, gain, &of);
    dk_weight_set_s4d(c->dev, k->weight, decay, gain, k->v[SKIP]);
    dk_s4d_scan(c->dev, k->y, k->v[U], k->optional & AHEAD ? k->weight : NULL,
                k->optional & BACK ? k->weight : NULL);
    while (c->n_buffers > n_buffers)
        dk_buffer_free(c->dev, &c->buffers[--c->n_buffers]);
}

static void s4d_backward(Case *k)
{
    Check *c = k->check;
    const DkS4dParts of = parts(k->v), to = parts(k->g);
    const DkS4dGradient ahead = {states(c), states(c), k->g[SKIP]};
    const DkS4dGradient back = {states(c), states(c), check_tensor(c, DK_F32, SIZES(D))};
    const bool both = k->optional == (AHEAD | BACK);
    dk_clear(c->dev, back.skip);
    dk_s4d_scan_backward(c->dev, k->g[U], &ahead, &back, k->dy, k->v[U],
                         k->optional & AHEAD ? k->weight : NULL,
                         k->optional & BACK ? k->weight : NULL);
    if (both || k->optional == AHEAD)
        dk_s4d_hold_backward(c->dev, &to, ahead.decay, ahead.gain, &of);
    if (both || k->optional == BACK)
        dk_s4d_hold_backward(c->dev, &to, back.decay, back.gain, &of);
    dk_axpby(c->dev, k->g[SKIP], 1, back.skip, 1);
}

static void add_parts(Case *k)
{
    add(k, "log_dt", true, true, SIZES(D));
    add(k, "log_a_real", true, true, SIZES(D, N));
    add(k, "a_imag", true, true, SIZES(D, N));
    add(k, "b", true, true, SIZES(D, N, 2));
    add(k, "c", true, true, SIZES(D, N, 2));
}

static void s4d(Check *c, int directions)
{
    const double zeros[2 * D * N] = {0};
    Case k = {.check = c,
              .text = "s4d_scan",
              .forward = s4d_forward,
              .backward = s4d_backward,
              .optional = directions};
    k.weight = check_keep(c, dk_weight_s4d(c->dev, zeros, zeros, zeros, D, N));
    add(&k, "u", true, false, SIZES(B, L, D));
    add(&k, "skip", true, true, SIZES(D));
    add_parts(&k);
    output(&k, SIZES(B, L, directions == (AHEAD | BACK) ? 2 * D : D));
    run(&k);
}

/* The hold by itself, whose results are doubles: f is <r, decay> + <r, gain>, r being k->order. */
static void hold_forward(Case *k)
{
    Check *c = k->check;
    const DkTensor decay = states(c), gain = states(c);
    const DkS4dParts of = parts(k->v);
    dk_s4d_hold(c->dev, decay, gain, &of);
    double *x = check_read(c, decay), *y = check_read(c, gain), *r = check_read(c, k->order), f = 0;
    for (int i = 0; i < 2 * D * N; i++)
        f += r[i] * (x[i] + y[i]);
    dk_write(c->dev, k->y, &f);
    free(x);
    free(y);
    free(r);
    dk_buffer_free(c->dev, &c->buffers[--c->n_buffers]);
    dk_buffer_free(c->dev, &c->buffers[--c->n_buffers]);
}

static void hold_backward(Case *k)
{
    const DkS4dParts of = parts(k->v), to = parts(k->g);
    dk_s4d_hold_backward(k->check->dev, &to, k->order, k->order, &of);
}

/* Small products of step and rate are found by series. */
static void s4d_hold(Check *c, const float logarithms[D])
{
    double r[2 * D * N];
    float log_a_real[D * N], a_imag[D * N];
    Case k = {.check = c, .text = "s4d_hold", .forward = hold_forward, .backward = hold_backward};
    k.n = LOG_DT;
    add_parts(&k);
    for (int i = 0; i < D * N; i++) {
        log_a_real[i] = logarithms[i / N] + 0.01f * (float)(i % N);
        a_imag[i] = 0.3f * (float)(i % N) * expf(logarithms[i / N]);
    }
    dk_write(c->dev, k.v[LOG_DT], logarithms);
    dk_write(c->dev, k.v[LOG_A_REAL], log_a_real);
    dk_write(c->dev, k.v[A_IMAG], a_imag);
    k.order = states(c);
    for (int i = 0; i < 2 * D * N; i++)
        r[i] = cos(i * i);
    dk_write(c->dev, k.order, r);
    k.y = check_tensor(c, DK_F64, SIZES(1));
    run(&k);
}

/* ---- the variational bound ------------------------------------------------------------------- */

enum { V, PREDICTION, TARGET, CLEAN, TERMS };

static void bound(Case *k, DkTensor dv)
{
    dk_bound_error(k->check->dev, k->y, dv, k->v[V], k->order, check_random(k->check, SIZES(3, 4)),
                   check_random(k->check, SIZES(3, 4)), k->dy, 0.7);
}

/* The same "random" operands each time. */
static void bound_forward(Case *k)
{
    Check *c = k->check;
    const int n_buffers = c->n_buffers;
    const unsigned random = c->random;
    c->random = 5;
    bound(k, check_tensor(c, DK_F32, SIZES(3, 4)));
    c->random = random;
    while (c->n_buffers > n_buffers)
        dk_buffer_free(c->dev, &c->buffers[--c->n_buffers]);
}

static void bound_backward(Case *k)
{
    k->check->random = 5;
    bound(k, k->g[0]);
}

static void bound_error(Check *c)
{
    Case k = {
        .check = c, .text = "bound_error", .forward = bound_forward, .backward = bound_backward};
    add(&k, "v", true, false, SIZES(3, 4));
    k.order = check_random(c, SIZES(3, 4)); /* the prediction */
    k.dy = check_tensor(c, DK_F64, SIZES(3, 4));
    dk_write(c->dev, k.dy, (double[]){-3, -1, 0.4, 0, -4, -3.5, 0.02, 0, -2.5, -1, 0.3, 1});
    k.y = check_tensor(c, DK_F64, SIZES(1));
    run(&k);
}

/* Single elements; the bits are those of the authors' formulas in PyTorch, float64. */
static void bound_values(Check *c)
{
    const struct {
        float v, error, x0;
        double terms[4], bits;
    } cases[] = {
        {0.25f, 0.5f, 0.3f, {-4, -3, 0.2, 0}, 0.3264128305086613},
        {-1.5f, 0.75f, 0.3f, {-9, -4.6, 0.02, 0}, 4.603166054345973},
        {0.5f, 0.5f, -0.25f, {-9.2, -8.4, 0.0125, 1}, 2.2859603196863856},
        {0.5f, 0.5f, -1.5f, {-9.2, -8.4, 0.0125, 1}, 0.37113652858650964},
        {-0.5f, 0.25f, 1.25f, {-9.2, -8.4, 0.0125, 1}, 0.9198022440799589},
        {0.5f, 100, 0.25f, {-9.2, -8.4, 0.0125, 1}, 39.86313713864835}, /* the least likelihood */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float zero = 0;
        const DkTensor terms = check_tensor(c, DK_F64, SIZES(1, 4));
        const DkTensor loss = check_tensor(c, DK_F64, SIZES(1));
        double got;
        dk_write(c->dev, terms, cases[i].terms);
        dk_clear(c->dev, loss);
        dk_bound_error(c->dev, loss, check_tensor(c, DK_F32, SIZES(1, 1)),
                       check_values(c, SIZES(1, 1), &cases[i].v),
                       check_values(c, SIZES(1, 1), &cases[i].error),
                       check_values(c, SIZES(1, 1), &zero),
                       check_values(c, SIZES(1, 1), &cases[i].x0), terms, 1);
        dk_read(c->dev, &got, loss);
        EXPECT(c, fabs(got - cases[i].bits) < 1e-12 * cases[i].bits);
        check_release(c);
    }
}

int main(int argc, char **argv)
{
    Check c = gradients_open(argc, argv);
    attention(&c, 4, 4, 1);
    attention(&c, 3, 6, 2);
    for (int directions = AHEAD; directions <= (AHEAD | BACK); directions++)
        s4d(&c, directions);
    s4d_hold(&c, (float[D]){-1, 0, 1});
    s4d_hold(&c, (float[D]){-1.9f, -2.1f, -3.8f});
    bound_error(&c);
    bound_values(&c);
    EXPECT(&c, dk_sync(c.dev) == DK_OK);
    dk_device_close(&c.dev);
    return c.n_failures > 0;
}
