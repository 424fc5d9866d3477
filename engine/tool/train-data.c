/* Pictures to train on, out of folders or as a table lists them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * First all of them are listed, then those that nothing says it of are split, then they are read.
 */
#include "train-data.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "csv.h"
#include "picture.h"
#include "tool.h"

enum { TEST_SHARE = 10 }; /* one of so many, where a class has as many */

typedef enum { SPLIT_OPEN, SPLIT_TRAIN, SPLIT_TEST } Split;

typedef struct {
    char *file; /* to open */
    char *name; /* what decides, where nothing says the split: its group, or its name below the root
                 */
    char *class_name;
    int line; /* of the table; 0: of a folder */
    Split split;
} Entry;

typedef struct {
    const char *path;
    const DimTask *task;
    GArray *entries; /* Entry */
    int skipped;     /* files that are no pictures */
    int side_min;    /* 0: as the dataset has it */
    GArray *sides;   /* int: shorter ones; NULL: nobody asks */
    gint64 pixels;   /* of all pictures read */
} List;

static void entry_clear(gpointer data)
{
    Entry *entry = data;

    g_free(entry->file);
    g_free(entry->name);
    g_free(entry->class_name);
}

static gboolean go_on(const DimTask *task, GError **error)
{
    if (!task || !g_atomic_int_get(&task->cancel))
        return TRUE;
    g_set_error_literal(error, DIM_ERROR, DIM_ERROR_CANCELLED, "cancelled");
    return FALSE;
}

/* ---- folders ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a folder holds but hidden files, as file names, sorted by their bytes; NULL on failure. */
static GPtrArray *list_names(const char *folder, GError **error)
{
    g_autoptr(GError) fault = NULL;
    GDir *dir = g_dir_open(folder, 0, &fault);
    const char *name;

    if (!dir) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be read: %s", folder,
                    fault->message);
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    while ((name = g_dir_read_name(dir)))
        if (name[0] != '.')
            g_ptr_array_add(names, g_strdup(name));
    g_dir_close(dir);
    g_ptr_array_sort(names, compare_names);
    return names;
}

static gboolean is_folder(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

static gboolean list_class(List *list, const char *folder, const char *class_name, Split split,
                           GError **error)
{
    g_autoptr(GPtrArray) names = list_names(folder, error);

    if (!names)
        return FALSE;
    if (!g_utf8_validate(class_name, -1, NULL))
        return tool_refuse(error, DIM_ERROR_FORMAT, "%s: its name, that of a class, is not UTF-8",
                           folder);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (!go_on(list->task, error))
            return FALSE;
        if (is_folder(path))
            return tool_refuse(error, DIM_ERROR_FORMAT,
                               "%s: a folder within that of a class; expected pictures only", path);
        if (!tool_is_picture(path)) {
            list->skipped++;
            continue;
        }
        Entry entry = {.name = g_build_filename(class_name, name, NULL),
                       .class_name = g_strdup(class_name),
                       .split = split};
        entry.file = g_steal_pointer(&path);
        g_array_append_val(list->entries, entry);
    }
    return TRUE;
}

