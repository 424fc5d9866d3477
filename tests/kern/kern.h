/* The kernel tests' framework: one operation at a time, a back end against ref on the same inputs.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A test of an operation is a table (KernOp): names of its sizes, shapes to try, limits for random
 * shapes, and a check. The check is called for each shape and each kind of input. It makes its
 * operands (the same numbers on both sides), runs the operation on both, and compares:
 *
 *     static void check(Kern *k, const int64_t *s)
 *     {
 *         KernTensor *x = kern_input(k, 2, (int64_t[]){s[0], s[1]}, 3);
 *         KernTensor *y = kern_output(k, 2, (int64_t[]){s[0], s[1]}, 0);
 *         KERN_SIDES(k, i)
 *             dk_act(k->dev[i], y->on[i], x->on[i], DK_ACT_SILU);
 *         kern_compare(k, y, kern_tolerance(1, kern_scale(k)));
 *     }
 *
 * Around every tensor, and in the gaps between its rows, lie NaNs: what reads them spoils its
 * result, what writes them is found, and so is an input that changed. */
#ifndef KERN_H
#define KERN_H

#include "kernels/dk-ops.h"

#include <stdint.h>

enum { KERN_MAX_SIZES = 8, KERN_MAX_SHAPES = 16, KERN_MAX_OPERANDS = 16 };

/* What the numbers of kern_input are like. */
typedef enum { KERN_NORMAL, KERN_EQUAL, KERN_HUGE, KERN_TINY, KERN_ZEROS, KERN_N_FILLS } KernFill;

typedef struct {
    DkTensor on[2];
    unsigned char *image; /* the buffer's bytes as they were written */
    bool compared;
} KernTensor;

typedef struct {
    DkWeight *on[2];
} KernWeight;

typedef struct {
    double rtol, atol;
} KernTolerance;

typedef struct {
    DkDevice *dev[2]; /* 0: ref, 1: the one under test */
    KernFill fill;
    bool bench;
    bool aligned; /* gaps are rounded up so that all rows begin at multiples of 16 bytes, if one
                     does */
    /* the case at hand */
    char text[256];
    uint64_t seed, state;
    int n_tensors, n_weights, n_failures,
        n_cases; /* cases of this operation: each has other numbers */
    KernTensor *tensors[KERN_MAX_OPERANDS];
    KernWeight weights[KERN_MAX_OPERANDS];
    double seconds[2], begin;
    int64_t runs[2];
} Kern;

typedef struct {
    const char *name;
    const char *sizes[KERN_MAX_SIZES];               /* names of the shape's numbers, up to NULL */
    int64_t shapes[KERN_MAX_SHAPES][KERN_MAX_SIZES]; /* up to one that starts with 0 */
    int64_t limits[KERN_MAX_SIZES];                  /* random shapes are drawn from 1..limit */
    int64_t model[KERN_MAX_SIZES]; /* a real model's shape: tested once, and the one of --bench */
    void (*check)(Kern *k, const int64_t *shape);
} KernOp;

/* Operands; `gap` elements lie between the rows. The numbers follow k->fill, of kern_normal they
 * never do. */
KernTensor *kern_input(Kern *k, int rank, const int64_t *sizes, int64_t gap);
KernTensor *kern_normal(Kern *k, int rank, const int64_t *sizes, int64_t gap);
/* The same with numbers of the caller's, rows without gaps. */
KernTensor *kern_given(Kern *k, DkType type, int rank, const int64_t *sizes, const void *values);
/* A random permutation of 0..n-1. */
KernTensor *kern_permutation(Kern *k, int64_t n);
/* An output, full of NaN. */
KernTensor *kern_output(Kern *k, int rank, const int64_t *sizes, int64_t gap);
/* Weights of normal numbers divided by sqrt (inputs of an output). */
KernWeight kern_weight_linear(Kern *k, int64_t n, int64_t in);
KernWeight kern_weight_conv2d(Kern *k, int64_t out, int64_t in, int kh, int kw);
/* A between -n_states and -1/2, as trained models have it. */
KernWeight kern_weight_scan(Kern *k, int64_t channels, int64_t n_states);
/* Two complex numbers a state: a decay that keeps 0.9 to 0.999 of it and turns it, and a gain. */
KernWeight kern_weight_s4d(Kern *k, int64_t channels, int64_t n_states);

/* main.c's: around each call of a check. */
void kern_begin(Kern *k, uint64_t seed);
void kern_end(Kern *k);

/* Random numbers of the case at hand. */
uint64_t kern_bits(Kern *k);
double kern_uniform(Kern *k); /* 0..1 */
double kern_gaussian(Kern *k);
/* Typical magnitude of kern_input's numbers. */
double kern_scale(const Kern *k);
/* Adds to the text that names the case in a failure. */
void kern_note(Kern *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs its body for i = 0 and 1; with --bench, repeats and times it. */
#define KERN_SIDES(k, i) for (int i = kern_side(k, -1); i < 2; i = kern_side(k, i))
int kern_side(Kern *k, int last);

/* For results that sum n products of magnitudes that add up to `sum`: rounding errors of 2^-24 each
 * add up to the square root of n of them where signs vary (atol), to n where they do not (rtol); 4
 * are for what surrounds the sum. */
KernTolerance kern_tolerance(int64_t n, double sum);
/* |got - ref| <= atol + rtol |ref| everywhere, or a report with the worst element. */
void kern_compare(Kern *k, KernTensor *t, KernTolerance tolerance);
/* Bit for bit. */
void kern_compare_exact(Kern *k, KernTensor *t);

#endif
