/* The samplers against a second writing of their formulas, in double: here over every number of
 * steps, or in tests/golden/trajectories over some.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The network is a function of x and time that any wrong coefficient, order or time shows in. */
#include "engine/method.h"

#include <math.h>
#include <string.h>

static DimSchedule schedule;

/* These three also in tests/golden/trajectories/make.py. */
static double network(double x, const DimTime *at)
{
    return tanh(x) * (0.3 + at->tc) + 0.4 * sin(3 * at->tc + x);
}

static double variance_values(double x, const DimTime *at)
{
    return cos(5 * at->tc + x);
}

static double step_noise(int k)
{
    return sin(1 + 2 * k) + 0.1 * cos(3 * k);
}

static double data_of(double x, const DimTime *at)
{
    return (x - at->sigma * network(x, at)) / at->alpha;
}

/* ---- the formulas one by one, as dim.md 9.1 to 9.3 has them ---- */

/* Orders of the blocks by the rule in words. */
static int block_orders(int steps, int *orders)
{
    const int blocks = steps / 3 + 1;
    int n = 0;

    for (int i = 0; i < blocks - (steps % 3 == 0 ? 2 : 1); i++)
        orders[n++] = 3;
    if (steps % 3 == 0) {
        if (steps >= 3)
            orders[n++] = 2;
        orders[n++] = 1;
    } else
        orders[n++] = steps % 3;
    return n;
}

static double block_data(double x, const DimTime *t, int order)
{
    const DimTime *a = t, *b = t + order, *t1 = t + 1, *t2 = t + 2;
    const double h = b->lambda - a->lambda, r1 = (t1->lambda - a->lambda) / h, phi1 = expm1(-h);
    const double xa = data_of(x, a);

    if (order == 1)
        return b->sigma / a->sigma * x - b->alpha * phi1 * xa;
    const double x1 = t1->sigma / a->sigma * x - t1->alpha * expm1(-r1 * h) * xa;
    const double d1 = data_of(x1, t1) - xa;
    if (order == 2)
        return b->sigma / a->sigma * x - b->alpha * phi1 * xa - 0.5 / r1 * b->alpha * phi1 * d1;
    const double r2 = (t2->lambda - a->lambda) / h, phi12 = expm1(-r2 * h);
    const double phi22 = phi12 / (r2 * h) + 1, phi2 = phi1 / h + 1;
    const double x2 =
        t2->sigma / a->sigma * x - t2->alpha * phi12 * xa + r2 / r1 * t2->alpha * phi22 * d1;
    return b->sigma / a->sigma * x - b->alpha * phi1 * xa +
           1 / r2 * b->alpha * phi2 * (data_of(x2, t2) - xa);
}

static double block_noise(double x, const DimTime *t, int order)
{
    const DimTime *a = t, *b = t + order, *t1 = t + 1, *t2 = t + 2;
    const double h = b->lambda - a->lambda, r1 = (t1->lambda - a->lambda) / h, phi1 = expm1(h);
    const double ea = network(x, a);

    if (order == 1)
        return b->alpha / a->alpha * x - b->sigma * phi1 * ea;
    const double x1 = t1->alpha / a->alpha * x - t1->sigma * expm1(r1 * h) * ea;
    const double d1 = network(x1, t1) - ea;
    if (order == 2)
        return b->alpha / a->alpha * x - b->sigma * phi1 * ea - 0.5 / r1 * b->sigma * phi1 * d1;
    const double r2 = (t2->lambda - a->lambda) / h, phi12 = expm1(r2 * h);
    const double phi22 = phi12 / (r2 * h) - 1, phi2 = phi1 / h - 1;
    const double x2 =
        t2->alpha / a->alpha * x - t2->sigma * phi12 * ea - r2 / r1 * t2->sigma * phi22 * d1;
    return b->alpha / a->alpha * x - b->sigma * phi1 * ea -
           1 / r2 * b->sigma * phi2 * (network(x2, t2) - ea);
}

