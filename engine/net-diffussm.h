/* Family `diffussm`, Diffusion State Space Model (arXiv 2311.18257): what its files share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The letters of the comments: D width, p patch, M positions of a token, N complex states of a
 * channel, K classes, B batch, L positions, J = L / M tokens, C and Co channels in and out, h w the
 * latent grid. */
#ifndef DIM_NET_DIFFUSSM_H
#define DIM_NET_DIFFUSSM_H

#include "net-load.h"

enum { DIM_SSM_SINUSOID = 256 /* what the network sees of the time */ };

typedef enum { DIM_SSM_AHEAD, DIM_SSM_BACK, DIM_SSM_DIRECTIONS } DimSsmDirection;

typedef struct {
    int patch, hourglass; /* p, M */
    int in_channels, out_channels;
    int width, depth;        /* D */
    int n_states;            /* N: half of d_state, the conjugates are not stored */
    int n_classes;           /* K; 0: no label table */
    gboolean has_null_label; /* the table has a row K, "no class" */
    gboolean has_positions;  /* sines and cosines of row and column are added */
} DimSsmConfig;

json_t *dim_ssm_recognise(const DimWeights *weights, const json_t *given, GError **error);
void *dim_ssm_config_parse(const json_t *config, const char *origin, GError **error);

/* ---- weights --------------------------------------------------------------------------------- */

/* A linear layer with its bias. */
typedef struct {
    DkWeight *weight;
    DkTensor bias;
} DimSsmLinear;

typedef struct {
    DimSsmLinear modulation; /* 3D of D: shift, scale, gate */
    DimSsmLinear in, up;     /* 2D of D, M D of 2D */
    DkWeight *scan[DIM_SSM_DIRECTIONS];
    DkWeight **down;                 /* M of (2D / M of 2D): one for each position of a token */
    DkTensor down_bias;              /* [2D] */
    DimSsmLinear fuse_scan, fuse_in; /* D of 2D, D of D */
    DimSsmLinear fuse_out;           /* D of D */
} DimSsmBlock;

typedef struct {
    DimSsmConfig config;
    DimVectors vectors;
    DimSsmLinear embed;           /* D of M C p² */
    DimSsmLinear time_1, time_2;  /* D of 256, D of D */
    DkTensor labels;              /* [1, K + 1 or K, D], empty without classes */
    DimSsmLinear head_modulation; /* 2D of D: shift, scale */
    DimSsmLinear head;            /* M p² Co of D */
    DimSsmBlock *blocks;          /* NULL while only names and shapes are asked for */
} DimSsmNet;

/* How a tensor of the file is used. */
typedef enum {
    DIM_SSM_VECTOR, /* `to` is a DkTensor */
    DIM_SSM_LINEAR, /* a DkWeight * */
    DIM_SSM_SPLIT,  /* M of them, each of as many outputs */
    /* The parts of one direction of the scan, in this order; `to` is its DkWeight *. */
    DIM_SSM_LOG_DT,
    DIM_SSM_LOG_A_REAL,
    DIM_SSM_A_IMAG,
    DIM_SSM_B,
    DIM_SSM_C,
    DIM_SSM_D
} DimSsmUse;

/* Every tensor that the configuration needs, once, in a fixed order; each `to` points into net.
 * FALSE as soon as `visit` says so. */
gboolean dim_ssm_walk(const DimSsmConfig *config, DimSsmNet *net, DimNetVisit visit, void *data,
                      GError **error);

DimNet *dim_ssm_load(DkDevice *dk, const void *config, DimWeights *weights,
                     const DimNetProgress *progress, GError **error);
void dim_ssm_free(DkDevice *dk, DimNet *net);

#endif
