/* Facts checked one at a time; small devices and tensors for the tests beside kern.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef KERN_CHECK_H
#define KERN_CHECK_H

#include "kernels/dk-ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    DkDevice *dev;
    const char *text; /* what the device is */
    int n_failures;
    DkBuffer *buffers[64];
    DkWeight *weights[16];
    int n_buffers, n_weights;
    unsigned random;
} Check;

#define EXPECT(c, expression)                                                                      \
    do {                                                                                           \
        if (!(expression)) {                                                                       \
            fprintf(stderr, "FAIL %s:%d on %s: %s\n", __func__, __LINE__, (c)->text, #expression); \
            (c)->n_failures++;                                                                     \
        }                                                                                          \
    } while (0)

static inline void *check_memory(void *p)
{
    if (!p) {
        fprintf(stderr, "no memory\n");
        exit(99);
    }
    return p;
}

#define SIZES(...)                                                                                 \
    (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (int64_t[])                           \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static inline DkTensor check_tensor(Check *c, DkType type, int rank, const int64_t *sizes)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= sizes[i];
    DkBuffer *buffer = check_memory(dk_buffer_new(c->dev, (size_t)n * dk_type_size(type)));
    c->buffers[c->n_buffers++] = buffer;
    return dk_tensor(buffer, 0, type, rank, sizes);
}

static inline DkTensor check_values(Check *c, int rank, const int64_t *sizes, const float *values)
{
    const DkTensor t = check_tensor(c, DK_F32, rank, sizes);
    dk_write(c->dev, t, values);
    return t;
}

static inline float *check_numbers(Check *c, int64_t n)
{
    float *x = check_memory(malloc((size_t)n * sizeof *x));
    for (int64_t i = 0; i < n; i++) {
        c->random = c->random * 1664525u + 1013904223u;
        x[i] = (float)(c->random >> 8) / 8388608.0f - 1;
    }
    return x;
}

/* Uniform in -1..1. */
static inline DkTensor check_random(Check *c, int rank, const int64_t *sizes)
{
    const DkTensor t = check_tensor(c, DK_F32, rank, sizes);
    float *values = check_numbers(c, dk_tensor_count(t));
    dk_write(c->dev, t, values);
    free(values);
    return t;
}

static inline DkWeight *check_keep(Check *c, DkWeight *w)
{
    return c->weights[c->n_weights++] = check_memory(w);
}

/* The tensor's elements; to be freed. */
static inline void *check_read(Check *c, DkTensor t)
{
    void *host = check_memory(malloc((size_t)dk_tensor_count(t) * dk_type_size(t.type)));
    dk_read(c->dev, host, t);
    return host;
}

static inline bool check_same_bits(Check *c, DkTensor a, DkTensor b)
{
    void *x = check_read(c, a), *y = check_read(c, b);
    const bool same = dk_tensor_count(a) == dk_tensor_count(b) &&
                      memcmp(x, y, (size_t)dk_tensor_count(a) * dk_type_size(a.type)) == 0;
    free(x);
    free(y);
    return same;
}

static inline bool check_near(Check *c, DkTensor t, const double *expected, double rtol)
{
    float *got = check_read(c, t);
    bool near = true;
    for (int64_t i = 0; i < dk_tensor_count(t); i++)
        if (!(fabs(got[i] - expected[i]) <= rtol * fabs(expected[i]) + 1e-30)) {
            fprintf(stderr, "element %lld: got %.9g, expected %.9g\n", (long long)i, got[i],
                    expected[i]);
            near = false;
        }
    free(got);
    return near;
}

/* Frees what the tensors and weights of a test held. */
static inline void check_release(Check *c)
{
    while (c->n_buffers > 0)
        dk_buffer_free(c->dev, &c->buffers[--c->n_buffers]);
    while (c->n_weights > 0)
        dk_weight_free(c->dev, &c->weights[--c->n_weights]);
    EXPECT(c, dk_sync(c->dev) == DK_OK);
}

#endif
