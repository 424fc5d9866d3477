/* Which of many pictures a run makes, with which seeds, and what their files are called.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_ITEMS_H
#define DIM_TOOL_ITEMS_H

#include "engine/dim.h"

enum { TOOL_COUNT_MAX = 1000000000 };

/* Items 0..count - 1 of each class, class after class; part p of n makes every n-th of this row,
 * the p-th first. */
typedef struct {
    gint64 count; /* 0: one picture, called as it was said */
    gint64 part, parts;
    int n_classes;
    int *labels; /* [n_classes] */
} ToolItems;

typedef struct {
    gint64 number; /* within its class */
    int label;     /* -1: the model has no classes */
} ToolItem;

/* --count (NULL: one picture) and --shard PART/PARTS (NULL: all). After a usage mistake's line
 * FALSE. */
gboolean tool_items_read(ToolItems *items, const char *count, const char *shard);
/* `text`: a name or a number, or several with commas between, or "all". Repetitions count once. */
gboolean tool_items_find_classes(ToolItems *items, const DimModelInfo *info, const char *text,
                                 GError **error);
void tool_items_set_class(ToolItems *items, int label);
void tool_items_clear(ToolItems *items);

gint64 tool_items_n(const ToolItems *items); /* of this part */
ToolItem tool_items_at(const ToolItems *items, gint64 i);
/* Item k's seed is the run's plus k, modulo 2^53: no two of a class have the same. */
gint64 tool_item_seed(const ToolItem *item, gint64 seed);

/* Whether `pattern`, which --`option` gives, can name them: {item} and {class} are all that may
 * stand in braces. After a usage mistake's line FALSE. */
gboolean tool_items_check_pattern(const ToolItems *items, const char *option, const char *pattern);
/* {item} is the number, of four digits or as many as the last one needs; {class} the class's name,
 * or its number where the name cannot be a file's. A pattern without {item}, or of several classes
 * without {class}, gets them before its ending. g_free. */
char *tool_items_file(const ToolItems *items, const DimModelInfo *info, const ToolItem *item,
                      const char *pattern);
/* The folder of `file`, where the pattern leaves it open which; it is made, with those above. */
gboolean tool_items_make_folder(const char *pattern, const char *file, GError **error);

#endif
