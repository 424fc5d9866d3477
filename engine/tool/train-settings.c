/* The settings of a training: one table for options, their limits and their defaults.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json-file.h"
#include "setting.h"
#include "tool.h"
#include "train-recipe.h"

#define WHOLE_MAX 9007199254740991.0
#define BELOW_1 (1 - 1e-12)

/* clang-format off */
static const Setting table[] = {
    {"family", SETTING_WORD, .initial = "dim", .words = "dim|dit|diffussm", .later = TRUE, .argument = "NAME",
     .help = "Of the network: dim, dit or diffussm; dit and diffussm begin with their papers' settings"},
    {"precision", SETTING_WORD, .initial = "f32", .words = "f32|bf16", .later = TRUE, .common = TRUE},
    {"data", SETTING_FILE, .free = TRUE, .argument = "PATH", .help = "Pictures: a folder with a folder for each class, or a CSV"},
    {"from", SETTING_MODEL, .argument = "DIR", .help = "Go on from this model's weights, as a new training"},
    {"autoencoder", SETTING_MODEL, .argument = "DIR", .help = "Model folder whose autoencoder is taken; else a linear one is fitted"},
    {"size", SETTING_WHOLE, 16, 8192, .initial = "128", .argument = "PIXELS", .help = "Side of the crops to train on"},
    {"add-class", SETTING_TEXT, .argument = "NAME", .help = "Teach the model that --model names this class more, from --images"},
    {"minutes", SETTING_REAL, 0.05, 1e6, .free = TRUE, .argument = "N", .help = "With --add-class: about how long it takes (25)"},
    {"replay", SETTING_REAL, 0, 0.9, .argument = "R", .help = "With --add-class: share of samples that keep the other classes (0.5)"},
    {"images-license", SETTING_TEXT, .argument = "TEXT", .help = "With --add-class: the pictures' licence (as their owner says)"},
    {"install", SETTING_FILE, .free = TRUE, .argument = "DIR", .help = "Where a model with a new class goes (with --add-class: --output)"},
    {"name", SETTING_TEXT, .free = TRUE, .argument = "TEXT", .help = "The model's name"},
    {"license", SETTING_TEXT, .free = TRUE, .argument = "TEXT", .help = "The model's licence"},
    {"source", SETTING_TEXT, .free = TRUE, .argument = "TEXT", .help = "Where the pictures come from"},
    {"width", SETTING_WHOLE, 1, 8192, .initial = "256", .key = "hidden_size", .argument = "N", .help = "Channels of a token"},
    {"depth", SETTING_WHOLE, 1, 8192, .initial = "9", .key = "depth", .argument = "N", .help = "Blocks, an odd number"},
    {"states", SETTING_WHOLE, 1, 1024, .initial = "16", .key = "d_state", .families = "dim|diffussm", .argument = "N",
     .help = "States of each channel's scan"},
    {"patch", SETTING_WHOLE, 1, 64, .initial = "2", .key = "patch_size", .argument = "N", .help = "Latent pixels a token, one way"},
    {"pads", SETTING_WORD, .initial = "lateral", .words = "lateral|rho_pad|none", .key = "pad_schedule", .families = "dim", .argument = "NAME",
     .help = "Tokens at the ends of rows: lateral, rho_pad or none"},
    {"final-conv", SETTING_SWITCH, .initial = "no", .key = "final_conv", .families = "dim", .argument = "yes|no",
     .help = "A convolution at the end"},
    {"heads", SETTING_WHOLE, 1, 8192, .initial = "4", .key = "num_heads", .families = "dit", .argument = "N", .help = "Of the attention"},
    {"hourglass", SETTING_WHOLE, 1, 8192, .initial = "2", .key = "hourglass_ratio", .families = "diffussm", .argument = "N",
     .help = "Positions that a token stands for between the scans"},
    {"variances", SETTING_SWITCH, .initial = "yes", .key = "learn_sigma", .families = "dit|diffussm", .argument = "yes|no",
     .help = "The network predicts variances, too"},
    {"prediction", SETTING_WORD, .initial = "v", .words = "v|epsilon", .argument = "NAME", .help = "v or epsilon"},
    {"schedule", SETTING_WORD, .initial = "linear", .words = "linear|scaled_linear", .argument = "NAME",
     .help = "Noise schedule: linear or scaled_linear"},
    {"steps", SETTING_WHOLE, 1, 1e9, .free = TRUE, .argument = "N", .help = "Steps in all; more of them let a finished training go on"},
    {"batch", SETTING_WHOLE, 1, 65536, .initial = "32", .argument = "N", .help = "Samples a step, over all processes"},
    {"micro-batch", SETTING_WHOLE, 0, 65536, .initial = "0", .free = TRUE, .argument = "N", .help = "Samples at a time, to save memory; 0: by itself"},
    {"optimizer", SETTING_WORD, .initial = "adamw", .words = "adamw|muon", .later = TRUE, .argument = "NAME",
     .help = "adamw, or muon for the matrices between hidden layers"},
    {"rate", SETTING_REAL, 1e-12, 1, .initial = "0.001", .argument = "R", .help = "Learning rate after warm-up"},
    {"rate-floor", SETTING_REAL, 0, 1, .initial = "0.02", .argument = "R", .help = "Part of it that a cosine leaves at the end; 1: constant"},
    {"warmup", SETTING_WHOLE, 0, 1e9, .initial = "100", .argument = "STEPS", .help = "Steps with a rate that rises from 0"},
    {"betas", SETTING_REALS, 0, BELOW_1, 2, 2, "0.9,0.99", .argument = "B1,B2", .help = "AdamW's"},
    {"decay", SETTING_REAL, 0, 10, .initial = "0.01", .argument = "R", .help = "AdamW's weight decay"},
    {"clip", SETTING_REAL, 0, 1e9, .initial = "1", .argument = "NORM", .help = "Largest norm of the gradient; 0: any"},
    {"average", SETTING_REAL, 0, BELOW_1, .initial = "0.999", .argument = "R", .help = "Moving average of the weights, a step"},
    {"label-drop", SETTING_REAL, 0, 0.9, .initial = "0.1", .argument = "R", .help = "Share of samples trained without their class"},
    {"times", SETTING_TIMES, .initial = "uniform", .argument = "HOW", .help = "Noise levels: uniform or logit-normal[:MEAN,DEVIATION]"},
    {"scales", SETTING_REALS, 1, 64, 1, DIM_CROP_SCALES_MAX, "1,1.5,2", .later = TRUE, .argument = "A,B,...",
     .help = "The pictures' shorter sides before they are cropped, as multiples of --size"},
    {"flips", SETTING_REALS, 0, 1, 2, 2, "0.5,0.25", .later = TRUE, .argument = "X,Y", .help = "Share of crops that are mirrored left-right, up-down"},
    {"turns", SETTING_REAL, 0, 1, .initial = "0.25", .later = TRUE, .argument = "R", .help = "Share of crops whose rows and columns are exchanged"},
    {"recolour", SETTING_REALS, 0, 1, 3, 3, "0.12,0.06,0.04", .later = TRUE, .argument = "G,S,T",
     .help = "Change of crops' colours: gain 1 - G to 1 + G, deviation of a shift and of a tint"},
    {"seed", SETTING_WHOLE, 0, WHOLE_MAX, .initial = "0", .argument = "K", .help = "Of all that is random"},
    {"store", SETTING_WORD, .initial = "f32", .words = "f32|bf16", .free = TRUE, .argument = "TYPE",
     .help = "Numbers in the model's file: f32 or bf16"},
    {"checkpoint-every", SETTING_REAL, 0, 1e6, .initial = "5", .free = TRUE, .argument = "MINUTES", .help = "0: after each step"},
    {"sheet-every", SETTING_REAL, 0, 1e6, .initial = "30", .free = TRUE, .argument = "MINUTES", .help = "A sheet of pictures; 0: only at the end"},
};
/* clang-format on */

