/* Noise: known answers of Philox, what "indexed by place" promises, and that it is white; what
 * training draws: how it is spread, and that no two draws coincide.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/rng.h"

#include <math.h>

/* kat_vectors of Random123 1.14: philox4x32 10. */
static void test_known_answers(void)
{
    static const struct {
        guint32 counter[4], key[2], out[4];
    } answers[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        guint32 out[4];
        dim_philox(answers[i].counter, answers[i].key, out);
        g_assert_cmpmem(out, sizeof out, answers[i].out, sizeof out);
    }
}

/* The transform by libm, from the same words. */
static double by_libm(gint64 seed, int channel, int row, int column)
{
    const guint32 counter[4] = {(guint32)column, (guint32)row, (guint32)channel, DIM_NOISE_START};
    const guint32 key[2] = {(guint32)seed, (guint32)(seed >> 32)};
    guint32 w[4];

    dim_philox(counter, key, w);
    const double a = (double)(((guint64)w[1] << 32 | w[0]) >> 11),
                 b = (double)(((guint64)w[3] << 32 | w[2]) >> 11);
    return sqrt(-2 * log((a + 1) / 0x1p53)) * cos(2 * G_PI * (b / 0x1p53));
}

static void test_transform(void)
{
    for (int i = 0; i < 100000; i++) {
        const double z =
            dim_noise_at(G_GINT64_CONSTANT(9007199254740991), DIM_NOISE_START, 3, i / 300, i % 300);
        g_assert_cmpfloat_with_epsilon(
            z, by_libm(G_GINT64_CONSTANT(9007199254740991), 3, i / 300, i % 300), 4e-15);
    }
}

/* A wider and higher picture's noise contains the smaller one's. */
static void test_prefix(void)
{
    float small[3 * 5 * 7], large[3 * 9 * 12];

    dim_noise_fill(small, 42, 3, 5, 7, 1);
    dim_noise_fill(large, 42, 3, 9, 12, 1);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 7; j++)
                g_assert_true(small[(c * 5 + i) * 7 + j] == large[(c * 9 + i) * 12 + j]);
}

/* m times the cells' means of the upsampled noise are the small picture's noise. */
static void test_cells(gconstpointer data)
{
    enum { C = 2, H = 6, W = 10 };
    const int m = GPOINTER_TO_INT(data);
    g_autofree float *large = g_new(float, C *H *m *W *m);
    float small[C * H * W];

    dim_noise_fill(small, 7, C, H, W, 1);
    dim_noise_fill(large, 7, C, H * m, W * m, m);
    for (int k = 0; k < C * H * W; k++) {
        const int c = k / (H * W), i = k / W % H, j = k % W;
        double sum = 0;
        for (int a = 0; a < m * m; a++)
            sum += large[((gsize)c * H * m + i * m + a / m) * W * m + j * m + a % m];
        g_assert_cmpfloat_with_epsilon(sum / m, small[k], 1e-6);
    }
}

/* Moments, and the correlation with the neighbour at a distance, each within five deviations. */
static void check_white(const float *z, int height, int width)
{
    const int n = height * width;
    double sum = 0, square = 0, fourth = 0;

    for (int k = 0; k < n; k++) {
        sum += z[k];
        square += (double)z[k] * z[k];
        fourth += pow(z[k], 4);
    }
    g_assert_cmpfloat_with_epsilon(sum / n, 0, 5 * sqrt(1.0 / n));
    g_assert_cmpfloat_with_epsilon(square / n, 1, 5 * sqrt(2.0 / n));
    g_assert_cmpfloat_with_epsilon(fourth / n, 3, 5 * sqrt(96.0 / n));
    for (int row = 0; row <= 3; row++)
        for (int column = row ? -3 : 1; column <= 3; column++) {
            double product = 0;
            int pairs = 0;
            for (int i = 0; i + row < height; i++)
                for (int j = MAX(0, -column); j < width - MAX(0, column); j++, pairs++)
                    product += (double)z[i * width + j] * z[(i + row) * width + j + column];
            g_assert_cmpfloat_with_epsilon(product / pairs, 0, 5 * sqrt(1.0 / pairs));
        }
}

static void test_white(gconstpointer data)
{
    enum { SIDE = 360 };
    g_autofree float *z = g_new(float, SIDE *SIDE);

    for (gint64 seed = 0; seed < 4; seed++) {
        dim_noise_fill(z, seed, 1, SIDE, SIDE, GPOINTER_TO_INT(data));
        check_white(z, SIDE, SIDE);
    }
}

/* Neighbouring seeds, channels and the two streams have nothing in common. */
static void test_independent(void)
{
    enum { N = 100000 };
    double seeds = 0, channels = 0, streams = 0;

    for (int i = 0; i < N; i++) {
        const double z = dim_noise_at(1, DIM_NOISE_START, 0, i / 100, i % 100);
        seeds += z * dim_noise_at(2, DIM_NOISE_START, 0, i / 100, i % 100);
        channels += z * dim_noise_at(1, DIM_NOISE_START, 1, i / 100, i % 100);
        streams += z * dim_noise_at(1, DIM_NOISE_DETAIL, 0, i / 100, i % 100);
    }
    g_assert_cmpfloat_with_epsilon(seeds / N, 0, 5 / sqrt(N));
    g_assert_cmpfloat_with_epsilon(channels / N, 0, 5 / sqrt(N));
    g_assert_cmpfloat_with_epsilon(streams / N, 0, 5 / sqrt(N));
    g_assert_true(dim_noise_at(0, DIM_NOISE_START, 0, 0, 0) !=
                  dim_noise_at((gint64)1 << 52, DIM_NOISE_START, 0, 0, 0));
}

