/* Parameters: limits, defaults, the working grid, and what does not fit into memory.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/dim.h"
#include "model-copy.h"

/* The starter model: 16 channels, patch 2, codec of 8 x 8 pixels, native size 128. */
static DimModelInfo *starter(void)
{
    g_autofree char *folder =
        g_test_build_filename(G_TEST_DIST, "../golden/starter/model", NULL);
    DimModelInfo *info = dim_model_info_read(folder, NULL);

    g_assert_nonnull(info);
    return info;
}

/* A backbone on pixels: patch 2, native size 16. */
static DimModelInfo *pixels(void)
{
    g_autofree char *folder = g_test_build_filename(G_TEST_DIST, "../golden/dim/sample-v-2m", NULL);
    DimModelInfo *info = dim_model_info_read(folder, NULL);

    g_assert_nonnull(info);
    return info;
}

static void assert_refused(const DimParams *params, const DimModelInfo *info, DimError code,
                           const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(dim_params_check(params, info, &error));
    g_assert_error(error, DIM_ERROR, (int)code);
    g_assert_nonnull(strstr(error->message, word));
    g_assert_null(strchr(error->message, '\n'));
}

static void assert_accepted(const DimParams *params, const DimModelInfo *info)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(dim_params_check(params, info, &error));
    g_assert_no_error(error);
}

static void test_defaults(void)
{
    DimModelInfo *info = starter();
    DimParams params;

    dim_params_init(&params, info);
    g_assert_cmpint(params.label, ==, 0);
    g_assert_cmpint(params.width, ==, 128);
    g_assert_cmpint(params.height, ==, 128);
    g_assert_cmpint(params.steps, ==, 20);
    g_assert_cmpfloat(params.guidance, ==, 2);
    g_assert_cmpstr(params.sampler, ==, "dpm-solver++-2m");
    g_assert_cmpint(params.upsample, ==, DIM_UPSAMPLE_AUTO);
    assert_accepted(&params, info);
    dim_model_info_free(&info);
}

static void test_ranges(void)
{
    DimModelInfo *info = starter();
    DimParams params;

#define REFUSED(field, value, word)                                                                \
    dim_params_init(&params, info);                                                                \
    params.field = value;                                                                          \
    assert_refused(&params, info, DIM_ERROR_ARGUMENT, word)
    REFUSED(steps, 0, "steps");
    REFUSED(steps, -5, "steps");
    REFUSED(steps, 10001, "steps");
    REFUSED(seed, -1, "seed");
    REFUSED(seed, DIM_SEED_MAX + 1, "seed");
    REFUSED(guidance, -0.5, "guidance");
    REFUSED(guidance, 100.5, "guidance");
    REFUSED(guidance, NAN, "guidance");
    REFUSED(guidance, INFINITY, "guidance");
    REFUSED(label, -2, "class");
    REFUSED(label, 15, "class");
    REFUSED(upsample, -1, "upsample");
    REFUSED(upsample, 65, "upsample");
    REFUSED(tile, -2, "tile");
    REFUSED(width, 15, "size 15x128");
    REFUSED(height, 15, "size 128x15");
    REFUSED(width, 0, "16");
    REFUSED(width, -16, "16");
    REFUSED(width, G_MININT, "16");
    REFUSED(guidance_low, -0.1, "guidance interval");
    REFUSED(guidance_low, NAN, "guidance interval");
    REFUSED(guidance_high, 1.1, "guidance interval");
    REFUSED(guidance_high, -0.1, "guidance interval");
    REFUSED(rng, 2, "rng");
    REFUSED(sampler, NULL, "sampler");
    REFUSED(sampler, "dpm-solver++-2n", "did you mean \"dpm-solver++-2m\"");
#undef REFUSED
    dim_params_init(&params, info);
    params.width = params.height = 16;
    params.steps = 10000;
    params.seed = DIM_SEED_MAX;
    params.guidance = 0;
    params.label = 14;
    assert_accepted(&params, info);
    dim_model_info_free(&info);
}

/* Samplers over the schedule's own steps take no more of them than there are. */
static void test_respaced(void)
{
    DimModelInfo *info = starter();
    DimParams params;

    for (int i = 0; i < 2; i++) {
        dim_params_init(&params, info);
        params.sampler = i ? "ddpm" : "ddim";
        params.steps = 1000;
        assert_accepted(&params, info);
        params.steps = 1001;
        assert_refused(&params, info, DIM_ERROR_ARGUMENT, "1000 of the model's noise schedule");
    }
    dim_model_info_free(&info);
}

