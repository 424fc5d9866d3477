/* `dim train --add-class`: a model learns a class more, and keeps the others by replaying them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * RUN/teacher is the model as it was, RUN/replay.safetensors latents that it made of its classes,
 * RUN/model the model that learns. When that has learnt it is copied to where people want it. */
#include "train-class.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "json-file.h"
#include "train-data.h"
#include "train-model.h"

enum { REPLAY_EACH = 5, NAME_MAX_BYTES = 80, CROPS_MIN = 4 };

/* ---- options --------------------------------------------------------------------------------- */

static void give_path(json_t *given, const char *name, const char *path)
{
    g_autofree char *whole = g_canonicalize_filename(path, NULL);

    json_object_set_new(given, name, json_string(whole));
}

gboolean tool_train_class_options(json_t *given, char **model, const char *images, const char *run,
                                  char **output)
{
    const char *class_name = json_string_value(json_object_get(given, "add-class"));
    g_autoptr(GError) error = NULL;

    if (!class_name && !json_object_get(given, "data") && !images) { /* goes on */
        g_free(*output);
        *output = g_strdup(run);
        return TRUE;
    }
    if (!class_name || !images) {
        tool_usage("train: expected --add-class with the name of the class, and --images with its "
                   "pictures");
        return FALSE;
    }
    g_autofree char *from = dim_model_find(*model ? *model : "", &error);
    if (!from) {
        tool_usage("--model %s", error->message);
        return FALSE;
    }
    g_autofree char *name = dim_training_name(from, class_name);
    const char *data = g_get_user_data_dir();
    g_autofree char *target =
        *output ? g_strdup(*output) : g_build_filename(data, "gimp-dim", "models", name, NULL);
    g_autofree char *own = g_path_get_basename(target);
    give_path(given, "data", images);
    give_path(given, "from", from);
    give_path(given, "install", target);
    g_free(*output);
    *output = run ? g_strdup(run) : g_build_filename(data, "gimp-dim", "training", own, NULL);
    if (!run) {
        g_autofree char *parent = g_path_get_dirname(*output);
        g_mkdir_with_parents(parent, 0777); /* what fails is told when the folder is made */
    }
    g_clear_pointer(model, g_free);
    return TRUE;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static gboolean check_name(const DimModelInfo *info, const char *name, GError **error)
{
    g_autofree char *clean = dim_text_clean(name), *folded = g_utf8_casefold(name, -1);

    if (!*name || strlen(name) > NAME_MAX_BYTES || strcmp(clean, name) || g_ascii_isspace(*name) ||
        strspn(name, "0123456789") == strlen(name))
        return tool_refuse(
            error, DIM_ERROR_ARGUMENT,
            "--add-class \"%.80s\": expected a name of 1 to %d bytes, not only figures", clean,
            NAME_MAX_BYTES);
    for (int i = 0; i < info->n_classes; i++) {
        g_autofree char *other = g_utf8_casefold(info->classes[i], -1);
        if (!strcmp(folded, other))
            return tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "--add-class %s: %s has a class of that name; expected a new one",
                               name, info->folder);
    }
    return TRUE;
}

static gboolean check_model(const DimModelInfo *info, GError **error)
{
    if (!info->backbone.family || strcmp(info->backbone.family, "dim"))
        return tool_refuse(error, DIM_ERROR_UNSUPPORTED,
                           "%s: its backbone is not of the family dim; expected one that is",
                           info->folder);
    if (!info->autoencoder.family || !info->prediction || info->native_size < 1)
        return tool_refuse(
            error, DIM_ERROR_FORMAT,
            "%s: model.json names no autoencoder, prediction or native_size; expected "
            "all of them",
            info->folder);
    if (info->n_classes != info->n_labels || info->n_labels < 1 ||
        (info->unconditional_class >= 0 && info->unconditional_class != info->n_labels))
        return tool_refuse(
            error, DIM_ERROR_UNSUPPORTED,
            "%s: names %d of its %d classes; expected all, and \"no class\" behind them",
            info->folder, info->n_classes, info->n_labels);
    return TRUE;
}

