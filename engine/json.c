/* JSON as our files use it: strict, and typed access whose errors name file and key.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "json.h"

#include <string.h>

#include "error.h"
#include "file.h"

enum { MAX_LEVELS = 64 };

/* jansson recurses to a depth of its own choice; ours is checked before it starts. */
static gboolean is_deep(const char *text, gsize length)
{
    int level = 0;
    gboolean in_string = FALSE;

    for (gsize i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = FALSE;
        } else if (c == '"')
            in_string = TRUE;
        else if ((c == '{' || c == '[') && ++level > MAX_LEVELS)
            return TRUE;
        else if ((c == '}' || c == ']') && level > 0)
            level--;
    }
    return FALSE;
}

json_t *dim_json_parse(const char *text, gsize length, const char *origin, GError **error)
{
    json_error_t where;

    if (is_deep(text, length)) {
        dim_fail(error, DIM_ERROR_FORMAT, origin, "JSON is nested more than %d levels deep",
                 MAX_LEVELS);
        return NULL;
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (!root && json_error_code(&where) == json_error_out_of_memory)
        dim_fail(error, DIM_ERROR_NO_MEMORY, origin, "no memory for its JSON");
    else if (!root)
        dim_fail(error, DIM_ERROR_FORMAT, origin, "not valid JSON at line %d, column %d: %s",
                 where.line, where.column, where.text);
    else if (!json_is_object(root)) {
        dim_fail(error, DIM_ERROR_FORMAT, origin, "JSON holds no object; expected {...}");
        json_decref(root);
        root = NULL;
    }
    return root;
}

json_t *dim_json_load(const char *file, gsize max_bytes, GError **error)
{
    DimFile map = {0};
    json_t *root = NULL;

    if (!dim_file_map(&map, file, file, error))
        return NULL;
    if (map.size > max_bytes)
        dim_fail(error, DIM_ERROR_FORMAT, file,
                 "has %" G_GSIZE_FORMAT " bytes; expected at most %" G_GSIZE_FORMAT, map.size,
                 max_bytes);
    else
        root = dim_json_parse((const char *)map.data, map.size, file, error);
    dim_file_unmap(&map);
    return root;
}

gboolean dim_json_has(const json_t *object, const char *key)
{
    return json_object_get(object, key) != NULL;
}

gboolean dim_json_is_null(const json_t *object, const char *key)
{
    return json_is_null(json_object_get(object, key));
}

gboolean dim_json_require(const json_t *object, const char *key, const char *origin, GError **error)
{
    return dim_json_has(object, key) ||
           dim_fail(error, DIM_ERROR_FORMAT, origin, "key \"%s\" is missing", key);
}

gboolean dim_json_only(const json_t *object, const char *const *keys, const char *origin,
                       GError **error)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        if (!g_strv_contains(keys, key))
            return dim_fail(error, DIM_ERROR_FORMAT, origin, "unknown key " DIM_NAME, key);
    }
    return TRUE;
}

/* "key is FOUND; expected WANTED". A list or an object is only named, it may be long. */
static gboolean fail_value(GError **error, const char *origin, const char *key, const json_t *value,
                           const char *wanted)
{
    g_autofree char *shown = NULL;

    if (json_is_object(value) || json_is_array(value))
        shown = g_strdup(json_is_object(value) ? "an object" : "a list");
    else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        shown = g_strdup_printf("%.100s", text ? text : "of no use");
        free(text);
    }
    return dim_fail(error, DIM_ERROR_FORMAT, origin, "%s is %s; expected %s", key, shown, wanted);
}

