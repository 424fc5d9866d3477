/* Files in and out: mapped for reading, written whole or not at all.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "error.h"

static gboolean fail_errno(GError **error, const char *origin, const char *what)
{
    return dim_fail(error, DIM_ERROR_FILE, origin, "%s: %s", what, g_strerror(errno));
}

static gboolean check_regular(const struct stat *st, const char *origin, GError **error)
{
    const char *kind = S_ISDIR(st->st_mode)    ? "a folder"
                       : S_ISFIFO(st->st_mode) ? "a pipe"
                       : S_ISREG(st->st_mode)  ? NULL
                                               : "a device";
    if (kind)
        return dim_fail(error, DIM_ERROR_FILE, origin, "is %s; expected a file", kind);
    if (st->st_size <= 0)
        return dim_fail(error, DIM_ERROR_FORMAT, origin, "is empty");
    if ((guint64)st->st_size > G_MAXSIZE / 2)
        return dim_fail(error, DIM_ERROR_FILE, origin, "is too large to be mapped");
    return TRUE;
}

static gboolean map_open_file(DimFile *file, int fd, const char *origin, GError **error)
{
    struct stat before, after;

    if (fstat(fd, &before) < 0)
        return fail_errno(error, origin, "cannot be examined");
    if (!check_regular(&before, origin, error))
        return FALSE;
    gsize size = (gsize)before.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return fail_errno(error, origin, "cannot be mapped into memory");
    /* A mapping behind the end of its file raises SIGBUS. */
    if (fstat(fd, &after) < 0 || after.st_size != before.st_size) {
        munmap(data, size);
        return dim_fail(error, DIM_ERROR_FILE, origin, "changes while it is read");
    }
    file->data = data;
    file->size = size;
    return TRUE;
}

gboolean dim_file_map(DimFile *file, const char *path, const char *origin, GError **error)
{
    /* O_NONBLOCK: opening a pipe nobody writes to must not wait. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return fail_errno(error, origin, "cannot be opened");
    gboolean mapped = map_open_file(file, fd, origin, error);
    close(fd);
    return mapped;
}

void dim_file_unmap(DimFile *file)
{
    if (file->data)
        munmap((void *)file->data, file->size);
    file->data = NULL;
    file->size = 0;
}

struct DimOutput {
    char *target;    /* links resolved */
    char *temporary; /* beside it */
    char *origin;    /* as the caller spelt it */
    FILE *stream;
};

void dim_output_discard(DimOutput **output)
{
    DimOutput *o = *output;

    if (!o)
        return;
    *output = NULL;
    if (o->stream) {
        fclose(o->stream);
        g_unlink(o->temporary);
    }
    g_free(o->target);
    g_free(o->temporary);
    g_free(o->origin);
    g_free(o);
}

/* A link keeps pointing where it points; what it points to is replaced, and gives its mode. NULL: a
 * device or a folder, never to be replaced. */
static char *resolve_target(const char *file, mode_t *mode, GError **error)
{
    struct stat st;

    *mode = 0666;
    if (!*file) {
        dim_fail(error, DIM_ERROR_FILE, "output", "its name is empty; expected a file");
        return NULL;
    }
    if (stat(file, &st) < 0)
        return g_strdup(file);
    *mode = st.st_mode & 0777;
    if (!S_ISREG(st.st_mode)) {
        dim_fail(error, DIM_ERROR_FILE, file, "is not a regular file; it cannot be replaced");
        return NULL;
    }
    char *resolved = realpath(file, NULL);
    char *target = g_strdup(resolved ? resolved : file);
    free(resolved);
    return target;
}

gboolean dim_output_check(const char *file, GError **error)
{
    mode_t mode;
    g_autofree char *target = resolve_target(file, &mode, error);

    if (!target)
        return FALSE;
    g_autofree char *folder = g_path_get_dirname(target);
    return access(folder, W_OK | X_OK) == 0 || fail_errno(error, file, "cannot be written");
}

DimOutput *dim_output_open(const char *file, GError **error)
{
    mode_t mode;
    char *target = resolve_target(file, &mode, error);

    if (!target)
        return NULL;
    DimOutput *output = g_new0(DimOutput, 1);
    output->origin = g_strdup(file);
    output->target = target;
    g_autofree char *folder = g_path_get_dirname(target);
    output->temporary = g_build_filename(folder, ".dim-XXXXXX", NULL);
    int fd = g_mkstemp_full(output->temporary, O_RDWR | O_CLOEXEC, (int)mode);
    if (fd >= 0 && !(output->stream = fdopen(fd, "wb")))
        close(fd);
    if (!output->stream) {
        fail_errno(error, file, "cannot be written");
        dim_output_discard(&output);
    }
    return output;
}

FILE *dim_output_stream(DimOutput *output)
{
    return output->stream;
}

gboolean dim_output_commit(DimOutput **output, GError **error)
{
    DimOutput *o = *output;
    gboolean written =
        !ferror(o->stream) && fflush(o->stream) == 0 && fsync(fileno(o->stream)) == 0;

    if (written && g_rename(o->temporary, o->target) < 0)
        written = FALSE;
    if (!written)
        fail_errno(error, o->origin, "cannot be written");
    else {
        fclose(o->stream);
        o->stream = NULL;
    }
    dim_output_discard(output);
    return written;
}
