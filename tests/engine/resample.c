/* Pictures at other sizes: boxes, straight lines, no aliases, no borders on a torus.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/train/resample.h"

#include <math.h>
#include <string.h>

#include "engine/rng.h"

static void test_box(void)
{
    static const guint8 in[4 * 2 * 3] = {0, 10, 20, 1, 11, 21, 100, 0, 0, 101, 0, 0,
                                         1, 11, 21, 1, 10, 22, 102, 0, 1, 103, 0, 0};
    static const guint8 expected[6] = {1, 11, 21, 102, 0, 0};
    guint8 out[6];

    g_assert_true(dim_resample(in, 4, 2, FALSE, out, 2, 1));
    g_assert_cmpmem(out, sizeof out, expected, sizeof expected);
}

static guint8 *noise(int n, int seed)
{
    guint8 *rgb = g_malloc(3 * (gsize)n);

    for (int i = 0; i < 3 * n; i++)
        rgb[i] = (guint8)dim_random_below(seed, DIM_RANDOM_CROP, i, 0, 256);
    return rgb;
}

static void test_same_size(void)
{
    g_autofree guint8 *in = noise(7 * 9, 1), *out = g_malloc(3 * 7 * 9);

    g_assert_true(dim_resample(in, 7, 9, FALSE, out, 7, 9));
    g_assert_cmpmem(out, 3 * 7 * 9, in, 3 * 7 * 9);
}

/* Keys' cubic makes straight lines of straight lines, widened or not: each size of the result, but
 * where the border's pixels go on. */
static void test_ramp(void)
{
    enum { N = 48 };
    guint8 in[N * N * 3];

    for (int i = 0; i < N * N; i++)
        in[3 * i] = (guint8)(5 * (i % N)), in[3 * i + 1] = (guint8)(5 * (i / N)),
               in[3 * i + 2] = 77;
    for (int to = 18; to <= 95; to += 7) {
        g_autofree guint8 *out = g_malloc(3 * (gsize)to * to);
        const double step = (double)N / to;
        const int border = (int)ceil(2 * MAX(1, 1 / step)) + 1;
        g_assert_true(dim_resample(in, N, N, FALSE, out, to, to));
        for (int y = border; y < to - border; y++)
            for (int x = border; x < to - border; x++) {
                const guint8 *pixel = out + 3 * (y * to + x);
                g_assert_cmpfloat_with_epsilon(pixel[0], 5 * ((x + 0.5) * step - 0.5), 0.51);
                g_assert_cmpfloat_with_epsilon(pixel[1], 5 * ((y + 0.5) * step - 0.5), 0.51);
                g_assert_cmpint(pixel[2], ==, 77);
            }
    }
}

/* Stripes that are too fine for the result become their mean, not coarser stripes. */
static void test_no_aliases(void)
{
    enum { N = 60, TO = 25 };
    guint8 in[N * N * 3], out[TO * TO * 3];

    for (int i = 0; i < N * N; i++)
        memset(in + 3 * i, i % 2 ? 200 : 50, 3);
    g_assert_true(dim_resample(in, N, N, TRUE, out, TO, TO));
    for (int i = 0; i < TO * TO * 3; i++)
        g_assert_cmpfloat_with_epsilon(out[i], 125, 4);
}

/* On a torus there is no border: a picture rolled by some pixels gives the result rolled, too. */
static void test_wrapped(gconstpointer data)
{
    enum { N = 24, ROLL = 4 };
    const int to = GPOINTER_TO_INT(data), roll = ROLL * to / N;
    g_autofree guint8 *in = noise(N * N, 2), *rolled = g_malloc(3 * N * N);
    g_autofree guint8 *out = g_malloc(3 * (gsize)to * to), *again = g_malloc(3 * (gsize)to * to);

    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++)
            memcpy(rolled + 3 * ((y + ROLL) % N * N + (x + ROLL) % N), in + 3 * (y * N + x), 3);
    g_assert_true(dim_resample(in, N, N, TRUE, out, to, to));
    g_assert_true(dim_resample(rolled, N, N, TRUE, again, to, to));
    for (int y = 0; y < to; y++)
        for (int x = 0; x < to; x++)
            g_assert_cmpmem(again + 3 * ((y + roll) % to * to + (x + roll) % to), 3,
                            out + 3 * (y * to + x), 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/resample/box", test_box);
    g_test_add_func("/resample/same-size", test_same_size);
    g_test_add_func("/resample/ramp", test_ramp);
    g_test_add_func("/resample/no-aliases", test_no_aliases);
    g_test_add_data_func("/resample/wrapped-18", GINT_TO_POINTER(18), test_wrapped);
    g_test_add_data_func("/resample/wrapped-48", GINT_TO_POINTER(48), test_wrapped);
    return g_test_run();
}