static gboolean list_classes(List *list, const char *folder, const GPtrArray *names, Split split,
                             GError **error)
{
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (!is_folder(path))
            list->skipped++;
        else if (!list_class(list, path, name, split, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean list_split(List *list, const char *name, Split split, GError **error)
{
    g_autofree char *folder = g_build_filename(list->path, name, NULL);
    g_autoptr(GPtrArray) names = list_names(folder, error);

    return names && list_classes(list, folder, names, split, error);
}

/* Whether the folders are train and test, and these two only. */
static gboolean is_split(const List *list, const GPtrArray *names)
{
    int wanted = 0, folders = 0;

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(list->path, name, NULL);
        if (is_folder(path)) {
            folders++;
            wanted += !strcmp(name, "train") || !strcmp(name, "test");
        }
    }
    return folders == 2 && wanted == 2;
}

static gboolean list_folder(List *list, GError **error)
{
    g_autoptr(GPtrArray) names = list_names(list->path, error);

    if (!names)
        return FALSE;
    if (is_split(list, names)) {
        list->skipped = (int)names->len - 2;
        if (!list_split(list, "train", SPLIT_TRAIN, error) ||
            !list_split(list, "test", SPLIT_TEST, error))
            return FALSE;
    } else if (!list_classes(list, list->path, names, SPLIT_OPEN, error))
        return FALSE;
    return list->entries->len > 0 ||
           tool_refuse(error, DIM_ERROR_FORMAT,
                       "%s: no pictures; expected a folder for each class, pictures in it",
                       list->path);
}

/* ---- tables ---- */

enum { COLUMN_FILE, COLUMN_CLASS, COLUMN_SPLIT, COLUMN_GROUP, N_COLUMNS };

/* Where each column is; -1: not there. */
static gboolean find_columns(const List *list, const ToolCsvRow *head, int columns[N_COLUMNS],
                             GError **error)
{
    static const char *const names[] = {"file", "class", "split", "group", NULL};

    for (int c = 0; c < N_COLUMNS; c++)
        columns[c] = -1;
    for (guint i = 0; i < head->fields->len; i++) {
        const char *name = g_ptr_array_index(head->fields, i);
        int c = 0;
        while (c < N_COLUMNS && strcmp(name, names[c]))
            c++;
        if (c == N_COLUMNS)
            return tool_refuse(
                error, DIM_ERROR_FORMAT,
                "%s: line %d: column \"%.80s\" is not known; expected file, class, and "
                "perhaps split and group",
                list->path, head->line, name);
        if (columns[c] >= 0)
            return tool_refuse(error, DIM_ERROR_FORMAT, "%s: line %d: column \"%s\" is there twice",
                               list->path, head->line, name);
        columns[c] = (int)i;
    }
    for (int c = COLUMN_FILE; c <= COLUMN_CLASS; c++)
        if (columns[c] < 0)
            return tool_refuse(error, DIM_ERROR_FORMAT, "%s: line %d: no column \"%s\"", list->path,
                               head->line, names[c]);
    return TRUE;
}

/* "" where there is no such column. */
static const char *field(const ToolCsvRow *row, int column)
{
    return column < 0 ? "" : g_ptr_array_index(row->fields, column);
}

static gboolean list_row(List *list, const char *folder, const ToolCsvRow *row, const int *columns,
                         GError **error)
{
    const char *file = field(row, columns[COLUMN_FILE]),
               *class_name = field(row, columns[COLUMN_CLASS]),
               *split = field(row, columns[COLUMN_SPLIT]),
               *group = field(row, columns[COLUMN_GROUP]);

    if (!*file || !*class_name)
        return tool_refuse(error, DIM_ERROR_FORMAT, "%s: line %d: no %s", list->path, row->line,
                           *file ? "class" : "file");
    if (*split && strcmp(split, "train") && strcmp(split, "test"))
        return tool_refuse(error, DIM_ERROR_FORMAT,
                           "%s: line %d: split \"%.80s\"; expected train or test", list->path,
                           row->line, split);
    const Entry entry = {
        .file = g_path_is_absolute(file) ? g_strdup(file) : g_build_filename(folder, file, NULL),
        .name = *group ? g_strconcat("group ", group, NULL) : g_strdup(file),
        .class_name = g_strdup(class_name),
        .line = row->line,
        .split = !*split                 ? SPLIT_OPEN
                 : strcmp(split, "test") ? SPLIT_TRAIN
                                         : SPLIT_TEST,
    };
    g_array_append_val(list->entries, entry);
    return TRUE;
}

/* A picture that is listed twice could be trained on and tested on. */
static gboolean check_once(const List *list, GError **error)
{
    g_autoptr(GHashTable) lines = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < list->entries->len; i++) {
        const Entry *entry = &g_array_index(list->entries, Entry, i);
        const int line = GPOINTER_TO_INT(g_hash_table_lookup(lines, entry->file));
        if (line)
            return tool_refuse(error, DIM_ERROR_FORMAT, "%s: line %d: %s is in line %d already",
                               list->path, entry->line, entry->file, line);
        g_hash_table_insert(lines, entry->file, GINT_TO_POINTER(entry->line));
    }
    return TRUE;
}

static gboolean list_table(List *list, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(list->path);
    int columns[N_COLUMNS];

    if (!g_file_test(list->path, G_FILE_TEST_IS_REGULAR))
        return tool_refuse(
            error, DIM_ERROR_FORMAT, "%s: %s", list->path,
            g_file_test(list->path, G_FILE_TEST_EXISTS)
                ? "neither a folder nor a file"
                : "does not exist; expected a folder of pictures or a table of them");
    g_autoptr(GArray) rows = tool_csv_read(list->path, error);
    if (!rows || !find_columns(list, &g_array_index(rows, ToolCsvRow, 0), columns, error))
        return FALSE;
    for (guint i = 1; i < rows->len; i++)
        if (!list_row(list, folder, &g_array_index(rows, ToolCsvRow, i), columns, error))
            return FALSE;
    if (list->entries->len == 0)
        return tool_refuse(error, DIM_ERROR_FORMAT, "%s: no pictures in it", list->path);
    return check_once(list, error);
}

/* ---- the split ---- */

static gboolean hash_says_test(const char *name)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);

    hash[8] = '\0';
    return g_ascii_strtoull(hash, NULL, 16) % TEST_SHARE == 0;
}

static void split_open(GArray *entries)
{
    g_autoptr(GHashTable) counts = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        const int n = GPOINTER_TO_INT(g_hash_table_lookup(counts, entry->class_name));
        g_hash_table_insert(counts, entry->class_name, GINT_TO_POINTER(n + 1));
    }
    for (guint i = 0; i < entries->len; i++) {
        Entry *entry = &g_array_index(entries, Entry, i);
        if (entry->split == SPLIT_OPEN)
            entry->split =
                GPOINTER_TO_INT(g_hash_table_lookup(counts, entry->class_name)) >= TEST_SHARE &&
                        hash_says_test(entry->name)
                    ? SPLIT_TEST
                    : SPLIT_TRAIN;
    }
}

