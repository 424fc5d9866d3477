/* The backward of scan and convolution against their forward, in turns.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * usage: scan-backward THREADS [SECONDS [PICTURES [TOKENS [CHANNELS [STATES]]]]]
 * Prints one line for each operation: tokens a second of processor time, the best of the rounds
 * that fit in SECONDS (2); then how many times the forward's time the backward takes. */
#include "kernels/dk-ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_OPERATIONS = 4, TAPS = 4 };

typedef struct {
    DkDevice *dev;
    DkBuffer *buffer;
    size_t bytes; /* laid out so far */
    DkWeight *a;
    DkTensor u, dt, z, dy, y, du, ddt, dz; /* [B, L, E] */
    DkTensor bc, dbc;                      /* [B, L, 2 N] */
    DkTensor d, dd, da, w, dw, order;
    int64_t b, l, e, n;
} Case;

/* Processor time: what others take of a busy machine does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static DkTensor place(Case *c, DkType type, int64_t pictures, int64_t rows, int64_t columns)
{
    const DkTensor t =
        dk_tensor(c->buffer, c->bytes, type, 3, (int64_t[]){pictures, rows, columns});
    c->bytes += ((size_t)(pictures * rows * columns) * sizeof(float) + 63) / 64 * 64;
    return t;
}

static DkTensor matrix(Case *c, int64_t rows, int64_t columns)
{
    return dk_tensor_reshape(place(c, DK_F32, 1, rows, columns), 2, (int64_t[]){rows, columns});
}

static void place_all(Case *c)
{
    DkTensor *const rows[] = {&c->u, &c->dt, &c->z, &c->dy, &c->y, &c->du, &c->ddt, &c->dz};
    c->bytes = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i] = place(c, DK_F32, c->b, c->l, c->e);
    c->bc = place(c, DK_F32, c->b, c->l, 2 * c->n);
    c->dbc = place(c, DK_F32, c->b, c->l, 2 * c->n);
    c->d = place(c, DK_F32, 1, 1, c->e);
    c->dd = place(c, DK_F32, 1, 1, c->e);
    c->da = matrix(c, c->e, c->n);
    c->w = matrix(c, c->e, TAPS);
    c->dw = matrix(c, c->e, TAPS);
    c->order = place(c, DK_I32, 1, 1, c->l);
}

/* Numbers between low and high everywhere; what is only written has some, too. */
static float *numbers(int64_t n, float low, float high)
{
    float *x = malloc((size_t)n * sizeof *x);
    uint32_t seed = 1;
    for (int64_t i = 0; x && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = low + (high - low) * (float)(seed >> 8) * 0x1p-24f;
    }
    return x;
}

static bool fill(Case *c)
{
    const int64_t all = (int64_t)(c->bytes / sizeof(float)), steps = dk_tensor_count(c->dt);
    float *x = numbers(all, -1, 1), *dt = numbers(steps, -6, 1), *a = numbers(c->e * c->n, -16, -1);
    int32_t *order = malloc((size_t)c->l * sizeof *order);
    if (x && dt && a && order) {
        dk_write(c->dev, dk_tensor(c->buffer, 0, DK_F32, 1, &all), x);
        dk_write(c->dev, c->dt, dt);
        for (int64_t i = 0; i < c->l; i++)
            order[i] = (int32_t)(i % 2 ? c->l - 1 - i / 2 : i / 2);
        dk_write(c->dev, c->order, order);
        c->a = dk_weight_scan(c->dev, a, c->e, c->n);
    }
    free(x);
    free(dt);
    free(a);
    free(order);
    return c->a;
}

static double seconds_of(const Case *c, int operation)
{
    const DkTensor none = {0}, bmat = dk_tensor_columns(c->bc, 0, c->n);
    const DkTensor cmat = dk_tensor_columns(c->bc, c->n, c->n);
    const double begin = now();
    if (operation == 0)
        dk_selective_scan(c->dev, c->y, c->u, c->dt, c->a, bmat, cmat, c->d, c->z, c->order);
    else if (operation == 1)
        dk_selective_scan_backward(c->dev, c->du, c->ddt, c->da, dk_tensor_columns(c->dbc, 0, c->n),
                                   dk_tensor_columns(c->dbc, c->n, c->n), c->dd, c->dz, c->dy, c->u,
                                   c->dt, c->a, bmat, cmat, c->d, c->z, c->order);
    else if (operation == 2)
        dk_conv1d_dw(c->dev, c->y, c->u, c->w, none, c->order, DK_ACT_SILU);
    else
        dk_conv1d_dw_backward(c->dev, c->du, c->dw, none, c->dy, c->u, c->w, none, c->order,
                              DK_ACT_SILU);
    return now() - begin;
}

static void measure(const Case *c, double seconds)
{
    static const char *const names[N_OPERATIONS] = {"selective_scan", "selective_scan_backward",
                                                    "conv1d_dw", "conv1d_dw_backward"};
    double best[N_OPERATIONS] = {1e9, 1e9, 1e9, 1e9};
    for (const double begin = now(); now() - begin < seconds;)
        for (int i = 0; i < N_OPERATIONS; i++) {
            const double s = seconds_of(c, i);
            best[i] = s < best[i] ? s : best[i];
        }
    for (int i = 0; i < N_OPERATIONS; i++)
        printf("%s %.0f\n", names[i], (double)(c->b * c->l) / best[i]);
    printf("scan_ratio %.2f\nconv1d_ratio %.2f\n", best[1] / best[0], best[3] / best[2]);
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 0;
    const double seconds = argc > 2 ? atof(argv[2]) : 2;
    Case c = {.b = argc > 3 ? atol(argv[3]) : 16,
              .l = argc > 4 ? atol(argv[4]) : 126,
              .e = argc > 5 ? atol(argv[5]) : 512,
              .n = argc > 6 ? atol(argv[6]) : 16};
    if (threads < 1 || seconds <= 0 || c.b < 1 || c.l < 1 || c.e < 1 || c.n < 1) {
        fprintf(stderr, "usage: scan-backward THREADS [SECONDS [PICTURES [TOKENS [CHANNELS "
                        "[STATES]]]]]\n");
        return 2;
    }
    c.dev = dk_device_open(DK_BACKEND_CPU, threads, DK_ISA_ALL);
    place_all(&c);
    c.buffer = c.dev ? dk_buffer_new(c.dev, c.bytes) : NULL;
    place_all(&c);
    const bool here = c.buffer && fill(&c);
    if (here)
        measure(&c, seconds);
    else
        fprintf(stderr, "scan-backward: no memory\n");
    if (c.dev) {
        dk_weight_free(c.dev, &c.a);
        dk_buffer_free(c.dev, &c.buffer);
        dk_device_close(&c.dev);
    }
    return !here;
}
