/* Family dim, what can be said without weights: configuration, sizes, scan orders, pads.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/json.h"
#include "engine/net-dim.h"

#include <math.h>
#include <string.h>

#define HUGE_256 "{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000}"
#define HUGE_512                                                                                   \
    "{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000, \"pad_schedule\": \"rho_pad\"}"
#define HUGE_UP(side)                                                                              \
    "{\"hidden_size\": 1536, \"depth\": 49, \"num_classes\": 1000, \"pad_schedule\": \"rho_pad\"," \
    " \"skip_tune\": [0.82, 1.0], \"pos_embed_size\": " #side "}"
#define LARGE_256 "{\"hidden_size\": 1024, \"depth\": 49, \"num_classes\": 1000}"
#define CIFAR "{\"hidden_size\": 512, \"depth\": 25, \"in_channels\": 3, \"num_classes\": 10}"

static DimMambaConfig *parse(const char *text, GError **error)
{
    json_t *json = dim_json_parse(text, strlen(text), "test", NULL);
    g_assert_nonnull(json);
    DimMambaConfig *config = dim_net_dim.parse(json, "test", error);
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

static void test_published_sizes(void)
{
    static const struct {
        const char *config;
        int table_side, grid; /* tokens */
        gint64 parameters, tensors, length;
        double giga_multiply_adds;
    } models[] = {
        {HUGE_256, 16, 16, 862407184, 657, 366, 311},
        {HUGE_512, 32, 32, 863586832, 657, 1230, 1046},
        {HUGE_UP(64), 32, 64, 863586832, 657, 4494, 3823},
        {HUGE_UP(96), 32, 96, 863586832, 657, 9806, 8342},
        {LARGE_256, 16, 16, 386063376, 657, 366, 140},
        {CIFAR, 16, 16, 50568716, 321, 366, 18.2},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree DimMambaConfig *c = parse(models[i].config, NULL);
        DimMambaNet names_only = {0};
        gint64 sums[2] = {0, 0};

        g_assert_nonnull(c);
        g_assert_true(dim_mamba_walk(c, models[i].table_side, &names_only, add_up, sums, NULL));
        g_assert_cmpint(sums[0], ==, models[i].parameters);
        g_assert_cmpint(sums[1], ==, models[i].tensors);
        g_assert_cmpint(dim_mamba_grid(c, models[i].grid, models[i].grid).length, ==,
                        models[i].length);
        const int side = models[i].grid * c->patch;
        const double giga = dim_net_dim.flop(c, 1, side, side) * 0.5e-9;
        g_assert_cmpfloat(fabs(giga - models[i].giga_multiply_adds), <, giga < 100 ? 0.05 : 0.6);
        g_assert_cmpfloat(dim_net_dim.flop(c, 3, side, side), ==,
                          3 * dim_net_dim.flop(c, 1, side, side));
    }
}

static void check_order(int direction, const gint32 *cells)
{
    g_autofree DimMambaConfig *c =
        parse("{\"hidden_size\": 8, \"depth\": 3, \"num_classes\": 1, \"pad_schedule\": \"none\","
              " \"split_tokens\": false}",
              NULL);
    const DimMambaGrid grid = dim_mamba_grid(c, 2, 3);
    gint32 order[8];

    g_assert_cmpint(grid.length, ==, 8);
    dim_mamba_order(&grid, direction, order);
    g_assert_cmpint(order[0], ==, 0);
    g_assert_cmpint(order[1], ==, 1);
    for (int i = 0; i < 6; i++)
        g_assert_cmpint(order[2 + i] - 2, ==, cells[i]);
}

static void test_orders(void)
{
    check_order(DIM_SCAN_ROWS, (gint32[]){0, 1, 2, 3, 4, 5});
    check_order(DIM_SCAN_ROWS_REVERSED, (gint32[]){5, 4, 3, 2, 1, 0});
    check_order(DIM_SCAN_COLUMNS, (gint32[]){0, 3, 1, 4, 2, 5});
    check_order(DIM_SCAN_COLUMNS_REVERSED, (gint32[]){5, 2, 4, 1, 3, 0});
}

