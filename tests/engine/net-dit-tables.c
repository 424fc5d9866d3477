/* Family dit, what can be said without weights: configuration, sizes, positions, times.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/json.h"
#include "engine/net-dit.h"

#include <math.h>
#include <string.h>

static DimDitConfig *parse(const char *text, GError **error)
{
    json_t *json = dim_json_parse(text, strlen(text), "test", NULL);
    g_assert_nonnull(json);
    DimDitConfig *config = dim_net_dit.parse(json, "test", error);
    json_decref(json);
    return config;
}

static gboolean add_up(const DimNetEntry *e, void *data, GError **error)
{
    gint64 count = 1;

    for (int i = 0; i < e->rank; i++)
        count *= e->sizes[i];
    ((gint64 *)data)[0] += count;
    ((gint64 *)data)[1] += 1;
    return TRUE;
}

/* Parameters without the position table, and the paper's "Gflops": multiply-adds. */
static void test_published_sizes(void)
{
    static const struct {
        int width, depth, n_heads, patch;
        gint64 parameters;
        double giga_multiply_adds;
    } models[] = {
        {384, 12, 6, 8, 33142016, 0.36},     {384, 12, 6, 4, 32920448, 1.41},
        {384, 12, 6, 2, 32865056, 6.06},     {768, 12, 12, 8, 130869248, 1.42},
        {768, 12, 12, 4, 130426496, 5.56},   {768, 12, 12, 2, 130315808, 23.01},
        {1024, 24, 16, 8, 458578432, 5.01},  {1024, 24, 16, 4, 457988224, 19.70},
        {1024, 24, 16, 2, 457840672, 80.71}, {1152, 28, 16, 8, 675664640, 7.39},
        {1152, 28, 16, 4, 675000704, 29.05}, {1152, 28, 16, 2, 674834720, 118.64},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree char *text = g_strdup_printf(
            "{\"hidden_size\": %d, \"depth\": %d, \"num_heads\": %d, \"patch_size\": %d}",
            models[i].width, models[i].depth, models[i].n_heads, models[i].patch);
        g_autofree DimDitConfig *c = parse(text, NULL);
        DimDitNet names_only = {0};
        gint64 sums[2] = {0, 0};

        g_assert_nonnull(c);
        g_assert_true(dim_dit_walk(c, &names_only, add_up, sums, NULL));
        g_assert_cmpint(sums[0], ==, models[i].parameters);
        g_assert_cmpint(sums[1], ==, 11 + 10 * models[i].depth);
        const double giga = dim_net_dit.flop(c, 1, 32, 32) * 0.5e-9;
        g_assert_cmpfloat(fabs(giga - models[i].giga_multiply_adds), <, 0.025);
        g_assert_cmpfloat(dim_net_dit.flop(c, 3, 32, 32), ==, 3 * dim_net_dit.flop(c, 1, 32, 32));
    }
}

/* The defaults are DiT-XL/2 for 256 pixels; the file of 512 pixels has a larger table only. */
static void test_defaults(void)
{
    g_autofree DimDitConfig *c = parse("{}", NULL), *large = parse("{\"input_size\": 64}", NULL);
    g_autofree DimDitConfig *unset = dim_net_dit.parse(NULL, "test", NULL);
    DimDitNet names_only = {.has_positions = TRUE};
    DimNetFacts facts;
    gint64 sums[2] = {0, 0}, large_sums[2] = {0, 0};

    g_assert_cmpmem(c, sizeof *c, unset, sizeof *unset);
    g_assert_true(dim_dit_walk(c, &names_only, add_up, sums, NULL));
    g_assert_true(dim_dit_walk(large, &names_only, add_up, large_sums, NULL));
    g_assert_cmpint(sums[0], ==, 674834720 + 256 * 1152);
    g_assert_cmpint(large_sums[0], ==, 674834720 + 1024 * 1152);
    g_assert_cmpfloat(fabs(dim_net_dit.flop(c, 1, 64, 64) * 0.5e-9 - 524.60), <, 0.1);

    dim_net_dit.facts(c, &facts);
    g_assert_cmpint(facts.in_channels, ==, 4);
    g_assert_cmpint(facts.out_channels, ==, 8);
    g_assert_cmpint(facts.guided_channels, ==, 4);
    g_assert_cmpint(facts.n_labels, ==, 1000);
    g_assert_true(facts.has_null_label);
    g_assert_cmpint(facts.first_time, ==, 0);
    g_assert_cmpint(facts.width_multiple, ==, 2);
}