#define SAMPLES_INITIAL 500000

/* ---- options ---- */

int tool_settings_count(void)
{
    return G_N_ELEMENTS(table);
}

void tool_settings_entries(GOptionEntry *entries, char **words, GPtrArray *texts)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const Setting *s = &table[i];
        if (s->common)
            continue;
        char *help =
            s->initial ? g_strdup_printf("%s (%s)", s->help, s->initial) : g_strdup(s->help);
        g_ptr_array_add(texts, help);
        *entries++ =
            (GOptionEntry){s->name, 0, 0, G_OPTION_ARG_FILENAME, &words[i], help, s->argument};
    }
}

/* NULL after a usage mistake, with one line. */
static json_t *parse(const Setting *s, const char *word)
{
    json_t *value = tool_setting_value(s, word);

    if (value && tool_setting_fits(s, value))
        return value;
    g_autofree char *expected = tool_setting_expectation(s);
    tool_usage("--%s %s: expected %s", s->name, word, expected);
    json_decref(value);
    return NULL;
}

json_t *tool_settings_parse(char *const *words)
{
    json_t *given = json_object();

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        json_t *value = words[i] ? parse(&table[i], words[i]) : NULL;
        if (!words[i])
            continue;
        if (!value) {
            json_decref(given);
            return NULL;
        }
        json_object_set_new(given, table[i].name, value);
    }
    return given;
}

