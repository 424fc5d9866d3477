/* `dim sample`: a picture from a class and a seed, or from a recipe.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "png.h"
#include "progress.h"

typedef struct {
    ToolCommon common;
    char *class_name, *size, *steps, *sampler, *guidance, *seed, *upsample, *seamless, *recipe_file;
    char *interval, *rng;
    char *noise, *latent, *output;
    int tile;
} Options;

/* Everything that a run holds; cleared in one place, whatever was reached. */
typedef struct {
    const Options *options;
    DimRecipe asked, record;
    DimOptions engine;
    DimParams params;
    DimModelInfo *info;
    DimDevice *device;
    DimModel *model;
    DimSampler *sampler;
    DimArray noise, step_noise, latent;
    float *rgb;
    ToolProgress *progress;
    DimTask loading, hashing;
    GThread *hash_thread; /* gives the model's hash, or NULL */
    char *unknown_keys;   /* of the recipe; NULL: none */
    gboolean other_model; /* than the recipe's */
} Run;

/* ---- options over the recipe ---- */

static gboolean read_whole(const char *option, const char *text, gint64 min, gint64 max,
                           gint64 *value)
{
    if (!text || g_ascii_string_to_signed(text, 10, min, max, value, NULL))
        return TRUE;
    tool_usage("--%s %s: expected a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
               option, text, min, max);
    return FALSE;
}

static gboolean read_guidance(const char *text, DimRecipe *recipe)
{
    double guidance = 0;

    if (!tool_read_guidance(text, &guidance))
        return FALSE;
    if (text) /* in a recipe 0 means the model's; to a run the smallest number is 0 */
        recipe->guidance = guidance != 0 ? guidance : DBL_MIN;
    return TRUE;
}

static gboolean check_words(const Options *o)
{
    const char *const *known = dim_sampler_names();
    double low, high;
    int factor;
    DimSeamless seamless;

    if (!tool_read_upsample(o->upsample, &factor) || !tool_read_seamless(o->seamless, &seamless))
        return FALSE;
    if (o->interval && !dim_interval_parse(o->interval, &low, &high)) {
        tool_usage("--guidance-interval %s: expected two times LO,HI with 0 <= LO <= HI <= 1",
                   o->interval);
        return FALSE;
    }
    if (o->rng && !g_strv_contains(dim_rng_names(), o->rng)) {
        tool_usage("--rng %s: expected philox or torch", o->rng);
        return FALSE;
    }
    if (o->sampler && !g_strv_contains(known, o->sampler)) {
        g_autofree char *all = g_strjoinv(", ", (char **)known);
        tool_usage("--sampler %s: expected one of %s", o->sampler, all);
        return FALSE;
    }
    return TRUE;
}

static void replace(char **text, const char *by)
{
    if (by) {
        g_free(*text);
        *text = g_strdup(by);
    }
}

/* Behind the others: the last word of a name counts. */
static void add_option(DimRecipe *recipe, const char *name, const char *value)
{
    if (value) {
        g_autofree char *options = g_strdup_printf("%s %s=%s", recipe->options, name, value);
        replace(&recipe->options, options);
    }
}

/* FALSE after a usage mistake. */
static gboolean apply_options(const Options *o, DimRecipe *recipe)
{
    gint64 steps = recipe->steps, seed = recipe->seed;

    if (!read_whole("steps", o->steps, 1, G_MAXINT, &steps) ||
        !read_whole("seed", o->seed, -1, DIM_SEED_MAX, &seed) ||
        !tool_read_size(o->size, &recipe->width, &recipe->height) ||
        !read_guidance(o->guidance, recipe) || !check_words(o))
        return FALSE;
    recipe->steps = (int)steps;
    recipe->seed = seed;
    replace(&recipe->model, o->common.model);
    replace(&recipe->class_name, o->class_name);
    replace(&recipe->sampler, o->sampler);
    replace(&recipe->upsample, o->upsample);
    add_option(recipe, "seamless", o->seamless);
    add_option(recipe, "guidance-interval", o->interval);
    add_option(recipe, "rng", o->rng);
    return TRUE;
}

static gboolean read_recipe(Run *run, GError **error)
{
    const char *file = run->options->recipe_file;
    g_autofree char *json = NULL;

    if (tool_png_is(file))
        return tool_png_read_recipe(file, &json, error) &&
               dim_recipe_parse(&run->asked, json, -1, file, &run->unknown_keys, error);
    return dim_recipe_load(&run->asked, file, &run->unknown_keys, error);
}

/* The options of the command line over those of the recipe. */
static gboolean read_engine_options(Run *run, GError **error)
{
    const Options *o = run->options;

    if (!dim_recipe_options(&run->asked, &run->engine, error))
        return FALSE;
    if (o->common.n_threads > 0)
        run->engine.n_threads = o->common.n_threads;
    if (o->common.device)
        g_strlcpy(run->engine.device, o->common.device, sizeof run->engine.device);
    if (o->common.precision_name)
        run->engine.precision = o->common.precision;
    if (o->tile >= 0)
        run->engine.tile = o->tile;
    return TRUE;
}

