/* Seamless pictures: rolls, margins, sizes, and what is seen at the seam.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/model.h"
#include "engine/seamless.h"
#include "random-autoencoder.h"
#include "sample-runs.h"

/* ---- rolls ----------------------------------------------------------------------------------- */

/* Along the sides asked for, by whole cells, each offset as likely as the others; other ones for
 * another evaluation and another seed, the same for the same. */
static void test_roll(void)
{
    enum { N = 4000 };
    DimGrid grid = {.width = 24, .height = 16, .upsample = 2};
    int right[24] = {0}, down[16] = {0}, n_same = 0;

    for (int sides = DIM_SEAMLESS_OFF; sides <= DIM_SEAMLESS_BOTH; sides++) {
        grid.seamless = (DimSeamless)sides;
        gboolean moves_x = FALSE, moves_y = FALSE;
        for (int k = 0; k < 30; k++) {
            const DimRoll roll = dim_seamless_roll(&grid, 5, k, 0, 1);
            moves_x |= roll.right != 0;
            moves_y |= roll.down != 0;
        }
        g_assert_cmpint(moves_x, ==, sides == DIM_SEAMLESS_X || sides == DIM_SEAMLESS_BOTH);
        g_assert_cmpint(moves_y, ==, sides == DIM_SEAMLESS_Y || sides == DIM_SEAMLESS_BOTH);
    }
    for (int k = 0; k < N; k++) {
        const DimRoll roll = dim_seamless_roll(&grid, 5, k, 0, 1),
                      other = dim_seamless_roll(&grid, 6, k, 0, 1);
        g_assert_true(roll.right >= 0 && roll.right < 24 && roll.right % 2 == 0);
        g_assert_true(roll.down >= 0 && roll.down < 16 && roll.down % 2 == 0);
        right[roll.right]++;
        down[roll.down]++;
        n_same += roll.right == other.right;
    }
    for (int i = 0; i < 24; i += 2) /* five standard deviations of a binomial number */
        g_assert_cmpint(ABS(right[i] - N / 12), <, 88);
    for (int i = 0; i < 16; i += 2)
        g_assert_cmpint(ABS(down[i] - N / 8), <, 105);
    g_assert_cmpint(ABS(n_same - N / 12), <, 88);
}

static void test_rows(void)
{
    enum { W = 5, H = 3 };
    const DimGrid grid = {.width = W, .height = H, .upsample = 1, .seamless = DIM_SEAMLESS_BOTH};
    const DimRoll roll = {.down = 2, .right = 1};
    gint32 from[W * H], back[W * H];

    dim_seamless_rows(&grid, &roll, 1, 0, from, back);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < W; j++) {
            const int rolled = (i + 2) % H * W + (j + 1) % W;
            g_assert_cmpint(from[rolled], ==, i * W + j);
            g_assert_cmpint(back[i * W + j], ==, rolled);
        }
}

/* The last step's evaluations share the places: each is taken once, and lies at least a quarter of
 * the side from its borders, a sixth of the shorter side where both are seamless. */
