/* The settings of a training: one table for options, their limits and their defaults.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-settings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "train-recipe.h"

typedef enum {
    KIND_WHOLE,
    KIND_REAL,
    KIND_PAIR, /* of reals, each within the limits */
    KIND_WORD, /* one of those in `words` */
    KIND_SWITCH,
    KIND_TEXT,
    KIND_FILE,  /* kept as an absolute path */
    KIND_MODEL, /* a model folder or an installed model's name, kept as an absolute path */
    KIND_TIMES,
} Kind;

typedef struct {
    const char *name;
    Kind kind;
    double min, max;
    const char *initial;  /* as it would be given; NULL: none */
    const char *words;    /* separated by | */
    const char *key;      /* of backbone.config; NULL: no matter of the backbone */
    const char *families; /* with such a key, separated by |; NULL: all */
    gboolean later;  /* not in files of trainings that were begun before there was such a setting */
    gboolean common; /* an option of every command */
    gboolean free;   /* may change when a training goes on */
    const char *argument, *help;
} Setting;

#define WHOLE_MAX 9007199254740991.0
#define BELOW_1 (1 - 1e-12)

/* clang-format off */
static const Setting table[] = {
    {"family", KIND_WORD, .initial = "dim", .words = "dim|dit|diffussm", .later = TRUE, .argument = "NAME",
     .help = "Of the network: dim, dit or diffussm; dit and diffussm begin with their papers' settings"},
    {"precision", KIND_WORD, .initial = "f32", .words = "f32|bf16", .later = TRUE, .common = TRUE},
    {"data", KIND_FILE, .free = TRUE, .argument = "PATH", .help = "Pictures: a folder with a folder for each class, or a CSV"},
    {"from", KIND_MODEL, .argument = "DIR", .help = "Go on from this model's weights, as a new training"},
    {"autoencoder", KIND_MODEL, .argument = "DIR", .help = "Model folder whose autoencoder is taken; else a linear one is fitted"},
    {"size", KIND_WHOLE, 16, 8192, "128", .argument = "PIXELS", .help = "Side of the crops to train on"},
    {"add-class", KIND_TEXT, .argument = "NAME", .help = "Teach the model that --model names this class more, from --images"},
    {"minutes", KIND_REAL, 0.05, 1e6, .free = TRUE, .argument = "N", .help = "With --add-class: about how long it takes (25)"},
    {"replay", KIND_REAL, 0, 0.9, .argument = "R", .help = "With --add-class: share of samples that keep the other classes (0.5)"},
    {"images-license", KIND_TEXT, .argument = "TEXT", .help = "With --add-class: the pictures' licence (as their owner says)"},
    {"install", KIND_FILE, .free = TRUE, .argument = "DIR", .help = "Where a model with a new class goes (with --add-class: --output)"},
    {"name", KIND_TEXT, .free = TRUE, .argument = "TEXT", .help = "The model's name"},
    {"license", KIND_TEXT, .free = TRUE, .argument = "TEXT", .help = "The model's licence"},
    {"source", KIND_TEXT, .free = TRUE, .argument = "TEXT", .help = "Where the pictures come from"},
    {"width", KIND_WHOLE, 1, 8192, "256", .key = "hidden_size", .argument = "N", .help = "Channels of a token"},
    {"depth", KIND_WHOLE, 1, 8192, "9", .key = "depth", .argument = "N", .help = "Blocks, an odd number"},
    {"states", KIND_WHOLE, 1, 1024, "16", .key = "d_state", .families = "dim|diffussm", .argument = "N",
     .help = "States of each channel's scan"},
    {"patch", KIND_WHOLE, 1, 64, "2", .key = "patch_size", .argument = "N", .help = "Latent pixels a token, one way"},
    {"pads", KIND_WORD, .initial = "lateral", .words = "lateral|rho_pad|none", .key = "pad_schedule", .families = "dim", .argument = "NAME",
     .help = "Tokens at the ends of rows: lateral, rho_pad or none"},
    {"final-conv", KIND_SWITCH, .initial = "no", .key = "final_conv", .families = "dim", .argument = "yes|no",
     .help = "A convolution at the end"},
    {"heads", KIND_WHOLE, 1, 8192, "4", .key = "num_heads", .families = "dit", .argument = "N", .help = "Of the attention"},
    {"hourglass", KIND_WHOLE, 1, 8192, "2", .key = "hourglass_ratio", .families = "diffussm", .argument = "N",
     .help = "Positions that a token stands for between the scans"},
    {"variances", KIND_SWITCH, .initial = "yes", .key = "learn_sigma", .families = "dit|diffussm", .argument = "yes|no",
     .help = "The network predicts variances, too"},
    {"prediction", KIND_WORD, .initial = "v", .words = "v|epsilon", .argument = "NAME", .help = "v or epsilon"},
    {"schedule", KIND_WORD, .initial = "linear", .words = "linear|scaled_linear", .argument = "NAME",
     .help = "Noise schedule: linear or scaled_linear"},
    {"steps", KIND_WHOLE, 1, 1e9, .free = TRUE, .argument = "N", .help = "Steps in all; more of them let a finished training go on"},
    {"batch", KIND_WHOLE, 1, 65536, "32", .argument = "N", .help = "Samples a step, over all processes"},
    {"micro-batch", KIND_WHOLE, 0, 65536, "0", .free = TRUE, .argument = "N", .help = "Samples at a time, to save memory; 0: by itself"},
    {"rate", KIND_REAL, 1e-12, 1, "0.001", .argument = "R", .help = "Learning rate after warm-up"},
    {"rate-floor", KIND_REAL, 0, 1, "0.02", .argument = "R", .help = "Part of it that a cosine leaves at the end; 1: constant"},
    {"warmup", KIND_WHOLE, 0, 1e9, "100", .argument = "STEPS", .help = "Steps with a rate that rises from 0"},
    {"betas", KIND_PAIR, 0, BELOW_1, "0.9,0.99", .argument = "B1,B2", .help = "AdamW's"},
    {"decay", KIND_REAL, 0, 10, "0.01", .argument = "R", .help = "AdamW's weight decay"},
    {"clip", KIND_REAL, 0, 1e9, "1", .argument = "NORM", .help = "Largest norm of the gradient; 0: any"},
    {"average", KIND_REAL, 0, BELOW_1, "0.999", .argument = "R", .help = "Moving average of the weights, a step"},
    {"label-drop", KIND_REAL, 0, 0.9, "0.1", .argument = "R", .help = "Share of samples trained without their class"},
    {"times", KIND_TIMES, .initial = "uniform", .argument = "HOW", .help = "Noise levels: uniform or logit-normal[:MEAN,DEVIATION]"},
    {"seed", KIND_WHOLE, 0, WHOLE_MAX, "0", .argument = "K", .help = "Of all that is random"},
    {"store", KIND_WORD, .initial = "f32", .words = "f32|bf16", .free = TRUE, .argument = "TYPE",
     .help = "Numbers in the model's file: f32 or bf16"},
    {"checkpoint-every", KIND_REAL, 0, 1e6, "5", .free = TRUE, .argument = "MINUTES", .help = "0: after each step"},
    {"sheet-every", KIND_REAL, 0, 1e6, "30", .free = TRUE, .argument = "MINUTES", .help = "A sheet of pictures; 0: only at the end"},
};
/* clang-format on */

