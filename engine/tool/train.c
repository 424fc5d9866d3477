/* `dim train`: a model of one's own from pictures.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train.h"

#include <math.h>
#include <string.h>

#include "json-file.h"
#include "train-class.h"
#include "train-data.h"
#include "train-model.h"

typedef struct {
    char **words; /* of the settings */
    char *config_file, *output, *samples, *stop_after, *images, *run;
    json_t *given, *config;
} Options;

gboolean tool_train_leads(const ToolTrain *train)
{
    return train->peers.peers.rank == 0;
}

void tool_train_say(ToolTrain *train, const char *format, ...)
{
    va_list args;

    if (train->quiet || !tool_train_leads(train))
        return;
    va_start(args, format);
    g_autofree char *line = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *clean = dim_text_clean(line);
    tool_progress_say(train->progress, clean);
}

/* ---- settings ---- */

/* Which number of steps was asked for, if any; --samples says it in samples. */
static gboolean read_steps(ToolTrain *t, const Options *o, GError **error)
{
    const gint64 batch = tool_settings_whole(&t->settings, "batch");
    gint64 samples;

    t->steps_asked = json_integer_value(json_object_get(o->given, "steps"));
    if (!o->samples)
        return TRUE;
    if (!g_ascii_string_to_signed(o->samples, 10, 1, G_GINT64_CONSTANT(1000000000), &samples,
                                  NULL)) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                    "--samples %s: expected a whole number from 1 to 1000000000", o->samples);
        return FALSE;
    }
    t->steps_asked = (samples + batch - 1) / batch;
    return TRUE;
}

static gboolean begin_settings(ToolTrain *t, const Options *o, GError **error)
{
    if (!tool_train_find_family(o->given, error) ||
        !tool_settings_init(&t->settings, o->given, o->config, error) || !read_steps(t, o, error))
        return FALSE;
    if (t->steps_asked > 0)
        json_object_set_new(t->settings.values, "steps", json_integer(t->steps_asked));
    if (tool_settings_text(&t->settings, "add-class"))
        return tool_train_class_adopt(t, o->given, error) &&
               tool_settings_save(&t->settings, t->folder.settings, error);
    return (!tool_settings_text(&t->settings, "from") ||
            tool_train_adopt(&t->settings, o->given, error)) &&
           tool_settings_save(&t->settings, t->folder.settings, error);
}

/* Steps are dealt with when it is known how many are done. */
static gboolean resume_settings(ToolTrain *t, const Options *o, gboolean *changed, GError **error)
{
    return tool_settings_load(&t->settings, t->folder.settings, error) &&
           tool_settings_merge(&t->settings, o->given, o->config, t->folder.folder, changed,
                               error) &&
           read_steps(t, o, error);
}

/* One process opens or begins the folder, then the others read what is in it. */
static gboolean open_folder(ToolTrain *t, const Options *o, gboolean *changed, GError **error)
{
    if (tool_train_leads(t)) {
        if (!tool_train_folder_open(&t->folder, o->output, error) ||
            !(t->folder.fresh ? begin_settings(t, o, error)
                              : resume_settings(t, o, changed, error)))
            return FALSE;
    } else
        tool_train_folder_name(&t->folder, o->output);
    tool_peers_any(&t->peers, FALSE);
    return tool_train_leads(t) || resume_settings(t, o, changed, error);
}

/* ---- pictures ---- */

static gboolean read_into(ToolTrain *t, DimTask *task, GError **error)
{
    return tool_dataset_read(t->dataset, tool_settings_text(&t->settings, "data"), task, error);
}

/* Label of a class as a model's people name it; -1: none. */
static int find_class(const DimDataset *dataset, const char *shown)
{
    for (int label = 0; label < dim_dataset_n_classes(dataset); label++) {
        g_autofree char *name = tool_train_class_name(dim_dataset_class_name(dataset, label));
        if (!strcmp(name, shown))
            return label;
    }
    return -1;
}

