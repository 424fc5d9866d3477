/* Family diffussm: the paper's sizes, and random weights by themselves, in batches, on any number
 * of threads and in plain C.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "engine/json.h"
#include "engine/model.h"
#include "engine/net-diffussm.h"
#include "engine/weights-made.h"
#include "engine/weights.h"

#include "net-run.h"

#define SMALL                                                                                      \
    "{\"hidden_size\": 24, \"depth\": 2, \"num_classes\": 5, \"d_state\": 10, \"patch_size\": 2,"  \
    " \"hourglass_ratio\": 3, \"in_channels\": 3}"
#define NO_NULL_LABEL                                                                              \
    "{\"hidden_size\": 20, \"depth\": 2, \"num_classes\": 4, \"d_state\": 6,"                      \
    " \"class_dropout_prob\": 0, \"learn_sigma\": false}"
#define POSITIONS                                                                                  \
    "{\"hidden_size\": 24, \"depth\": 1, \"num_classes\": 0, \"d_state\": 2,"                      \
    " \"pos_embed\": \"sincos\"}"

static DimSsmConfig *parse(const char *text, GError **error)
{
    json_t *json = dim_json_parse(text, strlen(text), "test", NULL);
    g_assert_nonnull(json);
    DimSsmConfig *config = dim_net_diffussm.parse(json, "test", error);
    json_decref(json);
    return config;
}

/* ---- without weights ------------------------------------------------------------------------- */

static gboolean add_up(const DimNetEntry *e, void *data, GError **error)
{
    *(gint64 *)data += dim_net_entry_count(e);
    return TRUE;
}

/* XL is said to have 673 M parameters; the formula is the sum of the shapes by hand. 276.0 G are
 * the linear layers at 256 pixels, 8 S L D a block the scans. */
static void test_sizes(void)
{
    static const struct {
        const char *config;
        double n, d, m, s, k, p2, c, co;
    } models[] = {
        {"{}", 29, 1152, 2, 64, 1001, 1, 4, 8},
        {"{\"num_classes\": 0}", 29, 1152, 2, 64, 0, 1, 4, 8},
        {"{\"hidden_size\": 768, \"class_dropout_prob\": 0, \"patch_size\": 2}", 29, 768, 2, 64,
         1000, 4, 4, 8},
        {"{\"hidden_size\": 384, \"hourglass_ratio\": 4, \"d_state\": 16, \"learn_sigma\": false}",
         29, 384, 4, 16, 1001, 1, 4, 4},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree DimSsmConfig *c = parse(models[i].config, NULL);
        const double d = models[i].d, m = models[i].m, s = models[i].s, p2 = models[i].p2;
        const double block = (13 + 2 * m) * d * d + (10 + m) * d + 2 * (2 + 3 * s) * d;
        const double rest = 256 * d + d * d + 2 * d + models[i].k * d +
                            (m * models[i].c * p2 + 1) * d + 2 * d * d + 2 * d +
                            (d + 1) * m * p2 * models[i].co;
        DimSsmNet names_only = {0};
        gint64 sum = 0;

        g_assert_nonnull(c);
        g_assert_true(dim_ssm_walk(c, &names_only, add_up, &sum, NULL));
        g_assert_cmpfloat((double)sum, ==, models[i].n * block + rest);
        if (i == 0) {
            const double scans = 29.0 * 12 * 1024 * 1152 * 32;
            g_assert_cmpfloat(fabs((double)sum * 1e-6 - 673.09), <, 0.005);
            g_assert_cmpfloat(
                fabs((dim_net_diffussm.flop(c, 1, 32, 32) / 2 - scans) * 1e-9 - 276.0), <, 0.05);
        }
    }
}

