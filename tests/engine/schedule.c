/* Noise levels against the published numbers, and the small pass of upsample guidance.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/schedule.h"

#include <math.h>

#include "engine/upsample.h"

static DimSchedule stable_diffusion(void)
{
    DimSchedule schedule;

    g_assert_true(dim_schedule_init(&schedule, DIM_SCHEDULE_SCALED_LINEAR, 0.00085, 0.012, 1000,
                                    "test", NULL));
    return schedule;
}

/* scaled_linear 0.00085..0.012: points of the official 50-step run. */
static void test_official_run(void)
{
    static const struct {
        int k;
        double t, alpha, sigma, lambda;
    } points[] = {
        {0, 1000.00, 0.06826491, 0.99766723, -2.68202385},
        {1, 980.02, 0.07688551, 0.99703993, -2.56247335},
        {15, 700.30, 0.28800282, 0.95762956, -1.20149075},
        {25, 500.50, 0.52630824, 0.85029385, -0.47969496},
        {33, 340.66, 0.72372998, 0.69008327, 0.04760609},
        {46, 80.92, 0.95833171, 0.28565774, 1.21039960},
        {49, 20.98, 0.99062250, 0.13662743, 1.98107583},
        {50, 1.00, 0.99957491, 0.02915476, 3.53471192},
    };
    DimSchedule schedule = stable_diffusion();

    for (gsize i = 0; i < G_N_ELEMENTS(points); i++) {
        const DimTime at = dim_schedule_at(&schedule, dim_schedule_grid(1000, 50, points[i].k));
        g_assert_cmpfloat_with_epsilon(1000 * at.tc, points[i].t, 1e-9);
        g_assert_cmpfloat_with_epsilon(at.alpha, points[i].alpha, 6e-9);
        g_assert_cmpfloat_with_epsilon(at.sigma, points[i].sigma, 6e-9);
        g_assert_cmpfloat_with_epsilon(at.lambda, points[i].lambda, 6e-9);
    }
    dim_schedule_clear(&schedule);
}

/* "linear" by hand: two steps with beta 0.1 and 0.3, and a point between them and one below. */
static void test_linear(void)
{
    DimSchedule schedule;

    g_assert_true(dim_schedule_init(&schedule, DIM_SCHEDULE_LINEAR, 0.1, 0.3, 2, "test", NULL));
    g_assert_cmpfloat_with_epsilon(dim_schedule_alphabar(&schedule, 0), 1, 1e-15);
    g_assert_cmpfloat_with_epsilon(dim_schedule_alphabar(&schedule, 1), 0.9, 1e-15);
    g_assert_cmpfloat_with_epsilon(dim_schedule_alphabar(&schedule, 2), 0.63, 1e-15);
    g_assert_cmpfloat_with_epsilon(dim_schedule_at(&schedule, 0.75).alpha, pow(0.9 * 0.63, 0.25),
                                   1e-15);
    g_assert_cmpfloat_with_epsilon(dim_schedule_at(&schedule, 0.45).alpha,
                                   sqrt(0.9) * pow(0.7, -0.05), 1e-15);
    dim_schedule_clear(&schedule);
}

static void test_step(void)
{
    DimSchedule schedule = stable_diffusion();

    g_assert_cmpint(dim_schedule_step(&schedule, 1), ==, 1000);
    g_assert_cmpint(dim_schedule_step(&schedule, 0.7003), ==, 700);
    g_assert_cmpint(dim_schedule_step(&schedule, 0.7009999), ==, 700);
    g_assert_cmpint(dim_schedule_step(&schedule, 0.7009999999), ==, 701);
    g_assert_cmpint(dim_schedule_step(&schedule, 0.7010000001), ==, 701);
    dim_schedule_clear(&schedule);
}

/* Nothing left of the picture, nothing of noise, or no slope: no sampler can use it. */
static void test_refused(void)
{
    static const struct {
        double start, end;
        int timesteps;
    } bad[] = {{0.1, 0.1, 1}, {0, 0, 1000}, {0.5, 1, 1000}, {0.99, 0.99, 1000}, {NAN, 0.1, 10}};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        DimSchedule schedule;
        g_assert_false(dim_schedule_init(&schedule, DIM_SCHEDULE_LINEAR, bad[i].start, bad[i].end,
                                         bad[i].timesteps, "somewhere", &error));
        g_assert_error(error, DIM_ERROR, DIM_ERROR_UNSUPPORTED);
        g_assert_true(g_str_has_prefix(error->message, "somewhere"));
    }
}

/* By the definition: tau's signal-to-noise ratio is m^2 times that at tc, and the scaled means have
 * variance 1 where picture and noise have. */
static void test_upsample(void)
{
    DimSchedule schedule = stable_diffusion();

    for (int m = 2; m <= 4; m++)
        for (double tc = 0.7; tc <= 0.99; tc += 0.0137) {
            const DimUpsample small = dim_upsample_at(&schedule, m, tc);
            const double ab = dim_schedule_alphabar(&schedule, (int)floor(1000 * tc));
            const int n = (int)round(small.at.tc * 999);
            const double snr =
                dim_schedule_alphabar(&schedule, n) / (1 - dim_schedule_alphabar(&schedule, n));
            g_assert_cmpfloat_with_epsilon(small.scale * small.scale * (ab + (1 - ab) / (m * m)), 1,
                                           1e-12);
            g_assert_cmpfloat_with_epsilon(small.at.tc, n / 999.0, 1e-12);
            /* one step of the table is about one per cent */
            g_assert_cmpfloat_with_epsilon(snr / (m * m * ab / (1 - ab)), 1, 0.01);
        }
    dim_schedule_clear(&schedule);
    g_assert_true(dim_upsample_wanted(0.3, 1, 0.7));
    g_assert_true(dim_upsample_wanted(0.3, 1, 1));
    g_assert_false(dim_upsample_wanted(0.3, 1, 0.6999));
    g_assert_false(dim_upsample_wanted(0.3, 1.5, 1));
}

static void test_factor(void)
{
    static const struct {
        int width, height, native, factor;
    } cases[] = {
        {128, 128, 128, 1},
        {191, 191, 128, 1},
        {192, 192, 128, 2},
        {96, 384, 128, 2},
        {319, 319, 128, 2},
        {320, 320, 128, 3},
        {1024, 512, 128, 6},
        {300, 200, 128, 2},
        {512, 512, 256, 2},
        {64, 64, 128, 1},
        {2048, 64, 256, 1},
        {3000, 3000, 1024, 3},
        {G_MAXINT, G_MAXINT, 1, G_MAXINT},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(dim_upsample_factor(cases[i].width, cases[i].height, cases[i].native), ==,
                        cases[i].factor);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schedule/official-run", test_official_run);
    g_test_add_func("/schedule/linear", test_linear);
    g_test_add_func("/schedule/step", test_step);
    g_test_add_func("/schedule/refused", test_refused);
    g_test_add_func("/upsample/small-pass", test_upsample);
    g_test_add_func("/upsample/factor", test_factor);
    return g_test_run();
}
