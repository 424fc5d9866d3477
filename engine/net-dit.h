/* Family `dit`, Diffusion Transformer (arXiv 2212.09748): what its files share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The letters of the comments: D width, E inner width of the MLP, p patch, G native grid's side, K
 * classes, B batch, L tokens, C and Co channels in and out, h w the latent grid. */
#ifndef DIM_NET_DIT_H
#define DIM_NET_DIT_H

#include "net-load.h"

enum { DIM_DIT_SINUSOID = 256 /* what the network sees of the time */ };

typedef struct {
    int input_size, patch; /* G·p, p */
    int in_channels, out_channels;
    int width, inner; /* D, E */
    int depth, n_heads;
    int n_classes;           /* K */
    gboolean has_null_label; /* the table has a row K, "no class" */
    int guided_channels;
} DimDitConfig;

json_t *dim_dit_recognise(const DimWeights *weights, const json_t *given, GError **error);
void *dim_dit_config_parse(const json_t *config, const char *origin, GError **error);

/* out[256] = [cos (t f), sin (t f)], f falling from 1 to nearly 1/10000; rounded as the published
 * program rounds. */
void dim_dit_sinusoid(float *out, double t);
/* out[rows·columns, width]: the fixed positions of a grid, row by row; a token's column is in the
 * first half of its channels, its row in the second. */
void dim_dit_positions(float *out, int rows, int columns, int width);

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct {
    DkWeight *modulation;         /* 6D of D: shift, scale, gate; of the attention, of the MLP */
    DkWeight *qkv, *proj;         /* 3D of D, D of D */
    DkWeight *fc1, *fc2;          /* E of D, D of E */
    DkTensor modulation_bias;     /* [6D] */
    DkTensor qkv_bias, proj_bias; /* [3D], [D] */
    DkTensor fc1_bias, fc2_bias;  /* [E], [D] */
} DimDitBlock;

typedef struct {
    DimDitConfig config;
    gboolean has_positions; /* the file has a table for the native grid */
    DimVectors vectors;
    DkTensor positions;                /* [G², D], or empty */
    DkWeight *patch;                   /* D of C·p² */
    DkWeight *time_1, *time_2;         /* D of 256, D of D */
    DkTensor patch_bias;               /* [D] */
    DkTensor time_1_bias, time_2_bias; /* [D] */
    DkTensor labels;                   /* [K + 1 or K, D] */
    DkWeight *head_modulation, *head;  /* 2D of D: shift, scale; p²·Co of D */
    DkTensor head_modulation_bias, head_bias;
    DimDitBlock *blocks; /* NULL while only names and shapes are asked for */
} DimDitNet;

/* How a tensor of the file is used, and so what `to` points at: a DkTensor or a DkWeight *. */
typedef enum { DIM_DIT_VECTOR, DIM_DIT_LINEAR } DimDitUse;

/* Every tensor that the configuration needs, once, in a fixed order; each `to` points into net,
 * whose has_positions says whether the position table is one of them. FALSE as soon as `visit` says
 * so. */
gboolean dim_dit_walk(const DimDitConfig *config, DimDitNet *net, DimNetVisit visit, void *data,
                      GError **error);
/* Whether a weight file brings its position table: the published ones do. */
gboolean dim_dit_has_positions(const DimWeights *weights);

DimNet *dim_dit_load(DkDevice *dk, const void *config, DimWeights *weights,
                     const DimNetProgress *progress, GError **error);
void dim_dit_free(DkDevice *dk, DimNet *net);

#endif