/* The folder above it is made, and takes another one. */
static gboolean check_target(const char *target, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(target);

    if (g_file_test(target, G_FILE_TEST_EXISTS))
        return tool_refuse(error, DIM_ERROR_FILE,
                           "%s: is there already; expected --output with a new folder", target);
    if (g_mkdir_with_parents(parent, 0777) < 0 || access(parent, W_OK | X_OK) < 0)
        return tool_refuse(error, DIM_ERROR_FILE, "%s: cannot be written: %s", parent,
                           g_strerror(errno));
    return TRUE;
}

static void set_initial(ToolTrain *t, const json_t *given, const char *name, json_t *value)
{
    if (!json_object_get(given, name))
        json_object_set(t->settings.values, name, value);
    json_decref(value);
}

/* For some hundred to some thousand steps from a model that is trained, not tuned yet: a rate
 * below that of a beginning, no decay of what was learnt. */
static void set_defaults(ToolTrain *t, const json_t *given)
{
    set_initial(t, given, "rate", json_real(5e-4));
    set_initial(t, given, "decay", json_real(0));
    set_initial(t, given, "warmup", json_integer(20));
    set_initial(t, given, "average", json_real(0.99));
    set_initial(t, given, "replay", json_real(0.5));
    set_initial(t, given, "minutes", json_real(25));
    if (t->steps_asked < 1)
        set_initial(t, given, "steps", json_integer(TOOL_STEPS_OPEN));
}

static void set_texts(ToolTrain *t, const json_t *given, const DimModelInfo *info)
{
    const char *name = tool_settings_text(&t->settings, "add-class");
    g_autofree char *title = g_strdup_printf("%s + %s", info->name, name);
    g_autofree char *source =
        g_strdup_printf("%s%sthe class \"%s\" from pictures of its own",
                        info->source ? info->source : "", info->source ? "; " : "", name);

    set_initial(t, given, "name", json_string(title));
    set_initial(t, given, "source", json_string(source));
    const char *pictures = tool_settings_text(&t->settings, "images-license");
    if (info->license || pictures) {
        g_autofree char *license =
            g_strdup_printf("%s; of \"%s\": %s", info->license ? info->license : "not stated", name,
                            pictures ? pictures : "that of its pictures");
        set_initial(t, given, "license", json_string(license));
    }
}

gboolean tool_train_class_adopt(ToolTrain *t, const json_t *given, GError **error)
{
    static const char *const fixed[] = {"size",     "autoencoder", "prediction",
                                        "schedule", "label-drop",  "config"};
    const char *name = tool_settings_text(&t->settings, "add-class");
    DimModelInfo *info = dim_model_info_read(tool_settings_text(&t->settings, "from"), error);
    gboolean good = info && check_model(info, error) && check_name(info, name, error) &&
                    check_target(tool_settings_text(&t->settings, "install"), error);

    for (gsize i = 0; good && i < G_N_ELEMENTS(fixed); i++)
        if (json_object_get(given, fixed[i]))
            good = tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "--%s: is the model's; expected --add-class without it", fixed[i]);
    json_t *model = good ? tool_train_load_model(info->folder, error) : NULL;
    if (model) {
        json_t *config = json_object_get(json_object_get(model, "backbone"), "config");
        json_decref(t->settings.backbone);
        t->settings.backbone = json_deep_copy(config);
        json_object_set_new(t->settings.values, "size", json_integer(info->native_size));
        json_object_set_new(t->settings.values, "label-drop",
                            json_real(info->unconditional_class < 0 ? 0 : 0.1));
        set_defaults(t, given);
        set_texts(t, given, info);
    }
    json_decref(model);
    dim_model_info_free(&info);
    return good && model;
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* The model's classes first, so that labels are kept; a training that goes on has them already. */
static gboolean add_classes(ToolTrain *t, GError **error)
{
    if (t->settings.classes)
        return TRUE;
    DimModelInfo *info = dim_model_info_read(tool_settings_text(&t->settings, "from"), error);
    if (!info)
        return FALSE;
    for (int i = 0; i < info->n_classes; i++)
        dim_dataset_add_class(t->dataset, info->classes[i]);
    dim_model_info_free(&info);
    return TRUE;
}