static double single_step(double x, const DimTime *times, int steps,
                          double (*block)(double, const DimTime *, int))
{
    g_autofree int *orders = g_new(int, steps + 2);
    const int n = block_orders(steps, orders);
    int at = 0;

    for (int i = 0; i < n; i++) {
        x = block(x, times + at, orders[i]);
        at += orders[i];
    }
    g_assert_cmpint(at, ==, steps);
    return x;
}

static double multistep(double x, const DimTime *times, int steps)
{
    double last = 0;

    for (int k = 0; k < steps; k++) {
        const DimTime *a = times + k, *b = a + 1;
        const double h = b->lambda - a->lambda, now = data_of(x, a);
        const double y = k ? now + h / (2 * (a->lambda - a[-1].lambda)) * (now - last) : now;
        x = b->sigma / a->sigma * x - b->alpha * expm1(-h) * y;
        last = now;
    }
    return x;
}

/* ---- the product ---- */

typedef double (*Network)(double x, const DimTime *at);

/* What a network of one number is. */
typedef struct {
    Network eps, variance; /* the latter may be NULL */
    double (*noise)(int k);
} Model;

static double run_method(DkDevice *dk, const DimMethod *method, const Model *model, double x,
                         const DimTime *times, int steps)
{
    const int64_t sizes[] = {1, 1, 1, 1};
    DkBuffer *buffer = dk_buffer_new(dk, 64 * (3 + DIM_METHOD_KEPT_MAX));
    float noise, variance;
    DimRun run = {.dk = dk,
                  .steps = steps,
                  .times = times,
                  .x = dk_tensor(buffer, 0, DK_F32, 4, sizes),
                  .p = dk_tensor(buffer, 64, DK_F32, 4, sizes),
                  .z = dk_tensor(buffer, 128, DK_F32, 4, sizes),
                  .noise = &noise,
                  .variance = model->variance ? &variance : NULL};
    float value = (float)x;

    for (int i = 0; i < method->n_kept; i++)
        run.kept[i] = dk_tensor(buffer, 64 * (3 + i), DK_F32, 4, sizes);
    dk_write(dk, run.x, &value);
    for (int i = 0; i < steps * method->stages; i++) {
        const int k = i / method->stages;
        run.stage = i % method->stages;
        const DimTime *at = times + k + run.stage;
        const double eps = model->eps(value, at), data = (value - at->sigma * eps) / at->alpha;
        const float p = (float)(method->wants_data ? data : eps);
        noise = model->noise ? (float)model->noise(k) : 0;
        variance = model->variance ? (float)model->variance(value, at) : 0;
        dk_write(dk, run.p, &p);
        method->advance(&run, k);
        dk_read(dk, &value, run.x);
    }
    dk_buffer_free(dk, &buffer);
    return value;
}

static void make_times(const DimMethod *method, int steps, DimTime *times)
{
    for (int k = 0; k <= steps; k++) {
        const double tc = method->grid(schedule.timesteps, steps, k);
        times[k] = tc > 0 ? dim_schedule_at(&schedule, tc) : (DimTime){0, 1, 0, INFINITY};
    }
}

static void test_method(gconstpointer name)
{
    const DimMethod *method = dim_method_find(name);
    const Model model = {.eps = network};
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);

    g_assert_nonnull(method);
    for (int steps = 1; steps <= 50; steps++) {
        DimTime times[51];
        make_times(method, steps, times);
        for (double x = -1.7; x < 2; x += 1.1) {
            const double want =
                !strcmp(name, "dpm-solver++-fast") ? single_step(x, times, steps, block_data)
                : !strcmp(name, "dpm-solver-fast") ? single_step(x, times, steps, block_noise)
                                                   : multistep(x, times, steps);
            /* f32 states, and a first data prediction 15 times as large as x */
            g_assert_cmpfloat_with_epsilon(run_method(dk, method, &model, x, times, steps), want,
                                           1e-4 * (1 + fabs(want)));
        }
    }
    dk_device_close(&dk);
}

/* Every line "sampler steps start end" of the file; "ddpm-fixed" is ddpm without variance values.
 */
