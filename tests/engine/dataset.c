/* Pictures by class: what tiles, and what crops are made of.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "engine/dim-train.h"
#include "engine/rng.h"

enum { SIDE = 64, CROP = 32, PIXELS = SIDE * SIDE };

/* ---- pictures that say where each of their pixels lies ---- */

/* Of which a crop is drawn as it is: one scale, no colours changed. */
static DimCropParams plain_params(void)
{
    DimCropParams params;

    dim_crop_params_init(&params, CROP);
    params.n_scales = 1;
    params.scales[0] = SIDE;
    params.gain = params.shift = params.tint = 0;
    return params;
}

/* Places in a random order, so that a seam is like every other line: this picture tiles. Red and
 * green name the place, blue the picture. */
static void add_shuffled(DimDataset *dataset, int label, guint8 mark, gboolean test, int *places)
{
    g_autofree guint8 *rgb = g_malloc(3 * PIXELS);
    int order[PIXELS];

    for (int i = 0; i < PIXELS; i++)
        order[i] = i;
    for (int i = PIXELS - 1; i > 0; i--) {
        const int other = (int)dim_random_below(8, DIM_RANDOM_CROP, i, 0, i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (int i = 0; i < PIXELS; i++) {
        rgb[3 * i] = (guint8)(order[i] % SIDE * 4);
        rgb[3 * i + 1] = (guint8)(order[i] / SIDE * 4);
        rgb[3 * i + 2] = mark;
        places[order[i]] = i;
    }
    g_assert_true(dim_dataset_add_image(dataset, label, rgb, SIDE, SIDE, 3 * SIDE, test, NULL));
}

/* The same in order: the seams stand out. Rows lie further apart than they are long. */
static void add_ordered(DimDataset *dataset, int label, guint8 mark, int *places)
{
    enum { STRIDE = 3 * SIDE + 5 };
    g_autofree guint8 *rgb = g_malloc0(STRIDE * SIDE);

    for (int i = 0; i < PIXELS; i++) {
        guint8 *pixel = rgb + i / SIDE * STRIDE + 3 * (i % SIDE);
        pixel[0] = (guint8)(i % SIDE * 4);
        pixel[1] = (guint8)(i / SIDE * 4);
        pixel[2] = mark;
        places[i] = i;
    }
    g_assert_true(dim_dataset_add_image(dataset, label, rgb, SIDE, SIDE, STRIDE, FALSE, NULL));
}

static int byte_of(float value)
{
    const double byte = (value + 1) * 127.5;

    g_assert_cmpfloat_with_epsilon(byte, floor(byte + 0.5), 1e-4);
    return (int)floor(byte + 0.5);
}

static int place_of(const float *crop, int i, const int *places)
{
    return places[byte_of(crop[i]) / 4 + byte_of(crop[CROP * CROP + i]) / 4 * SIDE];
}

typedef struct {
    int flipped_x, flipped_y, turned, wrapped_x, wrapped_y, n;
    int lefts[SIDE], tops[SIDE]; /* how often a crop began there */
} Seen;

static int apart(int a, int b)
{
    return (b - a + SIDE) % SIDE;
}

/* Finds how a crop lies in its picture, and checks every one of its pixels. */
static void look(const float *crop, const int *places, Seen *seen)
{
    const int corner = place_of(crop, 0, places), next = place_of(crop, 1, places),
              below = place_of(crop, CROP, places);
    const gboolean turned = corner % SIDE == next % SIDE;
    const int x_next = turned ? below : next, y_next = turned ? next : below;
    const int x_step = apart(corner % SIDE, x_next % SIDE) == 1 ? 1 : -1,
              y_step = apart(corner / SIDE, y_next / SIDE) == 1 ? 1 : -1;

    for (int i = 0; i < CROP * CROP; i++) {
        const int across = turned ? i / CROP : i % CROP, down = turned ? i % CROP : i / CROP;
        const int x = (corner % SIDE + x_step * across + SIDE) % SIDE,
                  y = (corner / SIDE + y_step * down + SIDE) % SIDE;
        g_assert_cmpint(place_of(crop, i, places), ==, y * SIDE + x);
    }
    const int left = (corner % SIDE - (x_step < 0 ? CROP - 1 : 0) + SIDE) % SIDE,
              top = (corner / SIDE - (y_step < 0 ? CROP - 1 : 0) + SIDE) % SIDE;
    seen->n++;
    seen->turned += turned;
    seen->flipped_x += x_step < 0;
    seen->flipped_y += y_step < 0;
    seen->wrapped_x += left > SIDE - CROP;
    seen->wrapped_y += top > SIDE - CROP;
    seen->lefts[left]++;
    seen->tops[top]++;
}

/* Within five deviations. */
static void check_share(int n, int of, double probability)
{
    g_assert_cmpfloat_with_epsilon((double)n / of, probability,
                                   5 * sqrt(probability * (1 - probability) / of));
}

static void look_at_crops(const DimDataset *dataset, const int *places, int n, Seen *seen)
{
    float crop[3 * CROP * CROP];

    *seen = (Seen){0};
    for (int i = 0; i < n; i++) {
        g_assert_cmpint(dim_dataset_crop(dataset, 11, i, FALSE, crop), ==, 0);
        look(crop, places, seen);
    }
}

static void test_torus(void)
{
    enum { N = 6000 };
    const DimCropParams params = plain_params();
    DimDataset *dataset = dim_dataset_new();
    const double beyond = (CROP - 1.0) / SIDE;
    int places[PIXELS];
    Seen seen;

    dim_dataset_add_class(dataset, "noise");
    add_shuffled(dataset, 0, 7, FALSE, places);
    g_assert_cmpint(dim_dataset_n_tiling(dataset, 0, FALSE), ==, 1);
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
    look_at_crops(dataset, places, N, &seen);
    check_share(seen.flipped_x, N, 0.5);
    check_share(seen.flipped_y, N, 0.25);
    check_share(seen.turned, N, 0.25);
    check_share(seen.wrapped_x, N, beyond);
    check_share(seen.wrapped_y, N, beyond);
    for (int i = 0; i < SIDE; i++) {
        check_share(seen.lefts[i], N, 1.0 / SIDE);
        check_share(seen.tops[i], N, 1.0 / SIDE);
    }
    dim_dataset_free(&dataset);
    g_assert_null(dataset);
}

static void test_inside(void)
{
    enum { N = 4000 };
    DimCropParams params = plain_params();
    DimDataset *dataset = dim_dataset_new();
    int places[PIXELS];
    Seen seen;

    params.flip_x = 0;
    params.flip_y = 1;
    params.turn = 0;
    dim_dataset_add_class(dataset, "ordered");
    add_ordered(dataset, 0, 7, places);
    g_assert_cmpint(dim_dataset_n_tiling(dataset, -1, FALSE), ==, 0);
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
    look_at_crops(dataset, places, N, &seen);
    g_assert_cmpint(seen.flipped_x, ==, 0);
    g_assert_cmpint(seen.flipped_y, ==, N);
    g_assert_cmpint(seen.turned, ==, 0);
    g_assert_cmpint(seen.wrapped_x, ==, 0);
    g_assert_cmpint(seen.wrapped_y, ==, 0);
    for (int i = 0; i <= SIDE - CROP; i++) {
        check_share(seen.lefts[i], N, 1.0 / (SIDE - CROP + 1));
        check_share(seen.tops[i], N, 1.0 / (SIDE - CROP + 1));
    }
    dim_dataset_free(&dataset);
}

/* One seam that shows is enough not to tile. */
static void test_one_seam(void)
{
    for (int way = 0; way < 2; way++) {
        DimDataset *dataset = dim_dataset_new();
        guint8 rgb[3 * PIXELS];

        for (int i = 0; i < PIXELS; i++) {
            const int along = way ? i / SIDE : i % SIDE, other = way ? i % SIDE : i / SIDE;
            memset(rgb + 3 * i, 2 * along + (int)(40 * sin(2 * G_PI * other / SIDE)) + 50, 3);
        }
        dim_dataset_add_class(dataset, "ramp");
        g_assert_true(dim_dataset_add_image(dataset, 0, rgb, SIDE, SIDE, 3 * SIDE, FALSE, NULL));
        g_assert_cmpint(dim_dataset_n_tiling(dataset, 0, FALSE), ==, 0);
        dim_dataset_free(&dataset);
    }
}

/* ---- which picture ---- */

/* Class 0: one picture; 1: three; 2: none to train on; each class one to test on. Blue is 10 x the
 * class + 100 for a test picture. */
static DimDataset *three_classes(double balance)
{
    static const struct {
        int label;
        gboolean test;
    } pictures[] = {{1, FALSE}, {0, TRUE}, {2, TRUE}, {1, FALSE},
                    {0, FALSE}, {1, TRUE}, {1, FALSE}};
    DimCropParams params = plain_params();
    DimDataset *dataset = dim_dataset_new();
    int places[PIXELS];

    g_assert_cmpint(dim_dataset_add_class(dataset, "moss"), ==, 0);
    g_assert_cmpint(dim_dataset_add_class(dataset, "slate"), ==, 1);
    g_assert_cmpint(dim_dataset_add_class(dataset, "moss"), ==, 0);
    g_assert_cmpint(dim_dataset_add_class(dataset, "bark"), ==, 2);
    for (gsize i = 0; i < G_N_ELEMENTS(pictures); i++)
        add_shuffled(dataset, pictures[i].label,
                     (guint8)(10 * pictures[i].label + (pictures[i].test ? 100 : 0)),
                     pictures[i].test, places);
    params.balance = balance;
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
    return dataset;
}

static void test_classes(void)
{
    DimDataset *dataset = three_classes(0.7);

    g_assert_cmpint(dim_dataset_n_classes(dataset), ==, 3);
    g_assert_cmpstr(dim_dataset_class_name(dataset, 1), ==, "slate");
    g_assert_cmpint(dim_dataset_n_images(dataset, -1, FALSE), ==, 4);
    g_assert_cmpint(dim_dataset_n_images(dataset, 1, FALSE), ==, 3);
    g_assert_cmpint(dim_dataset_n_images(dataset, 2, FALSE), ==, 0);
    g_assert_cmpint(dim_dataset_n_images(dataset, -1, TRUE), ==, 3);
    g_assert_cmpint(dim_dataset_n_tiling(dataset, -1, TRUE), ==, 3);
    dim_dataset_free(&dataset);
}

/* Shares of the classes, their labels, and no test picture among those to train on. */
static void check_balance(double balance, double first_share)
{
    enum { N = 10000 };
    DimDataset *dataset = three_classes(balance);
    float crop[3 * CROP * CROP];
    int counts[2][3] = {{0}};

    for (int i = 0; i < 2 * N; i++) {
        const int label = dim_dataset_crop(dataset, -4, i / 2, i % 2, crop);
        counts[i % 2][label]++;
        g_assert_cmpint(byte_of(crop[2 * CROP * CROP + i % 1000]), ==,
                        10 * label + (i % 2 ? 100 : 0));
    }
    check_share(counts[0][0], N, first_share);
    g_assert_cmpint(counts[0][2], ==, 0);
    for (int label = 0; label < 3; label++)
        check_share(counts[1][label], N, 1.0 / 3);
    dim_dataset_free(&dataset);
}

/* The same picture to train and to test on is drawn otherwise. */
static void test_own_stream(void)
{
    enum { N = 200 };
    const DimCropParams params = plain_params();
    DimDataset *dataset = dim_dataset_new();
    float crop[3 * CROP * CROP], test[3 * CROP * CROP];
    int places[PIXELS], alike = 0;

    dim_dataset_add_class(dataset, "noise");
    add_shuffled(dataset, 0, 7, FALSE, places);
    add_shuffled(dataset, 0, 7, TRUE, places);
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
    for (int i = 0; i < N; i++) {
        dim_dataset_crop(dataset, 1, i, FALSE, crop);
        dim_dataset_crop(dataset, 1, i, TRUE, test);
        alike += !memcmp(crop, test, sizeof crop);
    }
    g_assert_cmpint(alike, <=, 2);
    dim_dataset_free(&dataset);
}

static void test_balance(void)
{
    check_balance(0.7, 0.7 / 2 + 0.3 / 4);
    check_balance(1, 0.5);
    check_balance(0, 0.25);
}

static guint8 *noise(int n, int seed)
{
    guint8 *rgb = g_malloc(3 * (gsize)n);

    for (int i = 0; i < 3 * n; i++)
        rgb[i] = (guint8)dim_random_below(seed, DIM_RANDOM_CROP, i, 0, 256);
    return rgb;
}

/* ---- bits and colours ---- */

static DimDataset *grey_dataset(const DimCropParams *params, int width, int height)
{
    DimDataset *dataset = dim_dataset_new();
    g_autofree guint8 *rgb = g_malloc(3 * (gsize)width * height);

    memset(rgb, 102, 3 * (gsize)width * height);
    dim_dataset_add_class(dataset, "grey");
    g_assert_true(
        dim_dataset_add_image(dataset, 0, rgb, width, height, 3 * (gsize)width, FALSE, NULL));
    g_assert_true(dim_dataset_prepare(dataset, params, NULL, NULL));
    return dataset;
}

/* 102 is 0.4. Means and deviations of what gain, shift and tint make of it; five deviations again.
 */
static void test_colours(void)
{
    enum { N = 4000, SIZE = 8 };
    DimCropParams params;
    double sum = 0, square = 0, tints = 0;
    float crop[3 * SIZE * SIZE];

    dim_crop_params_init(&params, SIZE);
    DimDataset *dataset = grey_dataset(&params, 40, 32);
    for (int i = 0; i < N; i++) {
        dim_dataset_crop(dataset, 5, i, FALSE, crop);
        const double red = (crop[0] + 1) / 2, green = (crop[SIZE * SIZE] + 1) / 2;
        for (int k = 1; k < SIZE * SIZE; k++)
            g_assert_true(crop[k] == crop[0]);
        sum += red - 0.4;
        square += (red - 0.4) * (red - 0.4);
        tints += (red - green) * (red - green);
    }
    const double variance = pow(0.4 * 0.12, 2) / 3 + pow(0.06, 2) + pow(0.04, 2);
    g_assert_cmpfloat_with_epsilon(sum / N, 0, 5 * sqrt(variance / N));
    g_assert_cmpfloat_with_epsilon(square / N, variance, 5 * variance * sqrt(2.0 / N));
    g_assert_cmpfloat_with_epsilon(tints / N, 2 * 0.04 * 0.04, 5 * 0.0032 * sqrt(2.0 / N));
    dim_dataset_free(&dataset);

    params.shift = params.tint = 0;
    params.gain = 0.5;
    dataset = grey_dataset(&params, 32, 32);
    double least = 1, most = 0;
    for (int i = 0; i < N; i++) {
        dim_dataset_crop(dataset, 5, i, FALSE, crop);
        least = MIN(least, (crop[0] + 1) / 2);
        most = MAX(most, (crop[0] + 1) / 2);
    }
    g_assert_cmpfloat_with_epsilon(least, 0.2, 1e-3);
    g_assert_cmpfloat_with_epsilon(most, 0.6, 1e-3);
    dim_dataset_free(&dataset);
}

/* Clamped to [-1, 1], however wild the colours. */
static void test_clamped(void)
{
    DimCropParams params;
    float crop[3];
    int ends = 0;

    dim_crop_params_init(&params, 1);
    params.shift = 1;
    DimDataset *dataset = grey_dataset(&params, 32, 32);
    for (int i = 0; i < 1000; i++) {
        dim_dataset_crop(dataset, 6, i, FALSE, crop);
        for (int c = 0; c < 3; c++) {
            g_assert_true(crop[c] >= -1 && crop[c] <= 1);
            ends += crop[c] == -1 || crop[c] == 1;
        }
    }
    g_assert_cmpint(ends, >, 1000);
    dim_dataset_free(&dataset);
}

/* The default crops of a noise picture and of a picture that does not tile: their bytes, pinned. */
static void test_bits(void)
{
    enum { SIZE = 40, N = 24 };
    g_autofree guint8 *one = noise(96 * 100, 3), *two = noise(33 * 50, 4);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    DimDataset *dataset = dim_dataset_new();
    float crop[3 * SIZE * SIZE], again[3 * SIZE * SIZE];
    DimCropParams params;

    dim_crop_params_init(&params, SIZE);
    for (int i = 0; i < 3 * 33 * 50; i++)
        two[i] = (guint8)(two[i] / 8 + i / 33);
    dim_dataset_add_class(dataset, "all");
    g_assert_true(dim_dataset_add_image(dataset, 0, one, 96, 100, 3 * 96, FALSE, NULL));
    g_assert_true(dim_dataset_add_image(dataset, 0, two, 33, 50, 3 * 33, FALSE, NULL));
    g_assert_cmpint(dim_dataset_n_tiling(dataset, 0, FALSE), ==, 1);
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
    for (int i = 0; i < N; i++) {
        const gint64 index = i + ((gint64)(i % 3) << 33);
        dim_dataset_crop(dataset, i / 4, index, FALSE, crop);
        dim_dataset_crop(dataset, i / 4, index + 1, FALSE, again);
        g_assert_cmpint(memcmp(crop, again, sizeof crop), !=, 0);
        dim_dataset_crop(dataset, i / 4 + 1, index, FALSE, again);
        g_assert_cmpint(memcmp(crop, again, sizeof crop), !=, 0);
        dim_dataset_crop(dataset, i / 4, index, FALSE, again);
        g_assert_cmpmem(crop, sizeof crop, again, sizeof again);
        for (int k = 0; k < 3 * SIZE * SIZE; k++) {
            const gint32 bits =
                GINT32_TO_LE((gint32)(crop[k] * 0x1p23f)); /* of 24, whatever the order of bytes */
            g_checksum_update(sum, (const guchar *)&bits, sizeof bits);
        }
    }
    g_assert_cmpstr(g_checksum_get_string(sum), ==,
                    "17014d5a03977ef75850ed6affac36ca37b767742159aa7a37c53ad7a7d1cb16");
    dim_dataset_free(&dataset);
}

/* ---- what is refused ---- */

static void test_small(void)
{
    DimDataset *dataset = dim_dataset_new();
    g_autofree guint8 *rgb = noise(100 * 100, 5);
    g_autoptr(GError) error = NULL;

    dim_dataset_add_class(dataset, "noise");
    g_assert_false(dim_dataset_add_image(dataset, 0, rgb, 31, 100, 3 * 31, FALSE, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "31 x 100"));
    g_assert_false(dim_dataset_add_image(dataset, 0, rgb, 100, 31, 3 * 100, FALSE, NULL));
    g_assert_cmpint(dim_dataset_n_images(dataset, -1, FALSE), ==, 0);
    dim_dataset_free(&dataset);
}

static void test_params(void)
{
    static const struct {
        gsize offset;
        double value;
        const char *says;
    } wrong[] = {
        {G_STRUCT_OFFSET(DimCropParams, flip_x), 1.5, "flip_x 1.5"},
        {G_STRUCT_OFFSET(DimCropParams, flip_y), -0.5, "flip_y -0.5"},
        {G_STRUCT_OFFSET(DimCropParams, turn), NAN, "turn nan"},
        {G_STRUCT_OFFSET(DimCropParams, balance), 2, "balance 2"},
        {G_STRUCT_OFFSET(DimCropParams, gain), -1, "gain -1"},
        {G_STRUCT_OFFSET(DimCropParams, shift), INFINITY, "shift inf"},
        {G_STRUCT_OFFSET(DimCropParams, tint), NAN, "tint nan"},
    };
    static const int sizes[][3] = {{0, 1, 64}, {32, 0, 64}, {32, 9, 64}, {32, 1, 31}, {-3, 1, 64}};
    DimDataset *dataset = dim_dataset_new();
    int places[PIXELS];

    dim_dataset_add_class(dataset, "noise");
    add_shuffled(dataset, 0, 7, FALSE, places);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        DimCropParams params = plain_params();
        G_STRUCT_MEMBER(double, &params, wrong[i].offset) = wrong[i].value;
        g_assert_false(dim_dataset_prepare(dataset, &params, NULL, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
        g_assert_nonnull(strstr(error->message, wrong[i].says));
    }
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        DimCropParams params = plain_params();
        params.size = sizes[i][0];
        params.n_scales = sizes[i][1];
        params.scales[0] = sizes[i][2];
        g_assert_false(dim_dataset_prepare(dataset, &params, NULL, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    }
    dim_dataset_free(&dataset);
}

/* No pictures; scales beyond all memory; cancelled. */
static void test_unprepared(void)
{
    DimCropParams params = plain_params();
    DimDataset *dataset = dim_dataset_new();
    g_autoptr(GError) empty = NULL, memory = NULL, cancelled = NULL;
    DimTask task = {0};
    int places[PIXELS];

    dim_dataset_add_class(dataset, "noise");
    g_assert_false(dim_dataset_prepare(dataset, &params, NULL, &empty));
    g_assert_error(empty, DIM_ERROR, DIM_ERROR_ARGUMENT);
    add_shuffled(dataset, 0, 7, FALSE, places);
    params.scales[0] = 100000000;
    g_assert_false(dim_dataset_prepare(dataset, &params, NULL, &memory));
    g_assert_error(memory, DIM_ERROR, DIM_ERROR_NO_MEMORY);
    params.scales[0] = SIDE;
    dim_task_cancel(&task);
    g_assert_false(dim_dataset_prepare(dataset, &params, &task, &cancelled));
    g_assert_error(cancelled, DIM_ERROR, DIM_ERROR_CANCELLED);
    dim_dataset_free(&dataset);
    dim_dataset_free(&dataset);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dataset/torus", test_torus);
    g_test_add_func("/dataset/inside", test_inside);
    g_test_add_func("/dataset/one-seam", test_one_seam);
    g_test_add_func("/dataset/classes", test_classes);
    g_test_add_func("/dataset/balance", test_balance);
    g_test_add_func("/dataset/own-stream", test_own_stream);
    g_test_add_func("/dataset/colours", test_colours);
    g_test_add_func("/dataset/clamped", test_clamped);
    g_test_add_func("/dataset/bits", test_bits);
    g_test_add_func("/dataset/small", test_small);
    g_test_add_func("/dataset/params", test_params);
    g_test_add_func("/dataset/unprepared", test_unprepared);
    return g_test_run();
}