static const Setting *find(const char *name)
{
    gsize i = 0;

    while (strcmp(table[i].name, name))
        i++;
    return &table[i];
}

gboolean tool_settings_give(json_t *given, const char *name, const char *word)
{
    json_t *value = parse(find(name), word);

    return value && json_object_set_new(given, name, value) == 0;
}

/* ---- a new training ---- */

static json_t *initial_value(const Setting *s, const char *family)
{
    const char *own = tool_train_recipe(family, s->name), *word = own ? own : s->initial;

    return word ? tool_setting_value(s, word) : NULL;
}

/* The options of the backbone as its configuration. */
static json_t *compose_backbone(const json_t *given, const char *family)
{
    json_t *config = json_object();

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        json_t *value = json_object_get(given, table[i].name);
        if (table[i].key && tool_setting_one_of(table[i].families, family))
            json_object_set_new(config, table[i].key,
                                value ? json_incref(value) : initial_value(&table[i], family));
    }
    return config;
}

/* Whether the options of the backbone that were given are of its family. */
static gboolean check_families(const json_t *given, const char *family, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
        if (json_object_get(given, table[i].name) &&
            !tool_setting_one_of(table[i].families, family))
            return tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "--%s: no setting of the family %s; expected a family of %s",
                               table[i].name, family, table[i].families);
    return TRUE;
}

gboolean tool_settings_init(ToolSettings *settings, const json_t *given, const json_t *config,
                            GError **error)
{
    const gboolean from = json_object_get(given, "from") != NULL;
    const json_t *asked = json_object_get(given, "family");
    const char *family = asked ? json_string_value(asked) : "dim";

    *settings = (ToolSettings){.values = json_object(), .extended = json_array()};
    if (!check_families(given, family, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const Setting *s = &table[i];
        json_t *value = json_object_get(given, s->name);
        if (s->key && value && (config || from))
            return tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "--%s: %s says what the backbone is; expected one of the two",
                               s->name, config ? "--config" : "the model that --from names");
        if (!s->key && (value || s->initial))
            json_object_set_new(settings->values, s->name,
                                value ? json_incref(value) : initial_value(s, family));
    }
    if (config && from)
        return tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "--config: the model that --from names says what the backbone is; "
                           "expected one of the two");
    if (!json_object_get(settings->values, "data"))
        return tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "train: expected --data with the pictures to train on");
    settings->backbone = config ? json_deep_copy(config) : compose_backbone(given, family);
    const gint64 batch = tool_settings_whole(settings, "batch");
    if (!json_object_get(settings->values, "steps"))
        json_object_set_new(settings->values, "steps",
                            json_integer((SAMPLES_INITIAL + batch - 1) / batch));
    return TRUE;
}

void tool_settings_clear(ToolSettings *settings)
{
    json_decref(settings->values);
    json_decref(settings->backbone);
    json_decref(settings->classes);
    json_decref(settings->extended);
    memset(settings, 0, sizeof *settings);
}

/* ---- going on ---- */

/* What a configuration has under a setting's key, or what its absence means. */
static json_t *backbone_value(const ToolSettings *settings, const Setting *s)
{
    json_t *value = json_object_get(settings->backbone, s->key);

    return value ? json_incref(value) : initial_value(s, tool_settings_text(settings, "family"));
}

