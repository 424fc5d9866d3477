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

/* A text for each label: names, or synonyms, where a label may have none. */
typedef struct {
    const char *key;
    gboolean may_be_empty;
    char **texts; /* NULL-terminated */
    int n;
    char *file; /* NULL: none */
} Texts;

static void texts_clear(Texts *texts)
{
    g_strfreev(texts->texts);
    g_free(texts->file);
}

static gboolean reserve(Texts *texts, gsize n, const char *origin, GError **error)
{
    if (n > MAX_CLASSES)
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "%s: has %" G_GSIZE_FORMAT " entries; expected at most %d", texts->key, n,
                        MAX_CLASSES);
    texts->texts = g_try_new0(char *, n + 1);
    return texts->texts || dim_fail_memory(error, origin, n * sizeof(char *));
}

static gboolean read_list(Texts *texts, const json_t *list, const char *origin, GError **error)
{
    const gsize n = json_array_size(list);

    if (!reserve(texts, n, origin, error))
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || (!*text && !texts->may_be_empty))
            return dim_fail(error, DIM_ERROR_FORMAT, origin,
                            "%s: entry %" G_GSIZE_FORMAT " is no name; expected a text", texts->key,
                            i);
        texts->texts[i] = g_strdup(text);
    }
    texts->n = (int)n;
    return TRUE;
}

/* The lines of a text, without the empty ones at its end. */
static gboolean split_lines(Texts *texts, const char *text, gsize length, const char *origin,
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
    if (!reserve(texts, n, origin, error))
        return FALSE;
    for (const char *line = text, *end = text + length; line <= end; texts->n++) {
        const char *stop = memchr(line, '\n', (gsize)(end - line));
        gsize bytes = (gsize)((stop ? stop : end) - line);
        if (bytes > 0 && line[bytes - 1] == '\r')
            bytes--;
        if (bytes == 0 && !texts->may_be_empty)
            return dim_fail(error, DIM_ERROR_FORMAT, origin,
                            "line %d is empty; expected a class name", texts->n + 1);
        texts->texts[texts->n] = g_strndup(line, bytes);
        line += (gsize)((stop ? stop : end) - line) + 1;
    }
    return TRUE;
}

static gboolean read_file(Texts *texts, const char *folder, GError **error)
{
    g_autofree char *origin = g_build_filename(folder, texts->file, NULL);
    g_autofree char *path = dim_model_resolve(folder, texts->file, error);
    DimFile file = {0};
    gboolean good = FALSE;

    if (!path || !dim_file_map(&file, path, origin, error))
        return FALSE;
    if (file.size > MAX_FILE)
        dim_fail(error, DIM_ERROR_FORMAT, origin,
                 "has more than 64 MiB; expected one class name a line");
    else
        good = split_lines(texts, (const char *)file.data, file.size, origin, error);
    dim_file_unmap(&file);
    return good;
}

/* A list in model.json, or {"file": PATH} with one a line; texts stay NULL where the key is absent.
 */
static gboolean read_texts(Texts *texts, const char *folder, const json_t *root, const char *origin,
                           GError **error)
{
    g_autofree char *inner = g_strdup_printf("%s: %s", origin, texts->key);
    const json_t *value = json_object_get(root, texts->key);

    if (!value)
        return TRUE;
    if (json_is_array(value))
        return read_list(texts, value, origin, error);
    return dim_json_get_object(root, texts->key, &value, origin, error) &&
           dim_json_require(value, "file", inner, error) &&
           dim_model_spec_read_path(value, "file", &texts->file, inner, error) &&
           read_file(texts, folder, error);
}

static gboolean read_names(DimModelSpec *spec, const json_t *root, const char *origin,
                           GError **error)
{
    Texts names = {.key = "classes"};

    if (!read_texts(&names, spec->info.folder, root, origin, error) ||
        (!names.texts && !reserve(&names, 0, origin, error))) {
        texts_clear(&names);
        return FALSE;
    }
    spec->info.classes = names.texts;
    spec->info.n_classes = names.n;
    spec->classes_file = names.file;
    return !dim_json_has(root, "classes") || !spec->net || names.n == spec->info.n_labels ||
           dim_fail(error, DIM_ERROR_FORMAT, origin,
                    "classes has %d names; the backbone has %d labels", names.n,
                    spec->info.n_labels);
}

