/* Properties that hold to the bit, on ref and on each instruction set of cpu, or on the back end
 * that is named: orders, strips, batches, numbers of rows and of threads.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "check.h"

static const DkTensor none;

void dk_portable16_fill(DkDevice *dev);

/* What a table is made of. */
typedef struct {
    DkBackend backend;
    unsigned isa;
    bool portable16; /* plain C with AVX-512's lanes */
} Kind;

static DkDevice *open_device(Kind kind, int n_threads)
{
    DkDevice *dev = check_memory(dk_device_open(kind.backend, n_threads, kind.isa));
    if (kind.portable16)
        dk_portable16_fill(dev);
    return dev;
}

static DkTensor permutation(Check *c, int64_t n)
{
    const DkTensor t = check_tensor(c, DK_I32, SIZES(n));
    int32_t *order = check_memory(malloc((size_t)n * sizeof *order));
    for (int64_t i = 0; i < n; i++) /* 7 and n share no factor */
        order[i] = (int32_t)((7 * i + 3) % n);
    dk_write(c->dev, t, order);
    free(order);
    return t;
}

static DkTensor inverse(Check *c, DkTensor order)
{
    const int64_t n = dk_columns(order);
    const DkTensor t = check_tensor(c, DK_I32, SIZES(n));
    int32_t *from = check_read(c, order), *to = check_memory(malloc((size_t)n * sizeof *to));
    for (int64_t i = 0; i < n; i++)
        to[from[i]] = (int32_t)i;
    dk_write(c->dev, t, to);
    free(from);
    free(to);
    return t;
}

static DkTensor gathered(Check *c, DkTensor x, DkTensor rows)
{
    const DkTensor y = check_tensor(c, DK_F32, x.rank, x.sizes);
    dk_gather(c->dev, y, x, rows);
    return y;
}

/* scan by table == permute, scan as stored, permute back */
static void scan_order(Check *c)
{
    enum { B = 2, L = 41, E = 37, N = 16 };
    const DkTensor order = permutation(c, L), u = check_random(c, SIZES(B, L, E));
    const DkTensor dt = check_random(c, SIZES(B, L, E)), z = check_random(c, SIZES(B, L, E));
    const DkTensor b = check_random(c, SIZES(B, L, N)), cm = check_random(c, SIZES(B, L, N));
    const DkTensor d = check_random(c, SIZES(E));
    const DkTensor by_table = check_tensor(c, DK_F32, SIZES(B, L, E));
    const DkTensor permuted = check_tensor(c, DK_F32, SIZES(B, L, E));
    float a[E * N];
    for (int i = 0; i < E * N; i++)
        a[i] = -(float)(i % N + 1);
    DkWeight *w = check_keep(c, dk_weight_scan(c->dev, a, E, N));
    dk_selective_scan(c->dev, by_table, u, dt, w, b, cm, d, z, order);
    dk_selective_scan(c->dev, permuted, gathered(c, u, order), gathered(c, dt, order), w,
                      gathered(c, b, order), gathered(c, cm, order), d, gathered(c, z, order),
                      none);
    EXPECT(c, check_same_bits(c, by_table, gathered(c, permuted, inverse(c, order))));
    check_release(c);
}

/* A batch of two is two single ones. */
static void scan_batch(Check *c, int64_t length)
{
    enum { E = 21, N = 5 };
    float a[E * N];
    for (int i = 0; i < E * N; i++)
        a[i] = -(float)(i % N + 1) / 4;
    DkWeight *w = check_keep(c, dk_weight_scan(c->dev, a, E, N));
    const DkTensor u = check_random(c, SIZES(2, length, E));
    const DkTensor dt = check_random(c, SIZES(2, length, E));
    const DkTensor b = check_random(c, SIZES(2, length, N)), d = check_random(c, SIZES(E));
    const DkTensor both = check_tensor(c, DK_F32, SIZES(2, length, E));
    const DkTensor one = check_tensor(c, DK_F32, SIZES(1, length, E));
    dk_selective_scan(c->dev, both, u, dt, w, b, b, d, none, none);
    for (int64_t i = 0; i < 2; i++) {
        const DkTensor states = dk_tensor_slice(b, i, 1);
        dk_selective_scan(c->dev, one, dk_tensor_slice(u, i, 1), dk_tensor_slice(dt, i, 1), w,
                          states, states, d, none, none);
        EXPECT(c, check_same_bits(c, one, dk_tensor_slice(both, i, 1)));
    }
    check_release(c);
}