static void test_last_rows(void)
{
    enum { W = 24, H = 12 };
    DimGrid grid = {.width = W, .height = H, .upsample = 1};

    for (int sides = DIM_SEAMLESS_X; sides <= DIM_SEAMLESS_BOTH; sides++) {
        const int n = dim_seamless_rolls((DimSeamless)sides, TRUE);
        int n_taken[W * H] = {0};
        const int least = (sides == DIM_SEAMLESS_X ? W : H) / (2 * n) - 1;
        DimRoll rolls[DIM_ROLLS_MAX];
        g_assert_cmpint(n, ==, sides == DIM_SEAMLESS_BOTH ? 3 : 2);
        g_assert_cmpint(dim_seamless_rolls((DimSeamless)sides, FALSE), ==, 1);
        grid.seamless = (DimSeamless)sides;
        for (int i = 0; i < n; i++)
            rolls[i] = dim_seamless_roll(&grid, 3, 8, i, n);
        for (int i = 0; i < n; i++) {
            gint32 from[W * H], back[W * H];
            dim_seamless_rows(&grid, rolls, n, i, from, back);
            for (int k = 0; k < W * H; k++) {
                if (back[k] < 0)
                    continue;
                const int x = back[k] % W, y = back[k] / W;
                n_taken[k]++;
                g_assert_cmpint(from[back[k]], ==, k);
                if (sides & DIM_SEAMLESS_X)
                    g_assert_cmpint(MIN(x, W - 1 - x), >=, least);
                if (sides & DIM_SEAMLESS_Y)
                    g_assert_cmpint(MIN(y, H - 1 - y), >=, least);
            }
        }
        for (int k = 0; k < W * H; k++)
            g_assert_cmpint(n_taken[k], ==, 1);
    }
    g_assert_cmpint(dim_seamless_rolls(DIM_SEAMLESS_OFF, TRUE), ==, 1);
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* What has no borders does not know about rolls: the bits are those of a run without, for every
 * sampler (also for those that remember predictions of earlier steps), along every side, and with
 * upsample guidance, whose cells stay whole. */
static void test_pointwise(void)
{
    char *folder = runs_pointwise_model("");
    Runs f;
    DimParams params;

    runs_open_folder(&f, folder, DIM_PARTS_BACKBONE, 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 7;
    params.seed = 11;
    params.height = 12;
    params.width = 24;
    for (const char *const *name = dim_sampler_names(); *name; name++)
        for (params.upsample = 1; params.upsample <= 3; params.upsample++) {
            params.sampler = *name;
            params.seamless = DIM_SEAMLESS_OFF;
            DimArray plain = runs_latent(&f, &params);
            for (int sides = DIM_SEAMLESS_X; sides <= DIM_SEAMLESS_BOTH; sides++) {
                params.seamless = (DimSeamless)sides;
                DimArray z = runs_latent(&f, &params);
                g_assert_true(runs_same_bits(&plain, &z));
                dim_array_clear(&z);
            }
            dim_array_clear(&plain);
        }
    runs_close(&f);
    runs_remove_model(folder);
}

/* One with borders does: other pictures for other sides, each the same again with any number of
 * threads. */
static void test_repeatable(void)
{
    Runs one, two;
    DimParams params;
    DimArray z[DIM_SEAMLESS_BOTH + 1];

    runs_open(&one, "../golden/dim/sample-v-2m", 1);
    runs_open(&two, "../golden/dim/sample-v-2m", 2);
    dim_params_init(&params, dim_model_info(one.model));
    params.steps = 5;
    for (int sides = DIM_SEAMLESS_OFF; sides <= DIM_SEAMLESS_BOTH; sides++) {
        params.seamless = (DimSeamless)sides;
        z[sides] = runs_latent(&one, &params);
        DimArray again = runs_latent(&two, &params);
        g_assert_true(runs_same_bits(&z[sides], &again));
        dim_array_clear(&again);
        for (int other = DIM_SEAMLESS_OFF; other < sides; other++)
            g_assert_false(runs_same_bits(&z[sides], &z[other]));
    }
    for (int sides = DIM_SEAMLESS_OFF; sides <= DIM_SEAMLESS_BOTH; sides++)
        dim_array_clear(&z[sides]);
    runs_close(&one);
    runs_close(&two);
}

/* ---- margins --------------------------------------------------------------------------------- */

typedef struct {
    const DimAutoencoderClass *class;
    void *config;
    DimWeights *weights;
    DkDevice *dk;
    DimAutoencoder *ae;
    DimAutoencoderFacts facts;
} Decoder;

static void open_decoder(Decoder *d, const DimAutoencoderClass *class, const char *config,
                         DimWeights *weights)
{
    const DimAutoencoderFiles files = {weights, weights};

    *d = (Decoder){.class = class, .weights = weights};
    d->config = parse_config(class, config, NULL);
    class->facts(d->config, &d->facts);
    d->dk = dk_device_open(DK_BACKEND_CPU, 2, DK_ISA_ALL);
    d->ae = class->load(d->dk, d->config, 1, &files, DIM_PARTS_DECODER, NULL, NULL);
    g_assert_nonnull(d->ae);
}

static void close_decoder(Decoder *d)
{
    d->class->free(d->dk, d->ae);
    dk_device_close(&d->dk);
    dim_weights_close(&d->weights);
    g_free(d->config);
}

/* The picture of z with a margin around it. */
static DimArray decode(const Decoder *d, const DimArray *z, int margin, int tile)
{
    const DimGrid grid = {.margin_width = margin, .margin_height = margin};
    DimArray wide = {0}, image;

    g_assert_true(dim_seamless_wrap(&grid, z, &wide, NULL));
    const gint64 f = d->facts.factor;
    g_assert_true(
        dim_array_alloc(&image, 4, (gint64[]){1, 3, wide.sizes[2] * f, wide.sizes[3] * f}, NULL));
    g_assert_true(d->class->decode(d->dk, d->ae, &wide, tile, &image, NULL, NULL));
    dim_array_clear(&wide);
    return image;
}

/* How the picture of a torus goes on beyond its borders: the largest difference of the pixels just
 * outside of the middle from those that they are copies of, over the range of all. */
static double mismatch(const DimArray *image, gint64 margin, gint64 height, gint64 width)
{
    const gint64 w = image->sizes[3], plane = image->sizes[2] * w;
    float worst = 0, least = INFINITY, most = -INFINITY;

    for (gint64 i = 0; i < dim_array_count(image); i++) {
        least = MIN(least, image->data[i]);
        most = MAX(most, image->data[i]);
    }
    for (int c = 0; c < 3; c++) {
        const float *first = image->data + c * plane + margin * w + margin;
        for (gint64 i = 0; i < height; i++) {
            const float *row = first + i * w;
            worst = MAX(worst, fabsf(row[-1] - row[width - 1]));
            worst = MAX(worst, fabsf(row[width] - row[0]));
        }
        for (gint64 j = 0; j < width; j++) {
            const float *column = first + j;
            worst = MAX(worst, fabsf(column[-w] - column[(height - 1) * w]));
            worst = MAX(worst, fabsf(column[height * w] - column[0]));
        }
    }
    return worst / (most - least);
}

static double mismatch_of(const Decoder *d, const DimArray *z, int margin)
{
    const int f = d->facts.factor;
    DimArray image = decode(d, z, margin, 0);
    const double result = mismatch(&image, (gint64)margin * f, z->sizes[2] * f, z->sizes[3] * f);

    dim_array_clear(&image);
    return result;
}

/* Less than a tenth of a step of 8 bits, and much more where the margin is too small; in strips as
 * in one piece. */
static void check_margin(const Decoder *d)
{
    const int margin = d->facts.margin;
    GRand *rand = g_rand_new_with_seed(4);
    DimArray z;

    g_assert_true(dim_array_alloc(&z, 4, (gint64[]){1, d->facts.channels, 6, 8}, NULL));
    random_fill(rand, &z, 1, 0);
    DimArray whole = decode(d, &z, margin, 0), strips = decode(d, &z, margin, 3);
    const double with = mismatch_of(d, &z, margin), without = mismatch_of(d, &z, 1);
    g_test_message("margin %d: %g of the range, margin 1: %g", margin, with, without);
    g_assert_cmpfloat(with, <, 0.1 / 255);
    g_assert_cmpfloat(without, >, 0.02);
    g_assert_true(runs_same_bits(&whole, &strips));
    dim_array_clear(&whole);
    dim_array_clear(&strips);
    dim_array_clear(&z);
    g_rand_free(rand);
}

static void test_tae_margin(void)
{
    Decoder d;

    open_decoder(&d, &dim_vae_tae, "{\"width\": 12}", random_tae_weights());
    check_margin(&d);
    close_decoder(&d);
}

static void test_kl_margin(void)
{
    static const char config[] = "{\"ch\": 16, \"ch_mult\": [1, 2, 4, 4], \"num_res_blocks\": 2, "
                                 "\"norm_groups\": 8}";
    g_autofree DimKlConfig *parsed = parse_config(&dim_vae_kl, config, NULL);
    Decoder d;

    open_decoder(&d, &dim_vae_kl, config, random_kl_weights(parsed, DIM_KL_LDM));
    check_margin(&d);
    close_decoder(&d);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* The starter model: cells of 16 pixels, native size 128. */
static void test_sizes(void)
{
    static const struct {
        int width, height, upsample;
        DimSeamless sides;
        int fit_width, fit_height;
    } cases[] = {
        {128, 128, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_BOTH, 128, 128},
        {130, 119, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_BOTH, 128, 112},
        {130, 119, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_X, 128, 119},
        {130, 119, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_Y, 130, 112},
        {130, 119, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_OFF, 130, 119},
        {136, 17, DIM_UPSAMPLE_OFF, DIM_SEAMLESS_BOTH, 144, 16},
        {300, 200, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_BOTH, 288, 192},
        {300, 200, 3, DIM_SEAMLESS_BOTH, 288, 192},
        {319, 319, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_BOTH, 336, 336}, /* 320 has another factor */
        {20, 20, 3, DIM_SEAMLESS_BOTH, 48, 48},
        {1000, 1000, DIM_UPSAMPLE_AUTO, DIM_SEAMLESS_BOTH, 1024, 1024},
    };
    g_autofree char *folder =
        g_test_build_filename(G_TEST_DIST, "../golden/starter/model", NULL);
    DimModelInfo *info = dim_model_info_read(folder, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *offer =
            g_strdup_printf("is %dx%d", cases[i].fit_width, cases[i].fit_height);
        DimParams params;
        DimEstimate estimate;
        dim_params_init(&params, info);
        params.width = cases[i].width;
        params.height = cases[i].height;
        params.upsample = cases[i].upsample;
        params.seamless = cases[i].sides;
        const gboolean fits =
            cases[i].width == cases[i].fit_width && cases[i].height == cases[i].fit_height;
        g_assert_cmpint(dim_params_check(&params, info, &error), ==, fits);
        if (!fits) {
            g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
            g_assert_nonnull(strstr(error->message, offer));
        }
        g_assert_cmpint(dim_params_fit(&params, info), ==, !fits);
        g_assert_cmpint(params.width, ==, cases[i].fit_width);
        g_assert_cmpint(params.height, ==, cases[i].fit_height);
        g_assert_true(dim_params_check(&params, info, NULL));
        dim_estimate(info, &params, &estimate);
        g_assert_true(!(params.seamless & DIM_SEAMLESS_X) ||
                      estimate.grid_width * 8 == params.width);
        g_assert_true(!(params.seamless & DIM_SEAMLESS_Y) ||
                      estimate.grid_height * 8 == params.height);
    }
    dim_model_info_free(&info);
}

/* A size that is no multiple is the corner of one that is, and the torus is the same. */
static void test_cropped(void)
{
    enum { WIDTH = 48, HEIGHT = 32, CROPPED_WIDTH = 41, CROPPED_HEIGHT = 32 };
    Runs f;
    DimParams params;
    float whole[HEIGHT][WIDTH][3], part[CROPPED_HEIGHT][CROPPED_WIDTH][3];

    runs_open(&f, "../golden/starter/model", 1);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 2;
    params.upsample = DIM_UPSAMPLE_OFF;
    params.seamless = DIM_SEAMLESS_BOTH;
    params.width = WIDTH;
    params.height = HEIGHT;
    DimSampler *sampler = runs_finish(&f, &params);
    g_assert_true(dim_sampler_finish(sampler, **whole, sizeof whole[0] / sizeof(float), NULL));
    dim_sampler_free(&sampler);
    params.seamless = DIM_SEAMLESS_AUTO;
    params.width = CROPPED_WIDTH;
    params.height = CROPPED_HEIGHT;
    g_assert_true(dim_params_check(&params, dim_model_info(f.model), NULL));
    g_assert_false(dim_params_fit(&params, dim_model_info(f.model)));
    sampler = runs_finish(&f, &params);
    g_assert_true(dim_sampler_finish(sampler, **part, sizeof part[0] / sizeof(float), NULL));
    dim_sampler_free(&sampler);
    for (int i = 0; i < CROPPED_HEIGHT; i++)
        g_assert_cmpmem(part[i], sizeof part[i], whole[i], sizeof part[i]);
    runs_close(&f);
}

/* What does not fit into memory is refused with a size that does and is seamless. */
static void test_memory(void)
{
    g_autofree char *folder =
        g_test_build_filename(G_TEST_DIST, "../golden/starter/model", NULL);
    DimModelInfo *info = dim_model_info_read(folder, NULL);
    g_autoptr(GError) error = NULL;
    DimParams params;

    dim_params_init(&params, info);
    params.seamless = DIM_SEAMLESS_BOTH;
    params.width = params.height = G_MAXINT;
    g_assert_false(dim_params_check(&params, info, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY);
    g_assert_true(dim_params_shrink(&params, info));
    g_assert_false(dim_params_fit(&params, info));
    dim_model_info_free(&info);
}

/* ---- what is seen ---------------------------------------------------------------------------- */

/* Sums of the steps of colour over a line between two columns of pixels, [side], the last one over
 * the seam. */
static void add_steps(const float *rgb, int side, gboolean turned, double *steps)
{
    for (int j = 0; j < side; j++)
        for (int i = 0; i < side; i++)
            for (int c = 0; c < 3; c++) {
                const int next = (j + 1) % side;
                const int here = turned ? j * side + i : i * side + j,
                          there = turned ? next * side + i : i * side + next;
                steps[j] += fabsf(rgb[3 * here + c] - rgb[3 * there + c]);
            }
}

/* The step over the seams by that over the lines inside that are like it: those between two blocks
 * of the autoencoder. Over several classes. */
static double seam(const Runs *f, DimParams *params, const int *labels, int n)
{
    const int side = params->width;
    g_autofree float *rgb = g_new(float, 3 * side * side);
    g_autofree double *steps = g_new0(double, side);
    double inner = 0;

    for (int i = 0; i < n; i++) {
        params->label = labels[i];
        params->seed = 40 + i;
        DimSampler *sampler = runs_finish(f, params);
        g_assert_true(dim_sampler_finish(sampler, rgb, 3 * (gsize)side, NULL));
        dim_sampler_free(&sampler);
        if (params->seamless != DIM_SEAMLESS_Y)
            add_steps(rgb, side, FALSE, steps);
        if (params->seamless != DIM_SEAMLESS_X)
            add_steps(rgb, side, TRUE, steps);
    }
    for (int j = 7; j < side - 8; j += 8)
        inner += steps[j] / (side / 8 - 1);
    return steps[side - 1] / inner;
}

/* Over the seam as over any other line, alone and upsample-guided; clearly more without. Each
 * figure is a mean of 24 or 12 lines, of which one strays by a fifth. */
static void test_seam(void)
{
    static const int labels[] = {3, 4, 5, 6, 12, 14, 9, 11, 0, 1, 2, 7};
    Runs f;
    DimParams params;

    runs_open(&f, "../golden/starter/model", 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 10;
    const double off = seam(&f, &params, labels, 6);
    params.seamless = DIM_SEAMLESS_BOTH;
    const double both = seam(&f, &params, labels, 12);
    params.seamless = DIM_SEAMLESS_X;
    const double x = seam(&f, &params, labels, 12);
    params.seamless = DIM_SEAMLESS_BOTH;
    params.width = params.height = 256;
    const double guided = seam(&f, &params, labels, 6);
    g_test_message("off %.3f, both %.3f, x %.3f, upsample-guided %.3f", off, both, x, guided);
    g_assert_cmpfloat(off, >, 1.3);
    g_assert_cmpfloat_with_epsilon(both, 1, 0.12);
    g_assert_cmpfloat_with_epsilon(x, 1, 0.17);
    g_assert_cmpfloat_with_epsilon(guided, 1, 0.17);
    runs_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/seamless/roll", test_roll);
    g_test_add_func("/seamless/rows", test_rows);
    g_test_add_func("/seamless/last-rows", test_last_rows);
    g_test_add_func("/seamless/pointwise", test_pointwise);
    g_test_add_func("/seamless/repeatable", test_repeatable);
    g_test_add_func("/seamless/margin/tae", test_tae_margin);
    g_test_add_func("/seamless/margin/kl", test_kl_margin);
    g_test_add_func("/seamless/sizes", test_sizes);
    g_test_add_func("/seamless/cropped", test_cropped);
    g_test_add_func("/seamless/memory", test_memory);
    g_test_add_func("/seamless/seam", test_seam);
    return g_test_run();
}