/* Evaluations: heun two a step, and one instead of two where guidance does not reach. */
static void test_evaluation_counts(void)
{
    DimModelInfo *info = starter();
    DimEstimate all, some;
    DimParams params;

    dim_params_init(&params, info);
    params.steps = 10;
    dim_estimate(info, &params, &all);
    g_assert_cmpint(all.evaluations, ==, 20);
    params.guidance_low = 0.55; /* times 1, 0.9001, .. 0.5005 of 1, 0.9001, .. 0.1009 */
    dim_estimate(info, &params, &some);
    g_assert_cmpint(some.evaluations, ==, 15);
    g_assert_cmpfloat(some.flop, <, all.flop);
    params.sampler = "heun"; /* each of these times but the first also ends a step; and 0.001 */
    dim_estimate(info, &params, &some);
    g_assert_cmpint(some.evaluations, ==, 20 + 9);
    params.guidance_low = 0;
    dim_estimate(info, &params, &some);
    g_assert_cmpint(some.evaluations, ==, 40);
    dim_model_info_free(&info);
}

/* Pixels count from one patch up. */
static void test_pixels(void)
{
    DimModelInfo *info = pixels();
    DimParams params;

    dim_params_init(&params, info);
    params.width = params.height = 2;
    assert_accepted(&params, info);
    params.width = 1;
    assert_refused(&params, info, DIM_ERROR_ARGUMENT, "size 1x2");
    dim_model_info_free(&info);
}

/* Without an unconditional class there is nothing to guide away from. */
static void test_unguided(void)
{
    g_autofree char *golden = g_test_build_filename(G_TEST_DIST, "../golden/dim/sample-v-2m", NULL);
    g_autofree char *folder = model_copy(golden, "{\"unconditional_class\": null}", NULL);
    DimModelInfo *info = dim_model_info_read(folder, NULL);
    DimParams params;

    g_assert_nonnull(info);
    dim_params_init(&params, info);
    g_assert_cmpfloat(params.guidance, ==, 1);
    assert_accepted(&params, info);
    params.guidance = 2;
    assert_refused(&params, info, DIM_ERROR_ARGUMENT, "unconditional");
    dim_model_info_free(&info);
    model_copy_remove(folder);
}

/* What sampling needs beside the weights. */
static void test_incomplete(gconstpointer key)
{
    g_autofree char *golden = g_test_build_filename(G_TEST_DIST, "../golden/dim/sample-v-2m", NULL);
    g_autofree char *folder = model_copy(golden, "{}", key);
    DimModelInfo *info = dim_model_info_read(folder, NULL);
    DimParams params;

    g_assert_nonnull(info);
    dim_params_init(&params, info);
    params.width = params.height = 16;
    assert_refused(&params, info, DIM_ERROR_FORMAT, key);
    dim_model_info_free(&info);
    model_copy_remove(folder);
}

/* Refused before anything is allocated, with a size that is then accepted, of the same shape. */
static void test_memory(void)
{
    static const int sizes[][2] = {
        {1000000000, 1000000000}, {G_MAXINT, G_MAXINT}, {200000, 100000}, {G_MAXINT, 16}};
    DimModelInfo *info = starter();

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        DimParams params;
        int width = 0, height = 0;
        dim_params_init(&params, info);
        params.width = sizes[i][0];
        params.height = sizes[i][1];
        g_assert_false(dim_params_check(&params, info, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY);
        const char *offer = strstr(error->message, "fits is ");
        if (!offer) { /* so long a shape has sides below 16 when it fits */
            g_assert_cmpint(sizes[i][1], ==, 16);
            continue;
        }
        g_assert_cmpint(sscanf(offer, "fits is %dx%d", &width, &height), ==, 2);
        g_assert_cmpfloat_with_epsilon((double)width / height, (double)sizes[i][0] / sizes[i][1],
                                       0.01);
        params.width = width / 2; /* other programs take memory meanwhile */
        params.height = height / 2;
        assert_accepted(&params, info);
    }
    dim_model_info_free(&info);
}