/* So are the gradients of what each picture has for itself. */
static void scan_backward_batch(Check *c, int64_t length)
{
    enum { E = 21, N = 5, N_OF = 5 }; /* du, ddt, dz, dbmat, dcmat */
    float a[E * N];
    for (int i = 0; i < E * N; i++)
        a[i] = -(float)(i % N + 1) / 4;
    DkWeight *w = check_keep(c, dk_weight_scan(c->dev, a, E, N));
    const DkTensor u = check_random(c, SIZES(2, length, E)), d = check_random(c, SIZES(E));
    const DkTensor dt = check_random(c, SIZES(2, length, E));
    const DkTensor b = check_random(c, SIZES(2, length, N));
    const DkTensor da = check_random(c, SIZES(E, N)), dd = check_random(c, SIZES(E));
    DkTensor both[N_OF], one[N_OF];
    for (int i = 0; i < N_OF; i++) {
        both[i] = check_tensor(c, DK_F32, SIZES(2, length, i < 3 ? E : N));
        one[i] = check_tensor(c, DK_F32, SIZES(1, length, i < 3 ? E : N));
    }
    dk_selective_scan_backward(c->dev, both[0], both[1], da, both[3], both[4], dd, both[2], u, u,
                               dt, w, b, b, d, dt, none);
    for (int64_t i = 0; i < 2; i++) {
        const DkTensor of_u = dk_tensor_slice(u, i, 1), of_dt = dk_tensor_slice(dt, i, 1);
        const DkTensor of_b = dk_tensor_slice(b, i, 1);
        dk_selective_scan_backward(c->dev, one[0], one[1], da, one[3], one[4], dd, one[2], of_u,
                                   of_u, of_dt, w, of_b, of_b, d, of_dt, none);
        for (int k = 0; k < N_OF; k++)
            EXPECT(c, check_same_bits(c, one[k], dk_tensor_slice(both[k], i, 1)));
    }
    check_release(c);
}

static void conv1d_order(Check *c)
{
    enum { B = 2, L = 41, E = 37 };
    const DkTensor order = permutation(c, L), x = check_random(c, SIZES(B, L, E));
    const DkTensor w = check_random(c, SIZES(E, 4)), b = check_random(c, SIZES(E));
    const DkTensor by_table = check_tensor(c, DK_F32, SIZES(B, L, E));
    const DkTensor permuted = check_tensor(c, DK_F32, SIZES(B, L, E));
    dk_conv1d_dw(c->dev, by_table, x, w, b, order, DK_ACT_SILU);
    dk_conv1d_dw(c->dev, permuted, gathered(c, x, order), w, b, none, DK_ACT_SILU);
    EXPECT(c, check_same_bits(c, by_table, gathered(c, permuted, inverse(c, order))));
    check_release(c);
}

