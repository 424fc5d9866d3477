/* Which of many pictures a run makes: pure functions of the options.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "items.h"

#include <errno.h>
#include <string.h>

#include <glib/gstdio.h>

#include "tool.h"

enum { NAME_MAX_BYTES = 120, DIGITS_MIN = 4 };

#define ITEM "{item}"
#define CLASS "{class}"

/* ---- which ---- */

static gboolean read_shard(ToolItems *items, const char *text)
{
    g_auto(GStrv) sides = g_strsplit(text, "/", 2);
    guint64 parts, part;

    if (g_strv_length(sides) != 2 ||
        !g_ascii_string_to_unsigned(sides[1], 10, 1, TOOL_COUNT_MAX, &parts, NULL) ||
        !g_ascii_string_to_unsigned(sides[0], 10, 1, parts, &part, NULL)) {
        tool_usage("--shard %s: expected PART/PARTS, from 1/PARTS to PARTS/PARTS", text);
        return FALSE;
    }
    items->part = (gint64)part;
    items->parts = (gint64)parts;
    return TRUE;
}

gboolean tool_items_read(ToolItems *items, const char *count, const char *shard)
{
    *items = (ToolItems){.part = 1, .parts = 1};
    if (count && !g_ascii_string_to_signed(count, 10, 1, TOOL_COUNT_MAX, &items->count, NULL)) {
        tool_usage("--count %s: expected a whole number from 1 to %d", count, TOOL_COUNT_MAX);
        return FALSE;
    }
    if (shard && !count) {
        tool_usage("--shard %s: expected --count too", shard);
        return FALSE;
    }
    return !shard || read_shard(items, shard);
}

static void add_label(ToolItems *items, int label)
{
    for (int i = 0; i < items->n_classes; i++)
        if (items->labels[i] == label)
            return;
    items->labels[items->n_classes++] = label;
}

static gboolean find_list(ToolItems *items, const DimModelInfo *info, const char *text,
                          GError **error)
{
    g_auto(GStrv) names = g_strsplit(text, ",", -1);

    for (int i = 0; names[i]; i++) {
        const int label = dim_model_info_find_class(info, g_strstrip(names[i]), error);
        if (label < 0)
            return FALSE;
        add_label(items, label);
    }
    return TRUE;
}

gboolean tool_items_find_classes(ToolItems *items, const DimModelInfo *info, const char *text,
                                 GError **error)
{
    items->labels = g_try_new(int, MAX(info->n_labels, 1));
    if (!items->labels)
        return tool_refuse(error, DIM_ERROR_NO_MEMORY, "%s: no memory for %d classes", info->name,
                           info->n_labels);
    /* Whole first: names may have commas themselves. */
    const int label = dim_model_info_find_class(info, text, NULL);
    if (label >= 0)
        add_label(items, label);
    else if (strcmp(text, "all"))
        return find_list(items, info, text, error);
    else
        for (int i = 0; i < info->n_labels; i++)
            items->labels[items->n_classes++] = i;
    return TRUE;
}

void tool_items_set_class(ToolItems *items, int label)
{
    items->labels = g_new(int, 1);
    add_label(items, label);
}

void tool_items_clear(ToolItems *items)
{
    g_clear_pointer(&items->labels, g_free);
}

gint64 tool_items_n(const ToolItems *items)
{
    const gint64 all = MAX(items->count, 1) * items->n_classes;

    return (all + items->parts - items->part) / items->parts;
}

ToolItem tool_items_at(const ToolItems *items, gint64 i)
{
    const gint64 at = items->part - 1 + i * items->parts, count = MAX(items->count, 1);

    return (ToolItem){.number = at % count, .label = items->labels[at / count]};
}

gint64 tool_item_seed(const ToolItem *item, gint64 seed)
{
    return (seed + item->number) & DIM_SEED_MAX;
}

/* ---- files ---- */

/* The pattern with these words in place of {item} and {class}; NULL: something else is in braces.
 */
static char *fill(const char *pattern, const char *item, const char *class_word)
{
    GString *text = g_string_new(NULL);

    while (*pattern) {
        if (g_str_has_prefix(pattern, ITEM)) {
            g_string_append(text, item);
            pattern += strlen(ITEM);
        } else if (g_str_has_prefix(pattern, CLASS)) {
            g_string_append(text, class_word);
            pattern += strlen(CLASS);
        } else if (*pattern == '{' || *pattern == '}') {
            g_string_free(text, TRUE);
            return NULL;
        } else
            g_string_append_c(text, *pattern++);
    }
    return g_string_free(text, FALSE);
}

gboolean tool_items_check_pattern(const ToolItems *items, const char *option, const char *pattern)
{
    g_autofree char *filled = items->count ? fill(pattern, "", "") : g_strdup("");

    if (!filled)
        tool_usage("--%s %s: expected nothing but {item} and {class} in braces", option, pattern);
    else if (items->count && (!*pattern || g_str_has_suffix(pattern, "/")))
        tool_usage("--%s %s: expected the name of a file, as out.png", option, pattern);
    else
        return TRUE;
    return FALSE;
}

/* The pattern with all that it needs in it. */
static char *complete(const ToolItems *items, const char *pattern)
{
    const char *slash = strrchr(pattern, '/'), *base = slash ? slash + 1 : pattern;
    const char *dot = strrchr(base, '.'), *end = dot && dot > base ? dot : base + strlen(base);
    const gboolean wants_class = items->n_classes > 1 && !strstr(pattern, CLASS);

    return g_strdup_printf("%.*s%s%s%s", (int)(end - pattern), pattern,
                           wants_class ? "-" CLASS : "", strstr(pattern, ITEM) ? "" : "-" ITEM,
                           end);
}

/* Its name, where that is one class's alone and is a file's name in any folder. */
static char *class_word(const DimModelInfo *info, int label)
{
    const char *name = label >= 0 && label < info->n_classes ? info->classes[label] : "";
    gboolean fits = *name && *name != '.' && strlen(name) <= NAME_MAX_BYTES &&
                    g_utf8_validate(name, -1, NULL) && strspn(name, "0123456789") < strlen(name);

    for (const char *p = name; *p && fits; p = g_utf8_next_char(p))
        fits = *p != '/' && g_unichar_isprint(g_utf8_get_char(p));
    if (fits && dim_model_info_find_class(info, name, NULL) == label)
        return g_strdup(name);
    return label >= 0 ? g_strdup_printf("%d", label) : g_strdup("none");
}

char *tool_items_file(const ToolItems *items, const DimModelInfo *info, const ToolItem *item,
                      const char *pattern)
{
    if (items->count == 0)
        return g_strdup(pattern);
    char last[24];
    const int digits = g_snprintf(last, sizeof last, "%" G_GINT64_FORMAT, items->count - 1);
    g_autofree char *whole = complete(items, pattern);
    g_autofree char *number =
        g_strdup_printf("%0*" G_GINT64_FORMAT, MAX(digits, DIGITS_MIN), item->number);
    g_autofree char *word = class_word(info, item->label);
    return fill(whole, number, word);
}

gboolean tool_items_make_folder(const char *pattern, const char *file, GError **error)
{
    g_autofree char *open = g_path_get_dirname(pattern), *folder = g_path_get_dirname(file);

    if (!strchr(open, '{') || g_mkdir_with_parents(folder, 0777) == 0)
        return TRUE;
    return tool_refuse(error, DIM_ERROR_FILE, "%s: cannot be made: %s", folder, g_strerror(errno));
}
