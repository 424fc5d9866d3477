/* Recipes: what was asked for, or what ran, as readable JSON. The format: docs/recipe.md.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "text.h"

enum { RECIPE_VERSION = 1, RECIPE_BYTES_MAX = 1 << 20, TEXT_MAX = 4096 };

typedef enum { TEXT, COUNT, NUMBER, SEED } Kind;

/* The keys, in the order in which they are written. */
static const struct {
    const char *key;
    Kind kind;
    gsize offset;
} fields[] = {
    {"name", TEXT, G_STRUCT_OFFSET(DimRecipe, name)},
    {"model", TEXT, G_STRUCT_OFFSET(DimRecipe, model)},
    {"class", TEXT, G_STRUCT_OFFSET(DimRecipe, class_name)},
    {"width", COUNT, G_STRUCT_OFFSET(DimRecipe, width)},
    {"height", COUNT, G_STRUCT_OFFSET(DimRecipe, height)},
    {"steps", COUNT, G_STRUCT_OFFSET(DimRecipe, steps)},
    {"guidance", NUMBER, G_STRUCT_OFFSET(DimRecipe, guidance)},
    {"seed", SEED, G_STRUCT_OFFSET(DimRecipe, seed)},
    {"sampler", TEXT, G_STRUCT_OFFSET(DimRecipe, sampler)},
    {"upsample", TEXT, G_STRUCT_OFFSET(DimRecipe, upsample)},
    {"options", TEXT, G_STRUCT_OFFSET(DimRecipe, options)},
    {"model_hash", TEXT, G_STRUCT_OFFSET(DimRecipe, model_hash)},
    {"device", TEXT, G_STRUCT_OFFSET(DimRecipe, device)},
    {"precision", TEXT, G_STRUCT_OFFSET(DimRecipe, precision)},
    {"program", TEXT, G_STRUCT_OFFSET(DimRecipe, program)},
};

#define FIELD(type, recipe, i) ((type *)G_STRUCT_MEMBER_P(recipe, fields[i].offset))

void dim_recipe_init(DimRecipe *recipe)
{
    *recipe = (DimRecipe){.seed = -1, .unknown = g_strdup("")};
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (fields[i].kind == TEXT)
            *FIELD(char *, recipe, i) = g_strdup("");
}

void dim_recipe_clear(DimRecipe *recipe)
{
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (fields[i].kind == TEXT)
            g_free(*FIELD(char *, recipe, i));
    g_free(recipe->unknown);
    memset(recipe, 0, sizeof *recipe);
}

void dim_recipe_copy(DimRecipe *to, const DimRecipe *from)
{
    *to = *from;
    to->unknown = g_strdup(from->unknown);
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (fields[i].kind == TEXT)
            *FIELD(char *, to, i) = g_strdup(*FIELD(char *, from, i));
}

static gboolean is_same(const DimRecipe *a, const DimRecipe *b, gsize i)
{
    switch (fields[i].kind) {
    case TEXT:
        return !strcmp(*FIELD(char *, a, i), *FIELD(char *, b, i));
    case COUNT:
        return *FIELD(int, a, i) == *FIELD(int, b, i);
    case NUMBER:
        return *FIELD(double, a, i) == *FIELD(double, b, i);
    case SEED:
        return *FIELD(gint64, a, i) == *FIELD(gint64, b, i);
    }
    g_assert_not_reached();
}

const char *dim_recipe_difference(const DimRecipe *a, const DimRecipe *b)
{
    const gboolean hashed = *a->model_hash && *b->model_hash;
    const char *const passed[] = {"name", "device", hashed ? "model" : NULL, NULL};

    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (!g_strv_contains(passed, fields[i].key) && !is_same(a, b, i))
            return fields[i].key;
    json_t *first = json_loads(a->unknown, 0, NULL), *second = json_loads(b->unknown, 0, NULL);
    const gboolean same = first && second ? json_equal(first, second) : first == second;
    json_decref(first);
    json_decref(second);
    return same ? NULL : "further keys";
}

/* ---- reading ---- */

static gboolean read_text(const json_t *object, const char *key, char **text, const char *origin,
                          GError **error)
{
    const char *value = NULL;

    if (!dim_json_get_string(object, key, &value, origin, error))
        return FALSE;
    if (value && strlen(value) > TEXT_MAX)
        return dim_fail(error, DIM_ERROR_FORMAT, origin, "%s is longer than %d bytes", key,
                        TEXT_MAX);
    if (value) {
        g_free(*text);
        *text = g_strdup(value);
    }
    return TRUE;
}

static gboolean read_field(DimRecipe *recipe, gsize i, const json_t *object, const char *origin,
                           GError **error)
{
    const char *key = fields[i].key;
    gint64 count = 0;

    switch (fields[i].kind) {
    case TEXT:
        return read_text(object, key, FIELD(char *, recipe, i), origin, error);
    case NUMBER:
        return dim_json_get_double(object, key, 0, 1e6, FIELD(double, recipe, i), origin, error);
    case SEED:
        return dim_json_get_int(object, key, -1, DIM_SEED_MAX, FIELD(gint64, recipe, i), origin,
                                error);
    case COUNT:
        if (!dim_json_get_int(object, key, 0, G_MAXINT, &count, origin, error))
            return FALSE;
        *FIELD(int, recipe, i) = (int)count;
        return TRUE;
    }
    g_assert_not_reached();
}