static void test_refused_configs(void)
{
    static const char *const cases[][2] = {
        {"{\"d_state\": 7}", "d_state"},
        {"{\"hidden_size\": 10, \"hourglass_ratio\": 3}", "hourglass_ratio"},
        {"{\"hidden_size\": 10, \"pos_embed\": \"sincos\"}", "hidden_size"},
        {"{\"pos_embed\": \"learned\"}", "pos_embed"},
        {"{\"depth\": 0}", "depth"},
        {"{\"num_heads\": 2}", "num_heads"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(parse(cases[i][0], &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
        g_assert_nonnull(strstr(error->message, cases[i][1]));
    }
}

/* ---- with random weights --------------------------------------------------------------------- */

/* Tensors whose names match the expression `spoil` are full of `spoilt`; NULL: none are. */
static DimNet *load(DkDevice *dk, const DimSsmConfig *config, const char *spoil, float spoilt,
                    GError **error)
{
    DimWeights *weights = dim_weights_list_net(&dim_net_diffussm, config, 0, NULL);

    g_assert_true(dim_weights_fill(weights, 5, NULL));
    for (int i = 0; i < weights->n_entries; i++) {
        float *values = (float *)(void *)weights->entries[i].data;
        if (spoil && g_regex_match_simple(spoil, weights->entries[i].tensor.name, 0, 0))
            for (gint64 k = 0; k < weights->entries[i].tensor.count; k++)
                values[k] = spoilt;
    }
    DimNet *net = dim_net_diffussm.load(dk, config, weights, NULL, error);
    dim_weights_close(&weights);
    return net;
}

typedef struct {
    DimSsmConfig *config;
    DkDevice *dk;
    DimNet *net;
} Fixture;

static void set_up(Fixture *f, const char *config, DkBackend backend, int n_threads)
{
    f->config = parse(config, NULL);
    f->dk = dk_device_open(backend, n_threads, DK_ISA_ALL);
    g_assert_nonnull(f->dk);
    f->net = load(f->dk, f->config, NULL, 0, NULL);
    g_assert_nonnull(f->net);
}

static void tear_down(Fixture *f)
{
    dim_net_diffussm.free(f->dk, f->net);
    dk_device_close(&f->dk);
    g_free(f->config);
}

static NetRun run_of(const Fixture *f)
{
    return (NetRun){&dim_net_diffussm, f->config, f->dk, f->net};
}

/* Of 5 x 3 patches, with three to a token; of 3 x 10, where tokens run over the rows' ends. */
static const struct {
    const char *config;
    int h, w;
} shapes[] = {
    {SMALL, 10, 6}, {SMALL, 6, 20}, {SMALL, 32, 48}, {NO_NULL_LABEL, 8, 7}, {POSITIONS, 6, 10}};

static void test_batch(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(shapes); i++) {
        const int h = shapes[i].h, w = shapes[i].w;
        Fixture f;

        set_up(&f, shapes[i].config, DK_BACKEND_CPU, 1);
        const gsize n = (gsize)f.config->out_channels * h * w, bytes = n * sizeof(float);
        g_autofree float *both = net_output(run_of(&f), h, w, 0, 2, 0);
        g_autofree float *one = net_output(run_of(&f), h, w, 0, 1, 0),
                         *other = net_output(run_of(&f), h, w, 1, 1, 0);
        g_assert_cmpmem(both, bytes, one, bytes);
        g_assert_cmpmem(both + n, bytes, other, bytes);
        tear_down(&f);
    }
}

static void test_threads(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(shapes); i++) {
        const int h = shapes[i].h, w = shapes[i].w;
        Fixture f[4];
        float *out[4];

        for (int k = 0; k < 4; k++) {
            set_up(&f[k], shapes[i].config, k == 3 ? DK_BACKEND_REF : DK_BACKEND_CPU, 1 + k);
            out[k] = net_output(run_of(&f[k]), h, w, 0, 2, 0);
        }
        const gsize n = 2 * (gsize)f[0].config->out_channels * h * w, bytes = n * sizeof(float);
        g_assert_cmpmem(out[0], bytes, out[1], bytes);
        g_assert_cmpmem(out[0], bytes, out[2], bytes);
        g_assert_cmpfloat(net_distance(out[0], out[3], (gint64)n), <, 2e-5);
        for (int k = 0; k < 4; k++) {
            tear_down(&f[k]);
            g_free(out[k]);
        }
    }
}

static void test_refused_grids(void)
{
    static const struct {
        const char *config, *word;
        int h, w;
    } cases[] = {{SMALL, "patch", 6, 7},
                 {SMALL, "hourglass_ratio", 8, 10},
                 {POSITIONS, "sincos", 2, 5},
                 {POSITIONS, "patch", 0, 4}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree DimSsmConfig *c = parse(cases[i].config, NULL);
        g_autoptr(GError) error = NULL;
        DimArena arena = {0};

        dim_arena_dry(&arena);
        g_assert_null(
            dim_net_diffussm.plan(&arena, c, NULL, 1, cases[i].h, cases[i].w, 0, 0, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
        g_assert_nonnull(strstr(error->message, cases[i].word));
        dim_arena_clear(&arena);
    }
}

/* What has no finite gain is no scan. A step or a rate without end forgets at once, none keeps all:
 * both are. */
static void test_states(void)
{
    static const struct {
        const char *tensor;
        float value;
        gboolean good;
    } cases[] = {{"blocks.0.ssm.fwd.[BC]", 1e20f, FALSE}, {"blocks.1.ssm.bwd.[BC]", -1e20f, FALSE},
                 {"ssm.fwd.log_dt", 800, TRUE},           {"ssm.fwd.log_dt", -800, TRUE},
                 {"ssm.bwd.log_A_real", 1e4f, TRUE},      {"ssm.bwd.log_A_real", -1e4f, TRUE},
                 {"blocks.0.ssm.bwd.A_imag", 0, TRUE}};
    g_autofree DimSsmConfig *c = parse(SMALL, NULL);
    DkDevice *dk = dk_device_open(DK_BACKEND_CPU, 1, DK_ISA_ALL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        DimNet *net = load(dk, c, cases[i].tensor, cases[i].value, &error);
        g_assert_cmpint(net != NULL, ==, cases[i].good);
        if (!cases[i].good) {
            g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
            g_assert_nonnull(strstr(error->message, "ssm."));
        }
        dim_net_diffussm.free(dk, net);
    }
    dk_device_close(&dk);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-diffussm/sizes", test_sizes);
    g_test_add_func("/net-diffussm/refused-configs", test_refused_configs);
    g_test_add_func("/net-diffussm/batch", test_batch);
    g_test_add_func("/net-diffussm/threads", test_threads);
    g_test_add_func("/net-diffussm/refused-grids", test_refused_grids);
    g_test_add_func("/net-diffussm/states", test_states);
    return g_test_run();
}