static void test_trajectories(void)
{
    g_autofree char *file =
        g_test_build_filename(G_TEST_DIST, "../golden/trajectories/trajectories.txt", NULL);
    g_autofree char *text = NULL;
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);
    int n = 0;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    for (char **line = lines; *line; line++, n++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 4);
        const gboolean is_fixed = !strcmp(words[0], "ddpm-fixed");
        const DimMethod *method = dim_method_find(is_fixed ? "ddpm" : words[0]);
        const Model model = {network, is_fixed ? NULL : variance_values, step_noise};
        const int steps = (int)g_ascii_strtoll(words[1], NULL, 10);
        const double want = g_ascii_strtod(words[3], NULL);
        DimTime times[51];
        g_assert_nonnull(method);
        make_times(method, steps, times);
        const double got =
            run_method(dk, method, &model, g_ascii_strtod(words[2], NULL), times, steps);
        if (fabs(got - want) > 1e-4 * (1 + fabs(want)))
            g_test_message("%s: got %.9g", *line, got);
        g_assert_cmpfloat_with_epsilon(got, want, 1e-4 * (1 + fabs(want)));
    }
    g_assert_cmpint(n, ==, 7 * 14 * 4);
    dk_device_close(&dk);
}

/* dit.md 9.1's, as published: evenly with halves to even and the sum's own rounding; strided. */
static void test_respaced(void)
{
    static const struct {
        const char *name;
        int steps, n, taus[7];
    } expected[] = {
        {"ddpm", 7, 7, {0, 166, 333, 500, 666, 832, 999}},
        {"ddpm", 250, 7, {0, 4, 8, 12, 16, 20, 24}},
        {"ddpm", 1, 1, {0}},
        {"ddim", 10, 3, {0, 100, 200}},
        {"ddim", 30, 2, {0, 34}},
        {"ddim", 37, 2, {0, 28}},
        {"ddim", 1000, 3, {0, 1, 2}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        const DimMethod *method = dim_method_find(expected[i].name);
        const int steps = expected[i].steps;
        for (int j = 0; j < expected[i].n; j++)
            g_assert_cmpfloat_with_epsilon(method->grid(1000, steps, steps - 1 - j) * 1000,
                                           expected[i].taus[j] + 1, 1e-9);
        g_assert_cmpfloat(method->grid(1000, steps, steps), ==, 0);
    }
    g_assert_cmpfloat_with_epsilon(dim_method_ddpm.grid(1000, 21, 10) * 1000, 499 + 1, 1e-9);
    g_assert_cmpfloat_with_epsilon(dim_method_ddim.grid(1000, 37, 0) * 1000, 999 + 1, 1e-9);
}

/* The exact noise prediction for pictures that are N(0, 1/4). The path is x / sqrt (variance). */
static double variance(const DimTime *at)
{
    return at->alpha * at->alpha / 4 + at->sigma * at->sigma;
}

static double gaussian(double x, const DimTime *at)
{
    return x * at->sigma / variance(at);
}

static int impulse; /* the step whose noise is 1; -1: none */

static double impulse_noise(int k)
{
    return k == impulse;
}

/* Relative error of a run over lambda from -2.5 to 2.5 in equal steps, but for two very short ones
 * at either end where a method has lower orders there: of the path, or, where noise
 * is added, of the deviation of what comes out. Both are linear in the start and in each noise. */
static double gaussian_error(DkDevice *dk, const DimMethod *method, int steps, gboolean short_ends)
{
    const Model model = {.eps = gaussian, .noise = impulse_noise};
    DimTime times[100];

    for (int k = 0; k <= steps; k++) {
        const double end = 2.0 / steps, middle = steps - 4 + 4 * end;
        const double place =
            MIN(k, 2) * end + CLAMP(k - 2, 0, steps - 4) + MAX(k - steps + 2, 0) * end;
        const double lambda = -2.5 + 5 * (short_ends ? place / middle : (double)k / steps);
        times[k] = (DimTime){1 - (double)k / steps, 1 / sqrt(1 + exp(-2 * lambda)),
                             1 / sqrt(1 + exp(2 * lambda)), lambda};
    }
    const double exact = sqrt(variance(&times[steps]) / variance(&times[0]));
    impulse = -1;
    const double path = run_method(dk, method, &model, 1, times, steps);
    double square = path * path;
    for (impulse = 0; method->adds_noise && impulse < steps; impulse++) {
        const double part = run_method(dk, method, &model, 0, times, steps);
        square += part * part / variance(&times[0]);
    }
    return fabs(sqrt(square) / exact - 1);
}

/* Twice the steps: the error falls by 2 to the power of the method's order, and more than that for
 * the blocks of order 3 as long as they are long. Numbers of steps whose last block is of order 2.
 */
static void test_order_of_error(void)
{
    static const struct {
        const char *name;
        int steps, twice;
        double order_min, order_max;
        gboolean short_ends;
    } expected[] = {
        {"dpm-solver++-fast", 17, 35, 2.9, 4.8, FALSE},
        {"dpm-solver-fast", 17, 35, 2.9, 4.8, FALSE},
        {"dpm-solver++-2m", 35, 71, 1.9, 2.1, FALSE},
        {"dpm-solver++-3m", 17, 35, 2.9, 4.8, FALSE},
        {"unipc", 12, 24, 2.9, 8, TRUE},
        {"ddim", 35, 70, 0.9, 1.1, FALSE},
        {"ddpm", 35, 70, 0.9, 1.3, FALSE},
        {"euler", 35, 70, 0.9, 1.1, FALSE},
        {"heun", 35, 70, 1.9, 2.1, FALSE},
    };
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);

    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        const DimMethod *method = dim_method_find(expected[i].name);
        const double order =
            log2(gaussian_error(dk, method, expected[i].steps, expected[i].short_ends) /
                 gaussian_error(dk, method, expected[i].twice, expected[i].short_ends));
        g_test_message("%s: order %.2f", expected[i].name, order);
        g_assert_cmpfloat(order, >, expected[i].order_min);
        g_assert_cmpfloat(order, <, expected[i].order_max);
    }
    dk_device_close(&dk);
}

