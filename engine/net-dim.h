/* Family `dim`, Diffusion Mamba (arXiv 2405.14224): what its files share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The letters of the comments: d width, D depth, E inner width, N states, k taps, R rank of the
 * time step, P pads, K classes, B batch, L tokens of the sequence, H W the token grid, H' W' the
 * same with its pads. */
#ifndef DIM_NET_DIM_H
#define DIM_NET_DIM_H

#include "net-load.h"

typedef enum { DIM_PADS_LATERAL, DIM_PADS_RHO, DIM_PADS_NONE } DimPadSchedule;

enum {
    DIM_EXTRA_TOKENS = 2,   /* time and class, ahead of everything else */
    DIM_TIME_SINUSOID = 256 /* what the modulation sees of the time */
};

typedef struct {
    int width, depth, patch; /* d, D, p */
    int in_channels, out_channels;
    int n_classes;        /* K; both label tables have K + 1 rows, the last is "no class" */
    int n_states, n_taps; /* N, k */
    int inner, rank;      /* E, R */
    int encoder_start;    /* first block that feeds a long skip */
    gboolean skip_connections;
    int n_directions; /* scan orders used, 1 to 4 */
    DimPadSchedule pads;
    int n_pads; /* P */
    gboolean split_tokens, smoothers, final_conv;
    double eps;
    int table_h, table_w; /* the position table is first resized to this; 0: it is not */
    gboolean skip_tune;
    double tune_top, tune_bottom;
} DimMambaConfig;

json_t *dim_mamba_recognise(const DimWeights *weights, const json_t *given, GError **error);
void *dim_mamba_config_parse(const json_t *config, const char *origin, GError **error);

/* Encoder blocks, and as many decoder blocks: n of encoder_start .. encoder_start + 2n - 1. */
int dim_mamba_pairs(const DimMambaConfig *config);
gboolean dim_mamba_is_encoder(const DimMambaConfig *config, int block);
gboolean dim_mamba_is_decoder(const DimMambaConfig *config, int block);
/* What a decoder block's long skip is multiplied by. */
double dim_mamba_skip_factor(const DimMambaConfig *config, int block);

/* ---- the sequence ---------------------------------------------------------------------------- */

/* Sizes of the sequence for a token grid of height x width. */
typedef struct {
    gint64 height, width;               /* H, W */
    gint64 padded_height, padded_width; /* H', W' */
    gint64 lead;                        /* tokens ahead of the image: extra and split ones */
    gint64 length;                      /* L */
} DimMambaGrid;

DimMambaGrid dim_mamba_grid(const DimMambaConfig *config, int height, int width);

enum { DIM_SCAN_ROWS, DIM_SCAN_ROWS_REVERSED, DIM_SCAN_COLUMNS, DIM_SCAN_COLUMNS_REVERSED };
/* Which order a block scans in. */
int dim_mamba_direction(const DimMambaConfig *config, int block);
/* order[L]: the row of the sequence, as stored, that is scanned i-th. */
void dim_mamba_order(const DimMambaGrid *grid, int direction, gint32 *order);

/* What the rows of the sequence are made of. */
typedef enum {
    DIM_FROM_EXTRA, /* time, class */
    DIM_FROM_SPLIT, /* the P split tokens */
    DIM_FROM_PADS,  /* the P pads */
    DIM_FROM_IMAGE, /* H·W patches */
    DIM_N_SOURCES
} DimMambaSource;

/* rows[source][L]: which row of that source stands in each row of the sequence, -1 where another
 * source does. */
void dim_mamba_sources(const DimMambaConfig *config, const DimMambaGrid *grid,
                       gint32 *const rows[DIM_N_SOURCES]);
/* rows[H·W]: the row of the sequence that holds patch n. */
void dim_mamba_crop(const DimMambaGrid *grid, gint32 *rows);

/* out[size] = [cos (t f), sin (t f)], f falling from 1 to 1/10000; an odd size ends in 0. */
void dim_mamba_sinusoid(float *out, int size, double t);

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct {
    DkTensor modulation;     /* [3d]: shift, scale, gate + 1 */
    DkTensor norm;           /* [d] */
    DkWeight *in_proj;       /* 2E of d */
    DkTensor conv_w, conv_b; /* [E, k], [E] */
    DkWeight *x_proj;        /* R + 2N of E */
    DkWeight *dt_proj;       /* E of R */
    DkTensor dt_bias;        /* [E] */
    DkWeight *a;             /* E x N, -exp(A_log) */
    DkTensor d;              /* [E] */
    DkWeight *out_proj;      /* d of E */
    DkWeight *skip[2];       /* d of d each: the stream's and the kept tensor's; decoder blocks */
    DkTensor skip_bias[2];   /* [d]; the second is empty in narrow models */
} DimMambaBlock;

typedef struct {
    DimMambaConfig config;
    gint64 table_side; /* of the file's position table, in tokens */
    DimVectors vectors;
    DkTensor positions;                     /* [X + side², d] */
    DkTensor split, pads;                   /* [1, P, d] each, empty when there are none */
    DkWeight *patch;                        /* d of C·p² */
    DkTensor patch_bias;                    /* [d] */
    DkTensor labels, modulation_labels;     /* [K + 1, d] */
    DkWeight *time_1, *time_2, *modulation; /* d of 256, d of d, 3d of d */
    DkTensor time_1_bias, time_2_bias, modulation_bias;
    DkTensor first_w, first_b, last_w, last_b; /* the smoothers, [d, 9], [d] */
    DkTensor head_norm;                        /* [d] */
    DkWeight *head_modulation, *head;          /* 2d of d, p²·Co of d */
    DkTensor head_modulation_bias, head_bias;
    DkWeight *final_conv; /* Co of Co, 3x3 */
    DkTensor final_bias;
    DimMambaBlock *blocks; /* NULL while only names and shapes are asked for */
} DimMambaNet;

/* How a tensor of the file is used, and so what `to` points at: a DkTensor or, from DIM_AS_LINEAR
 * on, a DkWeight *. */
typedef enum {
    DIM_AS_VECTOR,
    DIM_AS_TOKENS_TURNED, /* [1, d, P] in the file, [P, d] on the device */
    DIM_AS_MODULATION,    /* 1 is added to the gate */
    DIM_AS_LINEAR,
    DIM_AS_LINEAR_PAIR, /* two weights side by side; `to` points at two */
    DIM_AS_CONV2D,
    DIM_AS_SCAN /* A_log */
} DimMambaUse;

/* Every tensor that the configuration needs, once, in a fixed order; each `to` points into net.
 * FALSE as soon as `visit` says so. */
gboolean dim_mamba_walk(const DimMambaConfig *config, gint64 table_side, DimMambaNet *net,
                        DimNetVisit visit, void *data, GError **error);
/* Side of the square position table in a weight file, 0 and an error where it is none. */
gint64 dim_mamba_table_side(const DimMambaConfig *config, const DimWeights *weights,
                            GError **error);

DimNet *dim_mamba_load(DkDevice *dk, const void *config, DimWeights *weights,
                       const DimNetProgress *progress, GError **error);
void dim_mamba_free(DkDevice *dk, DimNet *net);

#endif