static gboolean merge_backbone(const ToolSettings *settings, const json_t *given,
                               const json_t *config, const char *run, GError **error)
{
    if (!check_families(given, tool_settings_text(settings, "family"), error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const json_t *asked = json_object_get(given, table[i].name);
        if (!table[i].key || !asked)
            continue;
        json_t *stored = backbone_value(settings, &table[i]);
        const gboolean same = json_equal(stored, asked);
        g_autofree char *now = tool_setting_print(stored), *word = tool_setting_print(asked);
        json_decref(stored);
        if (!same)
            return tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "--%s %s: %s was begun with %s; expected that or another folder",
                               table[i].name, word, run, now);
    }
    for (void *i = json_object_iter((json_t *)config); i;
         i = json_object_iter_next((json_t *)config, i)) {
        const char *key = json_object_iter_key(i);
        if (!json_equal(json_object_get(settings->backbone, key), json_object_iter_value(i)))
            return tool_refuse(
                error, DIM_ERROR_ARGUMENT,
                "--config: its key \"%.160s\" is not what %s was begun with; expected "
                "the same or another folder",
                key, run);
    }
    return TRUE;
}

gboolean tool_settings_merge(ToolSettings *settings, const json_t *given, const json_t *config,
                             const char *run, gboolean *changed, GError **error)
{
    if (!merge_backbone(settings, given, config, run, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const Setting *s = &table[i];
        const char *name = s->name;
        json_t *value = json_object_get(given, name), *stored;
        stored = json_object_get(settings->values, name);
        if (!value || s->key || !strcmp(name, "steps") || (stored && json_equal(stored, value)))
            continue;
        if (!s->free) {
            g_autofree char *now = stored ? tool_setting_print(stored) : g_strdup("none");
            g_autofree char *word = tool_setting_print(value);
            return tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "--%s %s: %s was begun with %s; expected that or another folder",
                               name, word, run, now);
        }
        json_object_set(settings->values, name, value);
        *changed = TRUE;
    }
    return TRUE;
}

gboolean tool_settings_extend(ToolSettings *settings, gint64 steps, gint64 at, GError **error)
{
    const gint64 before = tool_settings_whole(settings, "steps");

    if (steps < at)
        return tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "--steps %" G_GINT64_FORMAT ": %" G_GINT64_FORMAT
                           " are done already; expected as many or more",
                           steps, at);
    json_array_append_new(settings->extended, json_pack("{s:I, s:I}", "at", (json_int_t)at, "steps",
                                                        (json_int_t)before));
    json_object_set_new(settings->values, "steps", json_integer(steps));
    return TRUE;
}

/* ---- the file ---- */

static gboolean spoilt(GError **error, const char *file, const char *what)
{
    g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT,
                "%s: %s; expected what dim train of this version wrote", file, what);
    return FALSE;
}

/* Every setting, of its type and in range: people look into the file. */
static gboolean check_values(const json_t *values, const char *file, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const Setting *s = &table[i];
        const json_t *value = json_object_get(values, s->name);
        const gboolean needed = s->initial || !strcmp(s->name, "data") || !strcmp(s->name, "steps");
        g_autofree char *what = NULL;
        if (s->key || (!value && !needed) || (value && tool_setting_fits(s, value)))
            continue;
        if (!value)
            what = g_strdup_printf("settings.%s is missing", s->name);
        else {
            g_autofree char *expected = tool_setting_expectation(s);
            what = g_strdup_printf("settings.%s is not %s", s->name, expected);
        }
        return spoilt(error, file, what);
    }
    return TRUE;
}

