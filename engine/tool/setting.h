/* A setting of a training: an option with its type, limits and default. Values are JSON.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_SETTING_H
#define DIM_TOOL_SETTING_H

#include <jansson.h>

#include "engine/dim-train.h"

typedef enum {
    SETTING_WHOLE,
    SETTING_REAL,
    SETTING_REALS, /* `least` to `most` of them, each within the limits */
    SETTING_WORD,  /* one of those in `words` */
    SETTING_SWITCH,
    SETTING_TEXT,
    SETTING_FILE,  /* kept as an absolute path */
    SETTING_MODEL, /* a model folder or an installed model's name, kept as an absolute path */
    SETTING_TIMES,
} SettingKind;

typedef struct {
    const char *name;
    SettingKind kind;
    double min, max;
    guint least, most;
    const char *initial;  /* as it would be given; NULL: none */
    const char *words;    /* separated by | */
    const char *key;      /* of backbone.config; NULL: no matter of the backbone */
    const char *families; /* with such a key, separated by |; NULL: all */
    gboolean later;  /* not in files of trainings that were begun before there was such a setting */
    gboolean common; /* an option of every command */
    gboolean free;   /* may change when a training goes on */
    const char *argument, *help;
} Setting;

/* What a word says; NULL: nothing of this kind. */
json_t *tool_setting_value(const Setting *s, const char *word);
/* Whether a value is of the kind and within the limits. */
gboolean tool_setting_fits(const Setting *s, const json_t *value);
/* What would fit. g_free */
char *tool_setting_expectation(const Setting *s);
/* A value as it would be given. g_free */
char *tool_setting_print(const json_t *value);

/* Of the words separated by |; words NULL: any. */
gboolean tool_setting_one_of(const char *words, const char *word);
double tool_setting_real_at(const json_t *values, gsize i);
/* What SETTING_TIMES says. */
gboolean tool_setting_times(const char *text, DimTrainParams *params);

#endif