/* Rows first..first+count-1 of an image [1, H, W, C]. */
static DkTensor strip(DkTensor image, int64_t first, int64_t count)
{
    const int64_t w = image.sizes[2], n = image.sizes[3];
    const DkTensor rows = dk_tensor_reshape(image, SIZES(image.sizes[1], w, n));
    return dk_tensor_reshape(dk_tensor_slice(rows, first, count), SIZES(1, count, w, n));
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A strip reads one row of its neighbours and pads only at the picture's edge. */
static void conv2d_strips(Check *c)
{
    enum { H = 23, W = 61, I = 33, O = 21 }; /* whole, CUDA takes larger tiles than for strips */
    float *numbers = check_numbers(c, O * I * 9);
    DkWeight *w = check_keep(c, dk_weight_conv2d(c->dev, numbers, O, I, 3, 3));
    const DkTensor x = check_random(c, SIZES(1, H, W, I)), b = check_random(c, SIZES(O));
    const DkTensor whole = check_tensor(c, DK_F32, SIZES(1, H, W, O));
    const DkTensor strips = check_tensor(c, DK_F32, SIZES(1, H, W, O));
    dk_conv2d(c->dev, whole, x, w, b, 1, (DkPad){1, 1, 1, 1}, DK_ACT_RELU, false);
    for (int64_t r = 0, n; r < H; r += n) {
        n = least(1 + r % 5, H - r);
        const DkPad pad = {r == 0, r + n == H, 1, 1};
        const int64_t first = r - !pad.top, rows = n + !pad.top + !pad.bottom;
        dk_conv2d(c->dev, strip(strips, r, n), strip(x, first, rows), w, b, 1, pad, DK_ACT_RELU,
                  false);
    }
    EXPECT(c, check_same_bits(c, whole, strips));
    free(numbers);
    check_release(c);
}

static void group_stats_strips(Check *c)
{
    enum { H = 29, W = 13, C = 24, G = 4 };
    const DkTensor x = check_random(c, SIZES(1, H, W, C));
    const DkTensor whole = check_tensor(c, DK_F64, SIZES(1, G, 3));
    const DkTensor strips = check_tensor(c, DK_F64, SIZES(1, G, 3));
    dk_clear(c->dev, whole);
    dk_clear(c->dev, strips);
    dk_group_stats(c->dev, whole, x);
    for (int64_t r = 0; r < H; r += 6)
        dk_group_stats(c->dev, strips, strip(x, r, least(6, H - r)));
    EXPECT(c, check_same_bits(c, whole, strips));
    check_release(c);
}

/* The first rows of a product do not depend on how many follow. */
static void linear_rows(Check *c)
{
    static const int64_t counts[] = {1, 2, 5, 13, 64, 95, 97, 183, 366};
    enum { M = 732, K = 650, N = 117 };
    float *numbers = check_numbers(c, N * K);
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, numbers, N, K));
    const DkTensor x = check_random(c, SIZES(M, K)), b = check_random(c, SIZES(N));
    const DkTensor whole = check_tensor(c, DK_F32, SIZES(M, N));
    const DkTensor part = check_tensor(c, DK_F32, SIZES(M, N));
    dk_linear(c->dev, whole, x, w, b, DK_ACT_SILU, false);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int64_t first = 0; first + counts[i] <= M; first += 366) {
            const DkTensor y = dk_tensor_slice(part, first, counts[i]);
            dk_linear(c->dev, y, dk_tensor_slice(x, first, counts[i]), w, b, DK_ACT_SILU, false);
            EXPECT(c, check_same_bits(c, y, dk_tensor_slice(whole, first, counts[i])));
        }
    free(numbers);
    check_release(c);
}

/* As f16: 11 bits, steps of 2^-24 at the least; what is finite, at most 65504. */
static double f16_of(float x)
{
    int exponent;
    frexp((double)x, &exponent);
    const int step = exponent - 11 < -24 ? -24 : exponent - 11;
    const double y = ldexp(rint(ldexp((double)x, -step)), step);
    return isinf(x) || fabs(y) <= 65504 ? y : copysign(65504, y);
}

/* x times 1, for x of every exponent, ties and what lies beside them, and what is too large. */
static void f16_operands(Check *c)
{
    enum { EXPONENTS = 60, EACH = 12, M = EXPONENTS * EACH };
    static const float parts[EACH] = {1,
                                      1 + 0x1p-11f,
                                      1 + 0x1.8p-11f,
                                      1 + 0x1.7ffp-11f,
                                      1 + 0x1.8p-10f,
                                      1 + 0x1.8002p-10f,
                                      1 + 0x1.7ffep-10f,
                                      1.75f,
                                      2 - 0x1p-11f,
                                      2 - 0x1p-12f,
                                      2 - 0x1p-23f,
                                      1.3f};
    const float one = 1;
    float x[M];
    double wanted[M];
    for (int i = 0; i < M; i++) {
        x[i] = ldexpf(i / EACH % 2 ? -parts[i % EACH] : parts[i % EACH], i / EACH - 30);
        wanted[i] = f16_of(x[i]);
    }
    x[0] = -INFINITY;
    wanted[0] = -INFINITY;
    dk_device_set_products(c->dev, DK_PRODUCTS_F16);
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, &one, 1, 1));
    dk_device_set_products(c->dev, DK_PRODUCTS_F32);
    const DkTensor y = check_tensor(c, DK_F32, SIZES(M, 1));
    dk_linear(c->dev, y, check_values(c, SIZES(M, 1), x), w, (DkTensor){0}, DK_ACT_NONE, false);
    float *got = check_read(c, y);
    for (int i = 0; i < M; i++)
        EXPECT(c, got[i] == wanted[i]);
    free(got);
    check_release(c);
}

