/* Reads a family's "config" object out of model.json.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include <math.h>
#include <string.h>

#include "dim.h"

void dim_config_begin(DimConfigReader *reader, const json_t *config, const char *origin,
                      GError **error)
{
    *reader = (DimConfigReader){.object = config, .origin = origin, .error = error};
    if (config && !json_is_object(config))
        dim_config_refuse(reader, "expected an object");
}

void dim_config_refuse(DimConfigReader *reader, const char *format, ...)
{
    if (reader->failed)
        return;
    va_list args;
    va_start(args, format);
    g_autofree char *fault = g_strdup_vprintf(format, args);
    va_end(args);
    reader->failed = TRUE;
    g_set_error(reader->error, DIM_ERROR, DIM_ERROR_FORMAT, "%s: config: %s", reader->origin,
                fault);
}

const json_t *dim_config_raw(DimConfigReader *reader, const char *key)
{
    g_assert(reader->n_keys < DIM_CONFIG_KEYS);
    reader->keys[reader->n_keys++] = key;
    return reader->failed || !reader->object ? NULL : json_object_get(reader->object, key);
}

static gboolean is_int_in(const json_t *value, int min, int max)
{
    return json_is_integer(value) && json_integer_value(value) >= min &&
           json_integer_value(value) <= max;
}

int dim_config_int(DimConfigReader *reader, const char *key, int otherwise, int min, int max)
{
    const json_t *value = dim_config_raw(reader, key);

    if (!value)
        return otherwise;
    if (is_int_in(value, min, max))
        return (int)json_integer_value(value);
    dim_config_refuse(reader, "%s: expected an integer from %d to %d", key, min, max);
    return otherwise;
}

double dim_config_double(DimConfigReader *reader, const char *key, double otherwise, double min,
                         double max)
{
    const json_t *value = dim_config_raw(reader, key);

    if (!value)
        return otherwise;
    const double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (number > min && number <= max)
        return number;
    dim_config_refuse(reader, "%s: expected a number above %g, at most %g", key, min, max);
    return otherwise;
}

gboolean dim_config_bool(DimConfigReader *reader, const char *key, gboolean otherwise)
{
    const json_t *value = dim_config_raw(reader, key);

    if (!value)
        return otherwise;
    if (json_is_boolean(value))
        return json_is_true(value);
    dim_config_refuse(reader, "%s: expected true or false", key);
    return otherwise;
}

int dim_config_choice(DimConfigReader *reader, const char *key, const char *const *names,
                      int otherwise)
{
    const json_t *value = dim_config_raw(reader, key);

    if (!value)
        return otherwise;
    for (int i = 0; json_is_string(value) && names[i]; i++)
        if (!strcmp(json_string_value(value), names[i]))
            return i;
    g_autofree char *list = g_strjoinv(", ", (char **)names);
    dim_config_refuse(reader, "%s: expected one of %s", key, list);
    return otherwise;
}

int dim_config_ints(DimConfigReader *reader, const char *key, int *out, int n_otherwise, int n_max,
                    int min, int max)
{
    const json_t *value = dim_config_raw(reader, key);

    if (!value)
        return n_otherwise;
    const gsize n = json_array_size(value);
    gboolean good = json_is_array(value) && n >= 1 && n <= (gsize)n_max;
    for (gsize i = 0; good && i < n; i++)
        good = is_int_in(json_array_get(value, i), min, max);
    if (!good) {
        dim_config_refuse(reader, "%s: expected 1 to %d integers from %d to %d", key, n_max, min,
                          max);
        return n_otherwise;
    }
    for (gsize i = 0; i < n; i++)
        out[i] = (int)json_integer_value(json_array_get(value, i));
    return (int)n;
}

gboolean dim_config_end(DimConfigReader *reader)
{
    const char *key;
    json_t *value;

    if (reader->failed || !reader->object)
        return !reader->failed;
    json_object_foreach((json_t *)reader->object, key, value)
    {
        int i = 0;
        while (i < reader->n_keys && strcmp(reader->keys[i], key))
            i++;
        if (i == reader->n_keys) {
            g_autofree char *clean = dim_text_clean(key);
            g_autofree char *shown = g_utf8_substring(clean, 0, MIN(g_utf8_strlen(clean, -1), 80));
            g_autofree char *known = g_strjoinv(", ", (char **)reader->keys);
            dim_config_refuse(reader, "unknown key \"%s\"; expected %s", shown, known);
        }
    }
    return !reader->failed;
}