static void test_directions(void)
{
    /* dim.md section 5, one by one: r rows, R reversed, c columns, C reversed */
    static const char huge[] = "rRcCrRcCrRcCrRcCrRcCrRcCrCcRrCcRrCcRrCcRrCcRrCcRr";
    static const char cifar[] = "rRcCrRcCrRcCrCcRrCcRrCcRr";
    static const char letters[] = "rRcC";
    g_autofree DimMambaConfig *h = parse(HUGE_256, NULL), *s = parse(CIFAR, NULL);

    for (int i = 0; i < 49; i++)
        g_assert_cmpint(letters[dim_mamba_direction(h, i)], ==, huge[i]);
    for (int i = 0; i < 25; i++)
        g_assert_cmpint(letters[dim_mamba_direction(s, i)], ==, cifar[i]);
    /* A decoder block meets its kept tensor in the order in which that was left, whatever the
     * depth: by running ids. */
    for (int depth = 3; depth < 40; depth += 2)
        for (int directions = 1; directions <= 4; directions++) {
            DimMambaConfig c = *h;
            c.depth = depth;
            c.n_directions = directions;
            for (int i = 1, id = 0; i < depth - 1; i++) {
                id = (id + (dim_mamba_is_encoder(&c, i) ? 1 : directions - 1)) % directions;
                g_assert_cmpint(dim_mamba_direction(&c, i), ==, id);
            }
        }
}

/* What stands at each cell of a 2 x 3 image with three pads, in letters: i image, a b c the pads.
 */
static void check_pads(const char *schedule, const char *cells)
{
    g_autofree char *text = g_strdup_printf(
        "{\"hidden_size\": 8, \"depth\": 3, \"num_classes\": 1, \"pad_schedule\": \"%s\"}",
        schedule);
    g_autofree DimMambaConfig *c = parse(text, NULL);
    const DimMambaGrid grid = dim_mamba_grid(c, 2, 3);
    gint32 rows[DIM_N_SOURCES][64], n_image = 0;

    g_assert_cmpint(grid.length, ==, 5 + (int)strlen(cells));
    dim_mamba_sources(c, &grid, (gint32 *const[]){rows[0], rows[1], rows[2], rows[3]});
    for (int i = 0; i < grid.length; i++) {
        int n_sources = 0;
        for (int source = 0; source < DIM_N_SOURCES; source++)
            n_sources += rows[source][i] >= 0;
        g_assert_cmpint(n_sources, ==, 1);
    }
    for (int i = 0; i < 5; i++)
        g_assert_cmpint(i < 2 ? rows[DIM_FROM_EXTRA][i] : rows[DIM_FROM_SPLIT][i] + 2, ==, i);
    for (int i = 0; cells[i]; i++)
        if (cells[i] == 'i')
            g_assert_cmpint(rows[DIM_FROM_IMAGE][5 + i], ==, n_image++);
        else
            g_assert_cmpint(rows[DIM_FROM_PADS][5 + i], ==, cells[i] - 'a');

    gint32 crop[6];
    dim_mamba_crop(&grid, crop);
    for (int n = 0; n < 6; n++)
        g_assert_cmpint(rows[DIM_FROM_IMAGE][crop[n]], ==, n);
}

static void test_pads(void)
{
    check_pads("lateral", "iiiabc"
                          "iiiabc"
                          "aaaaaa"
                          "bbbbbb"
                          "cccccc");
    check_pads("rho_pad", "iiiabc"
                          "iiiabc"
                          "abcabc"
                          "abcabc"
                          "abcabc");
    check_pads("none", "iiiiii");
}

/* Cyclically over all padded positions in row-major order, where W' is no multiple of P. */
static void test_rho_cycle(void)
{
    g_autofree DimMambaConfig *c = parse(HUGE_512, NULL);
    const DimMambaGrid grid = dim_mamba_grid(c, 3, 4);
    gint32 rows[DIM_N_SOURCES][64];
    int next = 0;

    dim_mamba_sources(c, &grid, (gint32 *const[]){rows[0], rows[1], rows[2], rows[3]});
    for (gint64 i = grid.lead; i < grid.length; i++)
        if (rows[DIM_FROM_IMAGE][i] < 0)
            g_assert_cmpint(rows[DIM_FROM_PADS][i], ==, next++ % 3);
    g_assert_cmpint(next, ==, 6 * 7 - 12);
}