/* Classes that the model to go on from has, too, come first and in its order. */
static gboolean order_classes(ToolTrain *t, DimTask *task, GError **error)
{
    const char *from = tool_settings_text(&t->settings, "from");
    DimModelInfo *info = dim_model_info_read(from, error);
    DimDataset *read = t->dataset;

    if (!info)
        return FALSE;
    t->dataset = dim_dataset_new();
    for (int i = 0; i < info->n_classes; i++) {
        const int label = find_class(read, info->classes[i]);
        if (label >= 0)
            dim_dataset_add_class(t->dataset, dim_dataset_class_name(read, label));
    }
    const int kept = dim_dataset_n_classes(t->dataset), n = dim_dataset_n_classes(read);
    if (kept < n || kept < info->n_classes)
        tool_train_say(t, "%d of the %d classes of %s, and %d new", kept, info->n_classes, from,
                       n - kept);
    dim_dataset_free(&read);
    dim_model_info_free(&info);
    return read_into(t, task, error);
}

/* Labels are those that the training was begun with, whatever is in the data by now. */
static void keep_classes(ToolTrain *t)
{
    for (gsize i = 0; i < json_array_size(t->settings.classes); i++) {
        const json_t *entry = json_array_get(t->settings.classes, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name)
            dim_dataset_add_class(t->dataset, name);
    }
}

static json_t *list_classes(const DimDataset *dataset)
{
    json_t *list = json_array();

    for (int label = 0; label < dim_dataset_n_classes(dataset); label++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:i}", "name",
                                              dim_dataset_class_name(dataset, label), "pictures",
                                              dim_dataset_n_images(dataset, label, FALSE), "test",
                                              dim_dataset_n_images(dataset, label, TRUE)));
    return list;
}

/* A training goes on with the pictures that it was begun with. */
static gboolean check_classes(ToolTrain *t, gboolean *changed, GError **error)
{
    json_t *list = list_classes(t->dataset);
    const gboolean known = t->settings.classes != NULL;
    const gboolean same = known && json_equal(list, t->settings.classes);

    if (!known) {
        t->settings.classes = list;
        *changed = TRUE;
        return TRUE;
    }
    json_decref(list);
    if (!same)
        g_set_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                    "%s: has other classes or other numbers of pictures than %s lists; expected "
                    "the same pictures, or a new training --from %s",
                    tool_settings_text(&t->settings, "data"), t->folder.settings, t->folder.model);
    return same;
}

static gboolean read_pictures(ToolTrain *t, gboolean *changed, GError **error)
{
    DimTask reading = {0}, scaling = {0};
    DimCropParams crops;

    tool_progress_task(t->progress, "reading", &reading);
    t->dataset = dim_dataset_new();
    keep_classes(t);
    tool_settings_crops(&t->settings, &crops);
    gboolean good = (tool_settings_text(&t->settings, "add-class")
                         ? tool_train_class_read(t, &crops, &reading, error)
                         : read_into(t, &reading, error) &&
                               (t->settings.classes || !tool_settings_text(&t->settings, "from") ||
                                order_classes(t, &reading, error))) &&
                    check_classes(t, changed, error);
    if (good) {
        tool_progress_task(t->progress, "scaling", &scaling);
        good = dim_dataset_prepare(t->dataset, &crops, &scaling, error);
    }
    tool_progress_task(t->progress, NULL, NULL);
    return good;
}

/* ---- beginning and going on ---- */

static gboolean make_model(ToolTrain *t, gboolean changed, GError **error)
{
    DimTask fitting = {0};
    double psnr;

    if (!tool_train_leads(t))
        return TRUE;
    if (tool_settings_text(&t->settings, "add-class"))
        return tool_train_class_make(t, error) &&
               (!changed || tool_settings_save(&t->settings, t->folder.settings, error));
    tool_progress_task(t->progress, "fitting", &fitting);
    const gboolean made =
        tool_train_make_model(t->folder.model, &t->settings, t->dataset, &psnr, &fitting, error);
    tool_progress_task(t->progress, NULL, NULL);
    if (made && !isnan(psnr))
        tool_train_say(t, "autoencoder: linear, fitted; %.1f dB on test crops", psnr);
    return made && (!changed || tool_settings_save(&t->settings, t->folder.settings, error));
}

