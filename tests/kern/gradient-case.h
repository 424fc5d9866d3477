/* A backward operation against differences of its forward one.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A case is a forward operation of some variables and the backward one that finds their gradients.
 * With f = <r, y> for random r, and each variable moved alone in random directions v, the central
 * difference of f must be <gradient, v>. Forward computes in double but rounds its results, so
 * steps are large, and two of them cancel the error of second order (Richardson). */
#ifndef KERN_GRADIENT_CASE_H
#define KERN_GRADIENT_CASE_H

#include "check.h"

enum { MAX_VARIABLES = 8, N_DIRECTIONS = 3 };

/* Of ref, or of CUDA where the one argument says so. */
static inline Check gradients_open(int argc, char **argv)
{
    const bool on_cuda = argc == 2 && strcmp(argv[1], "cuda") == 0;
    const DkBackend backend = on_cuda ? DK_BACKEND_CUDA : DK_BACKEND_REF;
    return (Check){.dev = check_memory(dk_device_open(backend, 1, 0)),
                   .text = on_cuda ? "cuda" : "ref"};
}

typedef struct Case Case;
struct Case {
    Check *check;
    const char *text;
    void (*forward)(Case *); /* finds y, which was cleared before */
    void (*backward)(Case *);
    DkTensor v[MAX_VARIABLES], g[MAX_VARIABLES]; /* variables and their gradients */
    const char *names[MAX_VARIABLES];
    bool added[MAX_VARIABLES]; /* the gradient is added to what is there */
    int n;
    DkTensor y, dy; /* y: one f64 is f itself */
    DkTensor order;
    DkWeight *weight, *transposed;
    DkPad pad;
    DkAct act;
    DkNorm norm;
    int optional; /* what else varies between cases of an operation, as bits */
};

/* Uniform in -1..1; an empty variable where `there` is false. */
static inline void add(Case *k, const char *name, bool there, bool added, int rank,
                       const int64_t *sizes)
{
    const int i = k->n++;
    k->names[i] = name;
    k->added[i] = added;
    if (!there)
        return;
    k->v[i] = check_random(k->check, rank, sizes);
    k->g[i] = check_tensor(k->check, DK_F32, rank, sizes);
}

static inline double evaluate(Case *k)
{
    double f = 0;
    dk_clear(k->check->dev, k->y);
    k->forward(k);
    if (k->y.type == DK_F64) {
        dk_read(k->check->dev, &f, k->y);
        return f;
    }
    float *y = check_read(k->check, k->y), *r = check_read(k->check, k->dy);
    for (int64_t i = 0; i < dk_tensor_count(k->y); i++)
        f += (double)y[i] * r[i];
    free(y);
    free(r);
    return f;
}

/* (f (x + h v) - f (x - h v)) / 2 h */
static inline double difference(Case *k, DkTensor x, const float *v, double h)
{
    const int64_t n = dk_tensor_count(x);
    float *at = check_read(k->check, x), *moved = check_memory(malloc((size_t)n * sizeof *moved));
    double f[2];
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            moved[i] = (float)(at[i] + (side ? h : -h) * v[i]);
        dk_write(k->check->dev, x, moved);
        f[side] = evaluate(k);
    }
    dk_write(k->check->dev, x, at);
    free(at);
    free(moved);
    return (f[1] - f[0]) / (2 * h);
}

/* Relative to what <gradient, v> would be with signs at random, so that no chance cancellation in
 * it raises the measure. */
static inline void compare(Case *k, int variable, const float *gradient)
{
    const double step = 1.0 / 64, tolerance = 1e-4;
    const int64_t n = dk_tensor_count(k->v[variable]);
    float *v = check_numbers(k->check, n);
    double expected = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        expected += (double)gradient[i] * v[i];
        squares += (double)gradient[i] * v[i] * gradient[i] * v[i];
    }
    const double near = difference(k, k->v[variable], v, step);
    const double far = difference(k, k->v[variable], v, 2 * step);
    const double error = fabs((4 * near - far) / 3 - expected) / sqrt(squares);
    if (!(error <= tolerance)) {
        fprintf(stderr, "FAIL %s, d %s: relative error %.3g\n", k->text, k->names[variable], error);
        k->check->n_failures++;
    }
    free(v);
}

/* Fills a gradient with what must stay or vanish; answers what was there. */
static inline float *prepare(Case *k, int variable)
{
    const int64_t n = dk_tensor_count(k->g[variable]);
    float *before = check_numbers(k->check, n);
    for (int64_t i = 0; i < n && !k->added[variable]; i++)
        before[i] = NAN;
    dk_write(k->check->dev, k->g[variable], before);
    return before;
}

static inline void run(Case *k)
{
    float *before[MAX_VARIABLES] = {NULL};
    if (k->y.type == DK_F32)
        k->dy = check_random(k->check, k->y.rank, k->y.sizes);
    for (int i = 0; i < k->n; i++)
        if (k->v[i].buffer)
            before[i] = prepare(k, i);
    evaluate(k); /* sets the weights, and y where backward wants it */
    k->backward(k);
    for (int i = 0; i < k->n; i++) {
        if (!before[i])
            continue;
        float *gradient = check_read(k->check, k->g[i]);
        for (int64_t j = 0; j < dk_tensor_count(k->g[i]) && k->added[i]; j++)
            gradient[j] -= before[i][j];
        for (int j = 0; j < N_DIRECTIONS; j++)
            compare(k, i, gradient);
        free(gradient);
        free(before[i]);
    }
    check_release(k->check);
}

static inline DkTensor output(Case *k, int rank, const int64_t *sizes)
{
    return k->y = check_tensor(k->check, DK_F32, rank, sizes);
}

static inline DkTensor indices(Case *k, int64_t n, const int32_t *values)
{
    const DkTensor t = check_tensor(k->check, DK_I32, SIZES(n));
    dk_write(k->check->dev, t, values);
    return t;
}

#endif
