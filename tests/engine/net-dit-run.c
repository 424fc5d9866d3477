/* Family dit, computing with random weights: plans, batches, threads, positions, guidance, and the
 * plain C reference.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/json.h"
#include "engine/net-dit.h"
#include "engine/pass.h"

#include "net-run.h"

#define SMALL                                                                                      \
    "{\"hidden_size\": 48, \"depth\": 3, \"num_heads\": 4, \"num_classes\": 5, \"input_size\": 8}"

/* A random model and what was loaded from it. */
typedef struct {
    char *folder;
    DimDitConfig *config;
    DkDevice *dk;
    DimNet *net;
} Fixture;

/* ---- random weights -------------------------------------------------------------------------- */

typedef struct {
    GPtrArray *names;
    GArray *arrays;
} Weights;

/* So large that every tensor matters, and by their names alone the same in every file; the
 * positions are none that the formula gives. */
static gboolean add_random(const DimNetEntry *e, void *data, GError **error)
{
    Weights *weights = data;
    DimArray array = {0};
    GRand *random = g_rand_new_with_seed(g_str_hash(e->name));

    g_assert_true(dim_array_alloc(&array, e->rank, e->sizes, NULL));
    const gint64 count = dim_array_count(&array);
    const double spread =
        e->use == DIM_DIT_LINEAR ? sqrt(3.0 * (double)e->sizes[0] / (double)count) : 0.3;
    for (gint64 i = 0; i < count; i++)
        array.data[i] = (float)(spread * g_rand_double_range(random, -1, 1));
    g_rand_free(random);
    g_ptr_array_add(weights->names, g_strdup(e->name));
    g_array_append_val(weights->arrays, array);
    return TRUE;
}

static void clear_array(gpointer array)
{
    dim_array_clear(array);
}

static void write_weights(const char *path, const DimDitConfig *config, gboolean has_positions)
{
    Weights weights = {g_ptr_array_new_with_free_func(g_free),
                       g_array_new(FALSE, FALSE, sizeof(DimArray))};
    DimDitNet names_only = {.has_positions = has_positions};

    g_array_set_clear_func(weights.arrays, clear_array);
    g_assert_true(dim_dit_walk(config, &names_only, add_random, &weights, NULL));
    g_assert_true(dim_tensors_save(path, (int)weights.names->len,
                                   (const char *const *)weights.names->pdata,
                                   (const DimArray *)(void *)weights.arrays->data, NULL));
    g_array_unref(weights.arrays);
    g_ptr_array_unref(weights.names);
}

static DimNet *load(const Fixture *f, const DimNetProgress *progress, GError **error)
{
    g_autofree char *path = g_build_filename(f->folder, "weights.safetensors", NULL);
    DimWeights *weights = dim_weights_open(path, NULL);

    g_assert_nonnull(weights);
    DimNet *net = dim_net_dit.load(f->dk, f->config, weights, progress, error);
    dim_weights_close(&weights);
    return net;
}

static void set_up(Fixture *f, const char *config, gboolean has_positions, DkBackend backend,
                   int n_threads)
{
    json_t *json = dim_json_parse(config, strlen(config), "test", NULL);

    f->folder = g_dir_make_tmp("dim-test-XXXXXX", NULL);
    f->config = dim_net_dit.parse(json, "test", NULL);
    g_assert_nonnull(f->config);
    json_decref(json);
    g_autofree char *path = g_build_filename(f->folder, "weights.safetensors", NULL);
    write_weights(path, f->config, has_positions);
    f->dk = dk_device_open(backend, n_threads, DK_ISA_ALL);
    g_assert_nonnull(f->dk);
    f->net = load(f, NULL, NULL);
    g_assert_nonnull(f->net);
}

static void tear_down(Fixture *f)
{
    g_autofree char *path = g_build_filename(f->folder, "weights.safetensors", NULL);

    dim_net_dit.free(f->dk, f->net);
    dk_device_close(&f->dk);
    g_unlink(path);
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->config);
}