#define SAMPLES_INITIAL 500000

/* ---- words and values ---- */

/* A number as its fifteen digits say it, which is what the file keeps. */
static gboolean read_real(const char *text, double *value)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE], *end = NULL;
    const double read = g_ascii_strtod(text, &end);

    if (end == text || *end || !isfinite(read))
        return FALSE;
    *value = g_ascii_strtod(g_ascii_formatd(digits, sizeof digits, "%.15g", read), NULL);
    return TRUE;
}

static gboolean read_pair(const char *text, double pair[2])
{
    g_auto(GStrv) parts = g_strsplit(text, ",", 2);

    return g_strv_length(parts) == 2 && read_real(parts[0], &pair[0]) &&
           read_real(parts[1], &pair[1]);
}

static gboolean read_times(const char *text, DimTrainParams *params)
{
    static const char logit[] = "logit-normal";
    double pair[2] = {0, 1.2};

    if (!strcmp(text, "uniform")) {
        params->times = DIM_TIMES_UNIFORM;
        return TRUE;
    }
    if (strncmp(text, logit, strlen(logit)))
        return FALSE;
    text += strlen(logit);
    if (*text && (*text != ':' || !read_pair(text + 1, pair) || fabs(pair[0]) > 100 ||
                  !(pair[1] > 0 && pair[1] <= 100)))
        return FALSE;
    params->times = DIM_TIMES_LOGIT_NORMAL;
    params->times_mean = pair[0];
    params->times_deviation = pair[1];
    return TRUE;
}

