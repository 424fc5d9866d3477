/* JSON as our files use it: strict, and typed access whose errors name file and key.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A getter leaves *value alone where the key is absent: it holds the default. `origin` is the file,
 * or the file and the place in it ("dir/model.json: backbone.config"). null is a value of the wrong
 * type everywhere. */
#ifndef DIM_JSON_H
#define DIM_JSON_H

#include <jansson.h>

#include "dim.h"

/* An object at the root, UTF-8, no key twice, at most 64 levels, no integer beyond 64 bits, no
 * number beyond a double, nothing but white space behind it. Free with json_decref. */
json_t *dim_json_parse(const char *text, gsize length, const char *origin, GError **error);
/* The same from a regular file of at most max_bytes. */
json_t *dim_json_load(const char *file, gsize max_bytes, GError **error);

gboolean dim_json_has(const json_t *object, const char *key);
gboolean dim_json_is_null(const json_t *object, const char *key); /* there, and null */
gboolean dim_json_require(const json_t *object, const char *key, const char *origin,
                          GError **error);
/* Refuses every key that is not in the NULL-terminated list. */
gboolean dim_json_only(const json_t *object, const char *const *keys, const char *origin,
                       GError **error);

/* min and max are allowed themselves. */
gboolean dim_json_get_int(const json_t *object, const char *key, gint64 min, gint64 max,
                          gint64 *value, const char *origin, GError **error);
gboolean dim_json_get_double(const json_t *object, const char *key, double min, double max,
                             double *value, const char *origin, GError **error);
gboolean dim_json_get_bool(const json_t *object, const char *key, gboolean *value,
                           const char *origin, GError **error);
gboolean dim_json_get_string(const json_t *object, const char *key, const char **value,
                             const char *origin, GError **error); /* borrowed */
gboolean dim_json_get_object(const json_t *object, const char *key, const json_t **value,
                             const char *origin, GError **error); /* borrowed */
/* A list of min_n to max_n integers; *n is left alone, too, where the key is absent. */
gboolean dim_json_get_ints(const json_t *object, const char *key, int min_n, int max_n, gint64 min,
                           gint64 max, gint64 *values, int *n, const char *origin, GError **error);
/* One of the NULL-terminated names: *value is its index. */
gboolean dim_json_get_choice(const json_t *object, const char *key, const char *const *names,
                             int *value, const char *origin, GError **error);

/* An object that is read key by key, and where its faults go. */
typedef struct {
    const json_t *json;
    const char *origin;
    GError **error;
} DimJsonReader;

gboolean dim_json_read_int(const DimJsonReader *reader, const char *key, int min, int max,
                           int *value);
gboolean dim_json_need_int(const DimJsonReader *reader, const char *key, int min, int max,
                           int *value); /* a key that has to be there */
gboolean dim_json_read_bool(const DimJsonReader *reader, const char *key, gboolean *value);
gboolean dim_json_read_double(const DimJsonReader *reader, const char *key, double min, double max,
                              double *value);

#endif