/* Of one key: its value, rounded. Of two keys that are the same once rounded, and a query that
 * tells them apart before: the mean. Weights 1 and e^-1, rounded: to their sum, which is not. */
static void attention_rounds(Check *c, DkProducts products)
{
    const bool is_bf16 = products == DK_PRODUCTS_BF16;
    const float fine = 1 + (is_bf16 ? 0x1p-9f : 0x1p-12f);
    const float lower = is_bf16 ? 0.3671875f : 0.367919921875f; /* 94 / 256, 1507 / 4096 */
    const DkTensor q = check_values(c, SIZES(1, 2, 1), (float[]){is_bf16 ? 512 : 4096, 0});
    const DkTensor k = check_values(c, SIZES(1, 2, 1), (float[]){1, fine});
    const DkTensor v = check_values(c, SIZES(1, 2, 1), (float[]){fine, 3});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 2, 1));
    const DkTensor one = check_values(c, SIZES(1, 1, 1), (float[]){fine});
    const DkTensor out = check_tensor(c, DK_F32, SIZES(1, 1, 1));
    const DkTensor keys = check_values(c, SIZES(1, 2, 1), (float[]){1, 0});
    const DkTensor ends = check_values(c, SIZES(1, 2, 1), (float[]){0, 1});
    dk_attention(c->dev, out, one, one, one, 1, products);
    EXPECT(c, check_near(c, out, (double[]){1}, 0));
    dk_attention(c->dev, out, one, one, one, 1, DK_PRODUCTS_F32);
    EXPECT(c, check_near(c, out, (double[]){fine}, 0));
    dk_attention(c->dev, y, q, k, v, 1, products);
    EXPECT(c, check_near(c, y, (double[]){2, 2}, 0));
    dk_attention(c->dev, out, one, keys, ends, 1, products);
    EXPECT(c, check_near(c, out, (double[]){lower / (1 + 0.36787944117144233)}, 1e-6));
    check_release(c);
}

/* A batch of two is two single ones. */
static void attention_batch(Check *c, DkProducts products)
{
    enum { LQ = 105, L = 210, D = 144 };
    const DkTensor q = check_random(c, SIZES(2, LQ, D)), k = check_random(c, SIZES(2, L, D));
    const DkTensor v = check_random(c, SIZES(2, L, D));
    const DkTensor both = check_tensor(c, DK_F32, SIZES(2, LQ, D));
    const DkTensor one = check_tensor(c, DK_F32, SIZES(1, LQ, D));
    dk_attention(c->dev, both, q, k, v, 2, products);
    for (int64_t i = 0; i < 2; i++) {
        dk_attention(c->dev, one, dk_tensor_slice(q, i, 1), dk_tensor_slice(k, i, 1),
                     dk_tensor_slice(v, i, 1), 2, products);
        EXPECT(c, check_same_bits(c, one, dk_tensor_slice(both, i, 1)));
    }
    check_release(c);
}

static void s4d_batch(Check *c, int64_t length)
{
    enum { D = 83, N = 7 };
    double numbers[D * N * 2], skip[D];
    float *random = check_numbers(c, D * N * 2);
    for (int i = 0; i < D * N * 2; i++)
        numbers[i] = 0.7 * random[i];
    for (int i = 0; i < D; i++)
        skip[i] = random[i];
    DkWeight *w = check_keep(c, dk_weight_s4d(c->dev, numbers, numbers, skip, D, N));
    const DkTensor u = check_random(c, SIZES(2, length, D));
    const DkTensor both = check_tensor(c, DK_F32, SIZES(2, length, 2 * D));
    const DkTensor one = check_tensor(c, DK_F32, SIZES(1, length, D));
    dk_s4d_scan(c->dev, both, u, w, w);
    for (int64_t i = 0; i < 4; i++) { /* pictures and directions by themselves, too */
        dk_s4d_scan(c->dev, one, dk_tensor_slice(u, i / 2, 1), i % 2 ? NULL : w, i % 2 ? w : NULL);
        const DkTensor half = dk_tensor_columns(dk_tensor_slice(both, i / 2, 1), i % 2 * D, D);
        EXPECT(c, check_same_bits(c, one, half));
    }
    free(random);
    check_release(c);
}

/* Decays that keep 0.9998 of a state gather thousands of tokens: on CUDA, a rounded decay's error
 * is taken back tile by tile, and what is left does not grow with the length. */
