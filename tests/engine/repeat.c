/* Evaluations that the device keeps and runs again (dk_repeat): the same bits as operations that
 * are enqueued one by one, which the profile asks for. On the device that the command line names.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "engine/model.h"
#include "engine/pass.h"
#include "sample-runs.h"

static const char *device_name;

typedef struct {
    Runs runs;
    DimNetClass counted; /* the family's, with a forward that counts */
} Fixture;

static const DimNetClass *family;
static int n_forwards;

static void count_forward(DkDevice *dk, DimNet *net, const DimNetPlan *plan, DkTensor output,
                          DkTensor x, const DimNetProgress *progress)
{
    n_forwards++;
    family->forward(dk, net, plan, output, x, progress);
}

static void open_model(Fixture *f, const char *path)
{
    g_autofree char *folder = g_test_build_filename(G_TEST_DIST, "../golden", path, NULL);
    g_autoptr(GError) error = NULL;

    f->runs.device = dim_device_open(device_name, 1, &error);
    g_assert_no_error(error);
    f->runs.model =
        dim_model_open(f->runs.device, folder, DIM_PARTS_BACKBONE, DIM_PRECISION_F32, NULL, &error);
    g_assert_no_error(error);
    family = f->runs.model->spec->net;
    f->counted = *family;
    f->counted.forward = count_forward;
    f->runs.model->spec->net = &f->counted;
}

static void close_model(Fixture *f)
{
    f->runs.model->spec->net = family;
    dim_model_close(&f->runs.model);
    dim_device_close(&f->runs.device);
}

static DimArray run(const Fixture *f, const DimParams *params)
{
    n_forwards = 0;
    return runs_latent(&f->runs, params);
}

/* A card is called for each pass twice: as it comes, then captured. */
static void check_run(const Fixture *f, const DimParams *params, int n_passes)
{
    const gboolean keeps = !strcmp(device_name, "cuda");

    dim_device_profile(f->runs.device, TRUE);
    DimArray plain = run(f, params);
    dim_device_profile(f->runs.device, FALSE);
    const int n_evaluations = n_forwards;
    DimArray kept = run(f, params);
    g_assert_true(runs_same_bits(&plain, &kept));
    g_assert_cmpint(n_evaluations, >, 2 * n_passes);
    g_assert_cmpint(n_forwards, ==, keeps ? 2 * n_passes : n_evaluations);
    dim_array_clear(&plain);
    dim_array_clear(&kept);
}

static DimParams params_of(const Fixture *f, const char *sampler, int steps)
{
    DimParams params;

    dim_params_init(&params, dim_model_info(f->runs.model));
    params.sampler = sampler;
    params.steps = steps;
    params.width = params.height = 16;
    return params;
}

/* Classes, guidance, size and sampler change from run to run of one model. */
static void test_family(gconstpointer path)
{
    Fixture f;

    open_model(&f, path);
    DimParams params = params_of(&f, "ddpm", 3);
    params.guidance = 1;
    check_run(&f, &params, 1);
    params = params_of(&f, "heun", 2);
    params.label = 1;
    params.guidance = 3;
    params.width = 24;
    check_run(&f, &params, 1);
    close_model(&f);
}

/* Guided steps among others; the pass of upsample guidance; rolls, another one each evaluation. */
static void test_passes(void)
{
    Fixture f;

    open_model(&f, "dim/sample-upsample2x");
    DimParams params = params_of(&f, "dpm-solver++-2m", 6);
    params.width = params.height = 32;
    params.guidance = 2;
    check_run(&f, &params, 2);
    params.guidance_low = 0.3;
    params.guidance_high = 0.7;
    params.steps = 8;
    params.width = params.height = 16;
    check_run(&f, &params, 2);
    params.guidance_low = 0;
    params.guidance_high = 1;
    params.steps = 3;
    params.seamless = DIM_SEAMLESS_BOTH;
    check_run(&f, &params, 1);
    close_model(&f);
}

/* Cancelled when the evaluation has been enqueued, when it was captured, and when it was run again;
 * each time all memory is given back, and a run after it is whole. */
