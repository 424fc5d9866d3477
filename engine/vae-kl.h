/* Inside the family `kl`: its configuration, and the three layouts of tensor names.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_VAE_KL_H
#define DIM_VAE_KL_H

#include "autoencoder.h"
#include "vae-chain.h"

enum { DIM_KL_LEVELS = 8 };

typedef struct {
    int ch, n_levels, mult[DIM_KL_LEVELS]; /* level 0: full resolution */
    int n_blocks;                          /* of a level of the encoder; the decoder has one more */
    int z_channels, embed_dim, in_channels, out_channels;
    int norm_groups;
    double norm_eps;
} DimKlConfig;

typedef enum {
    DIM_KL_LDM,
    DIM_KL_LDM_WHOLE,
    DIM_KL_DIFFUSERS,
    DIM_KL_DIFFUSERS_OLDER,
    DIM_KL_N_LAYOUTS
} DimKlLayout;

/* DimStep.place. level and index are DimStep's; level counts as ldm does, by resolution. */
typedef enum {
    DIM_KL_OUTER, /* quant_conv, post_quant_conv */
    DIM_KL_CONV_IN,
    DIM_KL_MID,
    DIM_KL_LEVEL,
    DIM_KL_OUT
} DimKlPlace;

/* What dim_kl_name needs besides a step. */
typedef struct {
    DimKlLayout layout;
    gboolean is_encoder;
    int n_levels;
} DimKlNames;

void *dim_kl_parse(const json_t *json, const char *origin, GError **error); /* a DimKlConfig */
/* The decoder's or the encoder's steps; dim_chain_clear. The encoder's depend on the layout: ldm's
 * first convolution gives ch channels, that of diffusers the width of level 0. */
void dim_kl_decoder(DimChain *chain, const DimKlConfig *config);
void dim_kl_encoder(DimChain *chain, const DimKlConfig *config, DimKlLayout layout);

void dim_kl_name(GString *name, const DimStep *step, DimRole role,
                 const void *names); /* a DimLayerName */
/* The layout that has most of a file's names; a name that only another one needs is refused. */
gboolean dim_kl_find_layout(const DimKlConfig *config, const DimWeights *weights,
                            DimKlLayout *layout, GError **error);

#endif