gboolean tool_train_class_read(ToolTrain *t, DimCropParams *crops, DimTask *task, GError **error)
{
    const int size = crops->size, n = crops->n_scales;
    int side = 0;

    tool_train_status(t, "reading", NULL, 0, 0, NAN, NULL);
    if (!add_classes(t, error) ||
        !tool_dataset_read_class(t->dataset, tool_settings_text(&t->settings, "data"),
                                 tool_settings_text(&t->settings, "add-class"), size / 2,
                                 (gint64)CROPS_MIN * size * size, &side, task, error))
        return FALSE;
    /* Pictures are not enlarged for the sake of scales: the class would learn to be blurred. */
    int least = crops->scales[0];
    crops->n_scales = 0;
    for (int i = 0; i < n; i++) {
        least = MIN(least, crops->scales[i]);
        if (crops->scales[i] <= side)
            crops->scales[crops->n_scales++] = crops->scales[i];
    }
    if (crops->n_scales == 0)
        crops->scales[crops->n_scales++] = least;
    return TRUE;
}

/* ---- folders --------------------------------------------------------------------------------- */

static gboolean make_folder(const char *folder, GError **error)
{
    return g_mkdir(folder, 0777) == 0 || g_file_test(folder, G_FILE_TEST_IS_DIR) ||
           tool_refuse(error, DIM_ERROR_FILE, "%s: cannot be made: %s", folder, g_strerror(errno));
}

/* What the pictures' makers asked for goes with the model. */
static gboolean copy_credits(const char *from, const char *to, GError **error)
{
    static const char *const names[] = {"CREDITS.txt", "CREDITS", "COPYING", "LICENSE",
                                        "LICENSE.txt"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *source = g_build_filename(from, names[i], NULL);
        g_autofree char *target = g_build_filename(to, names[i], NULL);
        if (g_file_test(source, G_FILE_TEST_IS_REGULAR) && !tool_copy_file(source, target, error))
            return FALSE;
    }
    return TRUE;
}

/* The data card says what the new class was learnt from. */
static gboolean add_credits(const ToolTrain *t, const char *folder, GError **error)
{
    const char *license = tool_settings_text(&t->settings, "images-license");
    g_autofree char *file = g_build_filename(folder, "CREDITS.txt", NULL), *before = NULL;
    gsize length = 0;

    g_file_get_contents(file, &before, &length, NULL); /* else this is its first line */
    DimOutput *output = dim_output_open(file, error);
    if (!output)
        return FALSE;
    fwrite(before ? before : "", 1, length, dim_output_stream(output));
    fprintf(dim_output_stream(output), "%sThe class \"%s\" from pictures of its own: %s.\n",
            length > 0 && before[length - 1] != '\n' ? "\n" : "",
            tool_settings_text(&t->settings, "add-class"),
            license ? license : "as the pictures' owner says");
    return dim_output_commit(&output, error);
}

/* The names in model.json itself: files beside the original stay there. */
static void put_names(json_t *model, const DimModelInfo *info)
{
    json_t *classes = json_array(), *synonyms = json_array();

    for (int i = 0; i < info->n_classes; i++) {
        const char *more = info->synonyms ? info->synonyms[i] : NULL;
        json_array_append_new(classes, json_string(info->classes[i]));
        json_array_append_new(synonyms, json_string(more ? more : ""));
    }
    json_object_set_new(model, "classes", classes);
    if (info->synonyms)
        json_object_set(model, "synonyms", synonyms);
    else
        json_object_del(model, "synonyms");
    json_decref(synonyms);
}

