/* Fitting the linear autoencoder: principal directions, scales, the error left, bad parameters.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "engine/dim-train.h"
#include "engine/rng.h"

enum { SIDE = 48, CROP = 16, BLOCK = 4, N = 3 * BLOCK * BLOCK, CHANNELS = 7, CROPS = 30 };

typedef struct {
    float mean[N], basis[N * CHANNELS], scale[CHANNELS];
} Codec;

/* Blurred noise, so that there are principal directions to find. */
static void add_picture(DimDataset *dataset, int index, gboolean test)
{
    guint8 rgb[3 * SIDE * SIDE];

    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                double value = 128 + 20 * c;
                for (int k = 0; k < 9; k++) {
                    const int at = (y + k / 3) % SIDE * SIDE + (x + k % 3) % SIDE;
                    value += (10 + 3 * c) * dim_random_normal(index, DIM_RANDOM_CROP, at, c < 2);
                }
                rgb[3 * (y * SIDE + x) + c] = (guint8)CLAMP(value, 0, 255);
            }
    g_assert_true(dim_dataset_add_image(dataset, 0, rgb, SIDE, SIDE, 3 * SIDE, test, NULL));
}

static DimDataset *make_dataset(gboolean with_tests)
{
    DimDataset *dataset = dim_dataset_new();
    DimCropParams params;

    dim_dataset_add_class(dataset, "noise");
    for (int i = 0; i < 4; i++)
        add_picture(dataset, i, with_tests && i == 3);
    dim_crop_params_init(&params, CROP);
    g_assert_true(dim_dataset_prepare(dataset, &params, NULL, NULL));
    return dataset;
}

static DimCodecParams make_params(void)
{
    DimCodecParams params;

    dim_codec_params_init(&params);
    params.block = BLOCK;
    params.channels = CHANNELS;
    params.crops = CROPS;
    params.seed = 5;
    return params;
}

static void read_codec(const char *file, Codec *codec)
{
    DimWeights *weights = dim_weights_open(file, NULL);

    g_assert_nonnull(weights);
    g_assert_cmpint(dim_weights_count(weights), ==, 3);
    g_assert_true(
        dim_weights_read_f32(weights, dim_weights_find(weights, "mean"), codec->mean, NULL));
    g_assert_true(
        dim_weights_read_f32(weights, dim_weights_find(weights, "basis"), codec->basis, NULL));
    g_assert_true(
        dim_weights_read_f32(weights, dim_weights_find(weights, "scale"), codec->scale, NULL));
    dim_weights_close(&weights);
}

static char *name_file(const char *folder)
{
    return g_build_filename(folder, "codec.safetensors", NULL);
}

static void remove_folder(char *folder)
{
    g_autofree char *file = name_file(folder);

    g_remove(file);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_free(folder);
}

/* Mean and covariance of the blocks of the crops that were to be fitted, the simple way. */
static void measure(const DimDataset *dataset, double *mean, double *covariance)
{
    static float crop[3][CROP][CROP];
    const int across = CROP / BLOCK;
    const double count = CROPS * across * across;
    double u[N];

    memset(mean, 0, N * sizeof *mean);
    memset(covariance, 0, N * N * sizeof *covariance);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < CROPS; i++) {
            dim_dataset_crop(dataset, 5, i, FALSE, &crop[0][0][0]);
            for (int b = 0; b < across * across; b++) {
                for (int p = 0; p < N; p++)
                    u[p] = crop[p / (BLOCK * BLOCK)][b / across * BLOCK + p / BLOCK % BLOCK]
                               [b % across * BLOCK + p % BLOCK];
                for (int p = 0; p < N && pass == 0; p++)
                    mean[p] += u[p] / count;
                for (int p = 0; p < N * N && pass == 1; p++)
                    covariance[p] += (u[p / N] - mean[p / N]) * (u[p % N] - mean[p % N]) / count;
            }
        }
}

/* Covariance times a column of the basis; answers the variance along it. */
static double multiply(const double *covariance, const Codec *codec, int k, double *out)
{
    double along = 0;

    for (int i = 0; i < N; i++) {
        out[i] = 0;
        for (int j = 0; j < N; j++)
            out[i] += covariance[i * N + j] * codec->basis[j * CHANNELS + k];
        along += out[i] * codec->basis[i * CHANNELS + k];
    }
    return along;
}

/* The largest variance of a direction that is orthogonal to the basis, by the power method. */
static double find_rest(const double *covariance, const Codec *codec)
{
    double direction[N], product[N], largest = 0;

    for (int i = 0; i < N; i++)
        product[i] = 1 + i % 3;
    for (int turn = 0; turn < 200; turn++) {
        double norm = 0;
        for (int k = 0; k < CHANNELS; k++) {
            double dot = 0;
            for (int i = 0; i < N; i++)
                dot += product[i] * codec->basis[i * CHANNELS + k];
            for (int i = 0; i < N; i++)
                product[i] -= dot * codec->basis[i * CHANNELS + k];
        }
        for (int i = 0; i < N; i++)
            norm += product[i] * product[i];
        largest = 0;
        for (int i = 0; i < N; i++)
            direction[i] = product[i] / sqrt(norm);
        for (int i = 0; i < N; i++) {
            product[i] = 0;
            for (int j = 0; j < N; j++)
                product[i] += covariance[i * N + j] * direction[j];
            largest += product[i] * direction[i];
        }
    }
    return largest;
}

