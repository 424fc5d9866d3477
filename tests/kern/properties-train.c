/* Properties of training's operations that hold to the bit, on each instruction set of cpu: a
 * weight that was set is like one made anew, and the number of threads changes nothing.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/onednn.h"

#include "check.h"

static const DkTensor none;

void dk_portable16_fill(DkDevice *dev);

typedef struct {
    unsigned isa;
    void (*fill)(DkDevice *dev); /* NULL: what is there */
} Kind;

static void fill_onednn(DkDevice *dev)
{
    dk_cpu_onednn_init(dev);
}

static DkDevice *open_device(Kind kind, int n_threads)
{
    DkDevice *dev = check_memory(dk_device_open(DK_BACKEND_CPU, n_threads, kind.isa));
    if (kind.fill)
        kind.fill(dev);
    return dev;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* numbers[rows][columns] turned over. */
static float *transposed(const float *numbers, int64_t rows, int64_t columns)
{
    float *of = check_memory(malloc((size_t)(rows * columns) * sizeof *of));
    for (int64_t i = 0; i < rows * columns; i++)
        of[i % columns * rows + i / columns] = numbers[i];
    return of;
}

static void linear_set(Check *c, int64_t n, int64_t k)
{
    float *old = check_numbers(c, n * k), *numbers = check_numbers(c, n * k);
    float *turned = transposed(numbers, n, k);
    DkWeight *fresh = check_keep(c, dk_weight_linear(c->dev, numbers, n, k));
    DkWeight *set = check_keep(c, dk_weight_linear(c->dev, old, n, k));
    const DkTensor x = check_random(c, SIZES(70, k));
    const DkTensor a = check_tensor(c, DK_F32, SIZES(70, n)),
                   b = check_tensor(c, DK_F32, SIZES(70, n));
    dk_linear(c->dev, a, x, fresh, none, DK_ACT_NONE, false);
    dk_weight_set(c->dev, set, check_values(c, SIZES(n, k), numbers), false);
    dk_linear(c->dev, b, x, set, none, DK_ACT_NONE, false);
    EXPECT(c, check_same_bits(c, a, b));
    dk_weight_set(c->dev, set, check_values(c, SIZES(n, k), old), false);
    dk_weight_set(c->dev, set, check_values(c, SIZES(k, n), turned), true);
    dk_clear(c->dev, b);
    dk_linear(c->dev, b, x, set, none, DK_ACT_NONE, false);
    EXPECT(c, check_same_bits(c, a, b));
    free(old);
    free(numbers);
    free(turned);
    check_release(c);
}

static void conv2d_set(Check *c)
{
    enum { I = 9, O = 21, TAPS = 9, H = 7 };
    float *old = check_numbers(c, O * I * TAPS), *numbers = check_numbers(c, O * I * TAPS);
    float *turned = check_memory(malloc(sizeof(float[O * I * TAPS])));
    for (int i = 0; i < O * I * TAPS; i++)
        turned[(i / TAPS % I * O + i / TAPS / I) * TAPS + TAPS - 1 - i % TAPS] = numbers[i];
    DkWeight *fresh = check_keep(c, dk_weight_conv2d(c->dev, numbers, O, I, 3, 3));
    DkWeight *set = check_keep(c, dk_weight_conv2d(c->dev, old, O, I, 3, 3));
    const DkTensor x = check_random(c, SIZES(1, H, H, I));
    const DkTensor a = check_tensor(c, DK_F32, SIZES(1, H, H, O));
    const DkTensor b = check_tensor(c, DK_F32, SIZES(1, H, H, O));
    const DkPad pad = {1, 1, 1, 1};
    dk_conv2d(c->dev, a, x, fresh, none, 1, pad, DK_ACT_NONE, false);
    dk_weight_set(c->dev, set, check_values(c, SIZES(O, I, 3, 3), numbers), false);
    dk_conv2d(c->dev, b, x, set, none, 1, pad, DK_ACT_NONE, false);
    EXPECT(c, check_same_bits(c, a, b));
    dk_weight_set(c->dev, set, check_values(c, SIZES(O, I, 3, 3), old), false);
    dk_weight_set(c->dev, set, check_values(c, SIZES(I, O, 3, 3), turned), true);
    dk_conv2d(c->dev, b, x, set, none, 1, pad, DK_ACT_NONE, false);
    EXPECT(c, check_same_bits(c, a, b));
    free(old);
    free(numbers);
    free(turned);
    check_release(c);
}

static void scan_set(Check *c)
{
    enum { L = 11, E = 37, N = 6 };
    float a[E * N], old[E * N];
    for (int i = 0; i < E * N; i++) {
        a[i] = -(float)(i % N + 1) * 0.7f;
        old[i] = -3;
    }
    DkWeight *fresh = check_keep(c, dk_weight_scan(c->dev, a, E, N));
    DkWeight *set = check_keep(c, dk_weight_scan(c->dev, old, E, N));
    const DkTensor u = check_random(c, SIZES(1, L, E)), b = check_random(c, SIZES(1, L, N));
    const DkTensor d = check_random(c, SIZES(E));
    const DkTensor x = check_tensor(c, DK_F32, SIZES(1, L, E)),
                   y = check_tensor(c, DK_F32, SIZES(1, L, E));
    dk_selective_scan(c->dev, x, u, u, fresh, b, b, d, none, none);
    dk_weight_set(c->dev, set, check_values(c, SIZES(E, N), a), false);
    dk_selective_scan(c->dev, y, u, u, set, b, b, d, none, none);
    EXPECT(c, check_same_bits(c, x, y));
    check_release(c);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { B = 3, L = 190, D = 150, N = 260, M = B * L, H = 12 };

/* Results of each operation whose work is shared out, appended to y. */
static float *keep(Check *c, float *y, DkTensor t)
{
    dk_read(c->dev, y, t);
    return y + dk_tensor_count(t) * (int64_t)(dk_type_size(t.type) / sizeof(float));
}

static float *run_products(Check *c, float *y)
{
    const DkTensor x = check_random(c, SIZES(M, D)), dy = check_random(c, SIZES(M, N));
    const DkTensor dw = check_random(c, SIZES(N, D)), db = check_random(c, SIZES(N)),
                   sums = check_random(c, SIZES(N));
    const DkTensor image = check_random(c, SIZES(B, H, H, D)), taps = check_random(c, SIZES(D, 9));
    const DkTensor dimage = check_random(c, SIZES(B, H, H, D)), bias = check_random(c, SIZES(D));
    const DkTensor out = check_tensor(c, DK_F32, SIZES(B, H, H, D));
    const DkTensor filter = check_random(c, SIZES(D, D, 3, 3)),
                   dtaps = check_random(c, SIZES(D, 9));
    dk_linear_backward_weight(c->dev, dw, db, dy, x);
    dk_sum_rows(c->dev, sums, dy);
    dk_conv2d_backward_weight(c->dev, filter, dimage, image, (DkPad){1, 1, 1, 1});
    dk_conv2d_dw_backward(c->dev, out, dtaps, bias, dimage, image, taps);
    y = keep(c, y, dw);
    y = keep(c, y, db);
    y = keep(c, y, sums);
    y = keep(c, y, filter);
    y = keep(c, y, out);
    y = keep(c, y, dtaps);
    y = keep(c, y, bias);
    check_release(c);
    return y;
}

static float *run_tokens(Check *c, float *y)
{
    const DkTensor x = check_random(c, SIZES(B, L, D)), dy = check_random(c, SIZES(B, L, D));
    const DkTensor dx = check_random(c, SIZES(B, L, D)), w = check_random(c, SIZES(D));
    const DkTensor dw = check_random(c, SIZES(D)), scale = check_random(c, SIZES(B, D));
    const DkTensor dscale = check_tensor(c, DK_F32, SIZES(B, D));
    const DkTensor dshift = check_tensor(c, DK_F32, SIZES(B, D));
    const DkTensor table = check_random(c, SIZES(1, L, D)),
                   rows = check_tensor(c, DK_I32, SIZES(L));
    const DkTensor sums = check_tensor(c, DK_F64, SIZES(2));
    int32_t to[L];
    for (int i = 0; i < L; i++)
        to[i] = (int32_t)(i * i % L);
    dk_write(c->dev, rows, to);
    dk_clear(c->dev, sums);
    dk_norm_modulate_backward(c->dev, dx, dw, dscale, dshift, dy, x, w, scale, DK_NORM_LAYER, 1e-5f,
                              true);
    y = keep(c, y, dx);
    y = keep(c, y, dw);
    y = keep(c, y, dscale);
    y = keep(c, y, dshift);
    dk_gate_add_backward(c->dev, dx, dscale, dy, scale, x);
    dk_act_backward(c->dev, dy, dy, x, DK_ACT_SILU);
    dk_gather_backward(c->dev, table, dy, rows);
    dk_sum_squares(c->dev, dk_tensor_slice(sums, 0, 1), table);
    dk_squared_error(c->dev, dk_tensor_slice(sums, 1, 1), dy, x, dx, 0.5);
    y = keep(c, y, dx);
    y = keep(c, y, dscale);
    y = keep(c, y, table);
    y = keep(c, y, dy);
    y = keep(c, y, sums);
    check_release(c);
    return y;
}

static float *run_attention(Check *c, float *y)
{
    const DkTensor qkv = check_random(c, SIZES(B, L, 3 * D)), dy = check_random(c, SIZES(B, L, D));
    const DkTensor out = check_tensor(c, DK_F32, SIZES(B, L, D));
    const DkTensor dqkv = check_tensor(c, DK_F32, SIZES(B, L, 3 * D));
    DkTensor part[3], dpart[3];
    for (int i = 0; i < 3; i++) {
        part[i] = dk_tensor_columns(qkv, i * D, D);
        dpart[i] = dk_tensor_columns(dqkv, i * D, D);
    }
    dk_attention(c->dev, out, part[0], part[1], part[2], 3, DK_PRODUCTS_F32);
    dk_attention_backward(c->dev, dpart[0], dpart[1], dpart[2], dy, out, part[0], part[1], part[2],
                          3);
    y = keep(c, y, dqkv);
    check_release(c);
    return y;
}

enum { STATES = 6, COUNT = 2 * D * STATES };

static DkTensor states_of(Check *c, const double *numbers)
{
    const DkTensor t = check_tensor(c, DK_F64, SIZES(D, STATES, 2));
    dk_write(c->dev, t, numbers);
    return t;
}

static float *run_s4d(Check *c, float *y)
{
    double *numbers = check_memory(malloc(sizeof(double[2 * COUNT])));
    for (int i = 0; i < 2 * COUNT; i++)
        numbers[i] = i < COUNT ? 0.7 * sin(i) : cos(i);
    DkWeight *w =
        check_keep(c, dk_weight_s4d(c->dev, numbers, numbers + COUNT, numbers + COUNT, D, STATES));
    const DkTensor u = check_random(c, SIZES(B, L, D)), dy = check_random(c, SIZES(B, L, 2 * D));
    const DkTensor du = check_random(c, SIZES(B, L, D)), skip = check_random(c, SIZES(D));
    const DkTensor other = check_random(c, SIZES(D));
    DkTensor states[4];
    for (int i = 0; i < 4; i++)
        states[i] = check_tensor(c, DK_F64, SIZES(D, STATES, 2));
    const DkS4dGradient ahead = {states[0], states[1], skip}, back = {states[2], states[3], other};
    dk_weight_set_s4d(c->dev, w, states_of(c, numbers), states_of(c, numbers + COUNT), skip);
    dk_s4d_scan_backward(c->dev, du, &ahead, &back, dy, u, w, w);
    y = keep(c, y, du);
    y = keep(c, y, skip);
    y = keep(c, y, other);
    for (int i = 0; i < 4; i++)
        y = keep(c, y, states[i]);
    free(numbers);
    check_release(c);
    return y;
}

static float *run_optimiser(Check *c, float *y)
{
    enum { MANY = 70001 };
    const DkTensor w = check_random(c, SIZES(MANY)), m = check_random(c, SIZES(MANY));
    const DkTensor v = check_random(c, SIZES(MANY)), g = check_random(c, SIZES(MANY));
    dk_act(c->dev, v, v, DK_ACT_RELU);
    const DkAdamW settings = {1e-3, 0.9, 0.99, 1e-8, 0.1, 0.25, 7};
    dk_adamw(c->dev, w, m, v, g, &settings);
    y = keep(c, y, w);
    y = keep(c, y, m);
    y = keep(c, y, v);
    check_release(c);
    return y;
}

static void threads(Check *c, Kind kind)
{
    const size_t room = 2000000;
    float *results[4];
    const int n_threads[4] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        Check of = {.dev = open_device(kind, n_threads[i]), .text = c->text};
        results[i] = check_memory(calloc(room, sizeof(float)));
        float *end = run_optimiser(&of, run_tokens(&of, run_products(&of, results[i])));
        end = run_s4d(&of, run_attention(&of, end));
        EXPECT(c, end < results[i] + room);
        EXPECT(c, memcmp(results[0], results[i], room * sizeof(float)) == 0);
        c->n_failures += of.n_failures;
        dk_device_close(&of.dev);
    }
    for (int i = 0; i < 4; i++)
        free(results[i]);
}

static int run(Kind kind)
{
    Check c = {.dev = open_device(kind, 2)};
    if (c.dev->isa != kind.isa) {
        dk_device_close(&c.dev);
        return 0;
    }
    c.text = kind.fill == dk_portable16_fill ? "cpu: portable, 16 lanes"
             : kind.fill                     ? "cpu: oneDNN"
                                             : dk_device_describe(c.dev);
    linear_set(&c, 530, 40);
    linear_set(&c, 40, 300);
    linear_set(&c, 7, 17);
    conv2d_set(&c);
    scan_set(&c);
    threads(&c, kind);
    printf("%s: %d failures\n", c.text, c.n_failures);
    dk_device_close(&c.dev);
    return c.n_failures;
}

int main(void)
{
    static const Kind kinds[] = {{0, NULL},
                                 {0, dk_portable16_fill},
                                 {DK_ISA_AVX2, NULL},
                                 {DK_ISA_AVX2, fill_onednn},
                                 {DK_ISA_AVX2 | DK_ISA_AVX512, NULL}};
    int n_failures = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        n_failures += run(kinds[i]);
    return n_failures > 0;
}
