/* `dim sample`: pictures from classes and seeds, or from a recipe.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "earlier.h"
#include "items.h"
#include "png.h"
#include "progress.h"
#include "sample-options.h"

/* Everything that a run holds; cleared in one place, whatever was reached. */
typedef struct {
    const ToolSample *options;
    ToolItems items;
    gint64 seed;                      /* of item 0 */
    char *picture_file, *latent_file; /* of the item at hand; NULL: not asked for */
    gboolean has_picture, has_latent; /* it is there already, as it is wanted */
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
    DimTask loading, hashing, looking;
    GThread *hash_thread; /* gives the model's hash, or NULL */
    char *hash;
    char *unknown_keys;   /* of the recipe; NULL: none */
    gboolean other_model; /* than the recipe's */
} Run;

/* ---- what is asked for ---- */

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
    const ToolSample *o = run->options;

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

static gboolean check_targets(const Run *run, GError **error)
{
    const ToolSample *o = run->options;
    const char *inputs[3] = {NULL};
    int n = 0;

    if (o->recipe_file)
        inputs[n++] = o->recipe_file;
    if (o->noise)
        inputs[n++] = o->noise;
    return (!o->output || (tool_items_make_folder(o->output, run->picture_file, error) &&
                           tool_check_output(run->picture_file, inputs, error))) &&
           (!o->latent || (tool_items_make_folder(o->latent, run->latent_file, error) &&
                           tool_check_output(run->latent_file, inputs, error)));
}