/* Columns are eigenvectors, orthonormal, in falling order, and no direction beside them varies
 * more. */
static void test_directions(void)
{
    char *folder = g_dir_make_tmp("dim-codec-XXXXXX", NULL);
    g_autofree char *file = name_file(folder);
    g_autofree double *covariance = g_new(double, N *N);
    DimDataset *dataset = make_dataset(TRUE);
    const DimCodecParams params = make_params();
    double mean[N], product[N], deviation[CHANNELS], sum = 0, psnr = 0;
    Codec codec;

    g_assert_true(dim_codec_fit(dataset, &params, file, &psnr, NULL, NULL));
    read_codec(file, &codec);
    measure(dataset, mean, covariance);
    for (int p = 0; p < N; p++)
        g_assert_cmpfloat_with_epsilon(codec.mean[p], mean[p], 1e-6);
    for (int k = 0; k < CHANNELS; k++) {
        const double variance = multiply(covariance, &codec, k, product);
        deviation[k] = sqrt(variance);
        sum += deviation[k] / CHANNELS;
        g_assert_true(k == 0 || deviation[k] <= deviation[k - 1]);
        for (int i = 0; i < N; i++)
            g_assert_cmpfloat_with_epsilon(product[i], variance * codec.basis[i * CHANNELS + k],
                                           1e-7);
        for (int other = 0; other <= k; other++) {
            double dot = 0;
            for (int i = 0; i < N; i++)
                dot += codec.basis[i * CHANNELS + k] * codec.basis[i * CHANNELS + other];
            g_assert_cmpfloat_with_epsilon(dot, other == k, 1e-6);
        }
    }
    for (int k = 0; k < CHANNELS; k++)
        g_assert_cmpfloat_with_epsilon(codec.scale[k], sqrt(deviation[k] * sum), 1e-6);
    const double rest = sqrt(find_rest(covariance, &codec));
    g_assert_cmpfloat(rest, <=, deviation[CHANNELS - 1] * (1 + 1e-6));
    g_assert_cmpfloat(rest, >, 0.01 * deviation[CHANNELS - 1]);
    g_assert_cmpfloat(psnr, >, 15);
    g_assert_cmpfloat(psnr, <, 50);
    dim_dataset_free(&dataset);
    remove_folder(folder);
}

/* All channels leave nothing; without test pictures nothing is measured. */
static void test_measure(void)
{
    char *folder = g_dir_make_tmp("dim-codec-XXXXXX", NULL);
    g_autofree char *file = name_file(folder);
    DimDataset *with = make_dataset(TRUE), *without = make_dataset(FALSE);
    DimCodecParams params = make_params();
    double few = 0, more = 0, all = 0, none = 0;

    g_assert_true(dim_codec_fit(with, &params, file, &few, NULL, NULL));
    params.channels = 20;
    g_assert_true(dim_codec_fit(with, &params, file, &more, NULL, NULL));
    params.channels = N;
    g_assert_true(dim_codec_fit(with, &params, file, &all, NULL, NULL));
    g_assert_cmpfloat(few + 1, <, more);
    g_assert_cmpfloat(all, >, 100);
    g_assert_true(dim_codec_fit(without, &params, file, &none, NULL, NULL));
    g_assert_true(isnan(none));
    dim_dataset_free(&with);
    dim_dataset_free(&without);
    remove_folder(folder);
}

static void test_refused(void)
{
    char *folder = g_dir_make_tmp("dim-codec-XXXXXX", NULL);
    g_autofree char *file = name_file(folder);
    DimDataset *dataset = make_dataset(TRUE);
    DimTask task = {.cancel = 1};
    const DimCodecParams bad[] = {{0, 1, 1, 0},  {17, 1, 1, 0}, {4, 0, 1, 0},
                                  {4, 49, 1, 0}, {3, 1, 1, 0},  {4, 1, 0, 0}};
    const DimCodecParams good = make_params();

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(dim_codec_fit(dataset, &bad[i], file, NULL, NULL, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    }
    g_autoptr(GError) error = NULL;
    g_assert_false(dim_codec_fit(dataset, &good, file, NULL, &task, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
    g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
    dim_dataset_free(&dataset);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/codec-fit/directions", test_directions);
    g_test_add_func("/codec-fit/measure", test_measure);
    g_test_add_func("/codec-fit/refused", test_refused);
    return g_test_run();
}