/* One for each class in its order; where there are fewer, the last classes have none. */
static gboolean read_synonyms(DimModelSpec *spec, const json_t *root, const char *origin,
                              GError **error)
{
    Texts lines = {.key = "synonyms", .may_be_empty = TRUE};
    const int n = spec->info.n_classes;
    gboolean good = read_texts(&lines, spec->info.folder, root, origin, error);

    if (good && lines.n > n)
        good = dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "synonyms has %d entries; expected at most one for each of %d classes",
                        lines.n, n);
    if (good && lines.texts && n > 0 && !(spec->info.synonyms = g_try_new0(char *, (gsize)n)))
        good = dim_fail_memory(error, origin, (guint64)n * sizeof(char *));
    for (int i = 0; good && i < lines.n; i++)
        if (*lines.texts[i])
            spec->info.synonyms[i] = g_strdup(lines.texts[i]);
    if (good)
        spec->synonyms_file = g_steal_pointer(&lines.file);
    texts_clear(&lines);
    return good;
}

gboolean dim_model_spec_read_classes(DimModelSpec *spec, const json_t *root, const char *origin,
                                     GError **error)
{
    return read_names(spec, root, origin, error) && read_synonyms(spec, root, origin, error);
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

/* Whether a list of synonyms has this one; both folded. */
static gboolean has_synonym(const char *list, const char *folded)
{
    g_autofree char *all = g_utf8_casefold(list, -1);
    g_auto(GStrv) each = g_strsplit(all, ",", -1);

    for (int i = 0; each[i]; i++)
        if (!strcmp(g_strstrip(each[i]), folded))
            return TRUE;
    return FALSE;
}

/* The classes that have this synonym: the first two of them, and how many there are up to two. */
static int find_synonym(const DimModelInfo *info, const char *name, int labels[2])
{
    g_autofree char *folded = g_utf8_casefold(name, -1);
    int n = 0;

    for (int i = 0; info->synonyms && i < info->n_classes && n < 2; i++)
        if (info->synonyms[i] && has_synonym(info->synonyms[i], folded))
            labels[n++] = i;
    return n;
}

/* " (did you mean ...?)" out of names and synonyms; g_free. */
static char *suggest(const DimModelInfo *info, const char *name)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);

    for (int i = 0; i < info->n_classes; i++)
        g_ptr_array_add(all, g_strdup(info->classes[i]));
    for (int i = 0; info->synonyms && i < info->n_classes; i++) {
        g_auto(GStrv) each = g_strsplit(info->synonyms[i] ? info->synonyms[i] : "", ",", -1);
        for (int j = 0; each[j]; j++)
            g_ptr_array_add(all, g_strdup(g_strstrip(each[j])));
    }
    g_ptr_array_add(all, NULL);
    return dim_text_suggest(name, (const char *const *)all->pdata);
}

static int fail_class(const DimModelInfo *info, const char *name, GError **error)
{
    g_autofree char *near = suggest(info, name);
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
    int labels[2];

    if (info->n_labels == 0 || !g_utf8_validate(name, -1, NULL))
        return fail_class(info, name, error);
    if (!*name)
        return 0;
    const int found = find_name(info, name);
    if (found >= 0)
        return found;
    const int n = find_synonym(info, name, labels);
    if (n == 1)
        return labels[0];
    if (n > 1) {
        dim_fail(error, DIM_ERROR_ARGUMENT, info->name,
                 "class " DIM_NAME " may be \"%.80s\" or \"%.80s\"; expected one of the two", name,
                 info->classes[labels[0]], info->classes[labels[1]]);
        return -1;
    }
    if (!g_ascii_string_to_unsigned(name, 10, 0, (guint64)info->n_labels - 1, &label, NULL))
        return fail_class(info, name, error);
    return (int)label;
}
