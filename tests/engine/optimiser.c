/* Muon's step against its formulas written out in double, what its iteration does to singular
 * values, and that the tensors which are not its own take AdamW's step.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/model.h"
#include "engine/train/optimiser.h"

#include <math.h>
#include <string.h>

enum { ROWS_MAX = 40, STEPS = 3, N_VECTOR = 21 };

static const struct {
    const char *name;
    int rows, columns;
} cases[] = {
    {"tall", 40, 24}, {"wide", 17, 40}, {"square", 33, 33}, {"row", 1, 9}, {"column", 9, 1}};

static double number(int seed, int i)
{
    return sin(seed + 1.7 * i + 0.3 * i * seed);
}

typedef struct {
    double of[ROWS_MAX][ROWS_MAX];
    int rows, columns;
} Matrix;

static Matrix product(const Matrix *a, const Matrix *b)
{
    Matrix c = {.rows = a->rows, .columns = b->columns};

    for (int i = 0; i < a->rows; i++)
        for (int j = 0; j < b->columns; j++)
            for (int k = 0; k < a->columns; k++)
                c.of[i][j] += a->of[i][k] * b->of[k][j];
    return c;
}

static Matrix turned(const Matrix *a)
{
    Matrix t = {.rows = a->columns, .columns = a->rows};

    for (int i = 0; i < a->rows; i++)
        for (int j = 0; j < a->columns; j++)
            t.of[j][i] = a->of[i][j];
    return t;
}

/* a x + b y */
static Matrix sum(double a, const Matrix *x, double b, const Matrix *y)
{
    Matrix s = {.rows = x->rows, .columns = x->columns};

    for (int i = 0; i < x->rows; i++)
        for (int j = 0; j < x->columns; j++)
            s.of[i][j] = a * x->of[i][j] + b * y->of[i][j];
    return s;
}

/* Five times x = 3.4445 x - 4.7750 x xᵀ x + 2.0315 (x xᵀ)² x, from norm 1. */
static Matrix orthogonalised(const Matrix *g)
{
    double squares = 0;

    for (int i = 0; i < g->rows; i++)
        for (int j = 0; j < g->columns; j++)
            squares += g->of[i][j] * g->of[i][j];
    Matrix x = sum(1 / sqrt(squares), g, 0, g);
    for (int n = 0; n < 5; n++) {
        const Matrix t = turned(&x), gram = product(&x, &t), square = product(&gram, &gram);
        const Matrix linear = product(&gram, &x), cubic = product(&square, &x);
        const Matrix both = sum(-4.7750, &linear, 2.0315, &cubic);
        x = sum(3.4445, &x, 1, &both);
    }
    return x;
}

/* ---- the optimiser ----------------------------------------------------------------------------
 */

typedef struct {
    DimDevice *device;
    DimParameters parameters;
    DimOptimiser optimiser;
    int rows, columns;
} Bench;

/* A matrix that may be Muon's, and a vector before and after it. */
static void bench_open(Bench *b, int rows, int columns, gboolean hidden, DimOptimiserKind kind)
{
    const DimTrained matrix = {
        .name = (char *)"matrix", .rank = 2, .sizes = {rows, columns}, .hidden = hidden};
    DimTrained vector = {.name = (char *)"before", .rank = 1, .sizes = {N_VECTOR}};
    GError *error = NULL;

    *b = (Bench){.device = dim_device_open("cpu", 2, NULL), .rows = rows, .columns = columns};
    dim_parameters_init(&b->parameters, dim_device_dk(b->device));
    dim_parameters_add(&b->parameters, &vector);
    dim_parameters_add(&b->parameters, &matrix);
    vector.name = (char *)"after";
    dim_parameters_add(&b->parameters, &vector);
    g_assert_true(dim_parameters_commit(&b->parameters, &error));
    g_assert_true(dim_optimiser_init(&b->optimiser, &b->parameters, kind, &error));
}

static void bench_close(Bench *b)
{
    dim_optimiser_clear(&b->optimiser);
    dim_parameters_clear(&b->parameters);
    dim_device_close(&b->device);
}

static const DimTrained *tensor(const Bench *b, int i)
{
    return &g_array_index(b->parameters.list, DimTrained, (guint)i);
}

/* Fills a block with numbers; the matrix's are those of *m, too. */
static void put(Bench *b, int block, int seed, double size, Matrix *m)
{
    for (int t = 0; t < 3; t++) {
        g_autofree float *values = g_new(float, tensor(b, t)->count);
        for (int i = 0; i < tensor(b, t)->count; i++)
            values[i] = (float)(size * number(seed + t, i));
        dim_parameters_put(&b->parameters, block, tensor(b, t), values);
        m->rows = b->rows;
        m->columns = b->columns;
        for (int i = 0; t == 1 && i < b->rows * b->columns; i++)
            m->of[i / b->columns][i % b->columns] = (double)values[i];
    }
}

static DkAdamW settings(gint64 step)
{
    return (DkAdamW){.rate = 1e-2,
                     .beta1 = 0.9,
                     .beta2 = 0.99,
                     .eps = 1e-8,
                     .decay = 0.5,
                     .gradient_factor = 0.25,
                     .step = step};
}

