/* The step loop: repeatable, cancelled at every step, guided, cropped, upsampled.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "engine/dim.h"
#include "engine/pass.h"
#include "engine/rng-torch.h"
#include "engine/rng.h"
#include "sample-runs.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
/* Sanitizers slow the work between two looks at the flag down tenfold. */
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { CANCEL_MICROSECONDS = 3000000 };
#else
enum { CANCEL_MICROSECONDS = 300000 };
#endif

static const char *const pixels = "../golden/dim/sample-v-2m",
                         *const rho = "../golden/dim/sample-20",
                         *const starter = "../golden/starter/model";

/* The same bits over two runs, with one thread and with two, for every sampler; others for another
 * seed, class or guidance. */
static void test_repeatable(gconstpointer sampler)
{
    Runs one, two;
    DimParams params;

    runs_open(&one, pixels, 1);
    runs_open(&two, pixels, 2);
    dim_params_init(&params, dim_model_info(one.model));
    params.sampler = sampler;
    params.steps = 7;
    params.width = 34;
    params.height = 20;
    DimArray a = runs_latent(&one, &params), b = runs_latent(&one, &params),
             c = runs_latent(&two, &params);
    g_assert_true(runs_same_bits(&a, &b));
    g_assert_true(runs_same_bits(&a, &c));
    for (int change = 0; change < 3; change++) {
        DimParams other = params;
        other.seed += change == 0;
        other.label += change == 1;
        other.guidance += change == 2;
        DimArray d = runs_latent(&one, &other);
        g_assert_false(runs_same_bits(&a, &d));
        dim_array_clear(&d);
    }
    dim_array_clear(&a);
    dim_array_clear(&b);
    dim_array_clear(&c);
    runs_close(&one);
    runs_close(&two);
}

/* One pass of a batch, its prediction read back. */
static void evaluate(const Runs *f, int batch, double guidance, const gint64 *labels,
                     const float *x, float *out)
{
    const gint64 sizes[] = {1, 3, 16, 18};
    const DimPrompt prompt = {{labels[0], labels[1]}, guidance};
    DimArena arena;
    DimPass pass = {0};
    DkTensor at = {0};

    dim_arena_dry(&arena);
    for (int dry = 1; dry >= 0; dry--) {
        at = dim_arena_take(&arena, DK_F32, 4, sizes);
        g_assert_true(dim_pass_plan(&pass, &arena, f->model->spec, dry ? NULL : f->model->net,
                                    batch, 16, 18, 0, 0, NULL));
        if (dry) {
            dim_pass_clear(&pass);
            g_assert_true(dim_arena_commit(&arena, f->model->dk, NULL));
        }
    }
    dk_write(f->model->dk, at, x);
    dk_read(f->model->dk, out, dim_pass_run(&pass, f->model->net, at, 431.5, &prompt, NULL));
    g_assert_true(dim_dk_check(f->model->dk, "test", NULL));
    dim_pass_clear(&pass);
    dim_arena_clear(&arena);
}

/* With w = 1 the pair of evaluations gives what the single one gives, bit for bit, and with w = 0
 * what the one without a class gives. In between it is the formula. */
static void test_guidance(void)
{
    enum { N = 3 * 16 * 18 };
    const gint64 labels[] = {3, 10}, none[] = {10, 10};
    float x[N], cond[N], uncond[N], guided[N];
    Runs f;

    runs_open(&f, pixels, 2);
    for (int i = 0; i < N; i++)
        x[i] = sinf(0.7f * i);
    evaluate(&f, 1, 1, labels, x, cond);
    evaluate(&f, 1, 1, none, x, uncond);
    evaluate(&f, 2, 1, labels, x, guided);
    g_assert_cmpmem(guided, sizeof guided, cond, sizeof cond);
    evaluate(&f, 2, 0, labels, x, guided);
    g_assert_cmpmem(guided, sizeof guided, uncond, sizeof uncond);
    evaluate(&f, 2, 2.5, labels, x, guided);
    for (int i = 0; i < N; i++)
        g_assert_cmpfloat_with_epsilon(guided[i], uncond[i] + 2.5 * (cond[i] - uncond[i]), 1e-4);
    runs_close(&f);
}

/* Cancelled before each step, and before decoding: all memory is given back, and a new run is
 * whole. */