static void s4d_lags(Check *c)
{
    enum { L = 4096, D = 2, N = 4 };
    double decay[D * N * 2], gain[D * N * 2], skip[D] = {0};
    double largest = 0, worst = 0;
    float *out[2], *u = check_numbers(c, L * D);
    for (int i = 0; i < D * N; i++) {
        decay[2 * i] = 0.9998 * cos(0.1 + 0.37 * i);
        decay[2 * i + 1] = 0.9998 * sin(0.1 + 0.37 * i);
        gain[2 * i] = gain[2 * i + 1] = 1;
    }
    for (int i = 0; i < 2; i++) {
        Check on = {.dev = i ? check_memory(dk_device_open(DK_BACKEND_REF, 1, 0)) : c->dev};
        DkWeight *w = check_keep(&on, dk_weight_s4d(on.dev, decay, gain, skip, D, N));
        const DkTensor y = check_tensor(&on, DK_F32, SIZES(1, L, D));
        dk_s4d_scan(on.dev, y, check_values(&on, SIZES(1, L, D), u), w, NULL);
        out[i] = check_read(&on, y);
        check_release(&on);
        c->n_failures += on.n_failures;
        if (i)
            dk_device_close(&on.dev);
    }
    for (int i = 0; i < L * D; i++) {
        largest = fmax(largest, fabs(out[1][i]));
        worst = fmax(worst, fabs(out[0][i] - out[1][i]));
    }
    EXPECT(c, largest > 0 && worst < 3e-6 * largest);
    free(u);
    free(out[0]);
    free(out[1]);
}

/* ---- threads --------------------------------------------------------------------------------- */

/* One result of each operation whose work is shared out, one after another in y. */
static void run_threaded(Check *c, float *y)
{
    enum { M = 366, K = 300, N = 500, H = 40, E = 128, S = 16 };
    float *numbers = check_numbers(c, N * K);
    float a[E * S];
    double states_of[E * S];
    for (int i = 0; i < E * S; i++) {
        a[i] = -1 - numbers[i] * numbers[i];
        states_of[i] = 0.7 * numbers[i];
    }
    DkWeight *linear = check_keep(c, dk_weight_linear(c->dev, numbers, N, K));
    DkWeight *conv2d = check_keep(c, dk_weight_conv2d(c->dev, numbers, 40, 40, 3, 3));
    DkWeight *scan = check_keep(c, dk_weight_scan(c->dev, a, E, S));
    DkWeight *s4d = check_keep(c, dk_weight_s4d(c->dev, states_of, states_of, states_of, E, S / 2));
    const DkTensor x = check_random(c, SIZES(M, K)), image = check_random(c, SIZES(1, H, H, 40));
    const DkTensor tokens = check_random(c, SIZES(1, M, E)), d = check_random(c, SIZES(E));
    const DkTensor states = check_random(c, SIZES(1, M, S));
    const DkTensor of[] = {
        check_tensor(c, DK_F32, SIZES(M, N)), check_tensor(c, DK_F32, SIZES(1, H, H, 40)),
        check_tensor(c, DK_F32, SIZES(1, M, E)), check_tensor(c, DK_F32, SIZES(1, M, E)),
        check_tensor(c, DK_F32, SIZES(1, M, 2 * E))};
    dk_linear(c->dev, of[0], x, linear, none, DK_ACT_TANH, false);
    dk_conv2d(c->dev, of[1], image, conv2d, none, 1, (DkPad){1, 1, 1, 1}, DK_ACT_NONE, false);
    dk_attention(c->dev, of[2], tokens, tokens, tokens, 2, DK_PRODUCTS_F32);
    dk_selective_scan(c->dev, of[3], tokens, tokens, scan, states, states, d, none, none);
    dk_s4d_scan(c->dev, of[4], tokens, s4d, s4d);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        dk_read(c->dev, y, of[i]);
        y += dk_tensor_count(of[i]);
    }
    free(numbers);
    check_release(c);
}

