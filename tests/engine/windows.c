/* Pictures in windows of the native size: where the windows lie, and what a run makes of them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "engine/windows.h"
#include "sample-runs.h"

enum { SEED = 5 };

static DimGrid grid_of(int width, int height, int wide, int high, DimSeamless seamless)
{
    return (DimGrid){.width = width,
                     .height = height,
                     .upsample = 1,
                     .window_width = wide,
                     .window_height = high,
                     .seamless = seamless};
}

/* ---- where they lie ---- */

/* Counts who takes each place of the grid, and where its numbers come from. */
static void check_rows(const DimGrid *grid, const DimWindows *windows)
{
    const int n = grid->width * grid->height, inner = grid->window_width * grid->window_height;
    g_autofree gint32 *from = g_new(gint32, inner), *back = g_new(gint32, n);
    g_autofree int *n_taken = g_new0(int, n);

    for (int i = 0; i < windows->n_down; i++)
        for (int j = 0; j < windows->n_right; j++) {
            dim_windows_rows(grid, &windows->down[i], &windows->right[j], from, back);
            for (int k = 0; k < inner; k++)
                g_assert_true(from[k] >= 0 && from[k] < n);
            for (int k = 0; k < n; k++)
                if (back[k] >= 0) {
                    n_taken[k]++;
                    g_assert_cmpint(from[back[k]], ==, k);
                }
        }
    for (int k = 0; k < n; k++)
        g_assert_cmpint(n_taken[k], ==, 1);
}

/* Of the last evaluation: no place lies nearer than `least` to a border that the picture lacks. */
static void check_depth(const DimWindow *windows, int n, int side, int window, int least)
{
    for (int i = 0; i < n; i++) {
        const int start = windows[i].start, end = start + window;
        g_assert_cmpint(windows[i].from, <, windows[i].to);
        g_assert_true(start == 0 || windows[i].from - start >= least);
        g_assert_true(end == side || end - windows[i].to >= least);
    }
}

static void test_lay(void)
{
    static const struct {
        int width, height, wide, high;
    } cases[] = {
        {32, 48, 16, 16}, {33, 17, 16, 16}, {16, 40, 16, 16}, {20, 9, 7, 3}, {5, 64, 1, 64}};

    for (gsize c = 0; c < G_N_ELEMENTS(cases); c++)
        for (int sides = DIM_SEAMLESS_OFF; sides <= DIM_SEAMLESS_BOTH; sides++)
            for (int k = 0; k < 12; k++) {
                const DimGrid grid = grid_of(cases[c].width, cases[c].height, cases[c].wide,
                                             cases[c].high, (DimSeamless)sides);
                DimWindows windows;
                g_assert_true(dim_windows_wanted(&grid));
                dim_windows_lay(&windows, &grid, SEED, k, k % 2);
                g_assert_cmpint(dim_windows_count(&grid, SEED, k, k % 2), ==,
                                windows.n_down * windows.n_right);
                check_rows(&grid, &windows);
                if (k % 2) {
                    check_depth(windows.right, windows.n_right, grid.width, grid.window_width,
                                grid.window_width / 4);
                    check_depth(windows.down, windows.n_down, grid.height, grid.window_height,
                                grid.window_height / 4);
                }
                dim_windows_clear(&windows);
            }
}

/* Away from the ends their borders are everywhere as often; on a torus, which is rolled, they
 * divide the side. */
static void test_phase(void)
{
    enum { N = 4000, SIDE = 40, WINDOW = 8 };
    DimGrid grid = grid_of(SIDE, WINDOW, WINDOW, WINDOW, DIM_SEAMLESS_OFF);
    int n_borders[SIDE] = {0};
    DimWindows windows;

    for (int k = 0; k < N; k++) {
        dim_windows_lay(&windows, &grid, SEED, k, FALSE);
        g_assert_cmpint(windows.n_down, ==, 1);
        g_assert_true(windows.n_right == SIDE / WINDOW || windows.n_right == SIDE / WINDOW + 1);
        for (int i = 1; i < windows.n_right; i++)
            n_borders[windows.right[i].from]++;
        dim_windows_clear(&windows);
    }
    for (int i = 2 * WINDOW; i < SIDE - 2 * WINDOW;
         i++) /* five standard deviations of a binomial number */
        g_assert_cmpint(ABS(n_borders[i] - N / WINDOW), <, 105);
    grid.seamless = DIM_SEAMLESS_X;
    dim_windows_lay(&windows, &grid, SEED, 0, FALSE);
    g_assert_cmpint(windows.n_right, ==, SIDE / WINDOW);
    dim_windows_clear(&windows);
}

