/* The loss of a network that predicts variances, against the posterior of the diffusion written out
 * as in arXiv 2102.09672: means from x0, the predicted x0 and x_t, variances from the betas.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/model.h"
#include "engine/train/loss.h"

#include <math.h>

enum { B = 4, C = 2, SIDE = 3, COUNT = C * SIDE * SIDE, STEPS = 1000 };

static const int times[B] = {1, 2, 400, 1000};

typedef struct {
    double beta[STEPS + 1], product[STEPS + 1]; /* of 1 - beta, up to and with n */
} Tables;

static void make_tables(Tables *t)
{
    t->product[0] = 1;
    for (int n = 1; n <= STEPS; n++) {
        t->beta[n] = 1e-4 + (0.02 - 1e-4) * (n - 1) / (STEPS - 1);
        t->product[n] = t->product[n - 1] * (1 - t->beta[n]);
    }
}

static double number(int seed, int i)
{
    return sin(seed + 1.7 * i + 0.3 * i * seed);
}

/* What the network says of sample b: its prediction with an error, and v. */
static double prediction_error(int b, int i)
{
    return 0.3 * number(3 + b, i);
}

static double x0_of(int b, int i)
{
    return 1.5 * number(b, i);
}

static double eps_of(int b, int i)
{
    return number(10 + b, i);
}

static double v_of(int b, int i)
{
    return number(20 + b, i);
}

static double normal_below(double x)
{
    return 0.5 * (1 + tanh(sqrt(2 / G_PI) * (x + 0.044715 * x * x * x)));
}

/* -log2 of the likelihood of x in its bin of 1/127.5. */
static double bin_bits(double x, double mean, double log_variance)
{
    const double scale = exp(-log_variance / 2);
    const double above = normal_below(scale * (x - mean + 1.0 / 255));
    const double below = normal_below(scale * (x - mean - 1.0 / 255));

    return -log2(MAX(x < -0.999 ? above : x > 0.999 ? 1 - below : above - below, 1e-12));
}

/* One element's term of the bound, in bits. */
static double term(const Tables *t, DimPrediction prediction, int n, double x0, double eps,
                   double error, double v)
{
    const double a = t->product[n], before = t->product[n - 1], beta = t->beta[n];
    const double xt = sqrt(a) * x0 + sqrt(1 - a) * eps;
    const double guess =
        prediction == DIM_PREDICTION_V
            ? sqrt(a) * xt - sqrt(1 - a) * (sqrt(a) * eps - sqrt(1 - a) * x0 + error)
            : (xt - sqrt(1 - a) * (eps + error)) / sqrt(a);
    const double of_x0 = beta * sqrt(before) / (1 - a);
    const double of_xt = (1 - before) * sqrt(1 - beta) / (1 - a);
    const double true_mean = of_x0 * x0 + of_xt * xt, mean = of_x0 * guess + of_xt * xt;
    const int m = MAX(n, 2);
    const double lower = log(t->beta[m] * (1 - t->product[m - 1]) / (1 - t->product[m]));
    const double s = (v + 1) / 2 * log(beta) + (1 - v) / 2 * lower;

    if (n == 1)
        return bin_bits(x0, mean, s);
    return 0.5 *
           (s - lower - 1 + exp(lower - s) + (true_mean - mean) * (true_mean - mean) * exp(-s)) /
           log(2);
}

typedef struct {
    DkDevice *dk;
    DkBuffer *buffer;
    gsize end;
    DimGoal goal;
    DkTensor y, dy, loss;
} Bench;

static DkTensor take(Bench *b, DkType type, int rank, const gint64 *sizes)
{
    const DkTensor t = dk_tensor(b->buffer, b->end, type, rank, sizes);

    b->end += ((gsize)dk_tensor_count(t) * dk_type_size(type) + 63) / 64 * 64;
    return t;
}