/* Three pictures, so that neither pictures nor blocks of channels fall evenly to threads. */
static void run_states_backward(Check *c, float *y)
{
    enum { B = 3, L = 100, E = 300, N = 9, TAPS = 4 };
    float *numbers = check_numbers(c, E * N);
    for (int i = 0; i < E * N; i++)
        numbers[i] = -1 - numbers[i] * numbers[i];
    DkWeight *a = check_keep(c, dk_weight_scan(c->dev, numbers, E, N));
    const DkTensor u = check_random(c, SIZES(B, L, E)), dt = check_random(c, SIZES(B, L, E));
    const DkTensor z = check_random(c, SIZES(B, L, E)), dy = check_random(c, SIZES(B, L, E));
    const DkTensor b = check_random(c, SIZES(B, L, N)), cm = check_random(c, SIZES(B, L, N));
    const DkTensor d = check_random(c, SIZES(E)), w = check_random(c, SIZES(E, TAPS));
    const DkTensor of[] = {check_random(c, SIZES(B, L, E)), check_random(c, SIZES(B, L, E)),
                           check_random(c, SIZES(E, N)),    check_random(c, SIZES(B, L, N)),
                           check_random(c, SIZES(B, L, N)), check_random(c, SIZES(E)),
                           check_random(c, SIZES(B, L, E)), check_random(c, SIZES(B, L, E)),
                           check_random(c, SIZES(E, TAPS)), check_random(c, SIZES(E))};
    dk_selective_scan_backward(c->dev, of[0], of[1], of[2], of[3], of[4], of[5], of[6], dy, u, dt,
                               a, b, cm, d, z, none);
    dk_conv1d_dw_backward(c->dev, of[7], of[8], of[9], dy, u, w, d, none, DK_ACT_SILU);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        dk_read(c->dev, y, of[i]);
        y += dk_tensor_count(of[i]);
    }
    free(numbers);
    check_release(c);
}

static void threads(Check *c, Kind kind, void (*work)(Check *c, float *y))
{
    enum { COUNT = 500000 }; /* room for what each of them leaves */
    float *results[4];
    const int n_threads[4] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        Check of = {.dev = open_device(kind, n_threads[i]), .text = c->text};
        results[i] = check_memory(calloc(COUNT, sizeof(float)));
        work(&of, results[i]);
        EXPECT(c, memcmp(results[0], results[i], COUNT * sizeof(float)) == 0);
        c->n_failures += of.n_failures;
        dk_device_close(&of.dev);
    }
    for (int i = 0; i < 4; i++)
        free(results[i]);
}

/* Lengths around CUDA's tiles, and one that it cuts into chunks. */
static void run_states(Check *c)
{
    static const int64_t lengths[] = {1, 31, 32, 33, 130, 1027};
    scan_order(c);
    conv1d_order(c);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        scan_batch(c, lengths[i]);
        scan_backward_batch(c, lengths[i]);
        s4d_batch(c, lengths[i]);
    }
}

static int run(Kind kind)
{
    Check c = {.dev = open_device(kind, 2)};
    if (kind.backend == DK_BACKEND_CPU && c.dev->isa != kind.isa) {
        dk_device_close(&c.dev);
        return 0;
    }
    c.text = kind.portable16 ? "cpu: portable, 16 lanes" : dk_device_describe(c.dev);
    run_states(&c);
    if (kind.backend == DK_BACKEND_CUDA)
        s4d_lags(&c);
    conv2d_strips(&c);
    group_stats_strips(&c);
    linear_rows(&c);
    attention_batch(&c, DK_PRODUCTS_F32);
    attention_batch(&c, DK_PRODUCTS_BF16);
    attention_rounds(&c, DK_PRODUCTS_BF16);
    attention_rounds(&c, DK_PRODUCTS_F16);
    f16_operands(&c);
    threads(&c, kind, run_threaded);
    threads(&c, kind, run_states_backward);
    printf("%s: %d failures\n", c.text, c.n_failures);
    dk_device_close(&c.dev);
    return c.n_failures;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "cuda") == 0)
        return run((Kind){.backend = DK_BACKEND_CUDA}) > 0;
    static const Kind kinds[] = {
        {.backend = DK_BACKEND_REF},
        {.backend = DK_BACKEND_CPU},
        {.backend = DK_BACKEND_CPU, .portable16 = true},
        {.backend = DK_BACKEND_CPU, .isa = DK_ISA_AVX2},
        {.backend = DK_BACKEND_CPU, .isa = DK_ISA_AVX2 | DK_ISA_AVX512},
    };
    int n_failures = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        n_failures += run(kinds[i]);
    return n_failures > 0;
}
