/* Fitting the linear autoencoder: principal components of the blocks of training crops.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block of f x f pixels is a column u of n = 3 f² numbers (vae-linear.c has their order). The
 * basis is the C first eigenvectors of u's covariance, found by Jacobi's rotations (Golub and Van
 * Loan, Matrix Computations, 8.5): slow, simple, exact to rounding, and the same bits on every
 * machine, as it runs on one thread in double. Channel k is divided by s_k = c sqrt (deviation of
 * its projections): half-whitened, so that coarse channels keep more power and appear first when
 * noise goes away; c makes the mean of the channels' variances 1. */
#include "engine/dim-train.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/task.h"

enum { BLOCK_MAX = 16, TEST_CROPS = 400, SWEEPS_MAX = 60, ROWS = 8 };

typedef struct {
    const DimDataset *dataset;
    const DimCodecParams *params;
    int size;                                     /* of a crop */
    int n;                                        /* numbers in a block */
    int n_blocks;                                 /* blocks in a crop */
    double *mean, *covariance, *vectors, *values; /* [n], [n, n], [n, n]: rows, [n] */
    int *order;                                   /* [n]: of the values, the largest first */
    float *crop;                                  /* [3, size, size] */
    double *blocks;                               /* [n_blocks, n] */
} Fit;

void dim_codec_params_init(DimCodecParams *params)
{
    *params = (DimCodecParams){.block = 8, .channels = 16, .crops = 400};
}

static gboolean check(const DimDataset *dataset, const DimCodecParams *p, GError **error)
{
    static const char origin[] = "codec";
    const int size = dim_dataset_size(dataset);

    if (p->block < 1 || p->block > BLOCK_MAX)
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin, "block is %d; expected 1 to %d",
                        p->block, BLOCK_MAX);
    if (p->channels < 1 || p->channels > 3 * p->block * p->block)
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin, "channels is %d; expected 1 to %d",
                        p->channels, 3 * p->block * p->block);
    if (size < 1 || size % p->block)
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin,
                        "crops have %d pixels; expected a multiple of the block, %d", size,
                        p->block);
    if (p->crops < 1)
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin, "crops is %d; expected 1 or more",
                        p->crops);
    if (dim_dataset_n_images(dataset, -1, FALSE) < 1)
        return dim_fail(error, DIM_ERROR_ARGUMENT, origin, "there is no picture to fit it to");
    return TRUE;
}

static gboolean fit_begin(Fit *fit, const DimDataset *dataset, const DimCodecParams *params,
                          GError **error)
{
    const int size = dim_dataset_size(dataset), side = size / params->block,
              n = 3 * params->block * params->block;

    *fit =
        (Fit){.dataset = dataset, .params = params, .size = size, .n = n, .n_blocks = side * side};
    fit->mean = g_try_new0(double, n);
    fit->covariance = g_try_new0(double, (gsize)n *n);
    fit->vectors = g_try_new0(double, (gsize)n *n);
    fit->values = g_try_new0(double, n);
    fit->order = g_try_new0(int, n);
    fit->crop = g_try_new(float, 3 * (gsize)size * size);
    fit->blocks = g_try_new(double, (gsize)fit->n_blocks *n);
    if (fit->mean && fit->covariance && fit->vectors && fit->values && fit->order && fit->crop &&
        fit->blocks)
        return TRUE;
    return dim_fail_memory(error, "codec", 2 * sizeof(double) * n * n);
}

static void fit_clear(Fit *fit)
{
    g_free(fit->mean);
    g_free(fit->covariance);
    g_free(fit->vectors);
    g_free(fit->values);
    g_free(fit->order);
    g_free(fit->crop);
    g_free(fit->blocks);
}

/* Draws a crop and cuts it into blocks. */
static void draw_blocks(Fit *fit, int index, gboolean test)
{
    const int f = fit->params->block, size = fit->size, across = size / f;

    dim_dataset_crop(fit->dataset, fit->params->seed, index, test, fit->crop);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++)
                fit->blocks[(gsize)(y / f * across + x / f) * fit->n +
                            (c * f * f + y % f * f + x % f)] =
                    fit->crop[((gsize)c * size + y) * size + x];
}

/* Adds u uT of `count` blocks to the upper triangle; several at a time, as the triangle does not
 * fit the nearest cache. */
