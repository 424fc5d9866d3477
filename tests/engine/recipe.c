/* Recipes and presets: round trips, what is kept, what is refused.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "engine/dim.h"

static void set(char **text, const char *to)
{
    g_free(*text);
    *text = g_strdup(to);
}

/* Every field away from its default. */
static void fill(DimRecipe *recipe)
{
    dim_recipe_init(recipe);
    set(&recipe->name, "Mossy \"ground\" \\ ü\n2");
    set(&recipe->model, "textures");
    set(&recipe->class_name, "grass");
    recipe->width = 300;
    recipe->height = 200;
    recipe->steps = 17;
    recipe->guidance = 1.4;
    recipe->seed = DIM_SEED_MAX;
    set(&recipe->sampler, "dpm-solver++-2m");
    set(&recipe->upsample, "3");
    set(&recipe->options, "precision=f32");
    set(&recipe->model_hash, "abc");
    set(&recipe->device, "cpu: AVX2");
    set(&recipe->precision, "f32");
    set(&recipe->program, "gimp-dim 0.1.0");
}

static void assert_same(const DimRecipe *a, const DimRecipe *b)
{
    g_assert_cmpstr(a->name, ==, b->name);
    g_assert_cmpstr(a->model, ==, b->model);
    g_assert_cmpstr(a->class_name, ==, b->class_name);
    g_assert_cmpint(a->width, ==, b->width);
    g_assert_cmpint(a->height, ==, b->height);
    g_assert_cmpint(a->steps, ==, b->steps);
    g_assert_cmpfloat(a->guidance, ==, b->guidance);
    g_assert_cmpint(a->seed, ==, b->seed);
    g_assert_cmpstr(a->sampler, ==, b->sampler);
    g_assert_cmpstr(a->upsample, ==, b->upsample);
    g_assert_cmpstr(a->options, ==, b->options);
    g_assert_cmpstr(a->model_hash, ==, b->model_hash);
    g_assert_cmpstr(a->device, ==, b->device);
    g_assert_cmpstr(a->precision, ==, b->precision);
    g_assert_cmpstr(a->program, ==, b->program);
    g_assert_cmpstr(a->unknown, ==, b->unknown);
}

static void parse(DimRecipe *recipe, const char *json, char **unknown_keys)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(dim_recipe_parse(recipe, json, -1, "test", unknown_keys, &error));
    g_assert_no_error(error);
}

static void test_round_trip(void)
{
    static const double guidances[] = {
        1.4, 2, 0.1, 1.0 / 3, 2.2250738585072014e-308, 99.999999999999986};
    DimRecipe recipe, read;

    fill(&recipe);
    for (gsize i = 0; i < G_N_ELEMENTS(guidances); i++) {
        recipe.guidance = guidances[i];
        g_autofree char *json = dim_recipe_print(&recipe);
        parse(&read, json, NULL);
        assert_same(&recipe, &read);
        dim_recipe_clear(&read);
    }
    recipe.guidance = 1.4;
    g_autofree char *json = dim_recipe_print(&recipe);
    g_assert_nonnull(strstr(json, "\"guidance\": 1.4,\n"));
    g_assert_nonnull(strstr(json, "\"seed\": 9007199254740991,\n"));
    dim_recipe_copy(&read, &recipe);
    assert_same(&recipe, &read);
    dim_recipe_clear(&read);
    dim_recipe_clear(&recipe);
}

/* A preset says only what it sets; the rest stays at the model's. */
static void test_partial(void)
{
    DimRecipe recipe, defaults;

    dim_recipe_init(&defaults);
    parse(&recipe, "{\"format\": \"gimp-dim-recipe\", \"version\": 1, \"steps\": 9}", NULL);
    g_assert_cmpint(recipe.steps, ==, 9);
    defaults.steps = 9;
    assert_same(&recipe, &defaults);
    g_autofree char *json = dim_recipe_print(&recipe);
    g_assert_cmpstr(
        json, ==, "{\n  \"format\": \"gimp-dim-recipe\",\n  \"version\": 1,\n  \"steps\": 9\n}\n");
    dim_recipe_clear(&recipe);
    dim_recipe_clear(&defaults);
}