static void test_cancel(void)
{
    Fixture f;

    open_model(&f, "dim/sample-v-2m");
    DimParams params = params_of(&f, "dpm-solver++-2m", 4);
    DimArray whole = run(&f, &params);
    const gint64 before = dim_device_bytes(f.runs.device, NULL);
    for (int stop = 0; stop < params.steps; stop++) {
        g_autoptr(GError) error = NULL;
        DimSampler *sampler = dim_sampler_new(f.runs.model, &params, NULL);
        while (dim_sampler_at(sampler) < stop)
            g_assert_true(dim_sampler_step(sampler, NULL));
        dim_sampler_cancel(sampler);
        g_assert_false(dim_sampler_step(sampler, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
        dim_sampler_free(&sampler);
        g_assert_cmpint(dim_device_bytes(f.runs.device, NULL), ==, before);
        DimArray again = run(&f, &params);
        g_assert_true(runs_same_bits(&whole, &again));
        dim_array_clear(&again);
    }
    dim_array_clear(&whole);
    close_model(&f);
}

/* One pass at other guidances and another tensor than what it kept. */
static void test_pass(void)
{
    enum { N = 3 * 16 * 16, N_RUNS = 7 };
    static const double guidances[N_RUNS] = {1.5, 1.5, 1.5, 4, 4, 4, 4};
    const gint64 sizes[] = {1, 3, 16, 16};
    float numbers[N], plain[N], kept[N];
    DimArena arena;
    DimPass pass = {0};
    DkTensor x[2] = {0};
    Fixture f;

    open_model(&f, "dim/sample-v-2m");
    dim_arena_dry(&arena);
    for (int dry = 1; dry >= 0; dry--) {
        for (int i = 0; i < 2; i++)
            x[i] = dim_arena_take(&arena, DK_F32, 4, sizes);
        g_assert_true(dim_pass_plan(&pass, &arena, f.runs.model->spec,
                                    dry ? NULL : f.runs.model->net, 2, 16, 16, 0, 0, NULL));
        if (dry) {
            dim_pass_clear(&pass);
            g_assert_true(dim_arena_commit(&arena, f.runs.model->dk, NULL));
        }
    }
    for (int run = 0; run < N_RUNS; run++) {
        const DimPrompt prompt = {{3, 10}, guidances[run]};
        const DkTensor at = x[run == N_RUNS - 1];
        float *results[] = {kept, plain};
        for (int i = 0; i < N; i++)
            numbers[i] = (float)((i * 37 + 11 * run) % 64) / 32 - 1;
        dk_write(f.runs.model->dk, at, numbers);
        for (int i = 0; i < 2; i++) {
            dim_device_profile(f.runs.device, i == 1);
            dk_read(f.runs.model->dk, results[i],
                    dim_pass_run(&pass, f.runs.model->net, at, 100 * run + 1, &prompt, NULL));
        }
        g_assert_cmpmem(kept, sizeof kept, plain, sizeof plain);
    }
    g_assert_cmpint(dk_sync(f.runs.model->dk), ==, DK_OK);
    dim_pass_clear(&pass);
    dim_arena_clear(&arena);
    close_model(&f);
}

/* Raw evaluations of one shape: other numbers, times and labels each. */
static void test_forward(void)
{
    const gint64 sizes[] = {2, 4, 16, 16}, y[] = {3, 1};
    DimArray x = {0}, plain = {0}, kept = {0};
    Fixture f;

    open_model(&f, "dit/sample-ddim");
    g_assert_true(dim_array_alloc(&x, 4, sizes, NULL));
    for (int k = 0; k < 4; k++) {
        const float t[] = {100.0f * (float)k, 900 - 200.0f * (float)k};
        for (gint64 i = 0; i < dim_array_count(&x); i++)
            x.data[i] = (float)((i * 37 + 11 * k) % 64) / 32 - 1;
        dim_device_profile(f.runs.device, TRUE);
        g_assert_true(dim_model_forward(f.runs.model, &x, t, y, &plain, NULL, NULL));
        dim_device_profile(f.runs.device, FALSE);
        g_assert_true(dim_model_forward(f.runs.model, &x, t, y, &kept, NULL, NULL));
        g_assert_true(runs_same_bits(&plain, &kept));
        dim_array_clear(&plain);
        dim_array_clear(&kept);
    }
    dim_array_clear(&x);
    close_model(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(argc, ==, 2);
    device_name = argv[1];
    g_test_add_data_func("/repeat/dim", "dim/sample-v-2m", test_family);
    g_test_add_data_func("/repeat/dit", "dit/sample-ddim", test_family);
    g_test_add_data_func("/repeat/diffussm", "diffussm/sample-ddim", test_family);
    g_test_add_func("/repeat/passes", test_passes);
    g_test_add_func("/repeat/cancel", test_cancel);
    g_test_add_func("/repeat/pass", test_pass);
    g_test_add_func("/repeat/forward", test_forward);
    return g_test_run();
}
