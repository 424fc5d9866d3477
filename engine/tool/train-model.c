/* Making a model folder for a training: model.json says everything, the weights come later.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-model.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "json-file.h"
#include "tool.h"
#include "train-recipe.h"

static const char texts[][8] = {"name", "license", "source"};

/* model.json of a folder that the engine has found good. */
json_t *tool_train_load_model(const char *folder, GError **error)
{
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);

    return tool_json_load(file, "a model's description", error);
}

char *tool_train_class_name(const char *raw)
{
    return g_strdelimit(g_strdup(raw), "_", ' ');
}

json_t *tool_train_linear(const char *weights, int block, int channels)
{
    return json_pack("{s:s, s:s, s:i, s:{s:i, s:i}}", "family", "linear", "weights", weights,
                     "scale_factor", 1, "config", "block", block, "latent_channels", channels);
}

/* ---- from another model ---- */

static void take_text(ToolSettings *settings, const json_t *given, const char *name,
                      const json_t *value)
{
    if (!json_object_get(given, name) && json_is_string(value))
        json_object_set(settings->values, name, (json_t *)value);
}

gboolean tool_train_find_family(json_t *given, GError **error)
{
    const char *from = json_string_value(json_object_get(given, "from"));
    const char *asked = json_string_value(json_object_get(given, "family"));
    DimModelInfo *info = from ? dim_model_info_read(from, error) : NULL;
    gboolean good = !from || info;

    if (info && !info->backbone.family)
        good = tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "%s: has no backbone; expected a model that has one", from);
    else if (info && asked && strcmp(asked, info->backbone.family))
        good = tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "--family %s: the backbone of %s is of the family %s; expected that",
                           asked, from, info->backbone.family);
    else if (info)
        json_object_set_new(given, "family", json_string(info->backbone.family));
    dim_model_info_free(&info);
    return good;
}

gboolean tool_train_adopt(ToolSettings *settings, const json_t *given, GError **error)
{
    const char *from = tool_settings_text(settings, "from");
    DimModelInfo *info = dim_model_info_read(from, error);
    json_t *model = info ? tool_train_load_model(from, error) : NULL;
    const gboolean good = model != NULL;

    if (good) {
        json_t *config = json_object_get(json_object_get(model, "backbone"), "config");
        json_decref(settings->backbone);
        settings->backbone = config ? json_deep_copy(config) : json_object();
        json_object_del(settings->backbone, "num_classes"); /* the pictures say it */
        /* These go with the grid to train on. */
        if (info->native_size != tool_settings_whole(settings, "size")) {
            json_object_del(settings->backbone, "pos_embed_size");
            json_object_del(settings->backbone, "input_size");
        }
        for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
            take_text(settings, given, texts[i], json_object_get(model, texts[i]));
        take_text(settings, given, "prediction", json_object_get(model, "prediction"));
        take_text(settings, given, "schedule",
                  json_object_get(json_object_get(model, "noise_schedule"), "type"));
    }
    json_decref(model);
    dim_model_info_free(&info);
    return good;
}

/* ---- the autoencoder ---- */

gboolean tool_copy_file(const char *from, const char *to, GError **error)
{
    g_autoptr(GError) opening = NULL;
    g_autoptr(GMappedFile) mapped = g_mapped_file_new(from, FALSE, &opening);
    DimOutput *output;

    if (!mapped) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be read: %s", from,
                    opening->message);
        return FALSE;
    }
    if (!(output = dim_output_open(to, error)))
        return FALSE;
    fwrite(g_mapped_file_get_contents(mapped), 1, g_mapped_file_get_length(mapped),
           dim_output_stream(output));
    return dim_output_commit(&output, error);
}

/* The file that `value` names, copied from folder to folder; answers what it is called there. */
static json_t *copy_named(const char *from, const json_t *value, const char *to, GError **error)
{
    const char *spelt = json_string_value(value);
    g_autofree char *base = g_path_get_basename(spelt);
    const gboolean taken = !strcmp(base, TOOL_TRAIN_WEIGHTS) || !strcmp(base, "model.json");
    g_autofree char *name = g_strconcat(taken ? "autoencoder-" : "", base, NULL);
    g_autofree char *source = g_build_filename(from, spelt, NULL);
    g_autofree char *target = g_build_filename(to, name, NULL);

    return tool_copy_file(source, target, error) ? json_string(name) : NULL;
}

/* A model's autoencoder, files and all; NULL and an error, or its description. */
json_t *tool_train_copy_autoencoder(const char *from, const char *to, GError **error)
{
    json_t *model = tool_train_load_model(from, error);
    json_t *description = json_deep_copy(json_object_get(model, "autoencoder"));
    json_t *weights = json_object_get(description, "weights");
    gboolean good = description != NULL;

    if (json_is_string(weights)) {
        json_t *name = copy_named(from, weights, to, error);
        good = name != NULL;
        if (good)
            json_object_set_new(description, "weights", name);
    } else if (json_is_object(weights)) {
        static const char *const keys[] = {"encoder", "decoder"};
        for (gsize i = 0; good && i < G_N_ELEMENTS(keys); i++) {
            const json_t *value = json_object_get(weights, keys[i]);
            json_t *name = value ? copy_named(from, value, to, error) : NULL;
            good = !value || name;
            if (name)
                json_object_set_new(weights, keys[i], name);
        }
    }
    json_decref(model);
    if (!good)
        g_clear_pointer(&description, json_decref);
    return description;
}

