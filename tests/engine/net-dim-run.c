/* Family dim, computing with random weights: plans, batches, threads, cancel, and the plain C
 * reference.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "engine/json.h"
#include "engine/net-dim.h"
#include "engine/model.h"
#include "net-run.h"
#include "random-model.h"

#define SMALL "{\"hidden_size\": 48, \"depth\": 7, \"num_classes\": 5, \"d_state\": 8}"

/* A random model and what was loaded from it. */
typedef struct {
    char *folder;
    DimMambaConfig *config;
    DkDevice *dk;
    DimNet *net;
} Fixture;

static DimNet *load(DkDevice *dk, const char *folder, const DimMambaConfig *config)
{
    g_autofree char *path = g_build_filename(folder, "weights.safetensors", NULL);
    DimWeights *weights = dim_weights_open(path, NULL);

    g_assert_nonnull(weights);
    DimNet *net = dim_net_dim.load(dk, config, weights, NULL, NULL);
    dim_weights_close(&weights);
    g_assert_nonnull(net);
    return net;
}

static void set_up(Fixture *f, const char *config, int table_side, DkBackend backend, int n_threads)
{
    g_autoptr(GError) error = NULL;
    json_t *json = dim_json_parse(config, strlen(config), "test", NULL);

    f->folder = g_dir_make_tmp("dim-test-XXXXXX", NULL);
    g_assert_true(random_model_write(f->folder, config, table_side, 7, &error));
    f->config = dim_net_dim.parse(json, "test", NULL);
    f->dk = dk_device_open(backend, n_threads, DK_ISA_ALL);
    g_assert_nonnull(f->dk);
    f->net = load(f->dk, f->folder, f->config);
    json_decref(json);
}

static void tear_down(Fixture *f)
{
    static const char *const files[] = {"weights.safetensors", "model.json"};

    dim_net_dim.free(f->dk, f->net);
    dk_device_close(&f->dk);
    for (int i = 0; i < 2; i++) {
        g_autofree char *path = g_build_filename(f->folder, files[i], NULL);
        g_unlink(path);
    }
    g_rmdir(f->folder);
    g_free(f->folder);
    g_free(f->config);
}

static NetRun run_of(const Fixture *f)
{
    return (NetRun){&dim_net_dim, f->config, f->dk, f->net};
}

static void test_arena(void)
{
    static const struct {
        int batch, h, w, base;
    } cases[] = {{1, 2, 2, 0},  {1, 8, 8, 0},   {2, 8, 8, 0},
                 {1, 6, 22, 0}, {2, 16, 4, 16}, {3, 12, 12, 24}};
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        NetEvaluation e;
        net_begin(&e, run_of(&f), cases[i].batch, cases[i].h, cases[i].w, cases[i].base);
        net_end(&e);
    }
    tear_down(&f);
}

/* The second evaluation of a size takes no memory, and gives the same. */
static void test_again(void)
{
    const gint64 n = 4 * 8 * 8, y = 2;
    const double t = 500;
    float first[4 * 8 * 8], second[4 * 8 * 8];
    g_autofree float *x = net_picture(n, 1);
    NetEvaluation e;
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 2);
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

