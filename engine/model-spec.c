/* model.json, read and checked: what a folder says that it is.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Unknown keys are ignored at the top level and beside a "config"; what a config may hold its
 * family says. */
#include <float.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "model.h"

enum { MAX_SIDE = 65536, MAX_TIMESTEPS = 100000, MAX_STEPS = 100000, MAX_GUIDANCE = 10000 };

typedef struct {
    DimModelSpec *spec;
    const json_t *root;
    const char *origin; /* ".../model.json" */
    GError **error;
} Reader;

/* "ORIGIN: PLACE", for errors within an object; g_free. */
static char *place(const Reader *r, const char *where)
{
    return g_strdup_printf("%s: %s", r->origin, where);
}

/* A string that has to be there. */
static gboolean need_string(const json_t *object, const char *key, const char **value,
                            const char *origin, GError **error)
{
    return dim_json_require(object, key, origin, error) &&
           dim_json_get_string(object, key, value, origin, error);
}

static gboolean read_head(const Reader *r)
{
    const char *format = NULL, *name = NULL, *license = NULL, *source = NULL;
    gint64 version = 0;

    if (!need_string(r->root, "format", &format, r->origin, r->error))
        return FALSE;
    if (strcmp(format, "gimp-dim-model"))
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "format is " DIM_NAME "; expected \"gimp-dim-model\"", format);
    if (!dim_json_require(r->root, "version", r->origin, r->error) ||
        !dim_json_get_int(r->root, "version", 1, G_MAXINT, &version, r->origin, r->error))
        return FALSE;
    if (version != 1)
        return dim_fail(r->error, DIM_ERROR_UNSUPPORTED, r->origin,
                        "version is %d; this program reads version 1", (int)version);
    if (!need_string(r->root, "name", &name, r->origin, r->error) ||
        !dim_json_get_string(r->root, "license", &license, r->origin, r->error) ||
        !dim_json_get_string(r->root, "source", &source, r->origin, r->error))
        return FALSE;
    r->spec->info.name = g_strdup(name);
    r->spec->info.license = g_strdup(license);
    r->spec->info.source = g_strdup(source);
    return TRUE;
}

static gboolean fail_family(const Reader *r, const char *part, const char *family)
{
    return dim_fail(r->error, DIM_ERROR_UNSUPPORTED, r->origin,
                    "%s.family " DIM_NAME " is unknown; expected %s", part, family,
                    strcmp(part, "backbone") ? "kl, tae, linear or none" : "dim, dit or diffussm");
}

/* The object of a part and its "family"; *part stays NULL where the folder has none. */
static gboolean read_part(const Reader *r, const char *key, const json_t **part,
                          const char **family)
{
    g_autofree char *origin = place(r, key);

    if (!dim_json_get_object(r->root, key, part, r->origin, r->error))
        return FALSE;
    return !*part || need_string(*part, "family", family, origin, r->error);
}

static gboolean read_backbone(const Reader *r)
{
    const json_t *part = NULL, *config = NULL;
    const char *family = NULL;
    g_autofree char *origin = place(r, "backbone"), *config_origin = place(r, "backbone.config");
    DimModelSpec *spec = r->spec;
    DimNetFacts facts;

    if (!read_part(r, "backbone", &part, &family))
        return FALSE;
    if (!part)
        return TRUE;
    spec->net = dim_net_class(family);
    if (!spec->net)
        return fail_family(r, "backbone", family);
    if (!dim_json_require(part, "weights", origin, r->error) ||
        !dim_model_spec_read_path(part, "weights", &spec->net_weights, origin, r->error) ||
        !dim_json_get_object(part, "config", &config, origin, r->error))
        return FALSE;
    spec->net_config = spec->net->parse(config, config_origin, r->error);
    if (!spec->net_config)
        return FALSE;
    spec->net->facts(spec->net_config, &facts);
    spec->info.backbone =
        (DimPart){.family = g_strdup(family), .channels = facts.in_channels, .factor = facts.patch};
    spec->info.n_labels = facts.n_labels;
    return TRUE;
}

/* One file for both parts, or for tae {"encoder": FILE, "decoder": FILE}. */
static gboolean read_autoencoder_weights(const Reader *r, const json_t *part, const char *family)
{
    static const char *const keys[] = {"encoder", "decoder", NULL};
    g_autofree char *origin = place(r, "autoencoder"), *inner = place(r, "autoencoder.weights");
    const json_t *weights = json_object_get(part, "weights");
    DimModelSpec *spec = r->spec;

    if (!dim_json_require(part, "weights", origin, r->error))
        return FALSE;
    if (!json_is_object(weights) || strcmp(family, "tae")) {
        if (!dim_model_spec_read_path(part, "weights", &spec->decoder_weights, origin, r->error))
            return FALSE;
        spec->encoder_weights = g_strdup(spec->decoder_weights);
        return TRUE;
    }
    if (!dim_json_only(weights, keys, inner, r->error) ||
        !dim_model_spec_read_path(weights, "encoder", &spec->encoder_weights, inner, r->error) ||
        !dim_model_spec_read_path(weights, "decoder", &spec->decoder_weights, inner, r->error))
        return FALSE;
    return spec->encoder_weights || spec->decoder_weights ||
           dim_fail(r->error, DIM_ERROR_FORMAT, inner,
                    "names no file; expected encoder, decoder or both");
}

