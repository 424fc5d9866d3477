/* Reads a family's "config" object out of model.json: typed keys with limits and defaults; any
 * other key is refused.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 *     dim_config_begin(&reader, config, origin, error);
 *     width = dim_config_int(&reader, "width", 64, 1, 8192);
 *     ok = dim_config_end(&reader);
 *
 * The first fault sticks: after it every key reads as its default, and dim_config_end answers
 * FALSE. */
#ifndef DIM_CONFIG_H
#define DIM_CONFIG_H

#include <glib.h>
#include <jansson.h>

enum { DIM_CONFIG_KEYS = 48 };

typedef struct {
    const json_t *object; /* NULL: nothing is configured */
    const char *origin;   /* names the file in errors */
    GError **error;
    gboolean failed;
    const char *keys[DIM_CONFIG_KEYS]; /* asked for so far: what is known */
    int n_keys;
} DimConfigReader;

void dim_config_begin(DimConfigReader *reader, const json_t *config, const char *origin,
                      GError **error);
int dim_config_int(DimConfigReader *reader, const char *key, int otherwise, int min, int max);
/* min < value <= max, so that 0 as min asks for a positive number. */
double dim_config_double(DimConfigReader *reader, const char *key, double otherwise, double min,
                         double max);
gboolean dim_config_bool(DimConfigReader *reader, const char *key, gboolean otherwise);
/* Index into `names` (NULL-terminated). */
int dim_config_choice(DimConfigReader *reader, const char *key, const char *const *names,
                      int otherwise);
/* 1..n_max integers into `out`, which holds the default before; answers how many, or n_otherwise.
 */
int dim_config_ints(DimConfigReader *reader, const char *key, int *out, int n_otherwise, int n_max,
                    int min, int max);
/* The raw value of a key that has a form of its own, NULL when it is left out. */
const json_t *dim_config_raw(DimConfigReader *reader, const char *key);
/* A fault found by the family itself. */
void dim_config_refuse(DimConfigReader *reader, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Refuses what was not asked for; TRUE: all is well. */
gboolean dim_config_end(DimConfigReader *reader);

#endif
