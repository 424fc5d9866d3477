/* Recipes and runs: from what was asked to parameters, and from what ran back to a recipe.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <float.h>
#include <string.h>

#include "error.h"
#include "params.h"
#include "text.h"

static const char *const precisions[] = {"auto", "f32", "bf16", "f16", NULL};

/* A whole number from min to max and nothing else. */
static gboolean parse_count(const char *text, int min, int max, int *value)
{
    gint64 number;

    if (!g_ascii_string_to_signed(text, 10, min, max, &number, NULL))
        return FALSE;
    *value = (int)number;
    return TRUE;
}

static int find(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

/* ---- options ---- */

gboolean dim_interval_parse(const char *text, double *low, double *high)
{
    char *comma = NULL, *end = NULL;
    const double first = g_ascii_strtod(text, &comma);
    const double second = *comma == ',' ? g_ascii_strtod(comma + 1, &end) : 0;

    if (comma == text || !end || end == comma + 1 || *end ||
        !(0 <= first && first <= second && second <= 1))
        return FALSE;
    *low = first;
    *high = second;
    return TRUE;
}

/* The value's index among the names; FALSE, and nothing is set: it is none of them. */
static gboolean parse_choice(const char *value, const char *const *names, int *chosen)
{
    const int index = find(names, value);

    if (index >= 0)
        *chosen = index;
    return index >= 0;
}

static gboolean read_value(DimOptions *options, int option, const char *value)
{
    static const char *const devices[] = {"auto", "cpu", "cuda", "ref", NULL};
    static const char *const switched[] = {"off", "on", NULL};
    int chosen = 0;

    switch (option) {
    case 0:
        return parse_count(value, 0, 1024, &options->n_threads);
    case 1:
        return parse_choice(value, devices, &chosen) &&
               g_strlcpy(options->device, value, sizeof options->device);
    case 2:
        return parse_choice(value, precisions, (int *)&options->precision);
    case 3:
        return parse_count(value, 0, G_MAXINT, &options->tile);
    case 4:
        return parse_choice(value, dim_seamless_names(), &options->seamless);
    case 5:
        return dim_interval_parse(value, &options->guidance_low, &options->guidance_high);
    case 6:
        return parse_choice(value, dim_rng_names(), (int *)&options->rng);
    case 7:
        return parse_choice(value, switched, &options->windows);
    }
    g_assert_not_reached();
}

static gboolean set_option(DimOptions *options, const char *name, const char *value, GError **error)
{
    static const char *const names[] = {"threads", "device",   "precision",
                                        "tile",    "seamless", "guidance-interval",
                                        "rng",     "windows",  NULL};
    static const char *const expected[] = {"0 to 1024",
                                           "auto, cpu, cuda or ref",
                                           "auto, f32, bf16 or f16",
                                           "0 or more latent pixels",
                                           "off, x, y, both or auto",
                                           "LO,HI from 0 to 1",
                                           "philox or torch",
                                           "off or on"};
    const int option = find(names, name);

    if (option < 0) {
        g_autofree char *near = dim_text_suggest(name, names);
        return dim_fail(error, DIM_ERROR_ARGUMENT, "options",
                        DIM_NAME " is unknown%s; expected threads, device, precision, tile, "
                                 "seamless, guidance-interval, rng or windows",
                        name, near);
    }
    return read_value(options, option, value) ||
           dim_fail(error, DIM_ERROR_ARGUMENT, "options", "%s=%.80s; expected %s", name, value,
                    expected[option]);
}

gboolean dim_recipe_options(const DimRecipe *recipe, DimOptions *options, GError **error)
{
    DimOptions read = {.device = "auto",
                       .precision = DIM_PRECISION_AUTO,
                       .tile = -1,
                       .seamless = -1,
                       .windows = -1,
                       .guidance_high = 1};
    g_auto(GStrv) words = g_strsplit_set(recipe->options, " \t\n", -1);

    for (char **word = words; *word; word++) {
        if (!**word)
            continue;
        char *value = strchr(*word, '=');
        if (!value)
            return dim_fail(error, DIM_ERROR_ARGUMENT, "options",
                            DIM_NAME "; expected name=value, separated by spaces", *word);
        *value++ = '\0';
        if (!set_option(&read, *word, value, error))
            return FALSE;
    }
    *options = read;
    return TRUE;
}

/* ---- what was asked, as parameters ---- */

static gboolean parse_upsample(const char *text, int *upsample, GError **error)
{
    if (!*text || !strcmp(text, "auto")) {
        *upsample = DIM_UPSAMPLE_AUTO;
        return TRUE;
    }
    if (!strcmp(text, "off")) {
        *upsample = DIM_UPSAMPLE_OFF;
        return TRUE;
    }
    return parse_count(text, 1, DIM_UPSAMPLE_MAX, upsample) ||
           dim_fail(error, DIM_ERROR_ARGUMENT, "upsample",
                    "\"%.80s\"; expected auto, off or a factor from 2 to %d", text,
                    DIM_UPSAMPLE_MAX);
}

/* A model without classes takes none, and the one that it is given is refused by its name. */
static gboolean find_label(const DimModelInfo *info, const char *name, int *label, GError **error)
{
    if (!*name && info->n_classes == 0)
        *label = -1;
    else
        *label = dim_model_info_find_class(info, name, error);
    return *label >= 0 || (!*name && info->n_classes == 0);
}

gboolean dim_recipe_resolve(const DimRecipe *recipe, const DimModelInfo *info, DimParams *params,
                            GError **error)
{
    DimParams asked;
    DimOptions options;

    if (!dim_params_check_model(dim_model_spec_of(info), error))
        return FALSE;
    dim_params_init(&asked, info);
    if (!dim_recipe_options(recipe, &options, error) ||
        !parse_upsample(recipe->upsample, &asked.upsample, error) ||
        !find_label(info, recipe->class_name, &asked.label, error))
        return FALSE;
    asked.tile = options.tile;
    asked.guidance_low = options.guidance_low;
    asked.guidance_high = options.guidance_high;
    asked.rng = options.rng;
    if (options.seamless >= 0)
        asked.seamless = (DimSeamless)options.seamless;
    if (options.windows >= 0)
        asked.windows = options.windows;
    if (recipe->width != 0)
        asked.width = recipe->width;
    if (recipe->height != 0)
        asked.height = recipe->height;
    if (recipe->steps != 0)
        asked.steps = recipe->steps;
    if (recipe->guidance != 0)
        asked.guidance = recipe->guidance;
    if (*recipe->sampler)
        asked.sampler = recipe->sampler;
    asked.seed = recipe->seed < 0 ? dim_seed_fresh() : recipe->seed;
    if (!dim_params_check(&asked, info, error))
        return FALSE;
    /* The name of the table: it stays, whatever happens to recipe and model. */
    asked.sampler = dim_sampler_names()[find(dim_sampler_names(), asked.sampler)];
    *params = asked;
    return TRUE;
}

/* ---- what ran, as a recipe ---- */

static void put(char **text, char *value)
{
    g_free(*text);
    *text = value;
}

/* The installed name where that finds this very folder, else the folder. */
static char *model_name(const DimModelInfo *info)
{
    g_autofree char *found = dim_model_find(info->id, NULL);

    return g_strdup(!g_strcmp0(found, info->folder) ? info->id : info->folder);
}

/* The name, or the index where two classes share the name. */
static char *class_name(const DimModelInfo *info, int label)
{
    if (label < 0)
        return g_strdup("");
    if (label < info->n_classes &&
        dim_model_info_find_class(info, info->classes[label], NULL) == label)
        return g_strdup(info->classes[label]);
    return g_strdup_printf("%d", label);
}

/* Without the number of threads: a picture's bytes do not depend on it, so its recipe may not. */
static char *device_name(const DimDevice *device)
{
    char *name = g_strdup(dim_device_describe(device));
    char *threads = strrchr(name, ',');

    if (threads)
        *threads = '\0';
    return name;
}

/* Those that decide about the picture. */
static char *record_options(const DimOptions *options, const char *precision,
                            const DimParams *params, const DimModelInfo *info)
{
    GString *text = g_string_new(NULL);

    if (strcmp(options->device, "auto"))
        g_string_append_printf(text, "device=%s ", options->device);
    g_string_append_printf(text, "precision=%s", precision);
    if (params->seamless || info->defaults.seamless)
        g_string_append_printf(text, " seamless=%s", dim_seamless_names()[params->seamless]);
    if (params->guidance_low > 0 || params->guidance_high < 1) {
        g_string_append(text, " guidance-interval=");
        dim_text_append_number(text, params->guidance_low);
        g_string_append_c(text, ',');
        dim_text_append_number(text, params->guidance_high);
    }
    if ((params->windows || info->defaults.windows) &&
        MAX(params->width, params->height) > info->native_size)
        g_string_append_printf(text, " windows=%s", params->windows ? "on" : "off");
    if (params->rng)
        g_string_append_printf(text, " rng=%s", dim_rng_names()[params->rng]);
    return g_string_free(text, FALSE);
}

void dim_recipe_record(DimRecipe *record, const DimModel *model, const DimParams *params,
                       const DimOptions *options, const char *model_hash)
{
    const DimModelInfo *info = &model->spec->info;
    const char *precision = precisions[model->precision];
    DimGrid grid;

    dim_recipe_init(record);
    dim_grid_for(model->spec, params, &grid);
    record->width = params->width;
    record->height = params->height;
    record->steps = params->steps;
    /* 0 means the model's; the smallest number there is does to a run what 0 does. */
    record->guidance = params->guidance != 0 ? params->guidance : DBL_MIN;
    record->seed = params->seed;
    put(&record->model, model_name(info));
    put(&record->class_name, class_name(info, params->label));
    put(&record->sampler, g_strdup(params->sampler));
    put(&record->upsample,
        grid.upsample > 1 ? g_strdup_printf("%d", grid.upsample) : g_strdup("off"));
    put(&record->options, record_options(options, precision, params, info));
    put(&record->model_hash, g_strdup(model_hash ? model_hash : ""));
    put(&record->device, device_name(model->device));
    put(&record->precision, g_strdup(precision));
    put(&record->program, g_strdup("gimp-dim " DIM_VERSION_TEXT));
}