static void test_batch(void)
{
    static const int sizes[][2] = {{8, 8}, {6, 14}, {32, 32}};
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const int h = sizes[i][0], w = sizes[i][1];
        const gsize n = (gsize)4 * h * w, bytes = n * sizeof(float);
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
    static const int sizes[][2] = {{8, 8}, {6, 14}, {32, 32}};
    Fixture one, two;

    set_up(&one, SMALL, 4, DK_BACKEND_CPU, 1);
    set_up(&two, SMALL, 4, DK_BACKEND_CPU, 2);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const int h = sizes[i][0], w = sizes[i][1];
        const gsize bytes = (gsize)2 * 4 * h * w * sizeof(float);
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
        "{\"hidden_size\": 40, \"depth\": 6, \"num_classes\": 3, \"encoder_start\": 2, "
        "\"pad_schedule\": \"rho_pad\"}",
        "{\"hidden_size\": 24, \"depth\": 5, \"num_classes\": 3, \"pad_schedule\": \"none\", "
        "\"final_conv\": true}",
        "{\"hidden_size\": 24, \"depth\": 5, \"num_classes\": 3, \"split_tokens\": false, "
        "\"depthwise_conv\": false}",
        "{\"hidden_size\": 33, \"depth\": 5, \"num_classes\": 3, \"expand\": 1.5, "
        "\"scan_directions\": 2, \"dt_rank\": 5}",
        "{\"hidden_size\": 24, \"depth\": 7, \"num_classes\": 0, \"skip_tune\": [-200, 1.5], "
        "\"pos_embed_size\": [6, 3]}",
        "{\"hidden_size\": 24, \"depth\": 5, \"num_classes\": 3, \"skip_connections\": false, "
        "\"d_conv\": 4, \"d_state\": 5}",
        "{\"hidden_size\": 24, \"depth\": 3, \"num_classes\": 3, \"patch_size\": 1, "
        "\"in_channels\": 3, \"out_channels\": 5}",
        "{\"hidden_size\": 24, \"depth\": 4, \"num_classes\": 3, \"encoder_start\": 0, "
        "\"patch_size\": 4, \"pad_token_len\": 2}",
        "{\"hidden_size\": 520, \"depth\": 3, \"num_classes\": 3, \"expand\": 1, \"norm_eps\": "
        "0.1}",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(configs); i++) {
        Fixture cpu, ref;

        set_up(&cpu, configs[i], 4, DK_BACKEND_CPU, 2);
        set_up(&ref, configs[i], 4, DK_BACKEND_REF, 1);
        const gint64 n = (gint64)2 * ref.config->out_channels * 8 * 12;
        g_autofree float *a = net_output(run_of(&cpu), 8, 12, 0, 2, 0),
                         *b = net_output(run_of(&ref), 8, 12, 0, 2, 0);
        g_assert_cmpfloat(net_distance(a, b, n), <, 1e-5);
        tear_down(&ref);
        tear_down(&cpu);
    }
}

/* Resized to its own grid the position table is what it was; through a larger one it is smoothed.
 */
static void test_base(void)
{
    const gint64 n = 4 * 8 * 8;
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 1);
    g_autofree float *plain = net_output(run_of(&f), 8, 8, 0, 1, 0),
                     *same = net_output(run_of(&f), 8, 8, 0, 1, 8);
    g_autofree float *twice = net_output(run_of(&f), 8, 8, 0, 1, 16),
                     *thrice = net_output(run_of(&f), 8, 8, 0, 1, 24);
    g_assert_cmpfloat(net_distance(same, plain, n), ==, 0);
    g_assert_cmpfloat(net_distance(twice, plain, n), >, 1e-3);
    g_assert_cmpfloat(net_distance(thrice, plain, n), <, 1e-5);
    tear_down(&f);
}

/* No label: that of no class. */
static void test_no_label(void)
{
    const gint64 n = 4 * 8 * 8, none = 5, some = 4;
    const double t = 500;
    float a[4 * 8 * 8], b[4 * 8 * 8], c[4 * 8 * 8];
    g_autofree float *x = net_picture(n, 1);
    NetEvaluation e;
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 1);
    net_begin(&e, run_of(&f), 1, 8, 8, 0);
    net_evaluate(&e, x, &t, NULL, a);
    net_evaluate(&e, x, &t, &none, b);
    net_evaluate(&e, x, &t, &some, c);
    g_assert_cmpmem(a, sizeof a, b, sizeof b);
    g_assert_cmpfloat(net_distance(a, c, n), >, 1e-3);
    net_end(&e);
    tear_down(&f);
}