static json_t *value_of(const Setting *s, const char *word)
{
    gint64 whole;
    double pair[2];
    g_autofree char *found = NULL, *path = NULL;

    switch (s->kind) {
    case KIND_WHOLE:
        return g_ascii_string_to_signed(word, 10, G_MININT64, G_MAXINT64, &whole, NULL)
                   ? json_integer(whole)
                   : NULL;
    case KIND_REAL:
        return read_real(word, pair) ? json_real(pair[0]) : NULL;
    case KIND_PAIR:
        return read_pair(word, pair) ? json_pack("[f, f]", pair[0], pair[1]) : NULL;
    case KIND_SWITCH:
        return !strcmp(word, "yes") ? json_true() : !strcmp(word, "no") ? json_false() : NULL;
    case KIND_FILE:
        path = *word ? g_canonicalize_filename(word, NULL) : NULL;
        return path ? json_string(path) : NULL;
    case KIND_MODEL:
        found = *word ? dim_model_find(word, NULL) : NULL;
        path = found ? g_canonicalize_filename(found, NULL) : NULL;
        return path ? json_string(path) : NULL;
    default:
        return json_string(word); /* NULL where it is no UTF-8 */
    }
}

static gboolean in_range(const Setting *s, const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= s->min &&
           json_number_value(value) <= s->max;
}

/* Of those separated by |; words NULL: any. */
static gboolean is_one_of(const char *words, const char *word)
{
    g_auto(GStrv) all = g_strsplit(words ? words : word, "|", -1);

    return g_strv_contains((const char *const *)all, word);
}

static gboolean fits(const Setting *s, const json_t *value)
{
    DimTrainParams unused;

    switch (s->kind) {
    case KIND_WHOLE:
        return json_is_integer(value) && in_range(s, value);
    case KIND_REAL:
        return in_range(s, value);
    case KIND_PAIR:
        return json_array_size(value) == 2 && in_range(s, json_array_get(value, 0)) &&
               in_range(s, json_array_get(value, 1));
    case KIND_SWITCH:
        return json_is_boolean(value);
    case KIND_WORD:
        return json_is_string(value) && is_one_of(s->words, json_string_value(value));
    case KIND_TIMES:
        return json_is_string(value) && read_times(json_string_value(value), &unused);
    default:
        return json_is_string(value);
    }
}

/* g_free */
static char *expectation(const Setting *s)
{
    g_autofree char *range = s->max < 1 && s->min == 0 && s->max > 0.99
                                 ? g_strdup("from 0 to below 1")
                                 : g_strdup_printf("from %.16g to %.16g", s->min, s->max);

    switch (s->kind) {
    case KIND_WHOLE:
        return g_strdup_printf("a whole number %s", range);
    case KIND_REAL:
        return g_strdup_printf("a number %s", range);
    case KIND_PAIR:
        return g_strdup_printf("two numbers with a comma between them, each %s", range);
    case KIND_SWITCH:
        return g_strdup("yes or no");
    case KIND_WORD:
        return g_strdup_printf("one of %s", s->words);
    case KIND_TIMES:
        return g_strdup("uniform or logit-normal[:MEAN,DEVIATION]");
    case KIND_MODEL:
        return g_strdup("a model folder, or the name of an installed model");
    default:
        return g_strdup("a text in UTF-8");
    }
}