/* Uniform draws fill [0, 1) evenly, whichever of the indices runs. */
static void test_uniform(void)
{
    enum { N = 100000, BINS = 20 };
    int bins[2][BINS] = {{0}};

    for (int i = 0; i < N; i++) {
        const double by_index = dim_random_uniform(5, DIM_RANDOM_CROP, i, 3);
        const double by_k = dim_random_uniform(5, DIM_RANDOM_CROP, (gint64)1 << 40, (guint32)i);
        g_assert_true(by_index >= 0 && by_index < 1 && by_k >= 0 && by_k < 1);
        bins[0][(int)(by_index * BINS)]++;
        bins[1][(int)(by_k * BINS)]++;
    }
    for (int b = 0; b < BINS; b++) {
        g_assert_cmpfloat_with_epsilon(bins[0][b], N / BINS, 5 * sqrt(N / BINS));
        g_assert_cmpfloat_with_epsilon(bins[1][b], N / BINS, 5 * sqrt(N / BINS));
    }
}

static void test_below(void)
{
    enum { N = 70000 };
    int counts[7] = {0};

    for (int i = 0; i < N; i++) {
        const gint64 draw = dim_random_below(6, DIM_RANDOM_CROP, i, 0, 7);
        g_assert_cmpint(draw, >=, 0);
        g_assert_cmpint(draw, <, 7);
        counts[draw]++;
        g_assert_cmpint(dim_random_below(6, DIM_RANDOM_CROP, i, 0, 1), ==, 0);
    }
    for (int b = 0; b < 7; b++)
        g_assert_cmpfloat_with_epsilon(counts[b], N / 7, 5 * sqrt(N / 7));
}

static void test_random_normal(void)
{
    enum { SIDE = 360 };
    g_autofree float *z = g_new(float, SIDE *SIDE);

    for (int i = 0; i < SIDE * SIDE; i++)
        z[i] = (float)dim_random_normal(9, DIM_RANDOM_TRAIN_NOISE, i / SIDE, (guint32)(i % SIDE));
    check_white(z, SIDE, SIDE);
}

static int compare_numbers(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Every stream, index, k and seed, and every place of the pictures' noise, is a draw of its own: no
 * number comes twice. Indices differ in their upper half too. */
static void test_random_distinct(void)
{
    enum { STREAMS = DIM_RANDOM_TEST_NOISE - DIM_RANDOM_WEIGHTS + 1, SIDE = 8, N = SIDE * SIDE };
    double numbers[(STREAMS + 2) * 2 * N];
    gsize n = 0;

    for (gint64 seed = 3; seed <= 4; seed++)
        for (int i = 0; i < N; i++) {
            const gint64 index = (gint64)(i / SIDE) << (i % 2 ? 32 : 0);
            for (int stream = 0; stream < STREAMS; stream++)
                numbers[n++] = dim_random_normal(seed, DIM_RANDOM_WEIGHTS + stream, index + (i % 2),
                                                 (guint32)(i % SIDE));
            numbers[n++] = dim_noise_at(seed, DIM_NOISE_START, 0, i / SIDE, i % SIDE);
            numbers[n++] = dim_noise_at(seed, DIM_NOISE_DETAIL, 0, i / SIDE, i % SIDE);
        }
    g_assert_cmpint(n, ==, G_N_ELEMENTS(numbers));
    qsort(numbers, n, sizeof *numbers, compare_numbers);
    for (gsize i = 1; i < n; i++)
        g_assert_cmpfloat(numbers[i - 1], <, numbers[i]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rng/known-answers", test_known_answers);
    g_test_add_func("/rng/transform", test_transform);
    g_test_add_func("/rng/prefix", test_prefix);
    g_test_add_data_func("/rng/cells-2", GINT_TO_POINTER(2), test_cells);
    g_test_add_data_func("/rng/cells-3", GINT_TO_POINTER(3), test_cells);
    g_test_add_data_func("/rng/cells-5", GINT_TO_POINTER(5), test_cells);
    g_test_add_data_func("/rng/white", GINT_TO_POINTER(1), test_white);
    g_test_add_data_func("/rng/white-cells-2", GINT_TO_POINTER(2), test_white);
    g_test_add_data_func("/rng/white-cells-3", GINT_TO_POINTER(3), test_white);
    g_test_add_func("/rng/independent", test_independent);
    g_test_add_func("/rng/uniform", test_uniform);
    g_test_add_func("/rng/below", test_below);
    g_test_add_func("/rng/random-normal", test_random_normal);
    g_test_add_func("/rng/random-distinct", test_random_distinct);
    return g_test_run();
}