/* Column in the first half, row in the second; sines before cosines. */
static void test_positions(void)
{
    enum { ROWS = 3, COLUMNS = 5, WIDTH = 12, Q = WIDTH / 4 };
    float table[ROWS * COLUMNS * WIDTH];

    dim_dit_positions(table, ROWS, COLUMNS, WIDTH);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            for (int k = 0; k < Q; k++) {
                const float *token = table + (i * COLUMNS + j) * WIDTH;
                const double w = exp(-log(10000) * k / Q);
                g_assert_cmpfloat(fabs(token[k] - sin(j * w)), <, 1e-7);
                g_assert_cmpfloat(fabs(token[Q + k] - cos(j * w)), <, 1e-7);
                g_assert_cmpfloat(fabs(token[2 * Q + k] - sin(i * w)), <, 1e-7);
                g_assert_cmpfloat(fabs(token[3 * Q + k] - cos(i * w)), <, 1e-7);
            }
}

/* Cosines before sines, 128 for the last exponent's divisor; the rounding of the angles shows. */
static void test_sinusoid(void)
{
    float out[DIM_DIT_SINUSOID];
    double worst = 0;

    dim_dit_sinusoid(out, 0);
    for (int k = 0; k < 128; k++) {
        g_assert_cmpfloat(out[k], ==, 1);
        g_assert_cmpfloat(out[128 + k], ==, 0);
    }
    dim_dit_sinusoid(out, 999);
    g_assert_cmpfloat(out[0], ==, (float)cos(999));
    g_assert_cmpfloat(out[128], ==, (float)sin(999));
    for (int k = 0; k < 128; k++) {
        const double angle = 999 * exp(-log(10000) * k / 128);
        worst = MAX(worst, MAX(fabs(out[k] - cos(angle)), fabs(out[128 + k] - sin(angle))));
    }
    g_assert_cmpfloat(worst, <, 1e-4);
    g_assert_cmpfloat(worst, >, 1e-6);
}

static void test_refused_configs(void)
{
    static const struct {
        const char *config, *named;
    } bad[] = {
        {"{\"hidden_size\": 8196}", "hidden_size"},
        {"{\"hidden_size\": 0}", "hidden_size"},
        {"{\"hidden_size\": 1150}", "hidden_size"},
        {"{\"hidden_size\": 1152, \"num_heads\": 10}", "num_heads"},
        {"{\"num_heads\": 0}", "num_heads"},
        {"{\"depth\": 0}", "depth"},
        {"{\"depth\": 2147483648}", "depth"},
        {"{\"patch_size\": 0}", "patch_size"},
        {"{\"patch_size\": 5}", "input_size"},
        {"{\"input_size\": 33}", "input_size"},
        {"{\"in_channels\": 0}", "in_channels"},
        {"{\"guidance_channels\": 5}", "guidance_channels"},
        {"{\"guidance_channels\": 0}", "guidance_channels"},
        {"{\"mlp_ratio\": 0}", "mlp_ratio"},
        {"{\"mlp_ratio\": 1e300}", "mlp_ratio"},
        {"{\"mlp_ratio\": null}", "mlp_ratio"},
        {"{\"class_dropout_prob\": 1.5}", "class_dropout_prob"},
        {"{\"class_dropout_prob\": 0, \"num_classes\": 0}", "num_classes"},
        {"{\"num_classes\": -1}", "num_classes"},
        {"{\"learn_sigma\": 1}", "learn_sigma"},
        {"{\"colour\": 3}", "colour"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree void *config = parse(bad[i].config, &error);
        g_assert_null(config);
        g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
        g_assert_nonnull(strstr(error->message, bad[i].named));
    }
}

static void test_accepted_configs(void)
{
    g_autofree DimDitConfig *c =
        parse("{\"hidden_size\": 36, \"num_heads\": 3, \"depth\": 2, \"mlp_ratio\": 2.55, "
              "\"in_channels\": 3, \"learn_sigma\": false, \"class_dropout_prob\": 0.0, "
              "\"num_classes\": 7, \"input_size\": 24, \"patch_size\": 8, \"guidance_channels\": "
              "2}",
              NULL);

    g_assert_nonnull(c);
    g_assert_cmpint(c->inner, ==, 91); /* the integer part of 91.8 */
    g_assert_cmpint(c->out_channels, ==, 3);
    g_assert_cmpint(c->guided_channels, ==, 2);
    g_assert_false(c->has_null_label);
    g_assert_cmpint(c->input_size / c->patch, ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-dit/published-sizes", test_published_sizes);
    g_test_add_func("/net-dit/defaults", test_defaults);
    g_test_add_func("/net-dit/positions", test_positions);
    g_test_add_func("/net-dit/sinusoid", test_sinusoid);
    g_test_add_func("/net-dit/refused-configs", test_refused_configs);
    g_test_add_func("/net-dit/accepted-configs", test_accepted_configs);
    return g_test_run();
}
