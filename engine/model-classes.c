/* Class names: out of model.json or a file of one name a line, and found again from what a person
 * types.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "error.h"
#include "file.h"
#include "json.h"
#include "model.h"
#include "text.h"

enum { MAX_CLASSES = 1 << 20, MAX_FILE = 64 << 20 };

static gboolean reserve(DimModelSpec *spec, gsize n, const char *origin, GError **error)
{
    if (n > MAX_CLASSES)
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "has %" G_GSIZE_FORMAT " class names; expected at most %d", n, MAX_CLASSES);
    spec->info.classes = g_try_new0(char *, n + 1);
    return spec->info.classes || dim_fail_memory(error, origin, n * sizeof(char *));
}

static gboolean read_list(DimModelSpec *spec, const json_t *list, const char *origin,
                          GError **error)
{
    const gsize n = json_array_size(list);

    if (!reserve(spec, n, origin, error))
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || !*name)
            return dim_fail(error, DIM_ERROR_FORMAT, origin,
                            "classes: entry %" G_GSIZE_FORMAT " is no name; expected a text", i);
        spec->info.classes[i] = g_strdup(name);
    }
    spec->info.n_classes = (int)n;
    return TRUE;
}

/* The lines of a text, without the empty ones at its end. */
static gboolean split_lines(DimModelSpec *spec, const char *text, gsize length, const char *origin,
                            GError **error)
{
    gsize n = 1;

    if (!dim_text_is_utf8(text, length) || memchr(text, 0, length))
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "is no UTF-8 text; expected one class name a line");
    while (length > 0 && strchr("\r\n", text[length - 1]))
        length--;
    for (gsize i = 0; i < length; i++)
        n += text[i] == '\n';
    if (!reserve(spec, n, origin, error))
        return FALSE;
    for (const char *line = text, *end = text + length; line <= end; spec->info.n_classes++) {
        const char *stop = memchr(line, '\n', (gsize)(end - line));
        gsize bytes = (gsize)((stop ? stop : end) - line);
        if (bytes > 0 && line[bytes - 1] == '\r')
            bytes--;
        if (bytes == 0)
            return dim_fail(error, DIM_ERROR_FORMAT, origin,
                            "line %d is empty; expected a class name", spec->info.n_classes + 1);
        spec->info.classes[spec->info.n_classes] = g_strndup(line, bytes);
        line += (gsize)((stop ? stop : end) - line) + 1;
    }
    return TRUE;
}

static gboolean read_file(DimModelSpec *spec, GError **error)
{
    g_autofree char *origin = g_build_filename(spec->info.folder, spec->classes_file, NULL);
    g_autofree char *path = dim_model_resolve(spec->info.folder, spec->classes_file, error);
    DimFile file = {0};
    gboolean good = FALSE;

    if (!path || !dim_file_map(&file, path, origin, error))
        return FALSE;
    if (file.size > MAX_FILE)
        dim_fail(error, DIM_ERROR_FORMAT, origin,
                 "has more than 64 MiB; expected one class name a line");
    else
        good = split_lines(spec, (const char *)file.data, file.size, origin, error);
    dim_file_unmap(&file);
    return good;
}

gboolean dim_model_spec_read_classes(DimModelSpec *spec, const json_t *root, const char *origin,
                                     GError **error)
{
    g_autofree char *inner = g_strdup_printf("%s: classes", origin);
    const json_t *classes = json_object_get(root, "classes");

    if (json_is_array(classes)) {
        if (!read_list(spec, classes, origin, error))
            return FALSE;
    } else if (classes) {
        if (!dim_json_get_object(root, "classes", &classes, origin, error) ||
            !dim_json_require(classes, "file", inner, error) ||
            !dim_model_spec_read_path(classes, "file", &spec->classes_file, inner, error) ||
            !read_file(spec, error))
            return FALSE;
    } else if (!reserve(spec, 0, origin, error))
        return FALSE;
    if (classes && spec->net && spec->info.n_classes != spec->info.n_labels)
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "classes has %d names; the backbone has %d labels", spec->info.n_classes,
                        spec->info.n_labels);
    return TRUE;
}

/* Exactly first, as names may differ in case alone. */
static int find_name(const DimModelInfo *info, const char *name)
{
    g_autofree char *folded = g_utf8_casefold(name, -1);

    for (int i = 0; i < info->n_classes; i++)
        if (!strcmp(info->classes[i], name))
            return i;
    for (int i = 0; i < info->n_classes; i++) {
        g_autofree char *other = g_utf8_casefold(info->classes[i], -1);
        if (!strcmp(other, folded))
            return i;
    }
    return -1;
}

static int fail_class(const DimModelInfo *info, const char *name, GError **error)
{
    g_autofree char *near = dim_text_suggest(name, (const char *const *)info->classes);
    const int last = info->n_labels - 1;

    if (info->n_labels == 0)
        dim_fail(error, DIM_ERROR_ARGUMENT, info->name,
                 "class " DIM_NAME ": the model has no classes", name);
    else if (info->n_classes == 0)
        dim_fail(error, DIM_ERROR_ARGUMENT, info->name,
                 "class " DIM_NAME ": expected a number from 0 to %d", name, last);
    else
        dim_fail(error, DIM_ERROR_ARGUMENT, info->name,
                 "no class " DIM_NAME "%s; expected one of %d names, or a number from 0 to %d",
                 name, near, info->n_classes, last);
    return -1;
}

int dim_model_info_find_class(const DimModelInfo *info, const char *name, GError **error)
{
    guint64 label;

    if (info->n_labels == 0 || !g_utf8_validate(name, -1, NULL))
        return fail_class(info, name, error);
    if (!*name)
        return 0;
    const int found = find_name(info, name);
    if (found >= 0)
        return found;
    if (!g_ascii_string_to_unsigned(name, 10, 0, (guint64)info->n_labels - 1, &label, NULL))
        return fail_class(info, name, error);
    return (int)label;
}