static gboolean read_autoencoder(const Reader *r)
{
    const json_t *part = NULL, *config = NULL;
    const char *family = NULL;
    g_autofree char *origin = place(r, "autoencoder"),
                    *config_origin = place(r, "autoencoder.config");
    DimModelSpec *spec = r->spec;
    DimAutoencoderFacts facts;

    if (!read_part(r, "autoencoder", &part, &family))
        return FALSE;
    if (!part)
        return TRUE;
    spec->autoencoder = dim_autoencoder_class(family);
    if (!spec->autoencoder)
        return fail_family(r, "autoencoder", family);
    if (!dim_json_get_object(part, "config", &config, origin, r->error))
        return FALSE;
    spec->autoencoder_config = spec->autoencoder->parse(config, config_origin, r->error);
    if (!spec->autoencoder_config)
        return FALSE;
    spec->autoencoder->facts(spec->autoencoder_config, &facts);
    if (facts.has_files && !read_autoencoder_weights(r, part, family))
        return FALSE;
    if (!facts.has_files && dim_json_has(part, "weights"))
        return dim_fail(r->error, DIM_ERROR_FORMAT, origin, "family %s has no weights", family);
    spec->scale_factor = facts.default_scale_factor;
    /* On pixels themselves: as many channels as the backbone has. */
    const int channels =
        facts.has_files || !spec->net ? facts.channels : spec->info.backbone.channels;
    spec->info.autoencoder =
        (DimPart){.family = g_strdup(family), .channels = channels, .factor = facts.factor};
    return dim_json_get_double(part, "scale_factor", FLT_MIN, FLT_MAX, &spec->scale_factor, origin,
                               r->error);
}

static gboolean read_schedule(const Reader *r)
{
    static const char *const keys[] = {"type", "beta_start", "beta_end", "timesteps"};
    static const char *const types[] = {"linear", "scaled_linear", NULL};
    g_autofree char *origin = place(r, "noise_schedule");
    const json_t *schedule = NULL;
    DimModelSpec *spec = r->spec;
    gint64 timesteps = 0;
    int type = 0;

    if (!dim_json_get_object(r->root, "noise_schedule", &schedule, r->origin, r->error))
        return FALSE;
    if (!schedule)
        return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
        if (!dim_json_require(schedule, keys[i], origin, r->error))
            return FALSE;
    /* Above 0 and below 1. */
    if (!dim_json_get_choice(schedule, "type", types, &type, origin, r->error) ||
        !dim_json_get_double(schedule, "beta_start", DBL_MIN, 1 - DBL_EPSILON, &spec->beta_start,
                             origin, r->error) ||
        !dim_json_get_double(schedule, "beta_end", DBL_MIN, 1 - DBL_EPSILON, &spec->beta_end,
                             origin, r->error) ||
        !dim_json_get_int(schedule, "timesteps", 1, MAX_TIMESTEPS, &timesteps, origin, r->error))
        return FALSE;
    spec->has_schedule = TRUE;
    spec->schedule = (DimScheduleType)type;
    spec->timesteps = (int)timesteps;
    return TRUE;
}

static gboolean read_prediction(const Reader *r)
{
    static const char *const names[] = {"epsilon", "v", NULL};
    int prediction = 0;

    if (!dim_json_get_choice(r->root, "prediction", names, &prediction, r->origin, r->error))
        return FALSE;
    r->spec->has_prediction = dim_json_has(r->root, "prediction");
    r->spec->prediction = (DimPrediction)prediction;
    if (r->spec->has_prediction)
        r->spec->info.prediction = g_strdup(names[prediction]);
    return TRUE;
}

/* A label beyond the names: the row of the table that stands for "no class". */
static gboolean read_unconditional(const Reader *r)
{
    DimModelSpec *spec = r->spec;
    gint64 label = -1, last = G_MAXINT - 1;

    spec->info.unconditional_class = -1;
    spec->has_unconditional_key = dim_json_has(r->root, "unconditional_class");
    if (dim_json_is_null(r->root, "unconditional_class"))
        return TRUE;
    if (spec->net) {
        DimNetFacts facts;
        spec->net->facts(spec->net_config, &facts);
        last = facts.n_labels - (facts.has_null_label ? 0 : 1);
        if (spec->has_unconditional_key && facts.n_labels == 0)
            return dim_fail(
                r->error, DIM_ERROR_FORMAT, r->origin,
                "unconditional_class is given; expected null, the backbone has no labels");
    }
    if (!dim_json_get_int(r->root, "unconditional_class", 0, last, &label, r->origin, r->error))
        return FALSE;
    spec->info.unconditional_class = (int)label;
    return TRUE;
}