static void test_grid(void)
{
    static const struct {
        int width, height, upsample, grid_width, grid_height, factor;
    } cases[] = {
        {128, 128, DIM_UPSAMPLE_AUTO, 16, 16, 1},   {300, 200, DIM_UPSAMPLE_OFF, 38, 26, 1},
        {300, 200, DIM_UPSAMPLE_AUTO, 40, 28, 2},   {300, 200, 3, 42, 30, 3},
        {16, 16, DIM_UPSAMPLE_AUTO, 2, 2, 1},       {17, 33, DIM_UPSAMPLE_AUTO, 4, 6, 1},
        {1024, 512, DIM_UPSAMPLE_AUTO, 132, 72, 6},
    };
    DimModelInfo *info = starter();

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        DimEstimate estimate;
        DimParams params;
        dim_params_init(&params, info);
        params.width = cases[i].width;
        params.height = cases[i].height;
        params.upsample = cases[i].upsample;
        dim_estimate(info, &params, &estimate);
        g_assert_cmpint(estimate.grid_width, ==, cases[i].grid_width);
        g_assert_cmpint(estimate.grid_height, ==, cases[i].grid_height);
        g_assert_cmpint(estimate.upsample, ==, cases[i].factor);
    }
    dim_model_info_free(&info);
}

/* Guidance doubles the evaluations; the small pass runs at the seven of 20 times with tc >= 0.7. */
static void test_evaluations(void)
{
    DimModelInfo *info = starter();
    DimEstimate plain, guided, upsampled;
    DimParams params;

    dim_params_init(&params, info);
    params.width = params.height = 256;
    params.upsample = DIM_UPSAMPLE_OFF;
    dim_estimate(info, &params, &guided);
    params.guidance = 1;
    dim_estimate(info, &params, &plain);
    params.guidance = 2;
    params.upsample = 2;
    dim_estimate(info, &params, &upsampled);
    g_assert_cmpint(plain.evaluations, ==, 20);
    g_assert_cmpint(guided.evaluations, ==, 40);
    g_assert_cmpint(upsampled.evaluations, ==, 54);
    g_assert_cmpint(plain.bytes, <, guided.bytes);
    g_assert_cmpint(guided.bytes, <, upsampled.bytes);
    g_assert_cmpfloat(guided.flop / plain.flop, >, 1.9);
    g_assert_cmpfloat(guided.flop / plain.flop, <, 2.001);
    dim_model_info_free(&info);
}

static void test_resolve(void)
{
    DimModelInfo *info = starter();
    DimRecipe recipe;
    DimParams params, other;
    g_autoptr(GError) error = NULL;

    dim_recipe_init(&recipe);
    g_assert_true(dim_recipe_resolve(&recipe, info, &params, &error));
    g_assert_cmpint(params.label, ==, 0);
    g_assert_cmpint(params.width, ==, 128);
    g_assert_true(params.seed >= 0 && params.seed <= DIM_SEED_MAX);
    g_assert_true(dim_recipe_resolve(&recipe, info, &other, &error));
    g_assert_cmpint(params.seed, !=, other.seed);

    g_free(recipe.class_name);
    g_free(recipe.upsample);
    recipe.class_name = g_strdup("Grass");
    recipe.upsample = g_strdup("off");
    recipe.seed = 5;
    recipe.height = 64;
    g_assert_true(dim_recipe_resolve(&recipe, info, &params, &error));
    g_assert_cmpint(params.label, ==, 3);
    g_assert_cmpint(params.height, ==, 64);
    g_assert_cmpint(params.width, ==, 128);
    g_assert_cmpint(params.seed, ==, 5);
    g_assert_cmpint(params.upsample, ==, DIM_UPSAMPLE_OFF);

    g_free(recipe.class_name);
    recipe.class_name = g_strdup("gras");
    g_assert_false(dim_recipe_resolve(&recipe, info, &params, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "\"grass\""));
    dim_recipe_clear(&recipe);
    dim_model_info_free(&info);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/params/defaults", test_defaults);
    g_test_add_func("/params/ranges", test_ranges);
    g_test_add_func("/params/respaced", test_respaced);
    g_test_add_func("/params/evaluation-counts", test_evaluation_counts);
    g_test_add_func("/params/pixels", test_pixels);
    g_test_add_func("/params/unguided", test_unguided);
    g_test_add_data_func("/params/without-schedule", "noise_schedule", test_incomplete);
    g_test_add_data_func("/params/without-prediction", "prediction", test_incomplete);
    g_test_add_data_func("/params/without-native-size", "native_size", test_incomplete);
    g_test_add_data_func("/params/without-autoencoder", "autoencoder", test_incomplete);
    g_test_add_func("/params/memory", test_memory);
    g_test_add_func("/params/grid", test_grid);
    g_test_add_func("/params/evaluations", test_evaluations);
    g_test_add_func("/params/resolve", test_resolve);
    return g_test_run();
}