gboolean dim_json_get_int(const json_t *object, const char *key, gint64 min, gint64 max,
                          gint64 *value, const char *origin, GError **error)
{
    const json_t *item = json_object_get(object, key);

    if (!item)
        return TRUE;
    if (!json_is_integer(item) || json_integer_value(item) < min ||
        json_integer_value(item) > max) {
        g_autofree char *wanted = g_strdup_printf(
            "a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, min, max);
        return fail_value(error, origin, key, item, wanted);
    }
    *value = json_integer_value(item);
    return TRUE;
}

gboolean dim_json_get_double(const json_t *object, const char *key, double min, double max,
                             double *value, const char *origin, GError **error)
{
    const json_t *item = json_object_get(object, key);

    if (!item)
        return TRUE;
    if (!json_is_number(item) || json_number_value(item) < min || json_number_value(item) > max) {
        g_autofree char *wanted = g_strdup_printf("a number from %g to %g", min, max);
        return fail_value(error, origin, key, item, wanted);
    }
    *value = json_number_value(item);
    return TRUE;
}

gboolean dim_json_get_bool(const json_t *object, const char *key, gboolean *value,
                           const char *origin, GError **error)
{
    const json_t *item = json_object_get(object, key);

    if (!item)
        return TRUE;
    if (!json_is_boolean(item))
        return fail_value(error, origin, key, item, "true or false");
    *value = json_is_true(item);
    return TRUE;
}

gboolean dim_json_get_string(const json_t *object, const char *key, const char **value,
                             const char *origin, GError **error)
{
    const json_t *item = json_object_get(object, key);

    if (!item)
        return TRUE;
    if (!json_is_string(item))
        return fail_value(error, origin, key, item, "a text");
    *value = json_string_value(item);
    return TRUE;
}

gboolean dim_json_get_object(const json_t *object, const char *key, const json_t **value,
                             const char *origin, GError **error)
{
    const json_t *item = json_object_get(object, key);

    if (!item)
        return TRUE;
    if (!json_is_object(item))
        return fail_value(error, origin, key, item, "an object");
    *value = item;
    return TRUE;
}

gboolean dim_json_get_ints(const json_t *object, const char *key, int min_n, int max_n, gint64 min,
                           gint64 max, gint64 *values, int *n, const char *origin, GError **error)
{
    const json_t *list = json_object_get(object, key);

    if (!list)
        return TRUE;
    gboolean fits = json_is_array(list) && json_array_size(list) >= (gsize)min_n &&
                    json_array_size(list) <= (gsize)max_n;
    for (gsize i = 0; fits && i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        fits = json_is_integer(item) && json_integer_value(item) >= min &&
               json_integer_value(item) <= max;
    }
    if (!fits) {
        g_autofree char *wanted = g_strdup_printf(
            "a list of %d to %d whole numbers from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
            min_n, max_n, min, max);
        return fail_value(error, origin, key, list, wanted);
    }
    *n = (int)json_array_size(list);
    for (int i = 0; i < *n; i++)
        values[i] = json_integer_value(json_array_get(list, (gsize)i));
    return TRUE;
}

gboolean dim_json_get_choice(const json_t *object, const char *key, const char *const *names,
                             int *value, const char *origin, GError **error)
{
    const json_t *item = json_object_get(object, key);

    if (!item)
        return TRUE;
    for (int i = 0; names[i]; i++)
        if (json_is_string(item) && !strcmp(json_string_value(item), names[i])) {
            *value = i;
            return TRUE;
        }
    g_autofree char *wanted = g_strjoinv(", ", (char **)names);
    return fail_value(error, origin, key, item, wanted);
}

gboolean dim_json_read_int(const DimJsonReader *r, const char *key, int min, int max, int *value)
{
    gint64 wide = *value;

    if (!dim_json_get_int(r->json, key, min, max, &wide, r->origin, r->error))
        return FALSE;
    *value = (int)wide;
    return TRUE;
}

gboolean dim_json_need_int(const DimJsonReader *r, const char *key, int min, int max, int *value)
{
    return dim_json_require(r->json, key, r->origin, r->error) &&
           dim_json_read_int(r, key, min, max, value);
}

gboolean dim_json_read_bool(const DimJsonReader *r, const char *key, gboolean *value)
{
    return dim_json_get_bool(r->json, key, value, r->origin, r->error);
}

gboolean dim_json_read_double(const DimJsonReader *r, const char *key, double min, double max,
                              double *value)
{
    return dim_json_get_double(r->json, key, min, max, value, r->origin, r->error);
}