/* Several steps with other gradients: momentum, Nesterov's look ahead, clipping, decay, size. */
static void test_step(gconstpointer data)
{
    const int rows = cases[GPOINTER_TO_INT(data)].rows,
              columns = cases[GPOINTER_TO_INT(data)].columns;
    g_autofree float *got = g_new(float, rows *columns);
    Matrix weight, gradient, mean = {.rows = rows, .columns = columns};
    Bench b;

    bench_open(&b, rows, columns, TRUE, DIM_OPTIMISER_MUON);
    put(&b, DIM_BLOCK_WEIGHTS, 1, 0.1, &weight);
    for (int step = 1; step <= STEPS; step++) {
        const DkAdamW s = settings(step);
        put(&b, DIM_BLOCK_GRADIENT, 10 * step, 3, &gradient);
        dim_optimiser_step(&b.optimiser, &s);
        mean = sum(0.95, &mean, 0.25, &gradient);
        const Matrix ahead = sum(0.95, &mean, 0.25, &gradient), to = orthogonalised(&ahead);
        weight = sum(1 - 1e-2 * 0.5, &weight, -1e-2 * 0.2 * sqrt(MAX(rows, columns)), &to);
    }
    dim_parameters_get(&b.parameters, DIM_BLOCK_WEIGHTS, tensor(&b, 1), got);
    for (int i = 0; i < rows * columns; i++)
        g_assert_cmpfloat_with_epsilon((double)got[i], weight.of[i / columns][i % columns], 2e-6);
    bench_close(&b);
}

/* The step's singular values all are about 1, whatever the gradient's: |step v| for every unit
 * vector v of the shorter side lies in 0.6 to 1.3 of its size. Here they fall by 2^(1/4) each. */
static void test_singular_values(void)
{
    enum { R = 40, C = 24 };
    static float gradient[R * C], got[R * C];
    const DkAdamW s = {.rate = 1, .gradient_factor = 1, .step = 1};
    Bench b;

    bench_open(&b, R, C, TRUE, DIM_OPTIMISER_MUON);
    /* U diag V of cosines: both sides are orthogonal bases. */
    for (int i = 0; i < R; i++)
        for (int j = 0; j < C; j++) {
            double v = 0;
            for (int k = 0; k < C; k++)
                v +=
                    exp2(-0.25 * k) * cos(G_PI * (i + 0.5) * k / R) * cos(G_PI * (j + 0.5) * k / C);
            gradient[i * C + j] = (float)v;
        }
    dim_parameters_put(&b.parameters, DIM_BLOCK_GRADIENT, tensor(&b, 1), gradient);
    dim_optimiser_step(&b.optimiser, &s);
    dim_parameters_get(&b.parameters, DIM_BLOCK_WEIGHTS, tensor(&b, 1), got);
    for (int k = 0; k < C; k++) {
        double squares = 0, unit = k ? C / 2. : C;
        for (int i = 0; i < R; i++) {
            double along = 0;
            for (int j = 0; j < C; j++)
                along += (double)got[i * C + j] * cos(G_PI * (j + 0.5) * k / C);
            squares += along * along / unit;
        }
        g_assert_cmpfloat(sqrt(squares) / (0.2 * sqrt(R)), >, 0.6);
        g_assert_cmpfloat(sqrt(squares) / (0.2 * sqrt(R)), <, 1.3);
    }
    bench_close(&b);
}

/* What is not Muon's goes as without it; without it a hidden matrix goes as any other. */
static void test_the_rest(void)
{
    float got[3][2][ROWS_MAX * ROWS_MAX];
    const DimOptimiserKind kinds[] = {DIM_OPTIMISER_MUON, DIM_OPTIMISER_ADAMW, DIM_OPTIMISER_ADAMW};
    Matrix ignored;

    for (int way = 0; way < 3; way++) {
        const DkAdamW s = settings(1);
        Bench b;
        bench_open(&b, 5, 7, way < 2, kinds[way]);
        put(&b, DIM_BLOCK_WEIGHTS, 1, 0.1, &ignored);
        put(&b, DIM_BLOCK_GRADIENT, 10, 3, &ignored);
        dim_optimiser_step(&b.optimiser, &s);
        dim_parameters_get(&b.parameters, DIM_BLOCK_WEIGHTS, tensor(&b, 2), got[way][0]);
        dim_parameters_get(&b.parameters, DIM_BLOCK_WEIGHTS, tensor(&b, 1), got[way][1]);
        bench_close(&b);
    }
    g_assert_cmpmem(got[0][0], N_VECTOR * sizeof(float), got[1][0], N_VECTOR * sizeof(float));
    g_assert_cmpmem(got[1][1], 35 * sizeof(float), got[2][1], 35 * sizeof(float));
    g_assert_cmpint(memcmp(got[0][1], got[1][1], 35 * sizeof(float)), !=, 0);
}

/* A gradient of zeros leaves decay only, and no NaN. */
static void test_no_gradient(void)
{
    float got[35];
    Matrix weight;
    Bench b;
    const DkAdamW s = settings(1);

    bench_open(&b, 5, 7, TRUE, DIM_OPTIMISER_MUON);
    put(&b, DIM_BLOCK_WEIGHTS, 1, 0.1, &weight);
    dim_optimiser_step(&b.optimiser, &s);
    dim_parameters_get(&b.parameters, DIM_BLOCK_WEIGHTS, tensor(&b, 1), got);
    for (int i = 0; i < 35; i++)
        g_assert_cmpfloat_with_epsilon((double)got[i], 0.995 * weight.of[i / 7][i % 7], 1e-7);
    bench_close(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/optimiser/muon/%s", cases[i].name);
        g_test_add_data_func(path, GINT_TO_POINTER((int)i), test_step);
    }
    g_test_add_func("/optimiser/muon/singular-values", test_singular_values);
    g_test_add_func("/optimiser/muon/the-rest", test_the_rest);
    g_test_add_func("/optimiser/muon/no-gradient", test_no_gradient);
    return g_test_run();
}