static gboolean check_head(const json_t *object, const char *origin, GError **error)
{
    const char *format = "";
    gint64 version = 0;

    if (!dim_json_get_string(object, "format", &format, origin, error))
        return FALSE;
    if (strcmp(format, "gimp-dim-recipe"))
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "this is no recipe; expected \"format\": \"gimp-dim-recipe\"");
    if (!dim_json_require(object, "version", origin, error) ||
        !dim_json_get_int(object, "version", 1, G_MAXINT, &version, origin, error))
        return FALSE;
    if (version > RECIPE_VERSION)
        return dim_fail(error, DIM_ERROR_UNSUPPORTED, origin,
                        "version %d was made by a newer gimp-dim; expected %d", (int)version,
                        RECIPE_VERSION);
    return TRUE;
}

static gboolean is_known(const char *key)
{
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (!strcmp(key, fields[i].key))
            return TRUE;
    return !strcmp(key, "format") || !strcmp(key, "version");
}

/* Takes the known keys out of `object`, keeps the rest; answers its names for people, or NULL. */
static char *keep_unknown(DimRecipe *recipe, json_t *object)
{
    g_autoptr(GString) names = g_string_new(NULL);
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(object, next, key, value)
    {
        if (is_known(key))
            json_object_del(object, key);
        else
            g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", key);
    }
    if (names->len == 0)
        return NULL;
    char *text = json_dumps(object, JSON_COMPACT);
    g_free(recipe->unknown);
    recipe->unknown = g_strdup(text ? text : "");
    free(text);
    return dim_text_clean(names->str);
}

static gboolean read_object(DimRecipe *recipe, json_t *object, const char *origin,
                            char **unknown_keys, GError **error)
{
    DimRecipe read;

    if (!check_head(object, origin, error))
        return FALSE;
    dim_recipe_init(&read);
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (!read_field(&read, i, object, origin, error)) {
            dim_recipe_clear(&read);
            return FALSE;
        }
    g_autofree char *unknown = keep_unknown(&read, object);
    if (unknown_keys)
        *unknown_keys = g_steal_pointer(&unknown);
    *recipe = read;
    return TRUE;
}

gboolean dim_recipe_parse(DimRecipe *recipe, const char *json, gssize length, const char *origin,
                          char **unknown_keys, GError **error)
{
    const gsize bytes = length < 0 ? strlen(json) : (gsize)length;

    if (bytes > RECIPE_BYTES_MAX)
        return dim_fail(error, DIM_ERROR_FORMAT, origin, "a recipe is at most %d bytes long",
                        RECIPE_BYTES_MAX);
    json_t *object = dim_json_parse(json, bytes, origin, error);
    const gboolean read = object && read_object(recipe, object, origin, unknown_keys, error);
    json_decref(object);
    return read;
}

gboolean dim_recipe_load(DimRecipe *recipe, const char *file, char **unknown_keys, GError **error)
{
    json_t *object = dim_json_load(file, RECIPE_BYTES_MAX, error);
    const gboolean read = object && read_object(recipe, object, file, unknown_keys, error);

    json_decref(object);
    return read;
}

/* ---- writing ---- */

static void append_json(GString *text, const json_t *value)
{
    char *json = json_dumps(value, JSON_ENCODE_ANY);

    g_string_append(text, json ? json : "null");
    free(json);
}

static void append_key(GString *text, const char *key)
{
    json_t *name = json_string(key);

    g_string_append(text, ",\n  ");
    append_json(text, name);
    g_string_append(text, ": ");
    json_decref(name);
}

/* What is at its default is left out, so that a preset says only what it sets. */
static void append_field(GString *text, const DimRecipe *recipe, gsize i)
{
    const Kind kind = fields[i].kind;

    if (kind == TEXT && **FIELD(char *, recipe, i)) {
        g_autofree char *valid = g_utf8_make_valid(*FIELD(char *, recipe, i), -1);
        json_t *value = json_string(valid);
        append_key(text, fields[i].key);
        append_json(text, value);
        json_decref(value);
    } else if (kind == COUNT && *FIELD(int, recipe, i) != 0) {
        append_key(text, fields[i].key);
        g_string_append_printf(text, "%d", *FIELD(int, recipe, i));
    } else if (kind == SEED && *FIELD(gint64, recipe, i) >= 0) {
        append_key(text, fields[i].key);
        g_string_append_printf(text, "%" G_GINT64_FORMAT, *FIELD(gint64, recipe, i));
    } else if (kind == NUMBER && *FIELD(double, recipe, i) != 0) {
        append_key(text, fields[i].key);
        dim_text_append_number(text, *FIELD(double, recipe, i));
    }
}

static void append_unknown(GString *text, const char *unknown)
{
    json_t *object = *unknown ? json_loads(unknown, 0, NULL) : NULL;
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        append_key(text, key);
        append_json(text, value);
    }
    json_decref(object);
}

char *dim_recipe_print(const DimRecipe *recipe)
{
    GString *text = g_string_new(NULL);

    g_string_printf(text, "{\n  \"format\": \"gimp-dim-recipe\",\n  \"version\": %d",
                    RECIPE_VERSION);
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        append_field(text, recipe, i);
    append_unknown(text, recipe->unknown);
    g_string_append(text, "\n}\n");
    return g_string_free(text, FALSE);
}

gboolean dim_recipe_save(const DimRecipe *recipe, const char *file, GError **error)
{
    DimOutput *output = dim_output_open(file, error);

    if (!output)
        return FALSE;
    g_autofree char *text = dim_recipe_print(recipe);
    fputs(text, dim_output_stream(output));
    return dim_output_commit(&output, error);
}
