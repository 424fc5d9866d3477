/* Installed models: where they are looked for, and which one is meant.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "json.h"
#include "model.h"
#include "text.h"

enum { MAX_SHOWN = 8 };

/* Beside the program, and where its installation prefix would have them: any folder above it may be
 * that one, a plug-in's as much as a tool's. */
static void add_of_executable(GPtrArray *roots)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = program ? g_path_get_dirname(program) : NULL;

    if (!folder)
        return;
    g_ptr_array_add(roots, g_build_filename(folder, "models", NULL));
    while (folder[1]) {
        char *above = g_path_get_dirname(folder);
        g_free(folder);
        folder = above;
        g_ptr_array_add(roots, g_build_filename(folder, "share", "gimp-dim", "models", NULL));
    }
}

/* The folders that hold model folders, in the order of the search. */
static GPtrArray *search_path(void)
{
    GPtrArray *roots = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) own =
        g_strsplit(g_getenv("DIM_MODEL_PATH") ? g_getenv("DIM_MODEL_PATH") : "", ":", -1);
    const char *const *system = g_get_system_data_dirs();

    for (int i = 0; own[i]; i++)
        if (*own[i])
            g_ptr_array_add(roots, g_strdup(own[i]));
    g_ptr_array_add(roots, g_build_filename(g_get_user_data_dir(), "gimp-dim", "models", NULL));
    for (int i = 0; system[i]; i++)
        g_ptr_array_add(roots, g_build_filename(system[i], "gimp-dim", "models", NULL));
    add_of_executable(roots);
    return roots;
}

char *dim_data_find(const char *kind, const char *name)
{
    g_autoptr(GPtrArray) roots = search_path();

    for (guint i = 0; i < roots->len; i++) {
        g_autofree char *above = g_path_get_dirname(roots->pdata[i]);
        char *file = g_build_filename(above, kind, name, NULL);
        if (g_file_test(file, G_FILE_TEST_IS_REGULAR))
            return file;
        g_free(file);
    }
    return NULL;
}

static gboolean is_model(const char *folder)
{
    g_autofree char *json = g_build_filename(folder, "model.json", NULL);
    return g_file_test(json, G_FILE_TEST_IS_REGULAR);
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *dim_model_id(const char *name)
{
    GString *id = g_string_new(NULL);

    for (const char *c = name; *c; c++)
        if (g_ascii_isalnum(*c) || (guchar)*c >= 128)
            g_string_append_c(id, g_ascii_tolower(*c));
        else if (id->len > 0 && id->str[id->len - 1] != '-')
            g_string_append_c(id, '-');
    while (id->len > 0 && id->str[id->len - 1] == '-')
        g_string_truncate(id, id->len - 1);
    return g_string_free(id, FALSE);
}

/* Its models by name, but for those whose folder's name was seen before, and hidden folders: an
 * import's is hidden until it is whole. */
static void add_models(GPtrArray *models, GHashTable *seen, const char *root)
{
    g_autoptr(GDir) dir = g_dir_open(root, 0, NULL);
    const guint first = models->len;
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *folder = g_build_filename(root, name, NULL);
        if (*name != '.' && is_model(folder) && g_hash_table_add(seen, g_strdup(name)))
            g_ptr_array_add(models, g_canonicalize_filename(folder, NULL));
    }
    if (models->len > first)
        qsort(models->pdata + first, models->len - first, sizeof *models->pdata, compare_paths);
}

/* "default" if there is one, else "textures" (which we ship), else the first. */
static void move_default_first(GPtrArray *models)
{
    static const char *const names[] = {"default", "textures"};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        for (guint j = 0; j < models->len; j++) {
            g_autofree char *id = g_path_get_basename(models->pdata[j]);
            if (!strcmp(id, names[i])) {
                g_ptr_array_insert(models, 0, g_ptr_array_steal_index(models, j));
                return;
            }
        }
}

char **dim_model_list(void)
{
    GPtrArray *models = g_ptr_array_new();
    g_autoptr(GPtrArray) roots = search_path();
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < roots->len; i++)
        add_models(models, seen, roots->pdata[i]);
    move_default_first(models);
    g_ptr_array_add(models, NULL);
    return (char **)g_ptr_array_free(models, FALSE);
}

/* What a folder calls itself; NULL where it does not say so properly. g_free. */
static char *read_name(const char *folder)
{
    g_autofree char *file = g_build_filename(folder, "model.json", NULL);
    json_t *root = dim_json_load(file, DIM_MODEL_JSON_BYTES, NULL);
    char *name = g_strdup(json_string_value(json_object_get(root, "name")));

    json_decref(root);
    return name;
}

/* The ids and the names of all models, for suggestions. */
static char **list_names(char **models)
{
    GPtrArray *names = g_ptr_array_new();

    for (int i = 0; models[i]; i++) {
        char *name = read_name(models[i]);
        g_ptr_array_add(names, g_path_get_basename(models[i]));
        if (name)
            g_ptr_array_add(names, name);
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

static char *fail_unknown(const char *name, char **models, GError **error)
{
    g_auto(GStrv) names = list_names(models);
    g_autofree char *near = dim_text_suggest(name, (const char *const *)names);
    GString *all = g_string_new(models[0] ? "installed:" : "none is installed");

    for (int i = 0; models[i] && i < MAX_SHOWN; i++) {
        g_autofree char *id = g_path_get_basename(models[i]);
        g_string_append_printf(all, "%s %s", i ? "," : "", id);
    }
    g_autofree char *list = g_string_free(all, FALSE);
    dim_fail(error, DIM_ERROR_ARGUMENT, "model",
             "no folder and no installed model is called " DIM_NAME "%s; %s", name, near, list);
    return NULL;
}

char *dim_model_find(const char *name, GError **error)
{
    /* A name with a slash, or of a folder with a model, is meant as a path; a folder of another
     * kind only if nothing else is. */
    if (strchr(name, '/') || (*name && is_model(name)))
        return g_canonicalize_filename(name, NULL);
    g_auto(GStrv) models = dim_model_list();
    if (!*name && models[0])
        return g_strdup(models[0]);
    for (int i = 0; models[i]; i++) {
        g_autofree char *id = g_path_get_basename(models[i]);
        if (!strcmp(id, name))
            return g_strdup(models[i]);
    }
    for (int i = 0; models[i]; i++) {
        g_autofree char *own = read_name(models[i]);
        if (own && !strcmp(own, name))
            return g_strdup(models[i]);
    }
    if (*name && g_file_test(name, G_FILE_TEST_IS_DIR))
        return g_canonicalize_filename(name, NULL);
    if (*name)
        return fail_unknown(name, models, error);
    dim_fail(error, DIM_ERROR_ARGUMENT, "model",
             "none is installed; expected one in DIM_MODEL_PATH or %s", g_get_user_data_dir());
    return NULL;
}
