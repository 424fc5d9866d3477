/* `dim import`: a model folder out of a published checkpoint.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "progress.h"
#include "tool.h"

typedef struct {
    ToolCommon common;
    char **autoencoder, **config;
    char *classes, *name, *license, *source, *schedule, *prediction, *native, *scale, *guidance;
    char *output;
    json_t *keys;
} Options;

/* ---- options --------------------------------------------------------------------------------- */

/* The object at a key, made where there is none yet. Borrowed. */
static json_t *object_at(json_t *parent, const char *key)
{
    if (!json_object_get(parent, key))
        json_object_set_new(parent, key, json_object());
    return json_object_get(parent, key);
}

static void put_text(json_t *keys, const char *key, const char *text)
{
    if (text)
        json_object_set_new(keys, key, json_string(text));
}

static gboolean read_number(const char *option, const char *text, double max, double *number)
{
    char *end = NULL;

    *number = g_ascii_strtod(text, &end);
    if (end != text && !*end && isfinite(*number) && *number > 0 && *number <= max)
        return TRUE;
    tool_usage("--%s %s: expected a number above 0, at most %g", option, text, max);
    return FALSE;
}

/* KEY=VALUE for the backbone's configuration, autoencoder.KEY=VALUE for the autoencoder's. */
static gboolean put_config(json_t *keys, const char *pair)
{
    static const char prefix[] = "autoencoder.";
    const gboolean of_autoencoder = g_str_has_prefix(pair, prefix);
    const char *key = pair + (of_autoencoder ? strlen(prefix) : 0), *equals = strchr(key, '=');
    json_t *value =
        equals ? json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;
    g_autofree char *name = equals ? g_strndup(key, (gsize)(equals - key)) : NULL;

    if (equals && !value) /* a word needs no quotes */
        value = json_string(equals + 1);
    if (!name || !*name || !value || !g_utf8_validate(name, -1, NULL)) {
        json_decref(value);
        tool_usage("--config %s: expected KEY=VALUE or autoencoder.KEY=VALUE", pair);
        return FALSE;
    }
    json_t *part = object_at(keys, of_autoencoder ? "autoencoder" : "backbone");
    json_object_set_new(object_at(part, "config"), name, value);
    return TRUE;
}

/* TYPE, or TYPE,START,END. */
static gboolean put_schedule(json_t *keys, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text ? text : "", ",", -1);
    const guint n = g_strv_length(words);
    const gboolean scaled = text && !strcmp(words[0], "scaled_linear");
    double start = scaled ? 0.00085 : 1e-4, end = scaled ? 0.012 : 0.02;

    if (!text)
        return TRUE;
    if ((n != 1 && n != 3) || (!scaled && strcmp(words[0], "linear") != 0)) {
        tool_usage("--schedule %s: expected linear or scaled_linear, and START,END behind it if "
                   "they are others than usual",
                   text);
        return FALSE;
    }
    if (n == 3 && (!read_number("schedule", words[1], 1, &start) ||
                   !read_number("schedule", words[2], 1, &end)))
        return FALSE;
    json_object_set_new(keys, "noise_schedule",
                        json_pack("{s:s, s:f, s:f, s:i}", "type", words[0], "beta_start", start,
                                  "beta_end", end, "timesteps", 1000));
    return TRUE;
}

static gboolean put_numbers(const Options *o, json_t *keys)
{
    double number;

    if (o->native) {
        if (!read_number("native-size", o->native, 65536, &number))
            return FALSE;
        json_object_set_new(keys, "native_size", json_integer((json_int_t)number));
    }
    if (o->scale) {
        if (!read_number("scale-factor", o->scale, 1e30, &number))
            return FALSE;
        json_object_set_new(object_at(keys, "autoencoder"), "scale_factor", json_real(number));
    }
    if (o->guidance) {
        if (!tool_read_guidance(o->guidance, &number))
            return FALSE;
        json_object_set_new(object_at(keys, "defaults"), "guidance", json_real(number));
    }
    return TRUE;
}

static gboolean collect(Options *o)
{
    o->keys = json_object();
    put_text(o->keys, "source", o->source);
    put_text(o->keys, "prediction", o->prediction);
    for (int i = 0; o->config && o->config[i]; i++)
        if (!put_config(o->keys, o->config[i]))
            return FALSE;
    return put_schedule(o->keys, o->schedule) && put_numbers(o, o->keys);
}

/* ---- the run --------------------------------------------------------------------------------- */

/* What making a picture of the native size takes; of what cannot make one, its weights. */
static double bytes_of(const DimModelInfo *info)
{
    const int making = DIM_PARTS_BACKBONE | DIM_PARTS_DECODER;
    DimParams params;
    DimEstimate estimate;

    if ((info->parts & making) != making)
        return 4.0 * (double)(info->backbone.parameters + info->autoencoder.parameters);
    dim_params_init(&params, info);
    dim_estimate(info, &params, &estimate);
    return (double)estimate.bytes;
}

static void report(const DimModelInfo *info)
{
    g_autofree char *memory = g_format_size((guint64)bytes_of(info));

    tool_info_print(info);
    g_print("  memory       %s%s\n", memory,
            info->parts & DIM_PARTS_DECODER ? " for a picture of the native size" : " of weights");
    if (!info->license)
        g_print("  license      unknown: ask its authors\n");
    if (!info->autoencoder.family)
        g_print("  autoencoder  none: `dim forward` works, `dim sample` needs one; "
                "--autoencoder FILE\n");
    if (info->n_labels && !info->n_classes)
        g_print("  classes      without names: --classes FILE\n");
}