static void test_cancel_at_each_step(void)
{
    g_autofree float *rgb = g_new(float, 3 * 32 * 32);
    Runs f;
    DimParams params;

    runs_open(&f, "../golden/dim/sample-upsample2x", 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 5;
    params.width = params.height = 32;
    DimArray whole = runs_latent(&f, &params);
    const gint64 before = dim_device_bytes(f.device, NULL);
    for (int stop = 0; stop <= params.steps; stop++) {
        g_autoptr(GError) error = NULL;
        DimSampler *sampler = runs_start(&f, &params);
        g_assert_cmpint(dim_device_bytes(f.device, NULL), >, before);
        while (dim_sampler_at(sampler) < stop)
            g_assert_true(dim_sampler_step(sampler, NULL));
        dim_sampler_cancel(sampler);
        g_assert_false(stop < params.steps ? dim_sampler_step(sampler, &error)
                                           : dim_sampler_finish(sampler, rgb, 3 * 32, &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
        g_assert_cmpint(dim_sampler_at(sampler), ==, stop);
        dim_sampler_free(&sampler);
        g_assert_null(sampler);
        g_assert_cmpint(dim_device_bytes(f.device, NULL), ==, before);
    }
    DimArray again = runs_latent(&f, &params);
    g_assert_true(runs_same_bits(&whole, &again));
    dim_array_clear(&whole);
    dim_array_clear(&again);
    runs_close(&f);
}

typedef struct {
    DimSampler *sampler;
    gint64 cancelled; /* when */
    int distinct;     /* values of the progress seen; at 4 it is cancelled */
    gboolean went_back;
} Watch;

static gpointer watch(gpointer data)
{
    Watch *w = data;
    const gint64 end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    double last = -1;

    while (w->distinct < 4 && g_get_monotonic_time() < end) {
        const double now = dim_sampler_progress(w->sampler);
        w->distinct += now != last;
        w->went_back |= now < last;
        last = now;
        g_usleep(1000);
    }
    g_usleep(50000);
    w->cancelled = g_get_monotonic_time();
    dim_sampler_cancel(w->sampler);
    return NULL;
}

/* Within one step, from another thread: the progress moves, and the step ends within 300 ms; best
 * of three, since the machine may have other work. */
static void test_cancel_within_a_step(void)
{
    gint64 best = G_MAXINT64;
    Runs f;
    DimParams params;

    runs_open(&f, starter, 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.width = params.height = 1024;
    params.upsample = DIM_UPSAMPLE_OFF;
    for (int i = 0; i < 3; i++) {
        g_autoptr(GError) error = NULL;
        Watch w = {.sampler = runs_start(&f, &params)};
        GThread *thread = g_thread_new("watch", watch, &w);
        g_assert_false(dim_sampler_step(w.sampler, &error));
        const gint64 stopped = g_get_monotonic_time();
        g_thread_join(thread);
        g_assert_error(error, DIM_ERROR, DIM_ERROR_CANCELLED);
        g_assert_false(w.went_back);
        g_assert_cmpint(w.distinct, ==, 4);
        best = MIN(best, stopped - w.cancelled);
        dim_sampler_free(&w.sampler);
    }
    g_test_message("stopped after %.1f ms", best * 1e-3);
    g_assert_cmpint(best, <, CANCEL_MICROSECONDS);
    runs_close(&f);
}

/* Never decreasing, over sampling and decoding, from 0 to 1. */
static void test_progress(void)
{
    g_autofree float *rgb = g_new(float, 3 * 40 * 24);
    Runs f;
    DimParams params;

    runs_open(&f, starter, 1);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 3;
    params.width = 40;
    params.height = 24;
    DimSampler *sampler = runs_start(&f, &params);
    double last = dim_sampler_progress(sampler);
    g_assert_cmpfloat(last, ==, 0);
    while (!dim_sampler_done(sampler)) {
        g_assert_true(dim_sampler_step(sampler, NULL));
        g_assert_cmpfloat(dim_sampler_progress(sampler), >, last);
        last = dim_sampler_progress(sampler);
    }
    g_assert_cmpfloat(last, <, 1);
    g_assert_true(dim_sampler_finish(sampler, rgb, 3 * 40, NULL));
    g_assert_cmpfloat(dim_sampler_progress(sampler), ==, 1);
    dim_sampler_free(&sampler);
    runs_close(&f);
}

/* On pixels the picture is the sample, mapped to [0, 1], clamped, cropped at the right and the
 * bottom; what lies between the rows is not touched. */
static void test_crop(void)
{
    enum { W = 19, H = 17, STRIDE = 3 * W + 5 };
    g_autofree float *rgb = g_new(float, H *STRIDE);
    Runs f;
    DimParams params;
    DimArray z = {0};

    runs_open(&f, rho, 1);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 4;
    params.width = W;
    params.height = H;
    for (int i = 0; i < H * STRIDE; i++)
        rgb[i] = -77;
    DimSampler *sampler = runs_finish(&f, &params);
    g_assert_true(dim_sampler_finish(sampler, rgb, STRIDE, NULL));
    g_assert_true(dim_sampler_latent(sampler, &z, NULL));
    g_assert_cmpint(z.sizes[2], ==, 18);
    g_assert_cmpint(z.sizes[3], ==, 20);
    for (int i = 0; i < H; i++) {
        for (int j = 0; j < W; j++)
            for (int c = 0; c < 3; c++)
                g_assert_cmpfloat_with_epsilon(
                    rgb[i * STRIDE + 3 * j + c],
                    CLAMP(z.data[(c * 18 + i) * 20 + j] / 2 + 0.5f, 0, 1), 1e-6);
        for (int j = 3 * W; j < STRIDE; j++)
            g_assert_cmpfloat(rgb[i * STRIDE + j], ==, -77);
    }
    dim_array_clear(&z);
    dim_sampler_free(&sampler);
    runs_close(&f);
}

static void test_noise(void)
{
    g_autoptr(GError) error = NULL;
    DimArray noise = {0};
    Runs f;
    DimParams params;

    runs_open(&f, pixels, 1);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 2;
    g_assert_true(dim_array_alloc(&noise, 4, (gint64[]){1, 3, 16, 18}, NULL));
    memset(noise.data, 0, sizeof(float) * 3 * 16 * 18);
    params.noise = &noise;
    g_assert_null(dim_sampler_new(f.model, &params, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "[1, 3, 16, 16]"));
    params.width = 18;
    DimArray a = runs_latent(&f, &params);
    params.seed = 99; /* has no part in it now */
    DimArray b = runs_latent(&f, &params);
    g_assert_true(runs_same_bits(&a, &b));
    dim_array_clear(&a);
    dim_array_clear(&b);
    dim_array_clear(&noise);
    runs_close(&f);
}

/* Step noise: of the samplers that add it, in its order, and refused in any other shape. */
static void test_step_noise(void)
{
    enum { N = 3 * 16 * 16, STEPS = 4 };
    g_autoptr(GError) error = NULL;
    DimArray noise = {0};
    Runs f;
    DimParams params;

    runs_open(&f, pixels, 1);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = STEPS;
    params.sampler = "ddpm";
    DimArray seeded = runs_latent(&f, &params);
    g_assert_true(dim_array_alloc(&noise, 5, (gint64[]){STEPS, 1, 3, 16, 16}, NULL));
    for (int k = 0; k < STEPS; k++)
        dim_noise_fill_step(noise.data + k * N, params.seed, k, 3, 16, 16, 1);
    params.step_noise = &noise;
    DimArray given = runs_latent(&f, &params);
    g_assert_true(runs_same_bits(&seeded, &given));
    noise.data[(STEPS - 1) * N] += 1; /* the last step adds none */
    DimArray same = runs_latent(&f, &params);
    g_assert_true(runs_same_bits(&seeded, &same));
    noise.data[(STEPS - 2) * N] += 1;
    DimArray other = runs_latent(&f, &params);
    g_assert_false(runs_same_bits(&seeded, &other));
    params.steps = STEPS - 1;
    g_assert_null(dim_sampler_new(f.model, &params, &error));
    g_assert_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT);
    g_assert_nonnull(strstr(error->message, "[3, 1, 3, 16, 16]"));
    params.sampler = "ddim"; /* has no use for it */
    DimArray unused = runs_latent(&f, &params);
    DimArray *arrays[] = {&seeded, &given, &same, &other, &unused, &noise};
    for (gsize i = 0; i < G_N_ELEMENTS(arrays); i++)
        dim_array_clear(arrays[i]);
    runs_close(&f);
}

/* The start, then every step's: what one generator gives in a row. */
static void test_torch_noise(void)
{
    enum { N = 3 * 16 * 16, STEPS = 3 };
    DimArray start = {0}, steps = {0};
    DimTorchRng rng;
    Runs f;
    DimParams params;

    runs_open(&f, pixels, 1);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = STEPS;
    params.sampler = "ddpm";
    params.seed = 99;
    params.rng = DIM_RNG_TORCH;
    DimArray seeded = runs_latent(&f, &params);
    g_assert_true(dim_array_alloc(&start, 4, (gint64[]){1, 3, 16, 16}, NULL));
    g_assert_true(dim_array_alloc(&steps, 5, (gint64[]){STEPS, 1, 3, 16, 16}, NULL));
    dim_torch_seed(&rng, 99);
    dim_torch_normal(&rng, start.data, N);
    for (int k = 0; k < STEPS; k++)
        dim_torch_normal(&rng, steps.data + k * N, N);
    params.rng = DIM_RNG_PHILOX;
    params.noise = &start;
    params.step_noise = &steps;
    DimArray given = runs_latent(&f, &params);
    g_assert_true(runs_same_bits(&seeded, &given));
    DimArray *arrays[] = {&seeded, &given, &start, &steps};
    for (gsize i = 0; i < G_N_ELEMENTS(arrays); i++)
        dim_array_clear(arrays[i]);
    runs_close(&f);
}

/* Guidance over all times is guidance, over none is w = 1, and over some is neither; with upsample
 * guidance, too, and every sampler. */
static void test_guidance_interval(gconstpointer sampler)
{
    Runs f;
    DimParams params;

    runs_open(&f, "../golden/dim/sample-upsample2x", 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.sampler = sampler;
    params.steps = 4;
    params.width = params.height = 32;
    params.guidance = 3;
    DimArray all = runs_latent(&f, &params);
    params.guidance_low = 0.3;
    params.guidance_high = 0.8;
    DimArray some = runs_latent(&f, &params);
    params.guidance_low = params.guidance_high = 0.0001;
    DimArray none = runs_latent(&f, &params);
    params.guidance_low = 0;
    params.guidance_high = 1;
    params.guidance = 1;
    DimArray off = runs_latent(&f, &params);
    g_assert_true(runs_same_bits(&none, &off));
    g_assert_false(runs_same_bits(&some, &off));
    g_assert_false(runs_same_bits(&some, &all));
    DimArray *arrays[] = {&all, &some, &none, &off};
    for (gsize i = 0; i < G_N_ELEMENTS(arrays); i++)
        dim_array_clear(arrays[i]);
    runs_close(&f);
}

/* Correlation of a sample's cells' means with a smaller sample, each channel's own mean apart. */
static double likeness(const DimArray *large, const DimArray *small)
{
    const int h = (int)small->sizes[2], w = (int)small->sizes[3], m = (int)(large->sizes[2] / h);
    double ab = 0, aa = 0, bb = 0;

    for (int c = 0; c < small->sizes[1]; c++) {
        g_autofree double *means = g_new0(double, h *w);
        const float *s = small->data + (gsize)c * h * w,
                    *l = large->data + (gsize)c * h * w * m * m;
        double mean_a = 0, mean_b = 0;
        for (int k = 0; k < h * w * m * m; k++)
            means[k / (w * m) / m * w + k % (w * m) / m] += l[k] / (m * m);
        for (int k = 0; k < h * w; k++)
            mean_a += means[k] / (h * w), mean_b += s[k] / (h * w);
        for (int k = 0; k < h * w; k++) {
            ab += (means[k] - mean_a) * (s[k] - mean_b);
            aa += (means[k] - mean_a) * (means[k] - mean_a);
            bb += (s[k] - mean_b) * (s[k] - mean_b);
        }
    }
    return ab / sqrt(aa * bb);
}

/* A thumbnail foretells the big picture: with upsample guidance the large sample, made small, is
 * the small one of the same seed; without it, and with another seed, they have nothing in common.
 */
static void test_upsample(void)
{
    Runs f;
    DimParams params;

    runs_open(&f, starter, 2);
    dim_params_init(&params, dim_model_info(f.model));
    params.steps = 10;
    params.seed = 2;
    DimArray small = runs_latent(&f, &params);
    params.width = params.height = 256;
    DimArray guided = runs_latent(&f, &params);
    params.upsample = DIM_UPSAMPLE_OFF;
    DimArray plain = runs_latent(&f, &params);
    g_test_message("likeness: guided %.3f, plain %.3f", likeness(&guided, &small),
                   likeness(&plain, &small));
    g_assert_cmpfloat(likeness(&guided, &small), >, 0.7);
    g_assert_cmpfloat(fabs(likeness(&plain, &small)), <, 0.1);
    dim_array_clear(&small);
    dim_array_clear(&guided);
    dim_array_clear(&plain);
    runs_close(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (const char *const *name = dim_sampler_names(); *name; name++) {
        g_autofree char *path = g_strconcat("/sampler/repeatable/", *name, NULL);
        g_test_add_data_func(path, *name, test_repeatable);
        g_autofree char *interval = g_strconcat("/sampler/guidance-interval/", *name, NULL);
        g_test_add_data_func(interval, *name, test_guidance_interval);
    }
    g_test_add_func("/sampler/guidance", test_guidance);
    g_test_add_func("/sampler/cancel-at-each-step", test_cancel_at_each_step);
    g_test_add_func("/sampler/cancel-within-a-step", test_cancel_within_a_step);
    g_test_add_func("/sampler/progress", test_progress);
    g_test_add_func("/sampler/crop", test_crop);
    g_test_add_func("/sampler/noise", test_noise);
    g_test_add_func("/sampler/step-noise", test_step_noise);
    g_test_add_func("/sampler/torch-noise", test_torch_noise);
    g_test_add_func("/sampler/upsample", test_upsample);
    return g_test_run();
}