static NetRun run_of(const Fixture *f)
{
    return (NetRun){&dim_net_dit, f->config, f->dk, f->net};
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* The second evaluation of a size takes no memory, and gives the same. */
static void test_again(void)
{
    const gint64 n = 4 * 8 * 8, y = 2;
    const double t = 500;
    float first[8 * 8 * 8], second[8 * 8 * 8];
    g_autofree float *x = net_picture(n, 1);
    NetEvaluation e;
    Fixture f;

    set_up(&f, SMALL, TRUE, DK_BACKEND_CPU, 2);
    net_begin(&e, run_of(&f), 1, 8, 8, 0);
    net_evaluate(&e, x, &t, &y, first);
    const size_t bytes = dk_device_bytes(f.dk), peak = dk_device_peak_bytes(f.dk);
    net_evaluate(&e, x, &t, &y, second);
    g_assert_cmpuint(dk_device_bytes(f.dk), ==, bytes);
    g_assert_cmpuint(dk_device_peak_bytes(f.dk), ==, peak);
    g_assert_cmpmem(first, sizeof first, second, sizeof second);
    net_end(&e);
    tear_down(&f);
}

static const int sizes[][2] = {{2, 2}, {8, 8}, {6, 14}, {48, 32}};

static void test_batch(void)
{
    Fixture f;

    set_up(&f, SMALL, TRUE, DK_BACKEND_CPU, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const int h = sizes[i][0], w = sizes[i][1];
        const gsize n = (gsize)8 * h * w, bytes = n * sizeof(float);
        g_autofree float *both = net_output(run_of(&f), h, w, 0, 2, 0);
        g_autofree float *one = net_output(run_of(&f), h, w, 0, 1, 0),
                         *other = net_output(run_of(&f), h, w, 1, 1, 0);

        g_assert_cmpmem(both, bytes, one, bytes);
        g_assert_cmpmem(both + n, bytes, other, bytes);
        g_assert_cmpfloat(net_distance(both, both + n, (gint64)n), >, 0.01);
    }
    tear_down(&f);
}

static void test_threads(void)
{
    Fixture one, two;

    set_up(&one, SMALL, TRUE, DK_BACKEND_CPU, 1);
    set_up(&two, SMALL, TRUE, DK_BACKEND_CPU, 2);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const int h = sizes[i][0], w = sizes[i][1];
        const gsize bytes = (gsize)2 * 8 * h * w * sizeof(float);
        g_autofree float *a = net_output(run_of(&one), h, w, 0, 2, 0),
                         *b = net_output(run_of(&two), h, w, 0, 2, 0);
        g_assert_cmpmem(a, bytes, b, bytes);
    }
    tear_down(&two);
    tear_down(&one);
}

/* Every key of the configuration, the shipped back end against plain C. */
static void test_keys(void)
{
    static const char *const configs[] = {
        "{\"hidden_size\": 48, \"depth\": 2, \"num_heads\": 3, \"num_classes\": 3}",
        "{\"hidden_size\": 36, \"depth\": 2, \"num_heads\": 9, \"num_classes\": 3, "
        "\"learn_sigma\": false, \"mlp_ratio\": 2.55}",
        "{\"hidden_size\": 48, \"depth\": 2, \"num_heads\": 1, \"num_classes\": 3, "
        "\"patch_size\": 1, \"in_channels\": 3, \"class_dropout_prob\": 0}",
        "{\"hidden_size\": 144, \"depth\": 2, \"num_heads\": 2, \"num_classes\": 3, "
        "\"patch_size\": 8, \"in_channels\": 1, \"mlp_ratio\": 0.5}",
        "{\"hidden_size\": 520, \"depth\": 1, \"num_heads\": 2, \"num_classes\": 3, "
        "\"patch_size\": 4, \"input_size\": 16}",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(configs); i++) {
        Fixture cpu, ref;

        set_up(&cpu, configs[i], i % 2, DK_BACKEND_CPU, 2);
        set_up(&ref, configs[i], i % 2, DK_BACKEND_REF, 1);
        const gint64 n = (gint64)2 * ref.config->out_channels * 16 * 24;
        g_autofree float *a = net_output(run_of(&cpu), 16, 24, 0, 2, 0),
                         *b = net_output(run_of(&ref), 16, 24, 0, 2, 0);
        g_assert_cmpfloat(net_distance(a, b, n), <, 1e-5);
        tear_down(&ref);
        tear_down(&cpu);
    }
}

/* The table of the file counts on its own grid only; elsewhere, and without one, the formula. */
static void test_positions(void)
{
    Fixture with, without;

    set_up(&with, SMALL, TRUE, DK_BACKEND_CPU, 1);
    set_up(&without, SMALL, FALSE, DK_BACKEND_CPU, 1);
    g_autofree float *table = net_output(run_of(&with), 8, 8, 0, 1, 0),
                     *wide = net_output(run_of(&with), 8, 10, 0, 1, 0);
    g_autofree float *formula = net_output(run_of(&without), 8, 8, 0, 1, 0);
    g_autofree float *wide_formula = net_output(run_of(&without), 8, 10, 0, 1, 0);

    g_assert_cmpfloat(net_distance(table, formula, 8 * 8 * 8), >, 1e-3);
    g_assert_cmpfloat(net_distance(wide, wide_formula, 8 * 8 * 10), ==, 0);
    tear_down(&without);
    tear_down(&with);
}

/* ---- guidance -------------------------------------------------------------------------------- */

