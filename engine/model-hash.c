/* Which files a model is made of, and their sha256: two folders with the same hash make the same
 * pictures.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "file.h"
#include "model.h"
#include "task.h"

enum { CHUNK = 1 << 20 };

char **dim_model_files(const char *folder, GError **error)
{
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    DimModelInfo *info = (DimModelInfo *)spec;

    if (!spec)
        return NULL;
    const char *const named[] = {spec->net_weights, spec->encoder_weights, spec->decoder_weights,
                                 spec->classes_file, spec->synonyms_file};
    char **files = g_new0(char *, G_N_ELEMENTS(named) + 1);
    for (gsize i = 0, n = 0; i < G_N_ELEMENTS(named); i++)
        if (named[i] && !g_strv_contains((const char *const *)files, named[i]))
            files[n++] = g_strdup(named[i]);
    dim_model_info_free(&info);
    return files;
}

static gboolean add_file(GChecksum *sum, const char *path, const char *origin, DimTask *task,
                         GError **error)
{
    DimFile file = {0};

    if (!dim_file_map(&file, path, origin, error))
        return FALSE;
    gboolean go_on = TRUE;
    for (gsize at = 0; at < file.size && go_on; at += CHUNK) {
        const gsize n = MIN(CHUNK, file.size - at);
        g_checksum_update(sum, file.data + at, (gssize)n);
        /* As when weights are read: the file shall not count as our memory. */
        madvise((void *)(file.data + at), n, MADV_DONTNEED);
        go_on = dim_task_go_on(task, error);
    }
    dim_file_unmap(&file);
    return go_on;
}

char *dim_model_file_hash(const char *folder, const char *path, DimTask *task, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *origin = g_build_filename(folder, path, NULL);
    g_autofree char *resolved = dim_model_resolve(folder, path, error);

    if (!resolved || !add_file(sum, resolved, origin, task, error))
        return NULL;
    return g_strdup(g_checksum_get_string(sum));
}

char *dim_model_hash(const char *folder, DimTask *task, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *json = g_build_filename(folder, "model.json", NULL);
    g_auto(GStrv) files = dim_model_files(folder, error);

    if (!files || !add_file(sum, json, json, task, error))
        return NULL;
    for (int i = 0; files[i]; i++) {
        g_autofree char *hash = dim_model_file_hash(folder, files[i], task, error);
        if (!hash)
            return NULL;
        g_autofree char *line = g_strdup_printf("%s  %s\n", hash, files[i]);
        g_checksum_update(sum, (const guchar *)line, -1);
    }
    return g_strdup(g_checksum_get_string(sum));
}