static void fill(Bench *b, DimPrediction prediction, const Tables *t)
{
    float y[B][2 * COUNT], target[B][COUNT], clean[B][COUNT];
    double terms[B][DIM_LOSS_TERMS];
    DimSchedule schedule;

    g_assert_true(
        dim_schedule_init(&schedule, DIM_SCHEDULE_LINEAR, 1e-4, 0.02, STEPS, "test", NULL));
    for (int k = 0; k < B; k++) {
        dim_loss_terms(&schedule, prediction, times[k], terms[k]);
        for (int i = 0; i < COUNT; i++) {
            const double a = t->product[times[k]];
            clean[k][i] = (float)x0_of(k, i);
            target[k][i] = (float)(prediction == DIM_PREDICTION_V
                                       ? sqrt(a) * eps_of(k, i) - sqrt(1 - a) * x0_of(k, i)
                                       : eps_of(k, i));
            y[k][i] = (float)(target[k][i] + prediction_error(k, i));
            y[k][COUNT + i] = (float)v_of(k, i);
        }
    }
    dk_write(b->dk, b->y, y);
    dk_write(b->dk, b->goal.target, target);
    dk_write(b->dk, b->goal.clean, clean);
    dk_write(b->dk, b->goal.terms, terms);
    dim_schedule_clear(&schedule);
}

static void bench_open(Bench *b, DimDevice *device)
{
    const gint64 one = 1, all[] = {B, C, SIDE, SIDE}, twice[] = {B, 2 * C, SIDE, SIDE},
                 terms[] = {B, DIM_LOSS_TERMS};

    *b = (Bench){.dk = dim_device_dk(device)};
    b->buffer = dk_buffer_new(b->dk, 1 << 16);
    b->y = take(b, DK_F32, 4, twice);
    b->dy = take(b, DK_F32, 4, twice);
    b->loss = take(b, DK_F64, 1, &one);
    b->goal = (DimGoal){.target = take(b, DK_F32, 4, all),
                        .clean = take(b, DK_F32, 4, all),
                        .terms = take(b, DK_F64, 2, terms),
                        .weight = 0.25};
}

/* data: the prediction */
static void test_loss(gconstpointer data)
{
    const DimPrediction prediction = (DimPrediction)GPOINTER_TO_INT(data);
    const double factor = 0.5;
    double expected = 0, got = 0;
    float dy[B][2 * COUNT];
    DimDevice *device = dim_device_open("cpu", 2, NULL);
    Tables tables;
    Bench b;

    make_tables(&tables);
    bench_open(&b, device);
    fill(&b, prediction, &tables);
    dk_clear(b.dk, b.loss);
    dim_loss_run(b.dk, b.loss, b.dy, b.y, &b.goal, factor);
    dk_read(b.dk, &got, b.loss);
    dk_read(b.dk, dy, b.dy);
    for (int k = 0; k < B; k++)
        for (int i = 0; i < COUNT; i++) {
            const double e = prediction_error(k, i), h = 1e-4, v = v_of(k, i);
            const double up = term(&tables, prediction, times[k], x0_of(k, i), eps_of(k, i), e,
                                   v + h),
                         down = term(&tables, prediction, times[k], x0_of(k, i), eps_of(k, i), e,
                                     v - h);
            expected += factor * (e * e + 0.25 * (up + down) / 2);
            /* The bound's gradient goes to the variances only. */
            g_assert_cmpfloat_with_epsilon((double)dy[k][i], 2 * factor * e, 1e-5);
            g_assert_cmpfloat_with_epsilon((double)dy[k][COUNT + i],
                                           factor * 0.25 * (up - down) / (2 * h),
                                           1e-4 * (1 + fabs(up)));
        }
    g_assert_cmpfloat_with_epsilon(got, expected, 1e-5 * expected);
    g_assert_cmpint(dk_sync(b.dk), ==, DK_OK);
    dk_buffer_free(b.dk, &b.buffer);
    dim_device_close(&device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/loss/epsilon", GINT_TO_POINTER(DIM_PREDICTION_EPSILON), test_loss);
    g_test_add_data_func("/loss/v", GINT_TO_POINTER(DIM_PREDICTION_V), test_loss);
    return g_test_run();
}