/* w = 3 at step 501, which is the time 500 of the network; all channels of the result. */
static void run_guided(const Fixture *f, const float *x, float *prediction, float *values)
{
    const DimModelSpec spec = {.net = &dim_net_dit, .net_config = f->config};
    const DimPrompt prompt = {.labels = {2, 5}, .guidance = 3};
    const gint64 in[] = {1, 4, 8, 8};
    DimArena arena;
    DimPass pass;
    DkTensor input = {0};

    for (int dry = 1; dry >= 0; dry--) {
        if (dry)
            dim_arena_dry(&arena);
        else
            g_assert_true(dim_arena_commit(&arena, f->dk, NULL));
        input = dim_arena_take(&arena, DK_F32, 4, in);
        g_assert_true(
            dim_pass_plan(&pass, &arena, &spec, dry ? NULL : f->net, 2, 8, 8, 0, 0, NULL));
        if (dry)
            dim_pass_clear(&pass);
    }
    dk_write(f->dk, input, x);
    const DkTensor p = dim_pass_run(&pass, f->net, input, 501, &prompt, NULL);
    g_assert_cmpint(p.sizes[1], ==, 4);
    dk_read(f->dk, prediction, p);
    dk_read(f->dk, values, dk_tensor_slice(pass.output, 0, 1));
    g_assert_cmpint(dk_sync(f->dk), ==, DK_OK);
    dim_pass_clear(&pass);
    dim_arena_clear(&arena);
}

/* The first channels are guided; the others, and the variance values, are those with the class. */
static void check_guidance(const char *config, int guided_channels)
{
    enum { PLANE = 8 * 8 };
    const double t[] = {500, 500};
    const gint64 y[] = {2, 5};
    float both[2 * 8 * PLANE], prediction[4 * PLANE], values[8 * PLANE];
    g_autofree float *x = net_picture(2 * 4 * PLANE, 9);
    NetEvaluation e;
    Fixture f;

    memcpy(x + 4 * PLANE, x, 4 * PLANE * sizeof *x);
    set_up(&f, config, TRUE, DK_BACKEND_CPU, 1);
    net_begin(&e, run_of(&f), 2, 8, 8, 0);
    net_evaluate(&e, x, t, y, both);
    net_end(&e);
    run_guided(&f, x, prediction, values);
    const float *with = both, *without = both + 8 * PLANE;
    for (int i = 0; i < 8 * PLANE; i++) {
        const double expected =
            i < guided_channels * PLANE ? without[i] + 3 * ((double)with[i] - without[i]) : with[i];
        g_assert_cmpfloat(fabs(values[i] - expected), <, 1e-5);
    }
    g_assert_cmpmem(prediction, sizeof prediction, values, sizeof prediction);
    g_assert_cmpfloat(net_distance(with, without, 8 * PLANE), >, 1e-3);
    tear_down(&f);
}

static void test_guidance(void)
{
    check_guidance(SMALL, 4);
    check_guidance("{\"hidden_size\": 48, \"depth\": 3, \"num_heads\": 4, \"num_classes\": 5, "
                   "\"input_size\": 8, \"guidance_channels\": 3}",
                   3);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void test_refused_grids(void)
{
    static const int grids[][2] = {{7, 8}, {8, 9}, {0, 8}, {8, -2}};
    Fixture f;

    set_up(&f, SMALL, TRUE, DK_BACKEND_CPU, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(grids); i++) {
        g_autoptr(GError) error = NULL;
        DimArena arena;
        dim_arena_dry(&arena);
        g_assert_null(
            dim_net_dit.plan(&arena, f.config, NULL, 1, grids[i][0], grids[i][1], 0, 0, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    }
    tear_down(&f);
}

/* A load that is cancelled frees what it had. */
static void test_cancel_load(void)
{
    g_autoptr(GError) error = NULL;
    DimTask task = {0};
    const DimNetProgress progress = {&task, 0, 1};
    Fixture f;

    set_up(&f, SMALL, TRUE, DK_BACKEND_CPU, 1);
    const size_t before = dk_device_bytes(f.dk);
    dim_task_cancel(&task);
    g_assert_null(load(&f, &progress, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
    g_assert_cmpuint(dk_device_bytes(f.dk), ==, before);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-dit/again", test_again);
    g_test_add_func("/net-dit/batch", test_batch);
    g_test_add_func("/net-dit/threads", test_threads);
    g_test_add_func("/net-dit/keys", test_keys);
    g_test_add_func("/net-dit/positions", test_positions);
    g_test_add_func("/net-dit/guidance", test_guidance);
    g_test_add_func("/net-dit/refused-grids", test_refused_grids);
    g_test_add_func("/net-dit/cancel-load", test_cancel_load);
    return g_test_run();
}
