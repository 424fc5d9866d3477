/* The folder of a training: whose it is, and who works in it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "train-model.h"

static gboolean fail(GError **error, const char *path, const char *what)
{
    g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: %s: %s", path, what, g_strerror(errno));
    return FALSE;
}

void tool_train_folder_name(ToolTrainFolder *folder, const char *path)
{
    const struct {
        char **at;
        const char *name;
    } names[] = {
        {&folder->settings, "train.json"},  {&folder->checkpoint, "checkpoint.safetensors"},
        {&folder->model, "model"},          {&folder->log, "loss.csv"},
        {&folder->plot, "loss.png"},        {&folder->sheet, "sheet.png"},
        {&folder->teacher, "teacher"},      {&folder->replay, "replay.safetensors"},
        {&folder->status, "progress.json"},
    };

    *folder = (ToolTrainFolder){.folder = g_strdup(path), .lock = -1};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        *names[i].at = g_build_filename(path, names[i].name, NULL);
    folder->weights = g_build_filename(folder->model, TOOL_TRAIN_WEIGHTS, NULL);
}

/* But for what a program that starts a training puts there: where its words go, what it says of
 * itself (under a passing name, too: it may be writing just now), whether that was told, and the
 * pictures. */
static gboolean is_empty(const char *path)
{
    static const char *const given[] = {"log", "progress.json", "told", "pictures", NULL};
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = dir ? g_dir_read_name(dir) : NULL;

    while (name && (g_strv_contains(given, name) || g_str_has_prefix(name, ".dim-")))
        name = g_dir_read_name(dir);
    return dir && !name;
}

/* The lock goes with the process, however that ends. */
static gboolean lock(ToolTrainFolder *folder, GError **error)
{
    folder->lock = open(folder->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->lock < 0)
        return fail(error, folder->folder, "cannot be opened");
    if (flock(folder->lock, LOCK_EX | LOCK_NB) == 0)
        return TRUE;
    if (errno != EWOULDBLOCK)
        return fail(error, folder->folder, "cannot be locked");
    g_set_error(error, DIM_ERROR, DIM_ERROR_FILE,
                "%s: another dim train is at work there; expected a folder of its own",
                folder->folder);
    return FALSE;
}

gboolean tool_train_folder_open(ToolTrainFolder *folder, const char *path, GError **error)
{
    tool_train_folder_name(folder, path);
    if (g_mkdir(path, 0777) == 0)
        folder->made = TRUE;
    else if (errno != EEXIST)
        return fail(error, path, "cannot be made");
    if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: is a file; expected a folder", path);
        return FALSE;
    }
    if (!lock(folder, error))
        return FALSE;
    folder->fresh = is_empty(path);
    if (access(path, W_OK | X_OK) < 0)
        return fail(error, path, "cannot be written");
    if (folder->fresh || g_file_test(folder->settings, G_FILE_TEST_EXISTS))
        return TRUE;
    g_set_error(error, DIM_ERROR, DIM_ERROR_FILE,
                "%s: has files, but no train.json; expected an empty folder, a new one, or one of "
                "dim train",
                path);
    return FALSE;
}

static void remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(folder, name, NULL);
        g_unlink(file);
    }
    g_rmdir(folder);
}

/* A folder that this call began and that has no checkpoint: what could not even start leaves
 * nothing. */
static void take_away(const ToolTrainFolder *folder)
{
    remove_folder(folder->model);
    remove_folder(folder->teacher);
    g_unlink(folder->replay);
    g_unlink(folder->status);
    g_unlink(folder->settings);
    g_unlink(folder->log);
    if (folder->made)
        g_rmdir(folder->folder);
}

void tool_train_folder_close(ToolTrainFolder *folder)
{
    if (!folder->folder)
        return;
    if (folder->fresh && folder->lock >= 0 && !g_file_test(folder->checkpoint, G_FILE_TEST_EXISTS))
        take_away(folder);
    if (folder->lock >= 0)
        close(folder->lock);
    char *texts[] = {folder->folder,  folder->settings, folder->checkpoint, folder->model,
                     folder->weights, folder->log,      folder->plot,       folder->sheet,
                     folder->teacher, folder->replay,   folder->status};
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    memset(folder, 0, sizeof *folder);
}