/* A key of a later version is named, and still there when the preset is saved again. */
static void test_unknown(void)
{
    g_autofree char *keys = NULL, *keys_again = NULL;
    DimRecipe recipe, read;

    parse(&recipe,
          "{\"format\": \"gimp-dim-recipe\", \"version\": 1, \"tileable\": true, \"seed\": 3,"
          " \"mask\": {\"soft\": [1, 0.1]}}",
          &keys);
    g_assert_cmpstr(keys, ==, "tileable, mask");
    g_autofree char *json = dim_recipe_print(&recipe);
    g_assert_nonnull(strstr(json, "\"tileable\": true"));
    parse(&read, json, &keys_again);
    g_assert_cmpstr(keys_again, ==, keys);
    assert_same(&recipe, &read);
    dim_recipe_clear(&read);
    dim_recipe_clear(&recipe);
}

/* What decides about a picture is compared, whatever else is told apart from it. */
static void test_difference(void)
{
    DimRecipe a, b;

    fill(&a);
    dim_recipe_init(&b);
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "model");
    dim_recipe_clear(&b);
    dim_recipe_copy(&b, &a);
    g_assert_null(dim_recipe_difference(&a, &b));
    set(&b.name, "");
    set(&b.model, "/elsewhere/textures");
    set(&b.device, "cpu: AVX-512");
    g_assert_null(dim_recipe_difference(&a, &b));
    set(&a.unknown, "{\"noise\": 1, \"mask\": []}");
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "further keys");
    set(&b.unknown, "{\"mask\": [], \"noise\":1}");
    g_assert_null(dim_recipe_difference(&a, &b));
    set(&b.program, "gimp-dim 0.0.9");
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "program");
    set(&b.model_hash, "abd");
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "model_hash");
    b.seed--;
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "seed");
    b.guidance += 1e-15;
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "guidance");
    b.height++;
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "height");
    set(&b.model_hash, "");
    g_assert_cmpstr(dim_recipe_difference(&a, &b), ==, "model");
    dim_recipe_clear(&a);
    dim_recipe_clear(&b);
}

static void test_refused(gconstpointer json)
{
    g_autoptr(GError) error = NULL;
    DimRecipe recipe = {.steps = -77};
    char *keys = (char *)"untouched";

    g_assert_false(dim_recipe_parse(&recipe, json, -1, "somewhere.json", &keys, &error));
    g_assert_nonnull(error);
    g_assert_true(error->domain == DIM_ERROR);
    g_assert_nonnull(strstr(error->message, "somewhere.json"));
    g_assert_null(strchr(error->message, '\n'));
    g_assert_cmpint(recipe.steps, ==, -77);
    g_assert_cmpstr(keys, ==, "untouched");
}