static void test_skip_factor(void)
{
    g_autofree DimMambaConfig *tuned = parse(HUGE_UP(64), NULL), *plain = parse(HUGE_512, NULL);

    g_assert_cmpfloat(dim_mamba_skip_factor(plain, 48), ==, 1);
    g_assert_cmpfloat(dim_mamba_skip_factor(tuned, 25), ==, 1);
    g_assert_cmpfloat(fabs(dim_mamba_skip_factor(tuned, 48) - 0.99982), <, 1e-12);
}

static void test_refused_configs(void)
{
    static const struct {
        const char *keys, *named;
    } bad[] = {
        {"\"hidden_size\": 8193", "hidden_size"},
        {"\"hidden_size\": 0", "hidden_size"},
        {"\"depth\": 2", "depth"},
        {"\"depth\": 2147483648", "depth"},
        {"\"encoder_start\": 5", "encoder_start"},
        {"\"expand\": 0.01", "expand"},
        {"\"expand\": 9000", "expand"},
        {"\"expand\": null", "expand"},
        {"\"d_conv\": 9", "d_conv"},
        {"\"pad_token_len\": 0", "pad_token_len"},
        {"\"pad_schedule\": null", "pad_schedule"},
        {"\"norm_eps\": 0", "norm_eps"},
        {"\"pos_embed_size\": [4]", "pos_embed_size"},
        {"\"pos_embed_size\": [4, 0]", "pos_embed_size"},
        {"\"skip_tune\": [0.5, 1, 2]", "skip_tune"},
        {"\"skip_tune\": [0.5, 1]",
         "skip_tune"}, /* one decoder block: the factor's slope divides by zero */
        {"\"colour\": 3", "colour"},
    };
    static const char *const required[] = {"hidden_size", "depth", "num_classes"};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        json_t *json =
            json_pack("{s:i, s:i, s:i}", "hidden_size", 16, "depth", 3, "num_classes", 2);
        g_autofree char *keys = g_strdup_printf("{%s}", bad[i].keys);
        json_t *more = json_loads(keys, 0, NULL);
        json_object_update(json, more);
        g_autofree void *config = dim_net_dim.parse(json, "test", &error);
        g_assert_null(config);
        g_assert_error(error, DIM_ERROR, DIM_ERROR_FORMAT);
        g_assert_nonnull(strstr(error->message, bad[i].named));
        json_decref(more);
        json_decref(json);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(required); i++) {
        g_autoptr(GError) error = NULL;
        json_t *json =
            json_pack("{s:i, s:i, s:i}", "hidden_size", 16, "depth", 3, "num_classes", 2);
        json_object_del(json, required[i]);
        g_assert_null(dim_net_dim.parse(json, "test", &error));
        g_assert_nonnull(strstr(error->message, required[i]));
        json_decref(json);
    }
}

static void test_accepted_configs(void)
{
    g_autofree DimMambaConfig *c =
        parse("{\"hidden_size\": 17, \"depth\": 7, \"num_classes\": 0, \"expand\": 1.5, "
              "\"encoder_start\": 3, \"out_channels\": 6,"
              " \"pos_embed_size\": [4, 6], \"skip_tune\": null, \"d_conv\": 4}",
              NULL);

    g_assert_nonnull(c);
    g_assert_cmpint(c->inner, ==, 25);
    g_assert_cmpint(c->rank, ==, 2);
    g_assert_cmpint(c->in_channels, ==, 4);
    g_assert_cmpint(c->out_channels, ==, 6);
    g_assert_cmpint(c->n_pads, ==, 4);
    g_assert_cmpint(c->table_h, ==, 4);
    g_assert_cmpint(c->table_w, ==, 6);
    g_assert_cmpint(dim_mamba_pairs(c), ==, 2);
    g_assert_false(c->skip_tune);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net-dim/published-sizes", test_published_sizes);
    g_test_add_func("/net-dim/orders", test_orders);
    g_test_add_func("/net-dim/directions", test_directions);
    g_test_add_func("/net-dim/pads", test_pads);
    g_test_add_func("/net-dim/rho-cycle", test_rho_cycle);
    g_test_add_func("/net-dim/skip-factor", test_skip_factor);
    g_test_add_func("/net-dim/refused-configs", test_refused_configs);
    g_test_add_func("/net-dim/accepted-configs", test_accepted_configs);
    return g_test_run();
}
