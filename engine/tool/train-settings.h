/* What a training is made of: the options of `dim train`, and the file that keeps them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_SETTINGS_H
#define DIM_TOOL_TRAIN_SETTINGS_H

#include <jansson.h>

#include "engine/dim-train.h"

/* Values are JSON: numbers, texts, lists of numbers, truth values, by the names of the options.
 */
typedef struct {
    json_t *values;   /* of every setting but the backbone's, each of its type and in range */
    json_t *backbone; /* model.json's backbone.config */
    json_t
        *classes; /* [{"name", "pictures", "test"}]: what it was begun with; NULL: not yet known */
    json_t *extended; /* [{"at", "steps"}]: the number of steps that was aimed at until then */
} ToolSettings;

/* Fills an entry for each setting, whose help goes with `texts`. The words that are given come to
 * words, NULL where none is; both have room for tool_settings_count (). */
int tool_settings_count(void);
void tool_settings_entries(GOptionEntry *entries, char **words, GPtrArray *texts);

/* An object of the settings that were given; NULL after a usage mistake, with one line. */
json_t *tool_settings_parse(char *const *words);

/* Adds one to them that is no option of its own; FALSE after a usage mistake, with one line. */
gboolean tool_settings_give(json_t *given, const char *name, const char *word);

/* Settings of a new training: what was given, `config` (what --config names, may be NULL) or the
 * options of the backbone, and defaults. */
gboolean tool_settings_init(ToolSettings *settings, const json_t *given, const json_t *config,
                            GError **error);
/* The settings of an earlier one. */
gboolean tool_settings_load(ToolSettings *settings, const char *file, GError **error);
gboolean tool_settings_save(const ToolSettings *settings, const char *file, GError **error);
void tool_settings_clear(ToolSettings *settings);

/* What was given over what is there: refused where it would change what was begun; `run` names
 * that. *changed: they are to be saved anew. */
gboolean tool_settings_merge(ToolSettings *settings, const json_t *given, const json_t *config,
                             const char *run, gboolean *changed, GError **error);
/* Other numbers of steps: `at` are done. */
gboolean tool_settings_extend(ToolSettings *settings, gint64 steps, gint64 at, GError **error);

gint64 tool_settings_whole(const ToolSettings *settings, const char *name);
double tool_settings_real(const ToolSettings *settings, const char *name);
const char *tool_settings_text(const ToolSettings *settings, const char *name); /* NULL: none */
void tool_settings_params(const ToolSettings *settings, DimTrainParams *params);
void tool_settings_crops(const ToolSettings *settings, DimCropParams *crops);

/* As --scales, for other commands; FALSE after a usage mistake, with one line. crops->size is set.
 */
gboolean tool_settings_scales(const char *word, DimCropParams *crops);

#endif
