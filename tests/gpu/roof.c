/* What a device can do: the bytes a second of a copy, the flop a second of a large product.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * usage: roof cuda|cpu [FLOATS SIDE]
 *
 * Copies FLOATS numbers (64 million) from one buffer to another and multiplies square matrices of
 * SIDE (4096) rows, in f32 and with operands rounded to bf16 and f16, until a tenth of a second is
 * over; the best of five rounds counts. Prints a JSON object: device, bytes_per_second, f32_per_second,
 * bf16_per_second, f16_per_second. Exit status: 0 done, 1 the device failed, 2 usage, 77 there is none, with one
 * line why. */
#include "kernels/dk-ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5 };
static const double least_seconds = 0.1;
static const DkTensor none;

typedef struct {
    DkDevice *dev;
    DkTensor y, x;
    DkWeight *w; /* NULL: copy */
} Work;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void enqueue(const Work *work)
{
    if (work->w)
        dk_linear(work->dev, work->y, work->x, work->w, none, DK_ACT_NONE, false);
    else
        dk_axpby(work->dev, work->y, 1, work->x, 0);
}

/* Seconds of one; negative: the device failed. */
static double seconds_of(const Work *work)
{
    double best = -1;
    enqueue(work); /* chooses an algorithm, takes scratch */
    if (dk_sync(work->dev) != DK_OK)
        return -1;
    for (int i = 0, n = 1; i < ROUNDS;) {
        const double begin = now();
        for (int j = 0; j < n; j++)
            enqueue(work);
        if (dk_sync(work->dev) != DK_OK)
            return -1;
        const double seconds = (now() - begin) / n;
        if (seconds * n < least_seconds && n < 1 << 20) {
            n *= 2;
            continue;
        }
        best = best < 0 || seconds < best ? seconds : best;
        i++;
    }
    return best;
}

static DkTensor tensor(DkDevice *dev, int rank, const int64_t *sizes)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= sizes[i];
    DkBuffer *buffer = dk_buffer_new(dev, (size_t)n * sizeof(float));
    if (!buffer) {
        fprintf(stderr, "roof: no memory for %lld numbers\n", (long long)n);
        exit(1);
    }
    const DkTensor t = dk_tensor(buffer, 0, DK_F32, rank, sizes);
    dk_clear(dev, t);
    return t;
}

/* In -1..1: a product of zeros takes less power, so that a card runs faster. To be freed. */
static float *random_numbers(int64_t n)
{
    unsigned random = 1;
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++) {
        random = random * 1664525u + 1013904223u;
        x[i] = (float)(random >> 8) / 8388608.0f - 1;
    }
    return x;
}

static void release(Work *work)
{
    dk_buffer_free(work->dev, &work->x.buffer);
    dk_buffer_free(work->dev, &work->y.buffer);
    if (work->w)
        dk_weight_free(work->dev, &work->w);
}

/* Bytes a second, read and written; negative: failed. */
static double measure_copy(DkDevice *dev, int64_t n)
{
    Work work = {.dev = dev, .x = tensor(dev, 1, &n), .y = tensor(dev, 1, &n)};
    const double seconds = seconds_of(&work);
    release(&work);
    return 2 * (double)n * sizeof(float) / seconds;
}

/* Flop a second; negative: failed. */
static double measure_product(DkDevice *dev, int64_t side, DkProducts products)
{
    const int64_t sizes[] = {side, side};
    float *numbers = random_numbers(side * side);
    Work work = {.dev = dev, .x = tensor(dev, 2, sizes), .y = tensor(dev, 2, sizes)};
    dk_device_set_products(dev, products);
    if (numbers)
        dk_write(dev, work.x, numbers);
    work.w = numbers ? dk_weight_linear(dev, numbers, side, side) : NULL;
    const double seconds = work.w ? seconds_of(&work) : -1;
    free(numbers);
    release(&work);
    return 2 * (double)side * (double)side * (double)side / seconds;
}

int main(int argc, char **argv)
{
    char problem[DK_PROBLEM_BYTES];
    const int64_t n = argc == 4 ? atoll(argv[2]) : 64 << 20,
                  side = argc == 4 ? atoll(argv[3]) : 4096;
    const bool cuda = argc > 1 && strcmp(argv[1], "cuda") == 0;
    if ((argc != 2 && argc != 4) || (!cuda && strcmp(argv[1], "cpu") != 0) || n < 1 || side < 1) {
        fprintf(stderr, "usage: roof cuda|cpu [FLOATS SIDE]\n");
        return 2;
    }
    DkDevice *dev = dk_device_try(cuda ? DK_BACKEND_CUDA : DK_BACKEND_CPU, 1, DK_ISA_ALL, problem);
    if (!dev) {
        fprintf(stderr, "roof: %s\n", problem);
        return 77;
    }
    const double bytes = measure_copy(dev, n), f32 = measure_product(dev, side, DK_PRODUCTS_F32),
                 bf16 = measure_product(dev, side, DK_PRODUCTS_BF16),
                 f16 = measure_product(dev, side, DK_PRODUCTS_F16);
    const bool good = bytes > 0 && f32 > 0 && bf16 > 0 && f16 > 0;
    if (good)
        printf("{\"device\": \"%s\", \"bytes_per_second\": %.4g, \"f32_per_second\": %.4g, "
               "\"bf16_per_second\": %.4g, \"f16_per_second\": %.4g}\n",
               dk_device_describe(dev), bytes, f32, bf16, f16);
    else
        fprintf(stderr, "roof: the device failed: %s\n", dk_device_problem(dev));
    dk_device_close(&dev);
    return good ? 0 : 1;
}