/* ---- runs ---- */

/* What mixes no tokens does not know about windows: the bits are those of a run without, for every
 * sampler, the learned variance included, with upsample guidance and on the torus. */
static void test_pointwise(void)
{
    char *folder = runs_pointwise_model(", \"out_channels\": 6");
    Runs f;
    DimParams params;

    runs_open_folder(&f, folder, DIM_PARTS_BACKBONE, 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 4;
    params.seed = 11;
    params.height = 12;
    params.width = 24;
    for (const char *const *name = dim_sampler_names(); *name; name++)
        for (params.upsample = 1; params.upsample <= 2; params.upsample++) {
            params.sampler = *name;
            params.seamless = params.upsample == 2 ? DIM_SEAMLESS_BOTH : DIM_SEAMLESS_OFF;
            params.windows = FALSE;
            DimArray plain = runs_latent(&f, &params);
            params.windows = TRUE;
            DimArray z = runs_latent(&f, &params);
            g_assert_true(runs_same_bits(&plain, &z));
            dim_array_clear(&plain);
            dim_array_clear(&z);
        }
    runs_close(&f);
    runs_remove_model(folder);
}

/* What does sees them: other bits than in one piece, the same again with any number of threads,
 * guided within an interval as well; those of one piece where the picture is no larger. */
static void test_runs(void)
{
    Runs one, two;
    DimParams params;

    runs_open(&one, "../golden/dim/sample-v-2m", 1);
    runs_open(&two, "../golden/dim/sample-v-2m", 2);
    dim_params_init(&params, dim_model_info(one.model));
    params.steps = 5;
    params.guidance_low = 0.3;
    for (int times = 1; times <= 2; times++) {
        params.width *= times;
        params.height = params.width / 2 * 3;
        params.upsample = DIM_UPSAMPLE_OFF;
        params.windows = FALSE;
        if (times == 1)
            params.height = params.width;
        DimArray plain = runs_latent(&one, &params);
        params.windows = TRUE;
        DimArray z = runs_latent(&one, &params), again = runs_latent(&two, &params);
        g_assert_true(runs_same_bits(&z, &again));
        g_assert_cmpint(runs_same_bits(&z, &plain), ==, times == 1);
        dim_array_clear(&plain);
        dim_array_clear(&z);
        dim_array_clear(&again);
    }
    runs_close(&one);
    runs_close(&two);
}

/* The estimate is the run's: progress ends at the decoder's share, and never moves back. */
static void test_progress(void)
{
    Runs f;
    DimParams params;
    double before = 0;

    runs_open(&f, "../golden/dim/sample-v-2m", 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 4;
    params.width *= 2;
    params.windows = TRUE;
    params.seamless = DIM_SEAMLESS_X;
    DimSampler *sampler = dim_sampler_new(f.model, &params, NULL);
    while (!dim_sampler_done(sampler)) {
        g_assert_true(dim_sampler_step(sampler, NULL));
        g_assert_cmpfloat(dim_sampler_progress(sampler), >, before);
        before = dim_sampler_progress(sampler);
    }
    g_assert_cmpfloat(before, >, 0.5);
    g_assert_cmpfloat(before, <=, 1);
    g_assert_cmpint(dim_sampler_at(sampler), ==, 4);
    dim_sampler_free(&sampler);
    runs_close(&f);
}

/* Memory for the network does not grow with the picture: what a larger one takes more is the sample
 * and the picture themselves. */
static void test_memory(void)
{
    g_autofree char *folder =
        g_test_build_filename(G_TEST_DIST, "../golden/starter/model", NULL);
    DimModelInfo *info = dim_model_info_read(folder, NULL);
    DimEstimate whole, windows;
    DimParams params;

    dim_params_init(&params, info);
    params.width = params.height = 2048;
    params.upsample = DIM_UPSAMPLE_OFF;
    dim_estimate(info, &params, &whole);
    params.windows = TRUE;
    dim_estimate(info, &params, &windows);
    g_test_message("%.0f MB in one piece, %.0f MB in windows", whole.bytes * 1e-6,
                   windows.bytes * 1e-6);
    g_assert_cmpint(windows.bytes, <, whole.bytes / 2);
    g_assert_cmpint(windows.evaluations, >, 256 * whole.evaluations);
    dim_model_info_free(&info);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/windows/lay", test_lay);
    g_test_add_func("/windows/phase", test_phase);
    g_test_add_func("/windows/pointwise", test_pointwise);
    g_test_add_func("/windows/runs", test_runs);
    g_test_add_func("/windows/progress", test_progress);
    g_test_add_func("/windows/memory", test_memory);
    return g_test_run();
}