static void add_products(Fit *fit, const double *u, int count)
{
    const int n = fit->n;

    for (int i = 0; i < n; i++)
        for (int r = 0; r < count; r++) {
            const double a = u[(gsize)r * n + i], *row = u + (gsize)r * n;
            double *sum = fit->covariance + (gsize)i * n;
            for (int j = i; j < n; j++)
                sum[j] += a * row[j];
        }
}

static gboolean find_covariance(Fit *fit, DimTask *task, GError **error)
{
    const int n = fit->n, crops = fit->params->crops;
    const double count = (double)crops * fit->n_blocks;

    for (int i = 0; i < crops; i++) {
        if (!dim_task_go_on(task, error))
            return FALSE;
        draw_blocks(fit, i, FALSE);
        for (int b = 0; b < fit->n_blocks; b++)
            for (int p = 0; p < n; p++)
                fit->mean[p] += fit->blocks[(gsize)b * n + p];
        for (int b = 0; b < fit->n_blocks; b += ROWS)
            add_products(fit, fit->blocks + (gsize)b * n, MIN(ROWS, fit->n_blocks - b));
        dim_task_advance(task, 0.6 * (i + 1) / crops);
    }
    for (int p = 0; p < n; p++)
        fit->mean[p] /= count;
    for (int i = 0; i < n; i++)
        for (int j = i; j < n; j++) {
            double *upper = fit->covariance + (gsize)i * n + j;
            *upper = *upper / count - fit->mean[i] * fit->mean[j];
            fit->covariance[(gsize)j * n + i] = *upper;
        }
    return TRUE;
}

/* ---- eigenvectors ---- */

static void turn_rows(double *a, double *b, int n, double c, double s)
{
    for (int i = 0; i < n; i++) {
        const double x = a[i], y = b[i];
        a[i] = c * x - s * y;
        b[i] = s * x + c * y;
    }
}

/* A = JT A J with the rotation of the axes p and q that makes A[p, q] zero; the rows of V turn
 * along. */
static void rotate(Fit *fit, int p, int q)
{
    const int n = fit->n;
    double *a = fit->covariance, *row_p = a + (gsize)p * n, *row_q = a + (gsize)q * n;
    const double theta = (row_q[q] - row_p[p]) / (2 * row_p[q]);
    const double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    const double c = 1 / sqrt(t * t + 1), s = t * c;

    turn_rows(row_p, row_q, n, c, s);
    for (int i = 0; i < n; i++) {
        double *row = a + (gsize)i * n;
        const double x = row[p], y = row[q];
        row[p] = c * x - s * y;
        row[q] = s * x + c * y;
    }
    row_p[q] = row_q[p] = 0;
    turn_rows(fit->vectors + (gsize)p * n, fit->vectors + (gsize)q * n, n, c, s);
}

/* One sweep over all pairs; FALSE: there was nothing left to turn. */
static gboolean sweep(Fit *fit, double threshold)
{
    gboolean turned = FALSE;

    for (int p = 0; p < fit->n; p++)
        for (int q = p + 1; q < fit->n; q++)
            if (fabs(fit->covariance[(gsize)p * fit->n + q]) > threshold) {
                rotate(fit, p, q);
                turned = TRUE;
            }
    return turned;
}

static int compare_values(gconstpointer a, gconstpointer b, gpointer data)
{
    const double *values = data, x = values[*(const int *)a], y = values[*(const int *)b];

    return (x < y) - (x > y);
}

/* A direction is as good as its opposite: the largest number is positive. */
static void fix_sign(double *vector, int n)
{
    int largest = 0;

    for (int i = 1; i < n; i++)
        if (fabs(vector[i]) > fabs(vector[largest]))
            largest = i;
    if (vector[largest] < 0)
        for (int i = 0; i < n; i++)
            vector[i] = -vector[i];
}

static gboolean find_vectors(Fit *fit, DimTask *task, GError **error)
{
    const int n = fit->n;
    double trace = 0;
    int sweeps = 0;

    for (int i = 0; i < n; i++) {
        fit->vectors[(gsize)i * n + i] = 1;
        trace += fabs(fit->covariance[(gsize)i * n + i]);
        fit->order[i] = i;
    }
    /* Convergence is quadratic: some eight sweeps. */
    while (sweep(fit, 1e-14 * trace / n) && ++sweeps < SWEEPS_MAX) {
        if (!dim_task_go_on(task, error))
            return FALSE;
        dim_task_advance(task, 0.6 + 0.3 * MIN(1, sweeps / 10.0));
    }
    for (int i = 0; i < n; i++) {
        fit->values[i] = MAX(0, fit->covariance[(gsize)i * n + i]);
        fix_sign(fit->vectors + (gsize)i * n, n);
    }
    g_qsort_with_data(fit->order, n, sizeof *fit->order, compare_values, fit->values);
    return TRUE;
}