/* ---- reading ---- */

/* What a class of one's own needs to know of a picture. */
static gboolean note_size(List *list, const char *file, const GdkPixbuf *picture, GError **error)
{
    const int width = gdk_pixbuf_get_width(picture), height = gdk_pixbuf_get_height(picture);
    const int side = MIN(width, height);

    list->pixels += (gint64)width * height;
    if (list->sides)
        g_array_append_val(list->sides, side);
    return side >= list->side_min || tool_refuse(error, DIM_ERROR_FORMAT,
                                                 "%s: has %d x %d pixels; expected sides of %d or "
                                                 "more",
                                                 file, width, height, list->side_min);
}

static gboolean add_picture(DimDataset *dataset, List *list, const Entry *entry, GError **error)
{
    g_autoptr(GdkPixbuf) picture = tool_picture_read(entry->file, error);
    g_autoptr(GError) fault = NULL;

    if (!picture || !note_size(list, entry->file, picture, error))
        return FALSE;
    const int label = dim_dataset_add_class(dataset, entry->class_name);
    if (dim_dataset_add_image(dataset, label, gdk_pixbuf_read_pixels(picture),
                              gdk_pixbuf_get_width(picture), gdk_pixbuf_get_height(picture),
                              (gsize)gdk_pixbuf_get_rowstride(picture), entry->split == SPLIT_TEST,
                              &fault))
        return TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&fault), "%s: ", entry->file);
    return FALSE;
}

static gboolean add_pictures(DimDataset *dataset, List *list, DimTask *task, GError **error)
{
    for (guint i = 0; i < list->entries->len; i++) {
        const Entry *entry = &g_array_index(list->entries, Entry, i);
        g_autoptr(GError) fault = NULL;
        if (!go_on(task, error))
            return FALSE;
        if (!add_picture(dataset, list, entry, &fault)) {
            if (entry->line)
                g_prefix_error(&fault, "%s: line %d: ", list->path, entry->line);
            g_propagate_error(error, g_steal_pointer(&fault));
            return FALSE;
        }
        if (task)
            g_atomic_int_set(&task->per_million, (int)((i + 1) * 1e6 / list->entries->len));
    }
    return TRUE;
}

gboolean tool_dataset_read(DimDataset *dataset, const char *path, DimTask *task, GError **error)
{
    List list = {.path = path, .task = task};
    gboolean ok;

    list.entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_array_set_clear_func(list.entries, entry_clear);
    ok = is_folder(path) ? list_folder(&list, error) : list_table(&list, error);
    if (ok) {
        if (list.skipped) {
            g_autofree char *clean = dim_text_clean(path);
            fprintf(stderr, "%sdim: %s: skipped %d %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "",
                    clean, list.skipped,
                    list.skipped > 1 ? "files that are no pictures of a class"
                                     : "file that is no picture of a class");
        }
        split_open(list.entries);
        ok = add_pictures(dataset, &list, task, error);
    }
    g_array_unref(list.entries);
    return ok;
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static gboolean read_class(List *list, DimDataset *dataset, const char *class_name,
                           gint64 pixels_min, DimTask *task, GError **error)
{
    if (!is_folder(list->path))
        return tool_refuse(error, DIM_ERROR_FORMAT, "%s: is no folder; expected one with pictures",
                           list->path);
    if (!list_class(list, list->path, class_name, SPLIT_OPEN, error))
        return FALSE;
    if (!list->entries->len)
        return tool_refuse(error, DIM_ERROR_FORMAT, "%s: no pictures; expected those of \"%s\"",
                           list->path, class_name);
    split_open(list->entries);
    if (!add_pictures(dataset, list, task, error))
        return FALSE;
    return list->pixels >= pixels_min ||
           tool_refuse(error, DIM_ERROR_FORMAT,
                       "%s: its pictures have %" G_GINT64_FORMAT
                       " pixels in all; expected more or larger ones, of %" G_GINT64_FORMAT,
                       list->path, list->pixels, pixels_min);
}

gboolean tool_dataset_read_class(DimDataset *dataset, const char *folder, const char *class_name,
                                 int side_min, gint64 pixels_min, int *side, DimTask *task,
                                 GError **error)
{
    List list = {.path = folder, .task = task, .side_min = side_min};

    list.entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_array_set_clear_func(list.entries, entry_clear);
    list.sides = g_array_new(FALSE, FALSE, sizeof(int));
    const gboolean good = read_class(&list, dataset, class_name, pixels_min, task, error);
    if (good) {
        g_array_sort(list.sides, compare_ints);
        *side = g_array_index(list.sides, int, list.sides->len / 2);
    }
    g_array_unref(list.sides);
    g_array_unref(list.entries);
    return good;
}
