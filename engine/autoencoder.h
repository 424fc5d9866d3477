/* What an autoencoder family must provide: latents to pictures and back. One class for each of kl,
 * tae, linear, none.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_AUTOENCODER_H
#define DIM_AUTOENCODER_H

#include <jansson.h>

#include "net.h"

/* Weight files of an autoencoder: one, or one for each part. Either may be NULL; both may be the
 * same object. */
typedef struct {
    DimWeights *encoder, *decoder;
} DimAutoencoderFiles;

typedef struct {
    int channels; /* of the latent */
    int factor;   /* picture pixels a latent pixel, one way */
    int in_channels,
        out_channels; /* of the picture that is encoded, decoded; 3 but for odd kl configurations */
    double default_scale_factor;
    gboolean has_files; /* FALSE: family none */
    /* Latent pixels around a picture on a torus that decoding must see for its borders to be like
     * its inner lines; 0: each is decoded by itself. */
    int margin;
} DimAutoencoderFacts;

typedef struct DimAutoencoder DimAutoencoder;

typedef struct DimAutoencoderClass {
    const char *family;
    void *(*parse)(const json_t *config, const char *origin, GError **error); /* g_free */
    json_t *(*recognise)(const DimAutoencoderFiles *files);                   /* as in net.h */
    void (*facts)(const void *config, DimAutoencoderFacts *facts);
    /* Which parts (DIM_PARTS_ENCODER | DIM_PARTS_DECODER) the files hold; 0 and an error when
     * neither, a part is incomplete, layouts are mixed or a shape does not fit. *parameters counts
     * the numbers of what is there. Headers only. */
    int (*check)(const void *config, const DimAutoencoderFiles *files, gint64 *parameters,
                 GError **error);
    /* Every tensor of both parts under the names of the published layout. */
    gboolean (*walk)(const void *config, DimNeedFn need, void *data, GError **error);
    /* NULL, or: looks at the values that must be more than finite. */
    gboolean (*check_values)(const void *config, const DimAutoencoderFiles *files, GError **error);
    DimAutoencoder *(*load)(DkDevice *dk, const void *config, double scale_factor,
                            const DimAutoencoderFiles *files, DimParts parts, DimTask *task,
                            GError **error);
    void (*free)(DkDevice *dk, DimAutoencoder *autoencoder);
    /* z, image on the host, already allocated and of fitting sizes, a batch at a time. progress as
     * in net.h */
    gboolean (*decode)(DkDevice *dk, DimAutoencoder *ae, const DimArray *z, int tile,
                       DimArray *image, const DimNetProgress *progress, GError **error);
    gboolean (*encode)(DkDevice *dk, DimAutoencoder *ae, const DimArray *image, DimArray *z,
                       const DimNetProgress *progress, GError **error);
    /* Peak bytes of activations and flop of decoding one picture of h x w latent pixels; allocates
     * nothing. */
    void (*estimate)(const void *config, int h, int w, int tile, gint64 *bytes, double *flop);
} DimAutoencoderClass;

extern const DimAutoencoderClass dim_vae_kl, dim_vae_tae, dim_vae_linear, dim_vae_none;

json_t *dim_kl_recognise(const DimAutoencoderFiles *files);
json_t *dim_tae_recognise(const DimAutoencoderFiles *files);
json_t *dim_linear_recognise(const DimAutoencoderFiles *files);

const DimAutoencoderClass *dim_autoencoder_class(const char *family); /* NULL: unknown */

#endif
