/* What a weight file is, told by the names and shapes of its tensors alone.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "recognise.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "text.h"
#include "weights-upload.h"
#include "weights.h"

/* ---- for the families ------------------------------------------------------------------------ */

gboolean dim_has_prefix(const DimWeights *weights, const char *prefix)
{
    for (int i = 0; i < dim_weights_count(weights); i++)
        if (g_str_has_prefix(dim_weights_tensor(weights, i)->name, prefix))
            return TRUE;
    return FALSE;
}

gboolean dim_need_ranks(const DimWeights *weights, const DimRanked *needed, GError **error)
{
    for (; needed->name; needed++) {
        const DimTensor *t = dim_weights_find(weights, needed->name);
        if (t && t->rank == needed->rank && t->count > 0)
            continue;
        g_autofree char *shape = t ? dim_shape_text(t->rank, t->sizes) : NULL;
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                        "tensor " DIM_NAME " %s%s; expected one with %d sides above 0",
                        needed->name, t ? "has shape " : "is missing", t ? shape : "",
                        needed->rank);
    }
    return TRUE;
}

gint64 dim_side_of(const DimWeights *weights, int side, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *name = g_strdup_vprintf(format, args);
    va_end(args);
    const DimTensor *tensor = dim_weights_find(weights, name);
    return tensor && side < MIN(tensor->rank, DIM_MAX_RANK) ? tensor->sizes[side] : 0;
}

int dim_count_of(const DimWeights *weights, const char *format)
{
    for (int n = 0;; n++) {
        GString *name = g_string_new(NULL);
        const char *number = strstr(format, "%d");
        g_string_append_len(name, format, number - format);
        g_string_append_printf(name, "%d%s", n, number + 2);
        const gboolean there = dim_weights_find(weights, name->str) != NULL;
        g_string_free(name, TRUE);
        if (!there)
            return n;
    }
}

void dim_put_unless(json_t *config, const char *key, gint64 value, gint64 initial)
{
    if (value > 0 && value != initial)
        json_object_set_new(config, key, json_integer((json_int_t)value));
}

double dim_ratio_of(gint64 inner, gint64 width)
{
    const double ratio = (double)inner / (double)MAX(width, 1);

    for (double scale = 1; scale <= 1e9; scale *= 10) {
        const double rounded = ceil(ratio * scale) / scale;
        if ((gint64)(rounded * (double)width) == inner)
            return rounded;
    }
    return ((double)inner + 0.5) / (double)MAX(width, 1);
}

gint64 dim_given(const json_t *given, const char *key, gint64 otherwise)
{
    const json_t *value = json_object_get(given, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

void dim_put_classes(json_t *config, const json_t *given, gint64 rows, gint64 initial)
{
    const json_t *dropped = json_object_get(given, "class_dropout_prob");
    const gboolean has_null = !json_is_number(dropped) || json_number_value(dropped) > 0;
    const gint64 n = rows - (has_null ? 1 : 0);

    if (rows > 0 && n != initial)
        json_object_set_new(config, "num_classes", json_integer((json_int_t)n));
}

/* ---- all families ---------------------------------------------------------------------------- */

static const DimNetClass *const nets[] = {&dim_net_dim, &dim_net_dit, &dim_net_diffussm};
static const DimAutoencoderClass *const autoencoders[] = {&dim_vae_kl, &dim_vae_tae,
                                                          &dim_vae_linear};

void dim_recognised_clear(DimRecognised *found)
{
    json_decref(found->config);
    g_free(found->parsed);
    *found = (DimRecognised){0};
}

typedef struct {
    const DimWeights *weights;
    GHashTable *needed; /* the names, the file's own strings */
} Fit;

static gboolean fit_tensor(const char *name, int rank, const gint64 *sizes, void *data,
                           GError **error)
{
    Fit *fit = data;
    const DimTensor *tensor = dim_weights_need(fit->weights, name, rank, sizes, error);

    if (tensor)
        g_hash_table_add(fit->needed, (char *)tensor->name);
    return tensor != NULL;
}

/* All that is needed is there, and nothing else. */
static gboolean check_fit(const DimWeights *weights, const DimRecognised *found, GError **error)
{
    Fit fit = {weights, g_hash_table_new(g_str_hash, g_str_equal)};
    gboolean good = found->net->walk(found->parsed, weights, fit_tensor, &fit, error);

    for (int i = 0; good && i < dim_weights_count(weights); i++) {
        const DimTensor *t = dim_weights_tensor(weights, i);
        if (g_hash_table_contains(fit.needed, t->name))
            continue;
        g_autofree char *shape = dim_shape_text(t->rank, t->sizes);
        good = dim_fail(error, DIM_ERROR_UNSUPPORTED, weights->origin,
                        "tensor " DIM_NAME " of shape %s is no part of a %s with the other tensors "
                        "of this file",
                        t->name, shape, found->net->family);
    }
    g_hash_table_unref(fit.needed);
    return good;
}

static gboolean read_config(const char *origin, const json_t *given, DimRecognised *found,
                            GError **error)
{
    g_autofree char *place = g_strdup_printf("%s: recognised configuration", origin);

    if (given)
        json_object_update(found->config, (json_t *)given);
    found->parsed = found->net ? found->net->parse(found->config, place, error)
                               : found->autoencoder->parse(found->config, place, error);
    return found->parsed != NULL;
}

gboolean dim_recognise_net(const DimWeights *weights, const json_t *given, DimRecognised *found,
                           GError **error)
{
    *found = (DimRecognised){0};
    GError *fault = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(nets) && !found->config && !fault; i++) {
        found->net = nets[i];
        found->config = nets[i]->recognise(weights, given, &fault);
    }
    if (fault)
        g_propagate_error(error, fault);
    else if (!found->config)
        dim_fail(error, DIM_ERROR_UNSUPPORTED, weights->origin,
                 "is no model that is known: no tensor transformer_blocks.0.attn1.in_proj.weight "
                 "(dim), blocks.0.attn.qkv.weight (dit), blocks.0.ssm.fwd.log_dt (diffussm), "
                 "decoder.conv_in.weight (kl) or like these (tae, linear)");
    else if (read_config(weights->origin, given, found, error) && check_fit(weights, found, error))
        return TRUE;
    dim_recognised_clear(found);
    return FALSE;
}

gboolean dim_recognise_is_autoencoder(const DimWeights *weights)
{
    const DimAutoencoderFiles files = {(DimWeights *)weights, (DimWeights *)weights};
    json_t *config = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(autoencoders) && !config; i++)
        config = autoencoders[i]->recognise(&files);
    json_decref(config);
    return config != NULL;
}

gboolean dim_recognise_autoencoder(const DimAutoencoderFiles *files, const json_t *given,
                                   DimRecognised *found, GError **error)
{
    const char *origin = (files->decoder ? files->decoder : files->encoder)->origin;
    gint64 parameters;

    *found = (DimRecognised){0};
    for (gsize i = 0; i < G_N_ELEMENTS(autoencoders) && !found->config; i++) {
        found->autoencoder = autoencoders[i];
        found->config = autoencoders[i]->recognise(files);
    }
    if (!found->config)
        dim_fail(error, DIM_ERROR_UNSUPPORTED, origin,
                 "is no autoencoder that is known: no tensor decoder.conv_in.weight or "
                 "encoder.conv_in.weight (kl), decoder.layers.0.weight or 1.weight (tae), basis "
                 "(linear)");
    else if (read_config(origin, given, found, error) &&
             found->autoencoder->check(found->parsed, files, &parameters, error))
        return TRUE;
    dim_recognised_clear(found);
    return FALSE;
}
