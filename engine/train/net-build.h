/* Building a network's graph by the names of its tensors: what the families share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_NET_BUILD_H
#define DIM_TRAIN_NET_BUILD_H

#include "net-train.h"

enum { DIM_BUILD_SINUSOID = 256 /* what a network sees of the time */ };

typedef struct {
    const DimParameters *parameters;
    DimGraph *g;
    gint64 batch;
    char prefix[32]; /* of the names that follow */
} DimBuild;

DimParameter dim_build_matrix(const DimBuild *b, const char *name, gint64 rows, gint64 columns);
DimParameter dim_build_vector(const DimBuild *b, const char *name, gint64 n);
/* weight [n, k] and bias [n], named NAME.weight and NAME.bias */
DimVar *dim_build_linear(const DimBuild *b, DimVar *x, const char *name, gint64 n, gint64 k);
/* Unused sides are 0. */
DimVar *dim_build_reshape(const DimBuild *b, DimVar *x, gint64 s0, gint64 s1, gint64 s2, gint64 s3);
/* [B, width] of a table [rows, width]; labels [B]. */
DimVar *dim_build_look_up(const DimBuild *b, const char *name, gint64 rows, gint64 width,
                          DkTensor labels);

/* ---- what DiT and DiffuSSM share --------------------------------------------------------------
 */

/* Initial values as DiT's program has them: Xavier, and zero where a block shall begin as the
 * identity. */
void dim_build_choose_init(DimTrained *tensor);

/* What is written before each micro-batch; DimTrainNet's inputs of these families. */
typedef struct {
    DimVar *sinusoid; /* [B, 256] */
    DkTensor labels;  /* [B] */
} DimCondition;

/* silu (mlp (time) + row of the label table), [B, width]; n_labels 0: no table. The inputs are
 * kept in `inputs`. */
DimVar *dim_build_condition(const DimBuild *b, DimCondition *inputs, gint64 n_labels, gint64 width);
void dim_build_feed(DimTrainNet *net, void (*sinusoid)(float *out, double t), const double *t,
                    const gint64 *y);
/* layernorm (x) (1 + scale) + shift without learned values; parts `shift` and `shift` + 1 of a
 * modulation. */
DimVar *dim_build_modulate(const DimBuild *b, DimVar *x, DimVar *modulation, int shift);
DimVar *dim_build_part(const DimBuild *b, DimVar *modulation, gint64 width, int part);
/* The last layer of both: rows [B, L, n]. */
DimVar *dim_build_head(const DimBuild *b, DimVar *x, DimVar *condition, gint64 n);
/* x[B, L, D] + the table of fixed positions [L, D] */
DimVar *dim_build_add_fixed(const DimBuild *b, DimVar *x, DkTensor positions);

#endif