/* As it would be given. g_free */
static char *print_value(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "yes" : "no");
    if (json_is_array(value)) {
        g_autofree char *a = print_value(json_array_get(value, 0));
        g_autofree char *b = print_value(json_array_get(value, 1));
        return g_strdup_printf("%s,%s", a, b);
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

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

json_t *tool_settings_parse(char *const *words)
{
    json_t *given = json_object();

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        json_t *value = words[i] ? value_of(&table[i], words[i]) : NULL;
        if (!words[i])
            continue;
        if (!value || !fits(&table[i], value)) {
            g_autofree char *expected = expectation(&table[i]);
            tool_usage("--%s %s: expected %s", table[i].name, words[i], expected);
            json_decref(value);
            json_decref(given);
            return NULL;
        }
        json_object_set_new(given, table[i].name, value);
    }
    return given;
}

/* ---- a new training ---- */

static json_t *initial_value(const Setting *s, const char *family)
{
    const char *own = tool_train_recipe(family, s->name), *word = own ? own : s->initial;

    return word ? value_of(s, word) : NULL;
}

/* The options of the backbone as its configuration. */
static json_t *compose_backbone(const json_t *given, const char *family)
{
    json_t *config = json_object();

    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        json_t *value = json_object_get(given, table[i].name);
        if (table[i].key && is_one_of(table[i].families, family))
            json_object_set_new(config, table[i].key,
                                value ? json_incref(value) : initial_value(&table[i], family));
    }
    return config;
}

/* Whether the options of the backbone that were given are of its family. */
static gboolean check_families(const json_t *given, const char *family, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++)
        if (json_object_get(given, table[i].name) && !is_one_of(table[i].families, family))
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
        g_autofree char *now = print_value(stored), *word = print_value(asked);
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
            g_autofree char *now = stored ? print_value(stored) : g_strdup("none");
            g_autofree char *word = print_value(value);
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

json_t *tool_json_load(const char *file, const char *what, GError **error)
{
    json_error_t fault;
    g_autofree char *text = NULL;
    g_autoptr(GError) reading = NULL;
    gsize length;

    if (!g_file_get_contents(file, &text, &length, &reading)) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be read: %s; expected %s", file,
                    reading->message, what);
        return NULL;
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &fault);
    if (json_is_object(root))
        return root;
    g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT, "%s: %s; expected %s", file,
                root ? "is no JSON object" : fault.text, what);
    json_decref(root);
    return NULL;
}

gboolean tool_json_save(const json_t *root, const char *file, GError **error)
{
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    DimOutput *output = dim_output_open(file, error);

    if (output) {
        fprintf(dim_output_stream(output), "%s\n", text);
        free(text);
        return dim_output_commit(&output, error);
    }
    free(text);
    return FALSE;
}

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
        if (s->key || (!value && !needed) || (value && fits(s, value)))
            continue;
        if (!value)
            what = g_strdup_printf("settings.%s is missing", s->name);
        else {
            g_autofree char *expected = expectation(s);
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
    params->beta1 = json_number_value(json_array_get(betas, 0));
    params->beta2 = json_number_value(json_array_get(betas, 1));
    params->decay = tool_settings_real(settings, "decay");
    params->clip = tool_settings_real(settings, "clip");
    params->average = tool_settings_real(settings, "average");
    params->label_drop = tool_settings_real(settings, "label-drop");
    params->seed = tool_settings_whole(settings, "seed");
    if (!strcmp(tool_settings_text(settings, "precision"), "bf16"))
        params->precision = DIM_PRECISION_BF16;
    read_times(tool_settings_text(settings, "times"), params);
}