/* The trainer stands where the last checkpoint does; then other steps can be aimed at. */
static gboolean open_trainer(ToolTrain *t, GError **error)
{
    /* Processes of one machine share its cores: one thread each where nobody says more. */
    const int threads = t->common.n_threads == 0 && t->peers.peers.n > 1 ? 1 : t->common.n_threads;
    DimTrainParams params;

    t->device = tool_open_device(t->common.device, t->common.device != NULL, threads, error);
    if (!t->device)
        return FALSE;
    tool_settings_params(&t->settings, &params);
    if (t->steps_asked > 0)
        params.steps = t->steps_asked;
    t->trainer = dim_trainer_new(t->device, t->folder.model, t->folder.checkpoint, &params,
                                 t->dataset, &t->peers.peers, error);
    if (!t->trainer ||
        (tool_settings_text(&t->settings, "add-class") && !tool_train_class_open(t, error)))
        return FALSE;
    const gint64 at = dim_trainer_at(t->trainer);
    if (params.steps == tool_settings_whole(&t->settings, "steps"))
        return TRUE;
    return tool_settings_extend(&t->settings, params.steps, at, error) &&
           (!tool_train_leads(t) || tool_settings_save(&t->settings, t->folder.settings, error));
}

static gboolean open_log(ToolTrain *t, GError **error)
{
    if (!tool_train_leads(t))
        return TRUE;
    t->log = tool_train_log_open(t->folder.log, dim_trainer_at(t->trainer), error);
    return t->log != NULL;
}

static gboolean prepare(ToolTrain *t, const Options *o, GError **error)
{
    gboolean changed = FALSE;

    if (!tool_peers_join(&t->peers, error))
        return FALSE;
    if (t->peers.peers.n > 1 && (o->run || json_object_get(o->given, "add-class"))) {
        g_set_error_literal(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                            "--add-class: expected one process");
        return FALSE;
    }
    if (t->quiet || !tool_train_leads(t))
        tool_progress_hide(t->progress);
    if (!open_folder(t, o, &changed, error) || !read_pictures(t, &changed, error) ||
        !make_model(t, changed, error))
        return FALSE;
    tool_peers_any(&t->peers, FALSE);
    return open_trainer(t, error) && open_log(t, error);
}

static void say_beginning(ToolTrain *t)
{
    tool_train_say(t,
                   "%s: %.2f million parameters, %d pictures of %d classes, %" G_GINT64_FORMAT
                   " of %" G_GINT64_FORMAT " steps of %" G_GINT64_FORMAT " samples done",
                   t->folder.folder, (double)dim_trainer_parameters(t->trainer) * 1e-6,
                   dim_dataset_n_images(t->dataset, -1, FALSE), dim_dataset_n_classes(t->dataset),
                   dim_trainer_at(t->trainer), tool_settings_whole(&t->settings, "steps"),
                   tool_settings_whole(&t->settings, "batch"));
}

static void train_clear(ToolTrain *t)
{
    tool_progress_end(&t->progress);
    tool_train_log_close(&t->log);
    dim_trainer_free(&t->trainer);
    dim_replay_free(&t->replay);
    dim_model_close(&t->teacher);
    dim_device_close(&t->device);
    dim_dataset_free(&t->dataset);
    tool_train_folder_close(&t->folder);
    tool_settings_clear(&t->settings);
}

static int run_train(ToolTrain *t, const Options *o)
{
    GError *error = NULL;
    gboolean stopped = FALSE, good = FALSE;

    t->began = g_get_monotonic_time();
    t->progress = tool_progress_begin();
    if (prepare(t, o, &error)) {
        say_beginning(t);
        good = tool_train_loop(t, &stopped, &error) &&
               (stopped || tool_train_class_install(t, &error));
    }
    if (good && stopped)
        tool_train_say(t, "%s: stopped; `dim train --output %s` goes on", t->folder.folder,
                       t->folder.folder);
    else if (good) {
        const ToolTrainRow row = {.step = dim_trainer_at(t->trainer)};
        tool_train_status(t, "done", &row, row.step, 0, NAN, NULL);
        tool_train_say(t, "%s: done; the model is %s", t->folder.folder,
                       t->replay ? tool_settings_text(&t->settings, "install") : t->folder.model);
    }
    if (g_error_matches(error, DIM_ERROR, DIM_ERROR_CANCELLED)) {
        g_clear_error(&error);
        g_set_error(&error, DIM_ERROR, DIM_ERROR_CANCELLED, "%s: cancelled before the first step",
                    o->output);
    }
    if (error)
        tool_train_status(t, "failed", NULL, 0, 0, NAN, error->message);
    /* Only where all processes are here; else mpirun ends those that wait for this one. */
    if (good)
        tool_peers_leave(&t->peers);
    train_clear(t);
    return good ? TOOL_DONE : tool_failed(error);
}

