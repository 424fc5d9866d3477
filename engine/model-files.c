/* The files of a model folder: found inside it, opened, and held against the configuration.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "model.h"
#include "weights-upload.h"
#include "weights.h"

/* What is wrong with the spelling of a path; NULL: nothing. */
static const char *spelling_fault(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    if (!*path)
        return "is empty";
    if (*path == '/')
        return "is absolute";
    if (strchr(path, '\\'))
        return "has a backslash";
    if (g_strv_contains((const char *const *)parts, ".."))
        return "has a part \"..\"";
    return NULL;
}

gboolean dim_model_spec_read_path(const json_t *object, const char *key, char **path,
                                  const char *origin, GError **error)
{
    const char *text = NULL;

    if (!dim_json_get_string(object, key, &text, origin, error))
        return FALSE;
    const char *fault = text ? spelling_fault(text) : NULL;
    if (fault)
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "%s: path " DIM_NAME " %s; expected one inside the folder", key, text,
                        fault);
    *path = g_strdup(text);
    return TRUE;
}

char *dim_model_resolve(const char *folder, const char *path, GError **error)
{
    g_autofree char *joined = g_build_filename(folder, path, NULL);
    char *inside = realpath(folder, NULL), *file = realpath(joined, NULL), *found = NULL;

    if (!inside || !file)
        dim_fail(error, DIM_ERROR_FILE, joined, "cannot be opened: %s", g_strerror(errno));
    else if (!g_str_has_prefix(file, inside) ||
             (file[strlen(inside)] != '/' && strcmp(inside, "/")))
        dim_fail(error, DIM_ERROR_FILE, joined, "leads out of the model's folder");
    else
        found = g_strdup(file);
    free(inside);
    free(file);
    return found;
}

DimWeights *dim_model_spec_open_weights(const DimModelSpec *spec, const char *path, GError **error)
{
    g_autofree char *origin = g_build_filename(spec->info.folder, path, NULL);
    g_autofree char *resolved = dim_model_resolve(spec->info.folder, path, error);

    return resolved ? dim_weights_open_as(resolved, origin, error) : NULL;
}

typedef struct {
    DimWeights *weights;
    gint64 parameters;
} Count;

static gboolean count_needed(const char *name, int rank, const gint64 *sizes, void *data,
                             GError **error)
{
    Count *count = data;
    const DimTensor *tensor = dim_weights_need(count->weights, name, rank, sizes, error);

    if (tensor)
        count->parameters += tensor->count;
    return tensor != NULL;
}

gboolean dim_model_spec_open_autoencoder(const DimModelSpec *spec, DimParts parts,
                                         DimAutoencoderFiles *files, GError **error)
{
    const char *encoder = parts & DIM_PARTS_ENCODER ? spec->encoder_weights : NULL;
    const char *decoder = parts & DIM_PARTS_DECODER ? spec->decoder_weights : NULL;

    *files = (DimAutoencoderFiles){0};
    if (encoder && !(files->encoder = dim_model_spec_open_weights(spec, encoder, error)))
        return FALSE;
    if (encoder && decoder && !strcmp(encoder, decoder))
        files->decoder = files->encoder;
    else if (decoder && !(files->decoder = dim_model_spec_open_weights(spec, decoder, error))) {
        dim_autoencoder_files_close(files);
        return FALSE;
    }
    return TRUE;
}

void dim_autoencoder_files_close(DimAutoencoderFiles *files)
{
    if (files->decoder != files->encoder)
        dim_weights_close(&files->decoder);
    dim_weights_close(&files->encoder);
    *files = (DimAutoencoderFiles){0};
}

gboolean dim_model_spec_check_tensors(DimModelSpec *spec, DimWeights *weights,
                                      const DimAutoencoderFiles *files, GError **error)
{
    DimModelInfo *info = &spec->info;
    Count count = {weights, 0};

    info->parts = 0;
    if (spec->net) {
        if (!spec->net->walk(spec->net_config, weights, count_needed, &count, error))
            return FALSE;
        info->parts |= DIM_PARTS_BACKBONE;
        info->backbone.parameters = count.parameters;
    }
    if (spec->autoencoder) {
        const int parts = spec->autoencoder->check(spec->autoencoder_config, files,
                                                   &info->autoencoder.parameters, error);
        if (!parts)
            return FALSE;
        info->parts |= parts;
    }
    return TRUE;
}

gboolean dim_model_spec_check_files(DimModelSpec *spec, GError **error)
{
    DimWeights *weights =
        spec->net ? dim_model_spec_open_weights(spec, spec->net_weights, error) : NULL;
    DimAutoencoderFiles files = {0};
    const gboolean good =
        (!spec->net || weights) &&
        (!spec->autoencoder || dim_model_spec_open_autoencoder(
                                   spec, DIM_PARTS_ENCODER | DIM_PARTS_DECODER, &files, error)) &&
        dim_model_spec_check_tensors(spec, weights, &files, error);

    dim_weights_close(&weights);
    dim_autoencoder_files_close(&files);
    return good;
}

DimModelInfo *dim_model_info_read(const char *folder, GError **error)
{
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    DimModelInfo *info = (DimModelInfo *)spec;

    if (spec && !dim_model_spec_check_files(spec, error))
        dim_model_info_free(&info);
    return info;
}

static gboolean check_autoencoder_values(const DimModelSpec *spec, GError **error)
{
    DimAutoencoderFiles files;

    if (!spec->autoencoder || !spec->autoencoder->check_values)
        return TRUE;
    if (!dim_model_spec_open_autoencoder(spec, DIM_PARTS_ENCODER | DIM_PARTS_DECODER, &files,
                                         error))
        return FALSE;
    const gboolean good = spec->autoencoder->check_values(spec->autoencoder_config, &files, error);
    dim_autoencoder_files_close(&files);
    return good;
}

gboolean dim_model_check(const char *folder, DimTask *task, GError **error)
{
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    DimModelInfo *info = (DimModelInfo *)spec;

    if (!spec)
        return FALSE;
    const char *const named[] = {spec->net_weights, spec->encoder_weights, spec->decoder_weights};
    gboolean good = TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(named) && good; i++) {
        if (!named[i] || (i == 2 && !g_strcmp0(named[1], named[2])))
            continue;
        DimWeights *weights = dim_model_spec_open_weights(spec, named[i], error);
        good = weights && dim_weights_check(weights, task, error);
        dim_weights_close(&weights);
    }
    good = good && check_autoencoder_values(spec, error);
    dim_model_info_free(&info);
    return good;
}
