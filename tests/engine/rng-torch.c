/* PyTorch's generator against its own numbers: rng-torch.txt, made by rng-torch.py.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/rng-torch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ULPS_MAX = 4 };

/* Floats in the order of their values as whole numbers, so that their difference counts ulps. */
static gint64 rank_of(float value)
{
    gint32 bits;

    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? -(gint64)(bits & 0x7fffffff) : bits;
}

static int check_uniform(const float *z, gint64 n, const char *expected)
{
    g_autofree char *sha =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)z, n * sizeof *z);

    g_assert_cmpstr(sha, ==, expected);
    return 1;
}

/* "PLACE:BITS" one after the other; answers how many. */
static int check_places(const float *z, gint64 n, char **words, gint64 *worst)
{
    int checked = 0;

    for (; *words; words++, checked++) {
        char *end;
        const gint64 place = g_ascii_strtoll(*words, &end, 10);
        const guint32 bits = (guint32)strtoul(end + 1, NULL, 16);
        float expected;
        memcpy(&expected, &bits, sizeof expected);
        g_assert_cmpint(place, <, n);
        const gint64 ulps = llabs(rank_of(z[place]) - rank_of(expected));
        if (ulps > ULPS_MAX)
            g_test_message("place %d: %.9g, expected %.9g", (int)place, z[place], expected);
        g_assert_cmpint(ulps, <=, ULPS_MAX);
        *worst = MAX(*worst, ulps);
    }
    return checked;
}

static int check_line(char **words, gint64 *worst)
{
    const gint64 seed = g_ascii_strtoll(words[1], NULL, 10),
                 n = g_ascii_strtoll(words[2], NULL, 10);
    g_autofree float *z = g_new(float, (gsize)CLAMP(n, 1, 1000000));
    DimTorchRng rng;

    g_assert_true(n >= 1 && n <= 1000000);
    dim_torch_seed(&rng, seed);
    if (!strcmp(words[0], "uniform")) {
        dim_torch_uniform(&rng, z, n);
        return check_uniform(z, n, words[3]);
    }
    if (!strcmp(words[0], "pairs")) {
        dim_torch_normal(&rng, z, 3);
        dim_torch_normal(&rng, z + 3, 20);
        dim_torch_normal(&rng, z + 23, n - 23);
    } else
        dim_torch_normal(&rng, z, n);
    return check_places(z, n, words + 3, worst);
}

static void test_pytorch(void)
{
    g_autofree char *file = g_test_build_filename(G_TEST_DIST, "rng-torch.txt", NULL);
    g_autofree char *text = NULL;
    gint64 worst = 0;
    int checked = 0;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);
        checked += check_line(words, &worst);
    }
    g_test_message("%d values, normals within %d ulp", checked, (int)worst);
    g_assert_cmpint(checked, >, 20 * 14);
}

/* The tenth thousandth word of the published generator, seed 5489: 4123659995. */
static void test_mersenne_twister(void)
{
    DimTorchRng rng;
    float last[1];

    dim_torch_seed(&rng, 5489);
    for (int i = 0; i < 10000; i++)
        dim_torch_uniform(&rng, last, 1);
    g_assert_cmpfloat(last[0], ==, (float)(4123659995u & 0xffffff) * 0x1p-24f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rng-torch/mersenne-twister", test_mersenne_twister);
    g_test_add_func("/rng-torch/pytorch", test_pytorch);
    return g_test_run();
}
