/* The autoencoder families by name, and `none`: a backbone that works on pixels itself.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "autoencoder.h"

#include <string.h>

#include "json.h"

static void *none_parse(const json_t *json, const char *origin, GError **error)
{
    static const char *const keys[] = {NULL};

    return dim_json_only(json, keys, origin, error) ? g_malloc0(1) : NULL;
}

static void none_facts(const void *config, DimAutoencoderFacts *facts)
{
    *facts = (DimAutoencoderFacts){
        .channels = 3, .factor = 1, .in_channels = 3, .out_channels = 3, .default_scale_factor = 1};
}

static int none_check(const void *config, const DimAutoencoderFiles *files, gint64 *parameters,
                      GError **error)
{
    *parameters = 0;
    return DIM_PARTS_ENCODER | DIM_PARTS_DECODER;
}

static gboolean none_walk(const void *config, DimNeedFn need, void *data, GError **error)
{
    return TRUE;
}

static DimAutoencoder *none_load(DkDevice *dk, const void *config, double scale_factor,
                                 const DimAutoencoderFiles *files, DimParts parts, DimTask *task,
                                 GError **error)
{
    return g_memdup2(&scale_factor, sizeof scale_factor);
}

static void none_free(DkDevice *dk, DimAutoencoder *ae)
{
    g_free(ae);
}

/* to = factor from, number by number */
static gboolean scale_copy(DimArray *to, const DimArray *from, double factor,
                           const DimNetProgress *progress)
{
    const gint64 n = dim_array_count(from);

    for (gint64 i = 0; i < n; i++)
        to->data[i] = (float)(from->data[i] * factor);
    dim_net_progress(progress, 1);
    return TRUE;
}

static gboolean none_decode(DkDevice *dk, DimAutoencoder *ae, const DimArray *z, int tile,
                            DimArray *image, const DimNetProgress *progress, GError **error)
{
    return scale_copy(image, z, 1 / *(const double *)ae, progress);
}

static gboolean none_encode(DkDevice *dk, DimAutoencoder *ae, const DimArray *image, DimArray *z,
                            const DimNetProgress *progress, GError **error)
{
    return scale_copy(z, image, *(const double *)ae, progress);
}

static void none_estimate(const void *config, int h, int w, int tile, gint64 *bytes, double *flop)
{
    *bytes = 0;
    *flop = 0;
}

const DimAutoencoderClass dim_vae_none = {
    .family = "none",
    .parse = none_parse,
    .facts = none_facts,
    .check = none_check,
    .walk = none_walk,
    .load = none_load,
    .free = none_free,
    .decode = none_decode,
    .encode = none_encode,
    .estimate = none_estimate,
};

const DimAutoencoderClass *dim_autoencoder_class(const char *family)
{
    static const DimAutoencoderClass *const classes[] = {&dim_vae_kl, &dim_vae_tae, &dim_vae_linear,
                                                         &dim_vae_none};

    for (gsize i = 0; i < G_N_ELEMENTS(classes); i++)
        if (!strcmp(classes[i]->family, family))
            return classes[i];
    return NULL;
}
