/* An autoencoder part as a chain of steps: built once from a configuration, then checked against a
 * file, loaded, estimated and run by walking the same list.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Activations are [1, H, W, C], one picture at a time. Every step sweeps over bands of rows; whole
 * activations are held, what lies between two convolutions of a step only for one band (norm and
 * SiLU are applied while reading; the upsampled picture is never made, see DIM_STEP_UP in
 * vae-chain-run.c). Statistics of a norm are summed row by row while its input is written, so the
 * result does not depend on the height of a band. */
#ifndef DIM_VAE_CHAIN_H
#define DIM_VAE_CHAIN_H

#include "net.h"
#include "weights-upload.h"

typedef enum {
    DIM_STEP_CONV,      /* y = act (conv (x)) */
    DIM_STEP_NORM_CONV, /* y = conv (SiLU (norm (x))) */
    DIM_STEP_RESIDUAL,  /* x = shortcut (x) + conv2 (SiLU (norm2 (conv1 (SiLU (norm1 (x)))))) */
    DIM_STEP_ATTENTION, /* x = x + proj (attention (q, k, v of norm (x))), one head */
    DIM_STEP_BLOCK,     /* x = relu (conv4 (relu (conv2 (relu (conv0 (x))))) + x) */
    DIM_STEP_UP,        /* y = conv (x, each pixel repeated 2 x 2) */
    DIM_STEP_DOWN,      /* y = conv of stride 2 (x) */
    DIM_STEP_CLAMP      /* x = 3 tanh (x / 3) */
} DimStepKind;

typedef struct {
    DimStepKind kind;
    int in, out;      /* channels */
    int kernel;       /* CONV: 3, or 1 */
    int unused;       /* CONV: outputs in the file behind `out` that nobody asks for */
    DkAct act;        /* CONV */
    gboolean no_bias; /* UP, DOWN */
    gboolean pad_all; /* DOWN: zeros on all four sides; else on the right and at the bottom only */
    int place, level, index; /* the family's own, to name the tensors by */
} DimStep;

typedef enum {
    DIM_ROLE_NORM1,
    DIM_ROLE_CONV1,
    DIM_ROLE_NORM2,
    DIM_ROLE_CONV2,
    DIM_ROLE_SHORTCUT,
    DIM_ROLE_NORM,
    DIM_ROLE_CONV,
    DIM_ROLE_Q,
    DIM_ROLE_K,
    DIM_ROLE_V,
    DIM_ROLE_PROJ,
    DIM_ROLE_BLOCK0,
    DIM_ROLE_BLOCK2,
    DIM_ROLE_BLOCK4
} DimRole;

enum { DIM_STEP_LAYERS = 5 };

/* What a step has weights for: `.weight` and, but for no_bias, `.bias`. */
typedef struct {
    DimRole role;
    int in, out;
    int kernel; /* 3 or 1; 0: a norm of `out` channels */
    int unused;
    gboolean no_bias;
    gboolean is_matrix; /* of a 1 x 1 kernel whose two last sides may be left out */
} DimLayer;

/* One for each layer of a step; UP's weight is four, of which the bias is with the first. */
typedef struct {
    DkWeight *weight;
    DkTensor gain, bias; /* gain: a norm's */
} DimLayerData;

typedef struct {
    DimStep *steps;
    int n_steps;
    int norm_groups;
    double norm_eps;
    double in_gain, in_shift;   /* gain x + shift, before the first step */
    double out_gain, out_shift; /* and after the last */

    /* What dim_chain_load fills in. */
    DimLayerData (*data)[DIM_STEP_LAYERS];
    DimVectors vectors;
    DkTensor in_shifts, out_shifts;
} DimChain;

/* Appends the tensor name of a step's layer, without `.weight`. */
typedef void (*DimLayerName)(GString *name, const DimStep *step, DimRole role, const void *data);

/* A tensor that a chain needs, by its full name. */
typedef struct {
    const char *name;
    DimLayer layer;
    gboolean is_bias;
    int at_step, at_layer;
} DimNeed;

typedef gboolean (*DimNeedVisit)(const DimNeed *need, void *data); /* FALSE stops the walk */

/* ---- vae-chain.c: what a chain needs */

void dim_chain_init(DimChain *chain);
void dim_chain_add(DimChain *chain, DimStep step);
/* Frees the steps; the weights have gone before (dim_chain_unload). */
void dim_chain_clear(DimChain *chain);
int dim_step_layers(const DimStep *step, DimLayer layers[DIM_STEP_LAYERS]);
/* The steps' picture sizes: H and W behind a step whose input has `height` and `width`. */
void dim_step_size(const DimStep *step, int *height, int *width);
double dim_step_flop(const DimStep *step, int height, int width);
double dim_chain_flop(const DimChain *chain, int height, int width);

/* Bytes that a step needs at once: its input (and, in place, its result), what it writes besides,
 * what a band needs. */
typedef struct {
    gsize x, y, band;
    int rows; /* of a band: of x for UP, of the result for all others */
} DimStepRoom;

/* share: the part of a step's rows that is in a band; 0: as many as memory and a cancel like. */
void dim_step_room(const DimStep *step, int height, int width, double share, DimStepRoom *room);
/* A band has the area of tile x tile of the h x w latent pixels: over the whole width, and so less
 * high. */
double dim_tile_share(int tile, int h, int w);
/* Room for a norm's statistics. */
gsize dim_chain_stats_bytes(const DimChain *chain);
/* Peak bytes of a run from height x width; G_MAXSIZE where they cannot be counted. */
gsize dim_chain_bytes(const DimChain *chain, int height, int width, double share);

/* ---- vae-chain-load.c: names, shapes, values */

gboolean dim_chain_walk(const DimChain *chain, DimLayerName name, const void *name_data,
                        DimNeedVisit visit, void *data);
/* The same by name and shape alone. */
gboolean dim_chain_needs(const DimChain *chain, DimLayerName name, const void *name_data,
                         DimNeedFn need, void *data, GError **error);
/* How many of the tensors that the chain needs are in the file. */
int dim_chain_present(const DimChain *chain, const DimWeights *weights, DimLayerName name,
                      const void *data);
/* Every tensor is there, of a float type, with its shape; adds the numbers in them to *parameters.
 */
gboolean dim_chain_check(const DimChain *chain, const DimWeights *weights, DimLayerName name,
                         const void *data, gint64 *parameters, GError **error);
gboolean dim_chain_load(DimChain *chain, DkDevice *dk, DimWeights *weights, DimLayerName name,
                        const void *data, DimTask *task, GError **error);
void dim_chain_unload(DimChain *chain, DkDevice *dk);

/* ---- vae-chain-run.c */

/* A batch on the host, [N,C,H,W] both; `to` has the sizes that the steps lead to. `what` is being
 * done ("decoding"). */
gboolean dim_chain_run(const DimChain *chain, DkDevice *dk, const DimArray *from, DimArray *to,
                       double share, const char *what, const DimNetProgress *progress,
                       GError **error);

#endif
