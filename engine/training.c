/* Trainings of a class more, seen from outside: what `dim train --add-class` says of itself in its
 * folder.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "error.h"
#include "json.h"
#include "model.h"
#include "net-dim.h"

enum { STATUS_BYTES_MAX = 1 << 16, LOG_TAIL_BYTES = 4096 };

/* In the order of DimTrainingState. */
static const char *const state_names[] = {"starting", "reading", "sampling", "training",
                                          "stopped",  "failed",  "done",     NULL};

char *dim_training_name(const char *model, const char *class_name)
{
    g_autofree char *id = g_path_get_basename(model);
    g_autofree char *name = g_strdup_printf("%s-%s", id, class_name);

    return dim_model_id(name);
}

char *dim_training_root(void)
{
    return g_build_filename(g_get_user_data_dir(), "gimp-dim", "training", NULL);
}

/* ---- who is at work -------------------------------------------------------------------------- */

/* A process number may be another program's by now: only one that has the folder, or a file in it,
 * open is at work there. One that has ended and waits for its parent has nothing open. */
static gboolean is_at_work(gint64 pid, const char *folder)
{
    char whole[PATH_MAX];
    g_autofree char *table = g_strdup_printf("/proc/%" G_GINT64_FORMAT "/fd", pid);
    g_autoptr(GDir) dir = pid > 0 && realpath(folder, whole) ? g_dir_open(table, 0, NULL) : NULL;
    const gsize length = dir ? strlen(whole) : 0;
    gboolean found = FALSE;
    const char *name;

    while (dir && !found && (name = g_dir_read_name(dir))) {
        g_autofree char *link = g_build_filename(table, name, NULL);
        g_autofree char *target = g_file_read_link(link, NULL);
        found = target && !strncmp(target, whole, length) &&
                (target[length] == '\0' || target[length] == '/');
    }
    return found;
}

/* ---- reading --------------------------------------------------------------------------------- */

static gboolean get_text(const json_t *root, const char *key, char **text, const char *origin,
                         GError **error)
{
    const char *value = NULL;

    if (!dim_json_get_string(root, key, &value, origin, error))
        return FALSE;
    *text = g_strdup(value);
    return TRUE;
}

static gboolean read_status(DimTraining *t, const char *file, GError **error)
{
    gint64 pid = 0;
    int state = DIM_TRAINING_STARTING;
    json_t *root = dim_json_load(file, STATUS_BYTES_MAX, error);
    const gboolean good =
        root && dim_json_get_choice(root, "state", state_names, &state, file, error) &&
        get_text(root, "class", &t->class_name, file, error) &&
        get_text(root, "model", &t->model, file, error) &&
        get_text(root, "message", &t->message, file, error) &&
        dim_json_get_int(root, "step", 0, G_MAXINT64, &t->step, file, error) &&
        dim_json_get_int(root, "steps", 1, G_MAXINT64, &t->steps, file, error) &&
        dim_json_get_int(root, "seconds_left", 0, G_MAXINT64, &t->seconds_left, file, error) &&
        dim_json_get_double(root, "fraction", 0, 1, &t->fraction, file, error) &&
        dim_json_get_double(root, "loss", -1e300, 1e300, &t->loss, file, error) &&
        dim_json_get_int(root, "pid", 0, G_MAXINT, &pid, file, error);

    json_decref(root);
    t->pid = (int)pid;
    t->state = (DimTrainingState)state;
    if (t->state == DIM_TRAINING_DONE)
        t->fraction = 1;
    return good;
}

/* The last line of RUN/log: what a process that could not even begin has said. */
static char *last_words(const char *folder)
{
    g_autofree char *file = g_build_filename(folder, "log", NULL);
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(file, &text, &length, NULL) || !length)
        return NULL;
    g_strchomp(text);
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    if (g_str_has_prefix(line, "dim: "))
        line += strlen("dim: ");
    g_autofree char *some = g_strndup(line, LOG_TAIL_BYTES);
    return *line ? dim_text_clean(some) : NULL;
}

