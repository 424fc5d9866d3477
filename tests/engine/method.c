/* The samplers against a second writing of their formulas, in double, over every number of steps.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The network is a function of x and time that any wrong coefficient, order or time shows in. */
#include "engine/method.h"

#include <math.h>
#include <string.h>

static DimSchedule schedule;

static double network(double x, const DimTime *at)
{
    return tanh(x) * (0.3 + at->tc) + 0.4 * sin(3 * at->tc + x);
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

static double run_method(DkDevice *dk, const DimMethod *method, Network eps, double x,
                         const DimTime *times, int steps)
{
    const int64_t sizes[] = {1, 1, 1, 1};
    DkBuffer *buffer = dk_buffer_new(dk, 64 * (2 + DIM_METHOD_KEPT_MAX));
    DimRun run = {.dk = dk,
                  .steps = steps,
                  .times = times,
                  .x = dk_tensor(buffer, 0, DK_F32, 4, sizes),
                  .p = dk_tensor(buffer, 64, DK_F32, 4, sizes)};
    float value = (float)x;

    for (int i = 0; i < method->n_kept; i++)
        run.kept[i] = dk_tensor(buffer, 64 * (2 + i), DK_F32, 4, sizes);
    dk_write(dk, run.x, &value);
    for (int k = 0; k < steps; k++) {
        const DimTime *at = times + k;
        const double noise = eps(value, at), data = (value - at->sigma * noise) / at->alpha;
        const float p = (float)(method->wants_data ? data : noise);
        dk_write(dk, run.p, &p);
        method->advance(&run, k);
        dk_read(dk, &value, run.x);
    }
    dk_buffer_free(dk, &buffer);
    return value;
}

static void test_method(gconstpointer name)
{
    const DimMethod *method = dim_method_find(name);
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);

    g_assert_nonnull(method);
    for (int steps = 1; steps <= 50; steps++) {
        DimTime times[51];
        for (int k = 0; k <= steps; k++)
            times[k] = dim_schedule_at(&schedule, dim_schedule_grid(schedule.timesteps, steps, k));
        for (double x = -1.7; x < 2; x += 1.1) {
            const double want =
                !strcmp(name, "dpm-solver++-fast") ? single_step(x, times, steps, block_data)
                : !strcmp(name, "dpm-solver-fast") ? single_step(x, times, steps, block_noise)
                                                   : multistep(x, times, steps);
            /* f32 states, and a first data prediction 15 times as large as x */
            g_assert_cmpfloat_with_epsilon(run_method(dk, method, network, x, times, steps), want,
                                           1e-4 * (1 + fabs(want)));
        }
    }
    dk_device_close(&dk);
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

/* Relative error of a run over lambda from -2.5 to 2.5 in equal steps. */
static double gaussian_error(DkDevice *dk, const DimMethod *method, int steps)
{
    DimTime times[100];

    for (int k = 0; k <= steps; k++) {
        const double lambda = -2.5 + 5.0 * k / steps;
        times[k] = (DimTime){1 - (double)k / steps, 1 / sqrt(1 + exp(-2 * lambda)),
                             1 / sqrt(1 + exp(2 * lambda)), lambda};
    }
    const double exact = sqrt(variance(&times[steps]) / variance(&times[0]));
    return fabs(run_method(dk, method, gaussian, 1, times, steps) / exact - 1);
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
    } expected[] = {
        {"dpm-solver++-fast", 17, 35, 2.9, 4.8},
        {"dpm-solver-fast", 17, 35, 2.9, 4.8},
        {"dpm-solver++-2m", 35, 71, 1.9, 2.1},
    };
    DkDevice *dk = dk_device_open(DK_BACKEND_REF, 1, DK_ISA_ALL);

    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        const DimMethod *method = dim_method_find(expected[i].name);
        const double order = log2(gaussian_error(dk, method, expected[i].steps) /
                                  gaussian_error(dk, method, expected[i].twice));
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_true(dim_schedule_init(&schedule, DIM_SCHEDULE_SCALED_LINEAR, 0.00085, 0.012, 1000,
                                    "test", NULL));
    g_test_add_func("/method/orders", test_orders);
    g_test_add_func("/method/unknown", test_unknown);
    g_test_add_func("/method/order-of-error", test_order_of_error);
    for (const char *const *name = dim_sampler_names(); *name; name++) {
        g_autofree char *path = g_strconcat("/method/", *name, NULL);
        g_test_add_data_func(path, *name, test_method);
    }
    const int status = g_test_run();
    dim_schedule_clear(&schedule);
    return status;
}
