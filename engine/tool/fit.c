/* `dim codec`: an autoencoder of the family `linear`, fitted to pictures.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include "json-file.h"
#include "progress.h"
#include "tool.h"
#include "train-data.h"
#include "train-model.h"
#include "train-settings.h"

typedef struct {
    ToolCommon common;
    char *data, *output, *scales, *name, *license, *source;
    int size;
    DimCropParams crops;
    DimCodecParams params;
} Options;

static gboolean read_pictures(const Options *o, ToolProgress *progress, DimDataset *dataset,
                              GError **error)
{
    DimTask reading = {0}, scaling = {0};

    tool_progress_task(progress, "reading", &reading);
    gboolean read = tool_dataset_read(dataset, o->data, &reading, error);
    if (read) {
        tool_progress_task(progress, "scaling", &scaling);
        read = dim_dataset_prepare(dataset, &o->crops, &scaling, error);
    }
    tool_progress_task(progress, NULL, NULL);
    return read;
}

/* A model folder without a backbone. */
static gboolean describe(const Options *o, const char *folder, const char *weights, GError **error)
{
    const char *const texts[][2] = {{"license", o->license}, {"source", o->source}};
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);
    g_autofree char *path = g_canonicalize_filename(folder, NULL);
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *clean = dim_text_clean(o->name ? o->name : base);
    json_t *model =
        json_pack("{s:s, s:i, s:s, s:o}", "format", "gimp-dim-model", "version", 1, "name", clean,
                  "autoencoder", tool_train_linear(weights, o->params.block, o->params.channels));

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *text = texts[i][1] ? dim_text_clean(texts[i][1]) : NULL;
        if (text)
            json_object_set_new(model, texts[i][0], json_string(text));
    }
    const gboolean saved = tool_json_save(model, file, error);
    json_decref(model);
    return saved;
}

/* Nothing in it but what an earlier fit left. */
static gboolean is_ours(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        if (strcmp(name, "model.json") && strcmp(name, "codec.safetensors"))
            return FALSE;
    return dir != NULL;
}

/* A folder for the result; *made: it was not there. */
static gboolean make_folder(const char *folder, gboolean *made, GError **error)
{
    *made = g_mkdir(folder, 0777) == 0;
    if (!*made && errno != EEXIST) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be made: %s", folder,
                    g_strerror(errno));
        return FALSE;
    }
    if (is_ours(folder))
        return TRUE;
    g_set_error(error, DIM_ERROR, DIM_ERROR_FILE,
                "%s: is no folder, or has other files; expected a new or an empty folder, or one "
                "of dim codec",
                folder);
    return FALSE;
}

static gboolean fit(const Options *o, GError **error)
{
    static const char weights[] = "codec.safetensors";
    g_autofree char *file = g_build_filename(o->output, weights, NULL);
    ToolProgress *progress = tool_progress_begin();
    DimDataset *dataset = dim_dataset_new();
    DimTask fitting = {0};
    double psnr = NAN;
    gboolean made = FALSE;
    gboolean good =
        read_pictures(o, progress, dataset, error) && make_folder(o->output, &made, error);

    if (good) {
        tool_progress_task(progress, "fitting", &fitting);
        good = dim_codec_fit(dataset, &o->params, file, &psnr, &fitting, error) &&
               describe(o, o->output, weights, error);
    }
    tool_progress_end(&progress);
    dim_dataset_free(&dataset);
    if (!good && made)
        g_rmdir(o->output);
    if (good && isnan(psnr))
        g_print("%d channels of %d x %d pixels; no test pictures to measure it on\n",
                o->params.channels, o->params.block, o->params.block);
    else if (good)
        g_print("%d channels of %d x %d pixels; %.2f dB on test crops\n", o->params.channels,
                o->params.block, o->params.block, psnr);
    return good;
}

static int run(Options *o)
{
    GError *error = NULL;

    if (!o->data || !o->output || !*o->output)
        return tool_usage("codec: expected --data PATH and --output DIR");
    if (o->common.model)
        return tool_usage("--model %s: expected --output with the folder to make", o->common.model);
    if (o->size < 16 || o->size > 8192)
        return tool_usage("--size %d: expected 16 to 8192", o->size);
    dim_crop_params_init(&o->crops, o->size);
    if (o->scales && !tool_settings_scales(o->scales, &o->crops))
        return TOOL_USAGE;
    return fit(o, &error) ? TOOL_DONE : tool_failed(error);
}

int tool_codec(int argc, char **argv)
{
    Options o = {.size = 128};
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &o.data,
         "Pictures: a folder with a folder for each class, or a CSV", "PATH"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output, "Model folder to make", "DIR"},
        {"channels", 0, 0, G_OPTION_ARG_INT, &o.params.channels, "Of the latent (16)", "N"},
        {"block", 0, 0, G_OPTION_ARG_INT, &o.params.block,
         "Picture pixels a latent pixel, one way (8)", "N"},
        {"crops", 0, 0, G_OPTION_ARG_INT, &o.params.crops, "To fit it to (400)", "N"},
        {"size", 0, 0, G_OPTION_ARG_INT, &o.size, "Side of the crops (128)", "PIXELS"},
        {"scales", 0, 0, G_OPTION_ARG_FILENAME, &o.scales,
         "The pictures' shorter sides before they are cropped, as multiples of --size (1,1.5,2)",
         "A,B,..."},
        {"name", 0, 0, G_OPTION_ARG_FILENAME, &o.name, "The model's name", "TEXT"},
        {"license", 0, 0, G_OPTION_ARG_FILENAME, &o.license, "The model's licence", "TEXT"},
        {"source", 0, 0, G_OPTION_ARG_FILENAME, &o.source, "Where the pictures come from", "TEXT"},
        G_OPTION_ENTRY_NULL,
    };

    dim_codec_params_init(&o.params);
    const int status = tool_parse(&argc, &argv, entries, NULL, 0, &o.common) ? run(&o) : TOOL_USAGE;
    char *texts[] = {o.data, o.output, o.scales, o.name, o.license, o.source};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    tool_common_clear(&o.common);
    return status;
}