/* ---- what is made of them ---- */

static double test_error(Fit *fit, int index, const float *basis)
{
    const int n = fit->n, channels = fit->params->channels;
    double sum = 0;

    draw_blocks(fit, index, TRUE);
    for (int b = 0; b < fit->n_blocks; b++) {
        double *u = fit->blocks + (gsize)b * n;
        /* Orthonormal: what is lost is what the projections leave. */
        for (int p = 0; p < n; p++)
            u[p] -= fit->mean[p];
        for (int k = 0; k < channels; k++) {
            double z = 0;
            for (int p = 0; p < n; p++)
                z += u[p] * basis[(gsize)p * channels + k];
            for (int p = 0; p < n; p++)
                u[p] -= z * basis[(gsize)p * channels + k];
        }
        for (int p = 0; p < n; p++)
            sum += u[p] * u[p];
    }
    return sum / ((double)fit->n_blocks * n);
}

/* Mean over test crops, in dB: colours span [-1, 1]. NAN: there are none. */
static double measure_psnr(Fit *fit, const float *basis)
{
    double sum = 0;

    if (dim_dataset_n_images(fit->dataset, -1, TRUE) < 1)
        return NAN;
    for (int i = 0; i < TEST_CROPS; i++)
        sum += 10 * log10(4 / MAX(test_error(fit, i, basis), 1e-12));
    return sum / TEST_CROPS;
}

static void fill_tensors(const Fit *fit, float *mean, float *basis, float *scale)
{
    const int n = fit->n, channels = fit->params->channels;
    /* A direction in which nothing varies (pictures of one colour) must not be divided by 0. */
    const double least = MAX(1e-4 * sqrt(fit->values[fit->order[0]]), 1e-6);
    double mean_deviation = 0;

    for (int k = 0; k < channels; k++)
        mean_deviation += MAX(sqrt(fit->values[fit->order[k]]), least) / channels;
    for (int k = 0; k < channels; k++) {
        const double deviation = MAX(sqrt(fit->values[fit->order[k]]), least);
        const double *vector = fit->vectors + (gsize)fit->order[k] * n;
        scale[k] = (float)sqrt(deviation * mean_deviation);
        for (int p = 0; p < n; p++)
            basis[(gsize)p * channels + k] = (float)vector[p];
    }
    for (int p = 0; p < n; p++)
        mean[p] = (float)fit->mean[p];
}

static gboolean save(Fit *fit, const char *file, double *psnr, DimTask *task, GError **error)
{
    static const char *const names[] = {"mean", "basis", "scale"};
    const gint64 n = fit->n, k = fit->params->channels;
    DimArray arrays[3] = {{0}};
    gboolean saved = dim_array_alloc(&arrays[0], 1, (gint64[]){n}, error) &&
                     dim_array_alloc(&arrays[1], 2, (gint64[]){n, k}, error) &&
                     dim_array_alloc(&arrays[2], 1, (gint64[]){k}, error);
    if (saved) {
        fill_tensors(fit, arrays[0].data, arrays[1].data, arrays[2].data);
        const double decibels = psnr ? measure_psnr(fit, arrays[1].data) : 0;
        saved = dim_task_go_on(task, error) && dim_tensors_save(file, 3, names, arrays, error);
        if (saved && psnr)
            *psnr = decibels;
    }
    for (int i = 0; i < 3; i++)
        dim_array_clear(&arrays[i]);
    return saved;
}

gboolean dim_codec_fit(const DimDataset *dataset, const DimCodecParams *params, const char *file,
                       double *psnr, DimTask *task, GError **error)
{
    Fit fit = {0};

    if (!check(dataset, params, error))
        return FALSE;
    const gboolean fitted = fit_begin(&fit, dataset, params, error) &&
                            find_covariance(&fit, task, error) && find_vectors(&fit, task, error) &&
                            save(&fit, file, psnr, task, error);
    if (fitted)
        dim_task_advance(task, 1);
    fit_clear(&fit);
    return fitted;
}