/* What a process has said of itself is not the last word where it is gone. */
static void settle(DimTraining *t)
{
    const gboolean at_work = is_at_work(t->pid, t->folder);

    if (at_work && t->state > DIM_TRAINING_TRAINING) /* it has yet to put its things away */
        t->state = DIM_TRAINING_ENDING;
    if (at_work || t->state == DIM_TRAINING_DONE)
        return;
    if (t->state <= DIM_TRAINING_TRAINING)
        t->state = t->can_resume ? DIM_TRAINING_STOPPED : DIM_TRAINING_FAILED;
    if (t->state == DIM_TRAINING_FAILED && !t->message)
        t->message = last_words(t->folder);
}

DimTraining *dim_training_read(const char *folder, GError **error)
{
    g_autofree char *status = g_build_filename(folder, "progress.json", NULL);
    g_autofree char *settings = g_build_filename(folder, "train.json", NULL);
    DimTraining *t = g_new0(DimTraining, 1);

    t->folder = g_canonicalize_filename(folder, NULL);
    t->loss = NAN;
    t->seconds_left = -1;
    t->can_resume = g_file_test(settings, G_FILE_TEST_IS_REGULAR);
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        dim_fail(error, DIM_ERROR_FILE, folder, "is no folder; expected one of a training");
        dim_training_free(&t);
    } else if (g_file_test(status, G_FILE_TEST_EXISTS) && !read_status(t, status, error))
        dim_training_free(&t);
    else
        settle(t);
    return t;
}

void dim_training_free(DimTraining **training)
{
    DimTraining *t = *training;

    if (!t)
        return;
    g_free(t->folder);
    g_free(t->class_name);
    g_free(t->model);
    g_free(t->message);
    g_clear_pointer(training, g_free);
}

typedef struct {
    char *folder;
    gint64 changed;
} Found;

static int compare_found(const void *a, const void *b)
{
    const Found *x = a, *y = b;

    return x->changed != y->changed ? (x->changed < y->changed ? 1 : -1)
                                    : strcmp(x->folder, y->folder);
}

char **dim_training_list(void)
{
    g_autofree char *root = dim_training_root();
    g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Found));
    GPtrArray *folders = g_ptr_array_new();
    const char *name;
    GStatBuf stat;

    while (dir && (name = g_dir_read_name(dir))) {
        Found one = {.folder = g_build_filename(root, name, NULL)};
        if (g_lstat(one.folder, &stat) < 0 || !S_ISDIR(stat.st_mode)) {
            g_free(one.folder);
            continue;
        }
        one.changed = stat.st_mtime;
        g_array_append_val(found, one);
    }
    g_array_sort(found, compare_found);
    for (guint i = 0; i < found->len; i++)
        g_ptr_array_add(folders, g_array_index(found, Found, i).folder);
    g_ptr_array_add(folders, NULL);
    return (char **)g_ptr_array_free(folders, FALSE);
}

/* ---- acting ---------------------------------------------------------------------------------- */

gboolean dim_training_announce(const DimTraining *training, GError **error)
{
    g_autofree char *file = g_build_filename(training->folder, "progress.json", NULL);
    json_t *root =
        json_pack("{s:s, s:s*, s:s*, s:I, s:f, s:i}", "state", state_names[DIM_TRAINING_STARTING],
                  "class", training->class_name, "model", training->model, "step",
                  (json_int_t)training->step, "fraction", training->fraction, "pid", training->pid);

    if (training->steps > 0)
        json_object_set_new(root, "steps", json_integer(training->steps));
    char *text = json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    DimOutput *output = dim_output_open(file, error);
    if (output)
        fprintf(dim_output_stream(output), "%s\n", text);
    free(text);
    return output && dim_output_commit(&output, error);
}

/* ---- who was told ---------------------------------------------------------------------------- */