typedef struct {
    json_t *description;
    int channels, factor;
} Autoencoder;

static gboolean fit(Autoencoder *ae, const char *folder, const ToolSettings *settings,
                    const DimDataset *dataset, double *psnr, DimTask *task, GError **error)
{
    static const char name[] = "codec.safetensors";
    g_autofree char *file = g_build_filename(folder, name, NULL);
    DimCodecParams params;

    dim_codec_params_init(&params);
    params.seed = tool_settings_whole(settings, "seed");
    if (!dim_codec_fit(dataset, &params, file, psnr, task, error))
        return FALSE;
    ae->description = tool_train_linear(name, params.block, params.channels);
    ae->channels = params.channels;
    ae->factor = params.block;
    return TRUE;
}

static gboolean take_autoencoder(Autoencoder *ae, const char *folder, const ToolSettings *settings,
                                 const DimDataset *dataset, double *psnr, DimTask *task,
                                 GError **error)
{
    const char *source = tool_settings_text(settings, "autoencoder");

    if (!source && !(source = tool_settings_text(settings, "from")))
        return fit(ae, folder, settings, dataset, psnr, task, error);
    DimModelInfo *info = dim_model_info_read(source, error);
    if (!info)
        return FALSE;
    ae->channels = info->autoencoder.channels;
    ae->factor = info->autoencoder.factor;
    const gboolean has = info->autoencoder.family != NULL;
    dim_model_info_free(&info);
    if (!has)
        return tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "%s: has no autoencoder; expected a model that has one", source);
    ae->description = tool_train_copy_autoencoder(source, folder, error);
    return ae->description != NULL;
}

/* ---- model.json ---- */

/* A number of the configuration that follows from something else: filled in, or the same. */
static gboolean settle(json_t *config, const char *key, int value, const char *why, GError **error)
{
    const json_t *there = json_object_get(config, key);

    if (there && (!json_is_integer(there) || json_integer_value(there) != value))
        return tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "backbone: its %s is %" G_GINT64_FORMAT "; expected %d, %s", key,
                           (gint64)json_integer_value(there), value, why);
    if (!there)
        json_object_set_new(config, key, json_integer(value));
    return TRUE;
}

static json_t *describe_schedule(const ToolSettings *settings)
{
    const char *type = tool_settings_text(settings, "schedule");
    const gboolean linear = !strcmp(type, "linear");

    return json_pack("{s:s, s:f, s:f, s:i}", "type", type, "beta_start", linear ? 1e-4 : 0.00085,
                     "beta_end", linear ? 0.02 : 0.012, "timesteps", 1000);
}

static void put_texts(json_t *model, const ToolSettings *settings, const char *folder)
{
    g_autofree char *path = g_canonicalize_filename(folder, NULL);
    g_autofree char *run = g_path_get_dirname(path), *run_name = g_path_get_basename(run);

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        const char *text = tool_settings_text(settings, texts[i]);
        if (text)
            json_object_set_new(model, texts[i], json_string(text));
    }
    if (!json_object_get(model, "name")) {
        g_autofree char *clean = dim_text_clean(run_name);
        json_object_set_new(model, "name", json_string(clean));
    }
}

static json_t *describe(const char *folder, const ToolSettings *settings, const DimDataset *dataset,
                        json_t *config, json_t *autoencoder)
{
    const int n = dim_dataset_n_classes(dataset);
    const gboolean guided = tool_settings_real(settings, "label-drop") > 0;
    json_t *model = json_pack("{s:s, s:i}", "format", "gimp-dim-model", "version", 1);
    json_t *classes = json_array();

    put_texts(model, settings, folder);
    for (int label = 0; label < n; label++) {
        g_autofree char *name = tool_train_class_name(dim_dataset_class_name(dataset, label));
        json_array_append_new(classes, json_string(name));
    }
    json_object_set_new(model, "backbone",
                        json_pack("{s:s, s:s, s:O}", "family",
                                  tool_settings_text(settings, "family"), "weights",
                                  TOOL_TRAIN_WEIGHTS, "config", config));
    json_object_set(model, "autoencoder", autoencoder);
    json_object_set_new(model, "noise_schedule", describe_schedule(settings));
    json_object_set_new(model, "prediction",
                        json_string(tool_settings_text(settings, "prediction")));
    json_object_set_new(model, "classes", classes);
    json_object_set_new(model, "unconditional_class", guided ? json_integer(n) : json_null());
    json_object_set_new(model, "native_size", json_integer(tool_settings_whole(settings, "size")));
    json_object_set_new(model, "defaults",
                        json_pack("{s:s, s:i, s:f}", "sampler", "dpm-solver++-2m", "steps", 20,
                                  "guidance", guided ? 2.0 : 1.0));
    return model;
}