gboolean tool_settings_load(ToolSettings *settings, const char *file, GError **error)
{
    json_t *root = tool_json_load(file, "the settings of dim train", error);

    if (!root)
        return FALSE;
    const char *format = json_string_value(json_object_get(root, "format"));
    *settings = (ToolSettings){
        .values = json_incref(json_object_get(root, "settings")),
        .backbone = json_incref(json_object_get(root, "backbone")),
        .classes = json_incref(json_object_get(root, "classes")),
        .extended = json_incref(json_object_get(root, "extended")),
    };
    const gboolean known = format && !strcmp(format, "gimp-dim-training") &&
                           json_integer_value(json_object_get(root, "version")) == 1;
    json_decref(root);
    if (!known)
        return spoilt(error, file, "format and version are others");
    if (!json_is_object(settings->values) || !json_is_object(settings->backbone) ||
        !json_is_array(settings->extended) ||
        (settings->classes && !json_is_array(settings->classes)))
        return spoilt(error, file, "settings, backbone, classes or extended is missing");
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
        if (table[i].later && !json_object_get(settings->values, table[i].name))
            json_object_set_new(settings->values, table[i].name, initial_value(&table[i], "dim"));
    return check_values(settings->values, file, error);
}

gboolean tool_settings_save(const ToolSettings *settings, const char *file, GError **error)
{
    json_t *root =
        json_pack("{s:s, s:i, s:O, s:O, s:O, s:O*}", "format", "gimp-dim-training", "version", 1,
                  "settings", settings->values, "backbone", settings->backbone, "extended",
                  settings->extended, "classes", settings->classes);
    const gboolean saved = tool_json_save(root, file, error);

    json_decref(root);
    return saved;
}

/* ---- asking ---- */

gint64 tool_settings_whole(const ToolSettings *settings, const char *name)
{
    return json_integer_value(json_object_get(settings->values, name));
}

double tool_settings_real(const ToolSettings *settings, const char *name)
{
    return json_number_value(json_object_get(settings->values, name));
}

const char *tool_settings_text(const ToolSettings *settings, const char *name)
{
    return json_string_value(json_object_get(settings->values, name));
}

void tool_settings_params(const ToolSettings *settings, DimTrainParams *params)
{
    const json_t *betas = json_object_get(settings->values, "betas");

    dim_train_params_init(params);
    params->steps = tool_settings_whole(settings, "steps");
    params->warmup = tool_settings_whole(settings, "warmup");
    params->batch = (int)tool_settings_whole(settings, "batch");
    params->micro_batch = (int)tool_settings_whole(settings, "micro-batch");
    params->rate = tool_settings_real(settings, "rate");
    params->rate_floor = tool_settings_real(settings, "rate-floor");
    params->beta1 = tool_setting_real_at(betas, 0);
    params->beta2 = tool_setting_real_at(betas, 1);
    params->decay = tool_settings_real(settings, "decay");
    params->clip = tool_settings_real(settings, "clip");
    params->average = tool_settings_real(settings, "average");
    params->label_drop = tool_settings_real(settings, "label-drop");
    params->seed = tool_settings_whole(settings, "seed");
    if (!strcmp(tool_settings_text(settings, "precision"), "bf16"))
        params->precision = DIM_PRECISION_BF16;
    if (!strcmp(tool_settings_text(settings, "optimizer"), "muon"))
        params->optimiser = DIM_OPTIMISER_MUON;
    tool_setting_times(tool_settings_text(settings, "times"), params);
}

static void set_scales(const json_t *factors, DimCropParams *crops)
{
    crops->n_scales = (int)json_array_size(factors);
    for (int i = 0; i < crops->n_scales; i++)
        crops->scales[i] = (int)lround(crops->size * tool_setting_real_at(factors, (gsize)i));
}

gboolean tool_settings_scales(const char *word, DimCropParams *crops)
{
    json_t *factors = parse(find("scales"), word);

    if (factors)
        set_scales(factors, crops);
    json_decref(factors);
    return factors != NULL;
}

void tool_settings_crops(const ToolSettings *settings, DimCropParams *crops)
{
    const json_t *flips = json_object_get(settings->values, "flips");
    const json_t *recolour = json_object_get(settings->values, "recolour");

    dim_crop_params_init(crops, (int)tool_settings_whole(settings, "size"));
    set_scales(json_object_get(settings->values, "scales"), crops);
    crops->flip_x = tool_setting_real_at(flips, 0);
    crops->flip_y = tool_setting_real_at(flips, 1);
    crops->turn = tool_settings_real(settings, "turns");
    crops->gain = tool_setting_real_at(recolour, 0);
    crops->shift = tool_setting_real_at(recolour, 1);
    crops->tint = tool_setting_real_at(recolour, 2);
}
