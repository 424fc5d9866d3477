/* The selective scan's rate at the width of DiM-Huge, and what bounds it, measured in turns.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * usage: scan THREADS [SECONDS [TOKENS [CHANNELS [STATES]]]]
 * Prints one 'name value' line each: tokens_per_second, scan_gexp (exponentials, 1e9 a second),
 * exp_gexp (the same of one thread's yardstick, times THREADS), ratio. Each is the best of the
 * rounds that fit in SECONDS (2), since other work on the machine only takes away. */
#include "exp-rate.h"
#include "kernels/dk-ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    DkDevice *dev;
    DkBuffer *buffer;
    DkWeight *a;
    DkTensor u, dt, z, y, projections, d, order;
    int64_t n_states;
} Case;

/* Processor time: what others take of a busy machine does not count. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A tensor after those before it. */
static DkTensor place(Case *c, size_t *bytes, DkType type, int64_t rows, int64_t columns)
{
    const DkTensor t = dk_tensor(c->buffer, *bytes, type, 3, (int64_t[]){1, rows, columns});
    *bytes += ((size_t)(rows * columns) * sizeof(float) + 63) / 64 * 64;
    return t;
}

static size_t place_all(Case *c, int64_t tokens, int64_t channels)
{
    size_t bytes = 0;
    c->u = place(c, &bytes, DK_F32, tokens, channels);
    c->dt = place(c, &bytes, DK_F32, tokens, channels);
    c->z = place(c, &bytes, DK_F32, tokens, channels);
    c->y = place(c, &bytes, DK_F32, tokens, channels);
    c->projections = place(c, &bytes, DK_F32, tokens, 96 + 2 * c->n_states);
    c->d = place(c, &bytes, DK_F32, 1, channels);
    c->order = place(c, &bytes, DK_I32, 1, tokens);
    return bytes;
}

/* Numbers between low and high in every element. */
static bool fill(Case *c, DkTensor t, float low, float high)
{
    const int64_t n = dk_tensor_count(t);
    float *host = malloc((size_t)n * sizeof *host);
    uint32_t seed = 1;
    if (!host)
        return false;
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        host[i] = low + (high - low) * (float)(seed >> 8) * 0x1p-24f;
    }
    dk_write(c->dev, t, host);
    free(host);
    return true;
}

/* A[n] = -(n + 1), as Mamba starts; a token order that jumps. */
static bool fill_fixed(Case *c, int64_t tokens, int64_t channels)
{
    float *a = malloc((size_t)(channels * c->n_states) * sizeof *a);
    int32_t *order = malloc((size_t)tokens * sizeof *order);
    if (a && order) {
        for (int64_t i = 0; i < channels * c->n_states; i++)
            a[i] = -(float)(i % c->n_states + 1);
        for (int64_t i = 0; i < tokens; i++)
            order[i] = (int32_t)(i % 2 ? tokens - 1 - i / 2 : i / 2);
        c->a = dk_weight_scan(c->dev, a, channels, c->n_states);
        dk_write(c->dev, c->order, order);
    }
    free(a);
    free(order);
    return c->a;
}

static bool open_case(Case *c, int threads, int64_t tokens, int64_t channels)
{
    c->dev = dk_device_open(DK_BACKEND_CPU, threads, DK_ISA_ALL);
    if (!c->dev)
        return false;
    c->buffer = dk_buffer_new(c->dev, place_all(c, tokens, channels));
    if (!c->buffer)
        return false;
    place_all(c, tokens, channels);
    return fill(c, c->u, -1, 1) && fill(c, c->dt, -6, 1) && fill(c, c->z, -4, 4) &&
           fill(c, c->projections, -1, 1) && fill(c, c->d, 0, 1) && fill_fixed(c, tokens, channels);
}

static void close_case(Case *c)
{
    if (!c->dev)
        return;
    dk_weight_free(c->dev, &c->a);
    dk_buffer_free(c->dev, &c->buffer);
    dk_device_close(&c->dev);
}

static double scan_seconds(const Case *c)
{
    const double begin = now();
    dk_selective_scan(
        c->dev, c->y, c->u, c->dt, c->a, dk_tensor_columns(c->projections, 96, c->n_states),
        dk_tensor_columns(c->projections, 96 + c->n_states, c->n_states), c->d, c->z, c->order);
    dk_sync(c->dev);
    return now() - begin;
}

static double exp_rate(const Case *c)
{
    volatile float kept;
    float sum;
    const double begin = now();
#if defined(__x86_64__)
    const int64_t n = c->dev->isa & DK_ISA_AVX512 ? exp_rate_avx512(20000, &sum)
                      : c->dev->isa & DK_ISA_AVX2 ? exp_rate_avx2(40000, &sum)
                                                  : exp_rate_portable(80000, &sum);
#else
    const int64_t n = exp_rate_portable(80000, &sum);
#endif
    kept = sum;
    (void)kept;
    return (double)n / (now() - begin);
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 0;
    const double seconds = argc > 2 ? atof(argv[2]) : 2;
    const int64_t tokens = argc > 3 ? atol(argv[3]) : 366;
    const int64_t channels = argc > 4 ? atol(argv[4]) : 3072;
    Case c = {.n_states = argc > 5 ? atol(argv[5]) : 16};
    if (threads < 1 || seconds <= 0 || tokens < 1 || channels < 1 || c.n_states < 1) {
        fprintf(stderr, "usage: scan THREADS [SECONDS [TOKENS [CHANNELS [STATES]]]]\n");
        return 2;
    }
    if (!open_case(&c, threads, tokens, channels)) {
        fprintf(stderr, "scan: not enough memory\n");
        close_case(&c);
        return 1;
    }
    double least = INFINITY, most = 0;
    for (const double end = now() + seconds; now() < end;) {
        least = fmin(least, scan_seconds(&c) / threads);
        most = fmax(most, exp_rate(&c));
    }
    const double rate = (double)(tokens * channels * c.n_states) / least;
    printf("device %s\n", dk_device_describe(c.dev));
    printf("tokens_per_second %.0f\nscan_gexp %.3f\nexp_gexp %.3f\nratio %.3f\n",
           (double)tokens / least, rate / 1e9, most / 1e9, rate / most);
    close_case(&c);
    return 0;
}