/* ---- the run ---- */

static gboolean check_targets(const Options *o, GError **error)
{
    const char *inputs[3] = {NULL};
    int n = 0;

    if (o->recipe_file)
        inputs[n++] = o->recipe_file;
    if (o->noise)
        inputs[n++] = o->noise;
    return (!o->output || tool_check_output(o->output, inputs, error)) &&
           (!o->latent || tool_check_output(o->latent, inputs, error));
}

static gboolean check_picture(const DimModelInfo *info, const char *output, GError **error)
{
    if (!output || info->backbone.channels == info->autoencoder.channels)
        return TRUE;
    g_set_error(error, DIM_ERROR, DIM_ERROR_UNSUPPORTED,
                "%s: %d channels cannot become a picture; expected --latent in place of --output",
                info->folder, info->backbone.channels);
    return FALSE;
}

static gpointer hash_model(gpointer data)
{
    Run *run = data;

    return dim_model_hash(run->info->folder, &run->hashing, NULL);
}

static gboolean open_model(Run *run, GError **error)
{
    const DimParts parts =
        run->options->output ? DIM_PARTS_BACKBONE | DIM_PARTS_DECODER : DIM_PARTS_BACKBONE;

    run->progress = tool_progress_begin();
    run->hash_thread = g_thread_new("hash", hash_model, run);
    tool_progress_task(run->progress, "loading", &run->loading);
    run->device = dim_device_open(run->engine.device, run->engine.n_threads, error);
    if (run->device)
        run->model = dim_model_open(run->device, run->info->folder, parts, run->engine.precision,
                                    &run->loading, error);
    return run->model != NULL;
}

/* Tensors x and step_noise of --noise. */
static gboolean read_noise(Run *run, GError **error)
{
    const char *file = run->options->noise;
    DimWeights *tensors = file ? dim_weights_open(file, error) : NULL;

    if (!file)
        return TRUE;
    gboolean read = tensors && tool_read_f32(tensors, file, "x", 4, &run->noise, error);
    if (read)
        run->params.noise = &run->noise;
    if (read && dim_weights_find(tensors, "step_noise")) {
        read = tool_read_f32(tensors, file, "step_noise", 5, &run->step_noise, error);
        run->params.step_noise = &run->step_noise;
    }
    dim_weights_close(&tensors);
    return read;
}

static gboolean prepare(Run *run, GError **error)
{
    const Options *o = run->options;
    g_autofree char *folder = NULL;

    return check_targets(o, error) && (folder = dim_model_find(run->asked.model, error)) &&
           (run->info = dim_model_info_read(folder, error)) && read_engine_options(run, error) &&
           dim_recipe_resolve(&run->asked, run->info, &run->params, error) &&
           check_picture(run->info, o->output, error) && read_noise(run, error) &&
           open_model(run, error);
}

static gboolean sample(Run *run, GError **error)
{
    run->params.tile = run->engine.tile;
    run->sampler = dim_sampler_new(run->model, &run->params, error);
    if (!run->sampler)
        return FALSE;
    tool_progress_sampler(run->progress, "sampling", run->sampler);
    while (!dim_sampler_done(run->sampler))
        if (!dim_sampler_step(run->sampler, error))
            return FALSE;
    return TRUE;
}

static gboolean save_latent(Run *run, GError **error)
{
    static const char *const name = "z";

    return !run->options->latent ||
           (dim_sampler_latent(run->sampler, &run->latent, error) &&
            dim_tensors_save(run->options->latent, 1, &name, &run->latent, error));
}

/* What ran. Noise from a file is in no seed: it is named, under a key of its own. */
static char *print_record(Run *run)
{
    g_autofree char *hash = g_thread_join(g_steal_pointer(&run->hash_thread));

    dim_recipe_record(&run->record, run->model, &run->params, &run->engine, hash);
    if (run->options->noise)
        replace(&run->record.unknown, "{\"noise\": \"from a file\"}");
    run->other_model = *run->asked.model_hash && hash && strcmp(hash, run->asked.model_hash) != 0;
    return dim_recipe_print(&run->record);
}

static gboolean save_picture(Run *run, GError **error)
{
    const int width = run->params.width, height = run->params.height;
    const char *output = run->options->output;

    if (!output)
        return TRUE;
    run->rgb = g_try_malloc_n((gsize)width * height, 3 * sizeof *run->rgb);
    if (!run->rgb) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY, "%s: no memory for the picture", output);
        return FALSE;
    }
    if (!dim_sampler_finish(run->sampler, run->rgb, 3 * (gsize)width, error))
        return FALSE;
    g_autofree char *json = print_record(run);
    return tool_png_save(output, run->rgb, width, height, json, error);
}

static void run_clear(Run *run)
{
    tool_progress_end(&run->progress);
    dim_task_cancel(&run->hashing);
    if (run->hash_thread)
        g_free(g_thread_join(run->hash_thread));
    dim_sampler_free(&run->sampler);
    dim_model_close(&run->model);
    dim_device_close(&run->device);
    dim_model_info_free(&run->info);
    dim_array_clear(&run->noise);
    dim_array_clear(&run->step_noise);
    dim_array_clear(&run->latent);
    dim_recipe_clear(&run->asked);
    dim_recipe_clear(&run->record);
    g_free(run->unknown_keys);
    g_free(run->rgb);
}