static gboolean read_native_size(const Reader *r)
{
    gint64 side = 0;

    if (!dim_json_get_int(r->root, "native_size", 1, MAX_SIDE, &side, r->origin, r->error))
        return FALSE;
    r->spec->info.native_size = (int)side;
    return TRUE;
}

/* Guidance above 1 that a model cannot have is no mistake of the file: it runs unguided. */
static gboolean read_defaults(const Reader *r)
{
    /* All that the format knows, whether or not this program has them. */
    static const char *const samplers[] = {"dpm-solver++-fast",
                                           "dpm-solver-fast",
                                           "dpm-solver++-2m",
                                           "dpm-solver++-3m",
                                           "ddim",
                                           "ddpm",
                                           "unipc",
                                           "euler",
                                           "heun",
                                           NULL};
    g_autofree char *origin = place(r, "defaults"), *inner = place(r, "defaults.upsample");
    const json_t *object = NULL, *upsample = NULL;
    DimDefaults d = {.steps = 50, .guidance = 1, .theta = 1, .eta = 0.3, .t = 1};
    gint64 steps = d.steps;
    int sampler = 0;

    if (!dim_json_get_object(r->root, "defaults", &object, r->origin, r->error) ||
        !dim_json_get_choice(object, "sampler", samplers, &sampler, origin, r->error) ||
        !dim_json_get_int(object, "steps", 1, MAX_STEPS, &steps, origin, r->error) ||
        !dim_json_get_double(object, "guidance", -MAX_GUIDANCE, MAX_GUIDANCE, &d.guidance, origin,
                             r->error) ||
        !dim_json_get_bool(object, "seamless", &d.seamless, origin, r->error) ||
        !dim_json_get_bool(object, "windows", &d.windows, origin, r->error) ||
        !dim_json_get_object(object, "upsample", &upsample, origin, r->error) ||
        !dim_json_get_double(upsample, "theta", -MAX_GUIDANCE, MAX_GUIDANCE, &d.theta, inner,
                             r->error) ||
        !dim_json_get_double(upsample, "eta", -MAX_GUIDANCE, MAX_GUIDANCE, &d.eta, inner,
                             r->error) ||
        !dim_json_get_double(upsample, "T", -MAX_GUIDANCE, MAX_GUIDANCE, &d.t, inner, r->error))
        return FALSE;
    d.sampler = g_strdup(samplers[sampler]);
    d.steps = (int)steps;
    if (r->spec->info.unconditional_class < 0)
        d.guidance = 1;
    r->spec->info.defaults = d;
    return TRUE;
}

static gboolean read_all(const Reader *r)
{
    if (!read_head(r) || !read_backbone(r) || !read_autoencoder(r))
        return FALSE;
    if (!r->spec->net && !r->spec->autoencoder)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "has neither backbone nor autoencoder; expected at least one");
    return read_schedule(r) && read_prediction(r) && read_unconditional(r) && read_native_size(r) &&
           read_defaults(r) && dim_model_spec_read_classes(r->spec, r->root, r->origin, r->error);
}

DimModelSpec *dim_model_spec_parse(const json_t *root, const char *folder, const char *origin,
                                   GError **error)
{
    DimModelSpec *spec = g_new0(DimModelSpec, 1);
    DimModelInfo *info = &spec->info;
    const Reader reader = {spec, root, origin, error};

    info->folder = g_canonicalize_filename(folder, NULL);
    info->id = g_path_get_basename(info->folder);
    if (read_all(&reader))
        return spec;
    dim_model_info_free(&info);
    return NULL;
}

DimModelSpec *dim_model_spec_read(const char *folder, GError **error)
{
    g_autofree char *origin = g_build_filename(folder, "model.json", NULL);
    json_t *root = dim_json_load(origin, DIM_MODEL_JSON_BYTES, error);
    DimModelSpec *spec = root ? dim_model_spec_parse(root, folder, origin, error) : NULL;

    json_decref(root);
    return spec;
}

static void clear_info(DimModelInfo *info)
{
    g_free(info->folder);
    g_free(info->id);
    g_free(info->name);
    g_free(info->license);
    g_free(info->source);
    g_free(info->backbone.family);
    g_free(info->autoencoder.family);
    g_free(info->prediction);
    g_free(info->defaults.sampler);
    g_strfreev(info->classes);
    for (int i = 0; info->synonyms && i < info->n_classes; i++)
        g_free(info->synonyms[i]);
    g_free(info->synonyms);
}

void dim_model_info_free(DimModelInfo **info)
{
    DimModelSpec *spec = (DimModelSpec *)*info;

    if (!spec)
        return;
    clear_info(*info);
    g_free(spec->net_config);
    g_free(spec->net_weights);
    g_free(spec->autoencoder_config);
    g_free(spec->encoder_weights);
    g_free(spec->decoder_weights);
    g_free(spec->classes_file);
    g_free(spec->synonyms_file);
    g_free(spec);
    *info = NULL;
}

const DimModelSpec *dim_model_spec_of(const DimModelInfo *info)
{
    return (const DimModelSpec *)info;
}