/* ---- options ---- */

static gboolean read_minutes(const Options *o, ToolTrain *t)
{
    char *end = NULL;

    t->stop_after = o->stop_after ? g_ascii_strtod(o->stop_after, &end) : 0;
    if (!o->stop_after ||
        (end != o->stop_after && !*end && t->stop_after > 0 && t->stop_after < 1e9))
        return TRUE;
    tool_usage("--stop-after %s: expected a number of minutes above 0", o->stop_after);
    return FALSE;
}

/* FALSE after a usage mistake. */
static gboolean check_options(Options *o, ToolTrain *t)
{
    if (json_object_get(o->given, "add-class") || o->run) {
        if (!tool_train_class_options(o->given, &t->common.model, o->images, o->run, &o->output))
            return FALSE;
    } else if (o->images) {
        tool_usage("--images %s: expected --add-class with it", o->images);
        return FALSE;
    }
    if (!o->output || !*o->output)
        tool_usage("train: expected --output with the folder of the training");
    else if (t->common.model)
        tool_usage("--model %s: expected --from with the model to go on from, or --output with a "
                   "training's folder",
                   t->common.model);
    else if (o->samples && json_object_get(o->given, "steps"))
        tool_usage("--samples %s: expected that or --steps", o->samples);
    else
        return read_minutes(o, t);
    return FALSE;
}

static int run_options(Options *o, ToolTrain *t)
{
    GError *error = NULL;

    if (!(o->given = tool_settings_parse(o->words)) || !check_options(o, t))
        return TOOL_USAGE;
    if (t->common.precision != DIM_PRECISION_AUTO && /* which in training is f32 */
        !tool_settings_give(o->given, "precision", t->common.precision_name))
        return TOOL_USAGE;
    if (o->config_file &&
        !(o->config = tool_json_load(o->config_file, "a backbone's configuration", &error)))
        return tool_failed(error);
    return run_train(t, o);
}

int tool_train(int argc, char **argv)
{
    const int n = tool_settings_count();
    g_autofree char **words = g_new0(char *, n + 1);
    g_autofree GOptionEntry *entries = g_new0(GOptionEntry, n + 8);
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    Options o = {.words = words};
    ToolTrain t = {.folder = {.lock = -1}};
    const GOptionEntry more[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output,
         "Folder of the training, new or to go on with", "RUN"},
        {"config", 0, 0, G_OPTION_ARG_FILENAME, &o.config_file,
         "The backbone's configuration, as in model.json", "FILE"},
        {"samples", 0, 0, G_OPTION_ARG_FILENAME, &o.samples,
         "Steps in samples (500000, where --steps is not given)", "N"},
        {"stop-after", 0, 0, G_OPTION_ARG_FILENAME, &o.stop_after,
         "Stop then, to go on another time", "MINUTES"},
        {"images", 0, 0, G_OPTION_ARG_FILENAME, &o.images,
         "With --add-class: a folder with pictures of it", "DIR"},
        {"run", 0, 0, G_OPTION_ARG_FILENAME, &o.run, "With --add-class: the folder of the training",
         "RUN"},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &t.quiet, "No words but errors", NULL},
    };

    memcpy(entries, more, sizeof more);
    tool_settings_entries(entries + G_N_ELEMENTS(more), words, texts);
    const int status =
        tool_parse(&argc, &argv, entries, NULL, 0, &t.common) ? run_options(&o, &t) : TOOL_USAGE;
    json_decref(o.given);
    json_decref(o.config);
    for (int i = 0; i < n; i++) /* any of them may be missing */
        g_clear_pointer(&words[i], g_free);
    char *others[] = {o.config_file, o.output, o.samples, o.stop_after, o.images, o.run};
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        g_free(others[i]);
    tool_common_clear(&t.common);
    return status;
}