static gboolean check_size(const ToolSettings *settings, int factor, GError **error)
{
    const json_t *patch = json_object_get(settings->backbone, "patch_size");
    const gint64 size = tool_settings_whole(settings, "size");
    const int usual = tool_train_patch(tool_settings_text(settings, "family"));
    const gint64 token = factor * MAX(1, patch ? json_integer_value(patch) : usual);

    return size % token == 0 ||
           tool_refuse(error, DIM_ERROR_ARGUMENT,
                       "--size %" G_GINT64_FORMAT ": expected a multiple of %" G_GINT64_FORMAT
                       ", the pixels of a token",
                       size, token);
}

/* Which of a model's classes each of `classes` is, by name; -1: none. */
static int *find_labels(const DimModelInfo *info, const json_t *classes)
{
    const gsize n = json_array_size(classes);
    int *labels = g_new(int, n);

    for (gsize i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(classes, i));
        labels[i] = -1;
        for (int k = 0; k < info->n_classes; k++)
            if (!strcmp(info->classes[k], name))
                labels[i] = k;
    }
    return labels;
}

/* The weights of the model to start from, for the classes of the new one. */
static gboolean take_weights(const DimModelInfo *info, const json_t *classes, const char *file,
                             GError **error)
{
    const int n = (int)json_array_size(classes);
    g_autofree int *labels = find_labels(info, classes);
    gboolean same = n == info->n_labels;

    for (int i = 0; i < n; i++)
        same = same && labels[i] == i;
    return dim_train_copy_weights(info->folder, n, same ? NULL : labels, file, error);
}

/* The model that "from" names is what training starts from. Its noise schedule is kept with the
 * numbers it has, where none other was asked for. */
static gboolean start_from(const char *folder, const char *from, json_t *model, GError **error)
{
    g_autofree char *target = g_build_filename(folder, TOOL_TRAIN_WEIGHTS, NULL);
    DimModelInfo *info = dim_model_info_read(from, error);
    json_t *old = info ? tool_train_load_model(from, error) : NULL;
    json_t *schedule = json_object_get(old, "noise_schedule");
    const json_t *asked = json_object_get(model, "noise_schedule");
    const gboolean good =
        old && take_weights(info, json_object_get(model, "classes"), target, error);

    if (json_equal(json_object_get(schedule, "type"), json_object_get(asked, "type")))
        json_object_set(model, "noise_schedule", schedule);
    json_decref(old);
    dim_model_info_free(&info);
    return good;
}

/* What the two families of the transformer's recipe say about data and grid. */
static gboolean settle_as_dit(json_t *config, const ToolSettings *settings, int factor,
                              GError **error)
{
    const double dropped = tool_settings_real(settings, "label-drop");

    if (!strcmp(tool_settings_text(settings, "family"), "dim"))
        return TRUE;
    if (!json_object_get(config, "class_dropout_prob"))
        json_object_set_new(config, "class_dropout_prob", json_real(dropped));
    return settle(config, "input_size", (int)tool_settings_whole(settings, "size") / factor,
                  "the side of the latents", error);
}

static gboolean compose(const char *folder, const char *file, const ToolSettings *settings,
                        const DimDataset *dataset, double *psnr, DimTask *task, GError **error)
{
    const char *from = tool_settings_text(settings, "from");
    json_t *config = json_deep_copy(settings->backbone), *model = NULL;
    Autoencoder ae = {0};
    gboolean good = take_autoencoder(&ae, folder, settings, dataset, psnr, task, error) &&
                    settle(config, "in_channels", ae.channels, "as the autoencoder has", error) &&
                    settle(config, "num_classes", dim_dataset_n_classes(dataset),
                           "the classes of the pictures", error) &&
                    check_size(settings, ae.factor, error) &&
                    settle_as_dit(config, settings, ae.factor, error);
    if (good) {
        model = describe(folder, settings, dataset, config, ae.description);
        good =
            (!from || start_from(folder, from, model, error)) && tool_json_save(model, file, error);
    }
    json_decref(model);
    json_decref(config);
    json_decref(ae.description);
    return good;
}

gboolean tool_train_update_texts(const char *folder, const ToolSettings *settings, GError **error)
{
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);
    json_t *model = tool_train_load_model(folder, error);
    json_t *before = json_deep_copy(model);

    if (model)
        put_texts(model, settings, folder);
    const gboolean good =
        model && (json_equal(model, before) || tool_json_save(model, file, error));
    json_decref(before);
    json_decref(model);
    return good;
}

gboolean tool_train_make_model(const char *folder, const ToolSettings *settings,
                               const DimDataset *dataset, double *psnr, DimTask *task,
                               GError **error)
{
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);

    *psnr = NAN;
    if (g_mkdir(folder, 0777) < 0 && !g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be made: %s", folder,
                    g_strerror(errno));
        return FALSE;
    }
    if (g_file_test(file, G_FILE_TEST_EXISTS))
        return tool_train_update_texts(folder, settings, error);
    return compose(folder, file, settings, dataset, psnr, task, error);
}