static void test_refused_grids(void)
{
    static const int sizes[][2] = {{7, 8}, {8, 3}, {0, 8}, {G_MAXINT - 1, G_MAXINT - 1}};
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        DimArena arena;
        dim_arena_dry(&arena);
        g_assert_null(
            dim_net_dim.plan(&arena, f.config, NULL, 1, sizes[i][0], sizes[i][1], 0, 0, &error));
        g_assert_nonnull(error);
    }
    tear_down(&f);
}

static gpointer cancel_later(gpointer task)
{
    g_usleep(150000);
    dim_task_cancel(task);
    return GSIZE_TO_POINTER((gsize)g_get_monotonic_time());
}

/* A model of some seconds, stopped in the middle: soon, with its progress between the ends, and
 * nothing left behind. */
static void test_cancel(void)
{
    static const char config[] = "{\"hidden_size\": 1024, \"depth\": 7, \"num_classes\": 5}";
    const gint64 side = 64, n = 4 * side * side, y = 1;
    g_autofree float *x = net_picture(n, 1);
    const double t = 500;
    DimTask task = {0};
    const DimNetProgress progress = {&task, 0, 1};
    NetEvaluation e;
    Fixture f;

    set_up(&f, config, 4, DK_BACKEND_CPU, 1);
    net_begin(&e, run_of(&f), 1, side, side, 0);
    dk_write(f.dk, e.x, x);
    dim_dk_follow(f.dk, &task);
    const gint64 started = g_get_monotonic_time();
    GThread *thread = g_thread_new("cancel", cancel_later, &task);
    dim_net_dim.ask(f.dk, e.plan, &t, &y);
    dim_net_dim.forward(f.dk, f.net, e.plan, e.output, e.x, &progress);
    const DkStatus status = dk_sync(f.dk);
    const gint64 stopped = g_get_monotonic_time(),
                 asked = (gint64)GPOINTER_TO_SIZE(g_thread_join(thread));
    dim_dk_follow(f.dk, NULL);

    g_assert_cmpint(status, ==, DK_CANCELLED);
    g_test_message("stopped %" G_GINT64_FORMAT " us after the cancel", stopped - asked);
    g_assert_cmpint(asked - started, >=, 150000);
    g_assert_cmpint(stopped - asked, <, 300000);
    net_end(&e);
    dim_net_dim.free(f.dk, f.net);
    const size_t scratch = dk_device_bytes(f.dk);
    f.net = load(f.dk, f.folder, f.config);
    dim_net_dim.free(f.dk, f.net);
    g_assert_cmpuint(dk_device_bytes(f.dk), ==, scratch);
    f.net = NULL;
    tear_down(&f);
}

/* A load that is cancelled half way frees what it had. */
static void test_cancel_load(void)
{
    g_autoptr(GError) error = NULL;
    DimTask task = {0};
    const DimNetProgress progress = {&task, 0, 1};
    Fixture f;

    set_up(&f, SMALL, 4, DK_BACKEND_CPU, 1);
    const size_t before = dk_device_bytes(f.dk);
    g_autofree char *path = g_build_filename(f.folder, "weights.safetensors", NULL);
    DimWeights *weights = dim_weights_open(path, NULL);
    dim_task_cancel(&task);
    g_assert_null(dim_net_dim.load(f.dk, f.config, weights, &progress, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
    g_assert_cmpuint(dk_device_bytes(f.dk), ==, before);
    dim_weights_close(&weights);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-dim/arena", test_arena);
    g_test_add_func("/net-dim/again", test_again);
    g_test_add_func("/net-dim/batch", test_batch);
    g_test_add_func("/net-dim/threads", test_threads);
    g_test_add_func("/net-dim/keys", test_keys);
    g_test_add_func("/net-dim/base", test_base);
    g_test_add_func("/net-dim/no-label", test_no_label);
    g_test_add_func("/net-dim/refused-grids", test_refused_grids);
    g_test_add_func("/net-dim/cancel", test_cancel);
    g_test_add_func("/net-dim/cancel-load", test_cancel_load);
    return g_test_run();
}