/* What is worth knowing of a run that went well; one that fails has one line, its error's. */
static void print_notes(const Run *run)
{
    const Options *o = run->options;

    if (run->unknown_keys)
        fprintf(stderr, "dim: %s: keys that this version does not know: %s\n", o->recipe_file,
                run->unknown_keys);
    if (run->other_model)
        fprintf(stderr, "dim: %s: its model is not the one that ran any more\n", o->recipe_file);
    if (run->asked.seed < 0 && !o->noise)
        g_print("seed %" G_GINT64_FORMAT "\n", run->params.seed);
}

static int fail(const Options *o, GError *error)
{
    if (g_error_matches(error, DIM_ERROR, DIM_ERROR_CANCELLED)) {
        g_clear_error(&error);
        g_set_error(&error, DIM_ERROR, DIM_ERROR_CANCELLED,
                    "%s: cancelled; nothing was written there", o->output ? o->output : o->latent);
    }
    return tool_failed(error);
}

static int run_sample(const Options *o)
{
    Run run = {.options = o};
    GError *error = NULL;
    int status = TOOL_DONE;

    if (!o->recipe_file)
        dim_recipe_init(&run.asked);
    else if (!read_recipe(&run, &error)) {
        run_clear(&run);
        return tool_failed(error);
    }
    if (!apply_options(o, &run.asked))
        status = TOOL_USAGE;
    else if (!prepare(&run, &error) || !sample(&run, &error) || !save_latent(&run, &error) ||
             !save_picture(&run, &error))
        status = TOOL_FAILED;
    else
        print_notes(&run);
    run_clear(&run);
    return status == TOOL_FAILED ? fail(o, error) : status;
}

int tool_sample(int argc, char **argv)
{
    Options o = {.tile = TOOL_TILE_AUTO};
    /* Words as they were given: converting them from the locale fails on a name that it lacks. */
    const GOptionEntry entries[] = {
        {"class", 'c', 0, G_OPTION_ARG_FILENAME, &o.class_name, "Name or index", "CLASS"},
        {"size", 's', 0, G_OPTION_ARG_FILENAME, &o.size, "In pixels", "WxH"},
        {"steps", 0, 0, G_OPTION_ARG_FILENAME, &o.steps,
         "Steps, each one evaluation of the network; with heun two", "N"},
        {"sampler", 0, 0, G_OPTION_ARG_FILENAME, &o.sampler, "dpm-solver++-2m, ...", "NAME"},
        {"guidance", 0, 0, G_OPTION_ARG_FILENAME, &o.guidance, "How much of the class; 1 is off",
         "W"},
        {"seed", 0, 0, G_OPTION_ARG_FILENAME, &o.seed, "-1: a fresh one, which is reported", "K"},
        {"upsample", 0, 0, G_OPTION_ARG_FILENAME, &o.upsample, "Upsample guidance: auto, off or M",
         "HOW"},
        {"seamless", 0, 0, G_OPTION_ARG_FILENAME, &o.seamless,
         "Sides that fit when the picture is repeated: off, x, y or both", "HOW"},
        {"guidance-interval", 0, 0, G_OPTION_ARG_FILENAME, &o.interval,
         "Guide from time LO to HI only; all noise is 1, none 0", "LO,HI"},
        {"rng", 0, 0, G_OPTION_ARG_FILENAME, &o.rng, "The seed's noise: philox, torch", "NAME"},
        {"tile", 0, 0, G_OPTION_ARG_INT, &o.tile,
         "Decode about N x N latent pixels at a time; 0: all", "N"},
        {"recipe", 0, 0, G_OPTION_ARG_FILENAME, &o.recipe_file,
         "A picture's recipe, or a preset; other options come first", "FILE"},
        {"noise", 0, 0, G_OPTION_ARG_FILENAME, &o.noise,
         "Start noise, tensor x [1,C,H,W], and step_noise [steps,1,C,H,W]", "FILE"},
        {"latent", 0, 0, G_OPTION_ARG_FILENAME, &o.latent, "Gets the sample, tensor z", "FILE"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output, "Gets the picture, PNG", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    int status;

    if (!tool_parse(&argc, &argv, entries, NULL, 0, &o.common) || !tool_check_tile(&o.tile))
        status = TOOL_USAGE;
    else if (!o.output && !o.latent)
        status = tool_usage("sample: expected --output FILE or --latent FILE");
    else if (o.output && o.latent && !strcmp(o.output, o.latent))
        status = tool_usage("--latent %s: expected another file than --output", o.latent);
    else
        status = run_sample(&o);
    char *texts[] = {o.class_name, o.size,     o.steps,    o.sampler,     o.guidance,
                     o.seed,       o.upsample, o.seamless, o.recipe_file, o.noise,
                     o.latent,     o.output,   o.interval, o.rng};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    tool_common_clear(&o.common);
    return status;
}