/* model.json with another class. */
static void describe(json_t *model, const DimModelInfo *info, const char *name)
{
    json_t *config = json_object_get(json_object_get(model, "backbone"), "config");

    json_object_set_new(config, "num_classes", json_integer(info->n_labels + 1));
    json_array_append_new(json_object_get(model, "classes"), json_string(name));
    if (info->unconditional_class >= 0)
        json_object_set_new(model, "unconditional_class", json_integer(info->n_labels + 1));
}

/* The weights as they are, or for a class more, behind those that are there. */
static gboolean copy_weights(const DimModelInfo *info, const char *file, gboolean more,
                             GError **error)
{
    const int n = (int)info->n_labels;
    g_autofree int *labels = more ? g_new(int, n + 1) : NULL;

    for (int i = 0; more && i <= n; i++)
        labels[i] = i < n ? i : -1;
    return dim_train_copy_weights(info->folder, n + 1, labels, file, error);
}

/* A copy of the model in `folder`, as it is or with a class more. model.json comes last. */
static gboolean make_copy(const ToolTrain *t, const char *folder, gboolean more, GError **error)
{
    const char *from = tool_settings_text(&t->settings, "from");
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);
    g_autofree char *weights = g_build_filename(folder, TOOL_TRAIN_WEIGHTS, NULL);

    if (g_file_test(file, G_FILE_TEST_EXISTS))
        return TRUE;
    DimModelInfo *info = dim_model_info_read(from, error);
    json_t *model = info ? tool_train_load_model(from, error) : NULL;
    json_t *autoencoder = model && make_folder(folder, error)
                              ? tool_train_copy_autoencoder(from, folder, error)
                              : NULL;
    gboolean good = autoencoder && copy_weights(info, weights, more, error);
    if (good) {
        json_object_set(model, "autoencoder", autoencoder);
        json_object_set_new(json_object_get(model, "backbone"), "weights",
                            json_string(TOOL_TRAIN_WEIGHTS));
        put_names(model, info);
        if (more)
            describe(model, info, tool_settings_text(&t->settings, "add-class"));
        good = copy_credits(from, folder, error) && (!more || add_credits(t, folder, error)) &&
               tool_json_save(model, file, error);
    }
    json_decref(autoencoder);
    json_decref(model);
    dim_model_info_free(&info);
    return good;
}

gboolean tool_train_class_make(ToolTrain *t, GError **error)
{
    return make_copy(t, t->folder.teacher, FALSE, error) &&
           make_copy(t, t->folder.model, TRUE, error) &&
           tool_train_update_texts(t->folder.model, &t->settings, error);
}

/* ---- the teacher ----------------------------------------------------------------------------- */

gboolean tool_train_class_open(ToolTrain *t, GError **error)
{
    const double share = tool_settings_real(&t->settings, "replay");
    const gint64 batch = tool_settings_whole(&t->settings, "batch");
    DimTask sampling = {0};

    t->teacher =
        dim_model_open(t->device, t->folder.teacher, DIM_PARTS_BACKBONE | DIM_PARTS_DECODER,
                       DIM_PRECISION_F32, NULL, error);
    if (!t->teacher)
        return FALSE;
    if (!g_file_test(t->folder.replay, G_FILE_TEST_EXISTS)) {
        tool_train_status(t, "sampling", NULL, 0, 0, NAN, NULL);
        tool_progress_task(t->progress, "sampling", &sampling);
        const gboolean made =
            dim_replay_make(t->teacher, REPLAY_EACH, tool_settings_whole(&t->settings, "seed"),
                            t->folder.replay, &sampling, error);
        tool_progress_task(t->progress, NULL, NULL);
        if (!made)
            return FALSE;
    }
    t->replay = dim_replay_open(t->teacher, t->folder.replay, error);
    return t->replay &&
           dim_trainer_set_replay(t->trainer, t->replay, (int)lround(share * (double)batch), error);
}

