/* One option's words as values, and values as words.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "setting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number as its fifteen digits say it, which is what the file keeps. */
static gboolean read_real(const char *text, double *value)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE], *end = NULL;
    const double read = g_ascii_strtod(text, &end);

    if (end == text || *end || !isfinite(read))
        return FALSE;
    *value = g_ascii_strtod(g_ascii_formatd(digits, sizeof digits, "%.15g", read), NULL);
    return TRUE;
}

/* Numbers with commas between them; NULL: they are none. */
static json_t *read_reals(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    json_t *values = json_array();
    double value;

    for (gsize i = 0; words[i]; i++) {
        if (!read_real(words[i], &value)) {
            json_decref(values);
            return NULL;
        }
        json_array_append_new(values, json_real(value));
    }
    return values;
}

double tool_setting_real_at(const json_t *values, gsize i)
{
    return json_number_value(json_array_get(values, i));
}

gboolean tool_setting_times(const char *text, DimTrainParams *params)
{
    static const char logit[] = "logit-normal";
    double pair[2] = {0, 1.2};

    if (!strcmp(text, "uniform")) {
        params->times = DIM_TIMES_UNIFORM;
        return TRUE;
    }
    if (strncmp(text, logit, strlen(logit)))
        return FALSE;
    text += strlen(logit);
    if (*text) {
        json_t *given = *text == ':' ? read_reals(text + 1) : NULL;
        const gboolean two = json_array_size(given) == 2;
        pair[0] = tool_setting_real_at(given, 0);
        pair[1] = tool_setting_real_at(given, 1);
        json_decref(given);
        if (!two || fabs(pair[0]) > 100 || !(pair[1] > 0 && pair[1] <= 100))
            return FALSE;
    }
    params->times = DIM_TIMES_LOGIT_NORMAL;
    params->times_mean = pair[0];
    params->times_deviation = pair[1];
    return TRUE;
}

json_t *tool_setting_value(const Setting *s, const char *word)
{
    gint64 whole;
    double real;
    g_autofree char *found = NULL, *path = NULL;

    switch (s->kind) {
    case SETTING_WHOLE:
        return g_ascii_string_to_signed(word, 10, G_MININT64, G_MAXINT64, &whole, NULL)
                   ? json_integer(whole)
                   : NULL;
    case SETTING_REAL:
        return read_real(word, &real) ? json_real(real) : NULL;
    case SETTING_REALS:
        return read_reals(word);
    case SETTING_SWITCH:
        return !strcmp(word, "yes") ? json_true() : !strcmp(word, "no") ? json_false() : NULL;
    case SETTING_FILE:
        path = *word ? g_canonicalize_filename(word, NULL) : NULL;
        return path ? json_string(path) : NULL;
    case SETTING_MODEL:
        found = *word ? dim_model_find(word, NULL) : NULL;
        path = found ? g_canonicalize_filename(found, NULL) : NULL;
        return path ? json_string(path) : NULL;
    default:
        return json_string(word); /* NULL where it is no UTF-8 */
    }
}

static gboolean in_range(const Setting *s, const json_t *value)
{
    return json_is_number(value) && json_number_value(value) >= s->min &&
           json_number_value(value) <= s->max;
}

static gboolean all_in_range(const Setting *s, const json_t *values)
{
    const gsize n = json_array_size(values);

    for (gsize i = 0; i < n; i++)
        if (!in_range(s, json_array_get(values, i)))
            return FALSE;
    return n >= s->least && n <= s->most;
}

gboolean tool_setting_one_of(const char *words, const char *word)
{
    g_auto(GStrv) all = g_strsplit(words ? words : word, "|", -1);

    return g_strv_contains((const char *const *)all, word);
}

gboolean tool_setting_fits(const Setting *s, const json_t *value)
{
    DimTrainParams unused;

    switch (s->kind) {
    case SETTING_WHOLE:
        return json_is_integer(value) && in_range(s, value);
    case SETTING_REAL:
        return in_range(s, value);
    case SETTING_REALS:
        return all_in_range(s, value);
    case SETTING_SWITCH:
        return json_is_boolean(value);
    case SETTING_WORD:
        return json_is_string(value) && tool_setting_one_of(s->words, json_string_value(value));
    case SETTING_TIMES:
        return json_is_string(value) && tool_setting_times(json_string_value(value), &unused);
    default:
        return json_is_string(value);
    }
}

char *tool_setting_expectation(const Setting *s)
{
    g_autofree char *range = s->max < 1 && s->min == 0 && s->max > 0.99
                                 ? g_strdup("from 0 to below 1")
                                 : g_strdup_printf("from %.16g to %.16g", s->min, s->max);

    switch (s->kind) {
    case SETTING_WHOLE:
        return g_strdup_printf("a whole number %s", range);
    case SETTING_REAL:
        return g_strdup_printf("a number %s", range);
    case SETTING_REALS:
        return s->least == s->most
                   ? g_strdup_printf("%u numbers with commas between them, each %s", s->most, range)
                   : g_strdup_printf("%u to %u numbers with commas between them, each %s", s->least,
                                     s->most, range);
    case SETTING_SWITCH:
        return g_strdup("yes or no");
    case SETTING_WORD:
        return g_strdup_printf("one of %s", s->words);
    case SETTING_TIMES:
        return g_strdup("uniform or logit-normal[:MEAN,DEVIATION]");
    case SETTING_MODEL:
        return g_strdup("a model folder, or the name of an installed model");
    default:
        return g_strdup("a text in UTF-8");
    }
}

char *tool_setting_print(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "yes" : "no");
    if (json_is_array(value)) {
        g_autoptr(GString) list = g_string_new(NULL);
        for (gsize i = 0; i < json_array_size(value); i++) {
            g_autofree char *word = tool_setting_print(json_array_get(value, i));
            g_string_append_printf(list, "%s%s", i ? "," : "", word);
        }
        return g_string_free(g_steal_pointer(&list), FALSE);
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    char *copy = g_strdup(text);
    free(text);
    return copy;
}