/* Item i becomes the one at hand. */
static gboolean take(Run *run, gint64 i, GError **error)
{
    const ToolSample *o = run->options;
    const ToolItem item = tool_items_at(&run->items, i);

    run->params.label = item.label;
    run->params.seed = tool_item_seed(&item, run->seed);
    g_clear_pointer(&run->picture_file, g_free);
    g_clear_pointer(&run->latent_file, g_free);
    if (o->output)
        run->picture_file = tool_items_file(&run->items, run->info, &item, o->output);
    if (o->latent)
        run->latent_file = tool_items_file(&run->items, run->info, &item, o->latent);
    return check_targets(run, error);
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
    run->device = tool_open_device(run->engine.device, run->options->common.device != NULL,
                                   run->engine.n_threads, error);
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

/* The recipe is resolved with the first of several classes. */
static gboolean find_classes(Run *run, GError **error)
{
    if (!tool_items_find_classes(&run->items, run->info, run->asked.class_name, error))
        return FALSE;
    g_free(run->asked.class_name);
    run->asked.class_name = g_strdup_printf("%d", run->items.labels[0]);
    return TRUE;
}

static gboolean resolve(Run *run, GError **error)
{
    const gboolean listed = run->items.count > 0 && run->info->n_labels > 0;

    if ((listed && !find_classes(run, error)) ||
        !dim_recipe_resolve(&run->asked, run->info, &run->params, error))
        return FALSE;
    if (!listed)
        tool_items_set_class(&run->items, run->params.label);
    run->seed = run->params.seed;
    run->params.tile = run->engine.tile;
    return TRUE;
}

static gboolean prepare(Run *run, GError **error)
{
    g_autofree char *folder = dim_model_find(run->asked.model, error);

    if (!folder || !(run->info = dim_model_info_read(folder, error)) ||
        !read_engine_options(run, error) || !resolve(run, error) ||
        !check_picture(run->info, run->options->output, error) || !read_noise(run, error))
        return FALSE;
    return tool_items_n(&run->items) == 0 || (take(run, 0, error) && open_model(run, error));
}

/* The item at hand, of n that have to be made and `made` that are. */
static gboolean sample(Run *run, gint64 made, gint64 n, GError **error)
{
    run->sampler = dim_sampler_new(run->model, &run->params, error);
    if (!run->sampler)
        return FALSE;
    tool_progress_sampler(run->progress, "sampling", run->sampler, made, n);
    while (!dim_sampler_done(run->sampler))
        if (!dim_sampler_step(run->sampler, error))
            return FALSE;
    return TRUE;
}

/* What runs. Noise from a file is in no seed: it is named, under a key of its own. */
static void record(Run *run)
{
    if (run->hash_thread)
        run->hash = g_thread_join(g_steal_pointer(&run->hash_thread));
    dim_recipe_clear(&run->record);
    dim_recipe_record(&run->record, run->model, &run->params, &run->engine, run->hash);
    if (run->options->noise) {
        g_free(run->record.unknown);
        run->record.unknown = g_strdup("{\"noise\": \"from a file\"}");
    }
    run->other_model =
        *run->asked.model_hash && run->hash && strcmp(run->hash, run->asked.model_hash) != 0;
}

typedef gboolean (*Earlier)(const char *file, const DimRecipe *wanted, gboolean *there,
                            GError **error);

/* FALSE where something is in the way that is not to be replaced. */
static gboolean look_at(const Run *run, const char *file, Earlier earlier, gboolean *there,
                        GError **error)
{
    GError *fault = NULL;

    if (!file || earlier(file, &run->record, there, &fault))
        return TRUE;
    if (!run->options->overwrite) {
        g_propagate_error(error, fault);
        return FALSE;
    }
    g_error_free(fault);
    return TRUE;
}

/* What there is already of the item at hand; a single picture takes any file's place. */
static gboolean look(Run *run, GError **error)
{
    if (run->items.count == 0)
        return TRUE;
    record(run);
    return look_at(run, run->picture_file, tool_earlier_picture, &run->has_picture, error) &&
           look_at(run, run->latent_file, tool_earlier_latent, &run->has_latent, error);
}

/* Another run may have come first: hence one more look before a file is put in its place. */
static gboolean save_latent(Run *run, GError **error)
{
    if (!run->latent_file)
        return TRUE;
    dim_array_clear(&run->latent);
    if (!dim_sampler_latent(run->sampler, &run->latent, error) || !look(run, error))
        return FALSE;
    record(run);
    g_autofree char *json = dim_recipe_print(&run->record);
    return run->has_latent ||
           dim_tensors_save_recipe(run->latent_file, "z", &run->latent, json, error);
}

static gboolean save_picture(Run *run, GError **error)
{
    const int width = run->params.width, height = run->params.height;

    if (!run->picture_file || run->has_picture)
        return TRUE;
    if (!run->rgb)
        run->rgb = g_try_malloc_n((gsize)width * height, 3 * sizeof *run->rgb);
    if (!run->rgb)
        return tool_refuse(error, DIM_ERROR_NO_MEMORY, "%s: no memory for the picture",
                           run->picture_file);
    if (!dim_sampler_finish(run->sampler, run->rgb, 3 * (gsize)width, error) || !look(run, error))
        return FALSE;
    record(run);
    g_autofree char *json = dim_recipe_print(&run->record);
    return run->has_picture ||
           tool_png_save(run->picture_file, run->rgb, width, height, json, error);
}

/* ---- all items ---- */

static gboolean is_made(const Run *run)
{
    return (!run->picture_file || run->has_picture) && (!run->latent_file || run->has_latent) &&
           run->items.count > 0;
}

/* Before anything is made: how many are missing, and whether something is in the way of one. */
static gboolean survey(Run *run, gint64 n, gint64 *n_missing, GError **error)
{
    *n_missing = n;
    if (run->items.count == 0)
        return TRUE;
    tool_progress_task(run->progress, "hashing", &run->hashing);
    record(run);
    tool_progress_task(run->progress, "looking", &run->looking);
    for (gint64 i = 0; i < n; i++) {
        if (g_atomic_int_get(&run->looking.cancel))
            return tool_refuse(error, DIM_ERROR_CANCELLED, "cancelled");
        if (!take(run, i, error) || !look(run, error))
            return FALSE;
        *n_missing -= is_made(run);
        g_atomic_int_set(&run->looking.per_million, (int)(i * 1000000 / n));
    }
    return TRUE;
}

static void say_begun(const Run *run, gint64 n, gint64 n_missing)
{
    if (run->items.count > 0 && run->asked.seed < 0) {
        g_autofree char *line = g_strdup_printf("seed %" G_GINT64_FORMAT, run->seed);
        tool_progress_say(run->progress, line);
    }
    if (n_missing < n) {
        g_autofree char *line = g_strdup_printf(
            "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " were there already", n - n_missing, n);
        tool_progress_say(run->progress, line);
    }
}

static gboolean make(Run *run, gint64 made, gint64 n, GError **error)
{
    const gboolean good =
        sample(run, made, n, error) && save_latent(run, error) && save_picture(run, error);

    tool_progress_sampler(run->progress, "sampling", NULL, made + 1, n);
    dim_sampler_free(&run->sampler);
    return good;
}

static gboolean make_all(Run *run, GError **error)
{
    const gint64 n = tool_items_n(&run->items);
    gint64 n_missing, made = 0;

    if (n == 0)
        return TRUE;
    if (!survey(run, n, &n_missing, error))
        return FALSE;
    say_begun(run, n, n_missing);
    for (gint64 i = 0; i < n; i++) {
        if (!take(run, i, error) || !look(run, error))
            return FALSE;
        if (is_made(run))
            continue;
        if (!make(run, made, MAX(n_missing, made + 1), error))
            return FALSE;
        made++;
    }
    return TRUE;
}

/* ---- the whole run ---- */

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
    tool_items_clear(&run->items);
    g_free(run->picture_file);
    g_free(run->latent_file);
    g_free(run->hash);
    g_free(run->unknown_keys);
    g_free(run->rgb);
}

/* What is worth knowing of a run that went well; one that fails has one line, its error's. */
static void print_notes(const Run *run)
{
    const ToolSample *o = run->options;

    if (run->unknown_keys)
        fprintf(stderr, "dim: %s: keys that this version does not know: %s\n", o->recipe_file,
                run->unknown_keys);
    if (run->other_model)
        fprintf(stderr, "dim: %s: its model is not the one that ran any more\n", o->recipe_file);
    if (run->asked.seed < 0 && run->items.count == 0 && !o->noise)
        g_print("seed %" G_GINT64_FORMAT "\n", run->params.seed);
}

/* The line of a run that was cancelled names the item that it did not come to the end of. */
static void name_cancelled(const Run *run, GError **error)
{
    const char *file = run->picture_file ? run->picture_file : run->latent_file;

    if (!g_error_matches(*error, DIM_ERROR, DIM_ERROR_CANCELLED))
        return;
    g_clear_error(error);
    tool_refuse(error, DIM_ERROR_CANCELLED, "%s: cancelled; nothing was written there", file);
}

/* FALSE after a usage mistake. */
static gboolean read_options(Run *run)
{
    const ToolSample *o = run->options;

    if (!tool_sample_apply(o, &run->asked) || !tool_items_read(&run->items, o->count, o->shard))
        return FALSE;
    if (o->shard && run->asked.seed < 0) {
        tool_usage("--shard %s: expected --seed, the same for all parts", o->shard);
        return FALSE;
    }
    return (!o->output || tool_items_check_pattern(&run->items, "output", o->output)) &&
           (!o->latent || tool_items_check_pattern(&run->items, "latent", o->latent));
}

static int run_sample(const ToolSample *o)
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
    if (!read_options(&run))
        status = TOOL_USAGE;
    else if (!prepare(&run, &error) || !make_all(&run, &error)) {
        status = TOOL_FAILED;
        name_cancelled(&run, &error);
    } else
        print_notes(&run);
    run_clear(&run);
    return status == TOOL_FAILED ? tool_failed(error) : status;
}

int tool_sample(int argc, char **argv)
{
    ToolSample options;
    const int status = tool_sample_parse(&options, argc, argv) ? run_sample(&options) : TOOL_USAGE;

    tool_sample_clear(&options);
    return status;
}