static void test_files(void)
{
    g_autofree char *folder = g_dir_make_tmp("dim-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "preset.json", NULL);
    g_autofree char *nowhere = g_build_filename(folder, "not", "there.json", NULL);
    g_autoptr(GError) missing = NULL, unwritable = NULL, error = NULL;
    DimRecipe recipe, read;

    fill(&recipe);
    g_assert_true(dim_recipe_save(&recipe, file, &error));
    g_assert_true(dim_recipe_load(&read, file, NULL, &error));
    g_assert_no_error(error);
    assert_same(&recipe, &read);
    g_assert_false(dim_recipe_load(&read, nowhere, NULL, &missing));
    g_assert_error(missing, DIM_ERROR, DIM_ERROR_FILE);
    g_assert_false(dim_recipe_save(&recipe, nowhere, &unwritable));
    g_assert_error(unwritable, DIM_ERROR, DIM_ERROR_FILE);
    dim_recipe_clear(&read);
    dim_recipe_clear(&recipe);
    g_unlink(file);
    g_rmdir(folder);
}

static void test_options(void)
{
    g_autoptr(GError) error = NULL;
    DimRecipe recipe;
    DimOptions options;

    dim_recipe_init(&recipe);
    g_assert_true(dim_recipe_options(&recipe, &options, &error));
    g_assert_cmpint(options.n_threads, ==, 0);
    g_assert_cmpint(options.tile, ==, -1);
    g_assert_cmpstr(options.device, ==, "auto");
    g_assert_cmpint(options.precision, ==, DIM_PRECISION_AUTO);
    g_assert_cmpint(options.seamless, ==, -1);
    g_assert_cmpint(options.windows, ==, -1);
    g_assert_cmpfloat(options.guidance_low, ==, 0);
    g_assert_cmpfloat(options.guidance_high, ==, 1);
    g_assert_cmpint(options.rng, ==, DIM_RNG_PHILOX);
    set(&recipe.options, "  threads=3 tile=0\tprecision=f32  device=ref seamless=x seamless=y "
                         "guidance-interval=0.25,.5 windows=on rng=torch");
    g_assert_true(dim_recipe_options(&recipe, &options, &error));
    g_assert_no_error(error);
    g_assert_cmpint(options.n_threads, ==, 3);
    g_assert_cmpint(options.tile, ==, 0);
    g_assert_cmpstr(options.device, ==, "ref");
    g_assert_cmpint(options.precision, ==, DIM_PRECISION_F32);
    g_assert_cmpint(options.seamless, ==, DIM_SEAMLESS_Y); /* the last word counts */
    g_assert_cmpint(options.windows, ==, 1);
    g_assert_cmpfloat(options.guidance_low, ==, 0.25);
    g_assert_cmpfloat(options.guidance_high, ==, 0.5);
    g_assert_cmpint(options.rng, ==, DIM_RNG_TORCH);
    dim_recipe_clear(&recipe);
}

static void test_options_refused(void)
{
    static const char *const bad[] = {"threads",
                                      "threads=",
                                      "threads=-1",
                                      "threads=2x",
                                      "tread=2",
                                      "seamless=z",
                                      "windows=2",
                                      "device=abacus",
                                      "precision=f8",
                                      "tile=-1",
                                      "tile=99999999999",
                                      "=3",
                                      "rng=mt",
                                      "guidance-interval=0.5",
                                      "guidance-interval=0.5,",
                                      "guidance-interval=,1",
                                      "guidance-interval=1,0",
                                      "guidance-interval=0,2",
                                      "guidance-interval=nan,1",
                                      "guidance-interval=0,1x",
                                      "guidance-interval=-1,1"};
    DimRecipe recipe;
    DimOptions options = {.tile = -77};

    dim_recipe_init(&recipe);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        set(&recipe.options, bad[i]);
        g_assert_false(dim_recipe_options(&recipe, &options, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
        g_assert_true(g_str_has_prefix(error->message, "options"));
        g_assert_cmpint(options.tile, ==, -77);
    }
    dim_recipe_clear(&recipe);
}

#define HEAD "{\"format\": \"gimp-dim-recipe\", \"version\": 1, "

static const struct {
    const char *path, *json;
} refused[] = {
    {"empty", ""},
    {"list", "[]"},
    {"no-format", "{\"version\": 1}"},
    {"model", "{\"format\": \"gimp-dim-model\", \"version\": 1}"},
    {"no-version", "{\"format\": \"gimp-dim-recipe\"}"},
    {"version-text", "{\"format\": \"gimp-dim-recipe\", \"version\": \"1\"}"},
    {"newer", "{\"format\": \"gimp-dim-recipe\", \"version\": 2}"},
    {"twice", HEAD "\"seed\": 1, \"seed\": 2}"},
    {"seed-too-large", HEAD "\"seed\": 9007199254740992}"},
    {"seed-fraction", HEAD "\"seed\": 1.5}"},
    {"seed-huge", HEAD "\"seed\": 99999999999999999999999}"},
    {"width-negative", HEAD "\"width\": -3}"},
    {"width-overflow", HEAD "\"width\": 4294967296}"},
    {"steps-text", HEAD "\"steps\": \"20\"}"},
    {"guidance-infinite", HEAD "\"guidance\": 1e999}"},
    {"class-number", HEAD "\"class\": 3}"},
    {"sampler-null", HEAD "\"sampler\": null}"},
    {"cut", HEAD "\"class\": \"gra"},
    {"behind", HEAD "\"seed\": 1} x"},
    {"bad-utf8", HEAD "\"class\": \"\xff\"}"},
    {"nul", HEAD "\"class\": \"a\\u0000b\"}"},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recipe/round-trip", test_round_trip);
    g_test_add_func("/recipe/partial", test_partial);
    g_test_add_func("/recipe/unknown", test_unknown);
    g_test_add_func("/recipe/difference", test_difference);
    g_test_add_func("/recipe/files", test_files);
    g_test_add_func("/recipe/options", test_options);
    g_test_add_func("/recipe/options-refused", test_options_refused);
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strconcat("/recipe/refused/", refused[i].path, NULL);
        g_test_add_data_func(path, refused[i].json, test_refused);
    }
    return g_test_run();
}