/* ---- the end --------------------------------------------------------------------------------- */

static gboolean copy_folder(const char *from, const char *to, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *source = g_build_filename(from, name, NULL);
        g_autofree char *target = g_build_filename(to, name, NULL);
        if (!tool_copy_file(source, target, error))
            return FALSE;
    }
    return TRUE;
}

/* Whether what is there came from this training: then it is brought up to date. */
static gboolean is_ours(const ToolTrain *t, const char *target)
{
    g_autofree char *here = g_build_filename(t->folder.model, "model.json", NULL);
    g_autofree char *there = g_build_filename(target, "model.json", NULL);
    g_autofree char *a = NULL, *b = NULL;

    return g_file_get_contents(here, &a, NULL, NULL) &&
           g_file_get_contents(there, &b, NULL, NULL) && !strcmp(a, b);
}

static void remove_copy(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(folder, name, NULL);
        g_unlink(file);
    }
    g_rmdir(folder);
}

/* Under another name until it is whole: a model list never shows half of it. */
static gboolean copy_new(const ToolTrain *t, const char *target, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(target);
    g_autofree char *passing = g_build_filename(parent, ".dim-XXXXXX", NULL);

    if (!g_mkdtemp_full(passing, 0755))
        return tool_refuse(error, DIM_ERROR_FILE, "%s: cannot be written: %s", parent,
                           g_strerror(errno));
    gboolean good = copy_folder(t->folder.model, passing, error);
    if (good && g_rename(passing, target) < 0)
        good =
            tool_refuse(error, DIM_ERROR_FILE, "%s: cannot be made: %s", target, g_strerror(errno));
    if (!good)
        remove_copy(passing);
    return good;
}

gboolean tool_train_class_install(ToolTrain *t, GError **error)
{
    const char *target = tool_settings_text(&t->settings, "install");

    if (!t->replay || !target)
        return TRUE;
    if (!g_file_test(target, G_FILE_TEST_EXISTS))
        return copy_new(t, target, error);
    if (is_ours(t, target))
        return copy_folder(t->folder.model, target, error);
    return tool_refuse(error, DIM_ERROR_FILE,
                       "%s: is there already; `dim train --output %s --install DIR` puts the model "
                       "elsewhere",
                       target, t->folder.folder);
}

/* ---- for other programs ---------------------------------------------------------------------- */

void tool_train_status(ToolTrain *t, const char *state, const ToolTrainRow *row, gint64 steps,
                       double seconds_left, double loss, const char *message)
{
    const char *name = t->settings.values ? tool_settings_text(&t->settings, "add-class") : NULL;
    const gint64 at = row ? row->step : 0;

    if (!name || !t->folder.status || t->folder.lock < 0)
        return;
    const gboolean known = steps > 0 && steps < TOOL_STEPS_OPEN;
    json_t *root = json_pack("{s:s, s:s, s:I, s:f, s:I}", "state", state, "class", name, "step",
                             (json_int_t)at, "fraction", known ? (double)at / (double)steps : 0.0,
                             "pid", (json_int_t)getpid());
    if (known) {
        json_object_set_new(root, "steps", json_integer(steps));
        json_object_set_new(root, "seconds_left",
                            json_integer((gint64)CLAMP(seconds_left, 0, 1e9)));
    }
    if (!isnan(loss))
        json_object_set_new(root, "loss", json_real(loss));
    if (tool_settings_text(&t->settings, "install"))
        json_object_set_new(root, "model",
                            json_string(tool_settings_text(&t->settings, "install")));
    if (message)
        json_object_set_new(root, "message", json_string(message));
    g_autoptr(GError) fault = NULL; /* a full disk stops a training at its checkpoint, not here */
    tool_json_save(root, t->folder.status, &fault);
    json_decref(root);
}