/* The table, one by one: orders 3,3,3,1 - 3,3,3,2,1 - six of 3, one of 2 - sixteen of 3, one of 2.
 */
static void test_orders(void)
{
    static const struct {
        int steps, blocks, last;
    } rules[] = {{1, 1, 1}, {2, 1, 2}, {3, 2, 1}, {10, 4, 1}, {12, 5, 1}, {20, 7, 2}, {50, 17, 2}};
    int orders[20];

    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        g_assert_cmpint(block_orders(rules[i].steps, orders), ==, rules[i].blocks);
        g_assert_cmpint(orders[rules[i].blocks - 1], ==, rules[i].last);
    }
}

static void test_unknown(void)
{
    g_assert_null(dim_method_find("dpm-solver"));
    g_assert_null(dim_method_find(""));
    for (const char *const *name = dim_sampler_names(); *name; name++)
        g_assert_nonnull(dim_method_find(*name));
}

static const char *const written_here[] = {"dpm-solver++-fast", "dpm-solver-fast",
                                           "dpm-solver++-2m"};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_true(dim_schedule_init(&schedule, DIM_SCHEDULE_SCALED_LINEAR, 0.00085, 0.012, 1000,
                                    "test", NULL));
    g_test_add_func("/method/orders", test_orders);
    g_test_add_func("/method/unknown", test_unknown);
    g_test_add_func("/method/order-of-error", test_order_of_error);
    g_test_add_func("/method/trajectories", test_trajectories);
    g_test_add_func("/method/respaced", test_respaced);
    for (gsize i = 0; i < G_N_ELEMENTS(written_here); i++) {
        g_autofree char *path = g_strconcat("/method/", written_here[i], NULL);
        g_test_add_data_func(path, written_here[i], test_method);
    }
    const int status = g_test_run();
    dim_schedule_clear(&schedule);
    return status;
}