static void report_check(const DimCheck *check)
{
    g_print("checked in %.1f s", check->seconds);
    if (check->difference >= 0)
        g_print(", at most %.1e from plain C", check->difference);
    g_print("\n");
}

static gboolean make(const DimImport *asked, const Options *o, DimCheck *check, GError **error)
{
    ToolProgress *progress = tool_progress_begin();
    DimTask task = {0};

    tool_progress_task(progress, "importing", &task);
    DimDevice *device =
        tool_open_device(o->common.device, o->common.device != NULL, o->common.n_threads, error);
    const gboolean good = device && dim_import(asked, o->output, device, check, &task, error);
    tool_progress_end(&progress);
    dim_device_close(&device);
    return good;
}

/* Without --output it is looked at only. */
static gboolean import(const Options *o, const char *checkpoint, GError **error)
{
    g_autofree char *keys = json_dumps(o->keys, JSON_COMPACT);
    const DimImport asked = {
        checkpoint, (const char *const *)o->autoencoder, o->classes, o->name, o->license, keys};
    DimModelInfo *info = NULL;
    DimCheck check = {0};

    if (!o->output)
        info = dim_import_look(&asked, error);
    else if (make(&asked, o, &check, error))
        info = dim_model_info_read(o->output, error);
    if (!info)
        return FALSE;
    report(info);
    if (o->output)
        report_check(&check);
    else
        g_print("nothing was written: --output DIR makes the model\n");
    dim_model_info_free(&info);
    return TRUE;
}

static const char notes[] =
    "Family and configuration are recognised from the tensors' names and shapes; the file is "
    "linked "
    "into DIR, else copied. What no tensor tells has the published model's value, or --config's:\n"
    "  dim       pad_schedule lateral (rho_pad with a table of 32 x 32), scan_directions 4, "
    "norm_eps "
    "1e-5, pos_embed_size and skip_tune null; dpm-solver++-fast, 50 steps, guidance 1.4 (512 "
    "pixels: 1.7), scaled_linear\n"
    "  dit       num_heads of 64 channels (1152 wide: of 72), class_dropout_prob above 0, "
    "input_size "
    "32 without pos_embed, guidance_channels 3; ddpm, 250 steps, guidance 4, linear\n"
    "  diffussm  4 channels and patch_size 1, class_dropout_prob above 0, input_size 32, pos_embed "
    "none; ddpm, 250 steps, guidance 1.5, linear\n"
    "  kl        norm_groups 32, norm_eps 1e-6, scale factor 0.18215; tae and linear 1";

static void options_clear(Options *o)
{
    char *texts[] = {o->classes,    o->name,   o->license, o->source,   o->schedule,
                     o->prediction, o->native, o->scale,   o->guidance, o->output};

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    g_strfreev(o->autoencoder);
    g_strfreev(o->config);
    json_decref(o->keys);
    tool_common_clear(&o->common);
}

int tool_import(int argc, char **argv)
{
    Options o = {0};
    GError *error = NULL;
    int status = TOOL_DONE;
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output,
         "The model folder to make; without it, only say what it would be", "DIR"},
        {"autoencoder", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o.autoencoder,
         "Its autoencoder: kl, tae (twice: encoder and decoder) or linear", "FILE"},
        {"classes", 0, 0, G_OPTION_ARG_FILENAME, &o.classes,
         "Names, one a line, or imagenet (which 1000 labels have without it)", "FILE"},
        {"config", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.config,
         "A key of the backbone's configuration, or autoencoder.KEY; may be repeated", "KEY=VALUE"},
        {"name", 0, 0, G_OPTION_ARG_STRING, &o.name, "Of the model (what was recognised)", "TEXT"},
        {"license", 0, 0, G_OPTION_ARG_STRING, &o.license, "Of the weights (unknown)", "TEXT"},
        {"source", 0, 0, G_OPTION_ARG_STRING, &o.source, "Where they are from", "TEXT"},
        {"schedule", 0, 0, G_OPTION_ARG_STRING, &o.schedule, "linear or scaled_linear",
         "TYPE[,START,END]"},
        {"prediction", 0, 0, G_OPTION_ARG_STRING, &o.prediction, "epsilon or v (epsilon)", "WHAT"},
        {"native-size", 0, 0, G_OPTION_ARG_STRING, &o.native, "Side it was trained at, in pixels",
         "PIXELS"},
        {"scale-factor", 0, 0, G_OPTION_ARG_STRING, &o.scale, "Of the latents (kl: 0.18215)", "S"},
        {"guidance", 0, 0, G_OPTION_ARG_STRING, &o.guidance, "What is used by default", "W"},
        G_OPTION_ENTRY_NULL,
    };

    if (!tool_parse_noted(&argc, &argv, entries, "CHECKPOINT", 1, notes, &o.common) || !collect(&o))
        status = TOOL_USAGE;
    else if (!import(&o, argv[1], &error))
        status = tool_failed(error);
    options_clear(&o);
    return status;
}