gboolean dim_training_is_told(const char *folder)
{
    g_autofree char *status = g_build_filename(folder, "progress.json", NULL);
    g_autofree char *told = g_build_filename(folder, "told", NULL);
    GStatBuf said, heard;

    if (g_stat(status, &said) < 0)
        return TRUE; /* it has said nothing */
    return g_stat(told, &heard) == 0 && (heard.st_mtim.tv_sec != said.st_mtim.tv_sec
                                             ? heard.st_mtim.tv_sec > said.st_mtim.tv_sec
                                             : heard.st_mtim.tv_nsec >= said.st_mtim.tv_nsec);
}

void dim_training_set_told(const char *folder)
{
    g_autofree char *told = g_build_filename(folder, "told", NULL);

    if (!dim_training_is_told(folder))
        g_file_set_contents(told, "", 0, NULL);
}

/* ---- ending ---------------------------------------------------------------------------------- */

gboolean dim_training_stop(const char *folder, GError **error)
{
    DimTraining *t = dim_training_read(folder, error);
    const gboolean known = t != NULL;

    /* Nothing is at work: that is what was asked for. */
    if (t && t->state <= DIM_TRAINING_TRAINING && t->pid != getpid())
        kill(t->pid, SIGTERM);
    dim_training_free(&t);
    return known;
}

static gboolean remove_all(const char *path)
{
    GStatBuf stat;

    if (g_lstat(path, &stat) == 0 && S_ISDIR(stat.st_mode)) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;
        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree char *below = g_build_filename(path, name, NULL);
            if (!remove_all(below))
                return FALSE;
        }
    }
    return g_remove(path) == 0;
}

/* What is removed whole is a training's folder and nothing else. */
static gboolean is_training(const char *folder)
{
    static const char *const names[] = {"train.json", "progress.json", "log"};
    gboolean found = FALSE;

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *file = g_build_filename(folder, names[i], NULL);
        found = found || g_file_test(file, G_FILE_TEST_IS_REGULAR);
    }
    return found;
}

gboolean dim_training_remove(const char *folder, GError **error)
{
    if (!is_training(folder))
        return dim_fail(error, DIM_ERROR_ARGUMENT, folder,
                        "has no train.json; expected the folder of a training");
    const int lock = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    gboolean good = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;

    if (!good)
        dim_fail(error, DIM_ERROR_FILE, folder, "%s",
                 lock >= 0 && errno == EWOULDBLOCK ? "a training is at work there; expected one "
                                                     "that is stopped"
                                                   : g_strerror(errno));
    else if (!remove_all(folder))
        good = dim_fail(error, DIM_ERROR_FILE, folder, "cannot be removed: %s", g_strerror(errno));
    if (lock >= 0)
        close(lock);
    return good;
}

/* ---- what it takes --------------------------------------------------------------------------- */

/* On the disk, numbers of four bytes: the weights of teacher, model in training and finished model,
 * the checkpoint's weights, average and two moments. In memory, as measured: 48 bytes a parameter,
 * and what the backward pass needs of the forward one, 156 bytes a token, block and channel. */
enum { DISK_WEIGHTS = 28, DISK_AUTOENCODER = 12, MEMORY_WEIGHTS = 48, MEMORY_ACTIVATION = 156 };
enum { BATCH = 32, TOKENS_AT_ONCE = 2048, MEMORY_ELSE = 60000000 };

void dim_training_needs(const DimModelInfo *info, gint64 *disk, gint64 *memory)
{
    const DimModelSpec *spec = dim_model_spec_of(info);
    const gint64 factor = (gint64)MAX(1, info->backbone.factor * info->autoencoder.factor);
    const gint64 side = MAX(1, info->native_size / factor);
    const gint64 tokens = MIN(BATCH * side * side, MAX(side * side, TOKENS_AT_ONCE));

    *disk =
        info->backbone.parameters * DISK_WEIGHTS + info->autoencoder.parameters * DISK_AUTOENCODER;
    *memory = MEMORY_ELSE + info->backbone.parameters * MEMORY_WEIGHTS;
    if (spec->net && !g_strcmp0(info->backbone.family, "dim")) {
        const DimMambaConfig *config = spec->net_config;
        *memory += tokens * config->depth * config->width * MEMORY_ACTIVATION;
    }
}
