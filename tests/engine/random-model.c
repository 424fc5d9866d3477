/* Model folders with random weights.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "random-model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/json.h"
#include "engine/net-dim.h"

typedef struct {
    GString *header;
    guint64 offset;
    FILE *file;
    guint64 state;
} Writer;

static gboolean describe(const DimNetEntry *e, void *data, GError **error)
{
    Writer *w = data;
    const guint64 end = w->offset + (guint64)dim_net_entry_count(e) * sizeof(float);

    g_string_append_printf(w->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[",
                           w->header->len > 1 ? "," : "", e->name);
    for (int i = 0; i < e->rank; i++)
        g_string_append_printf(w->header, "%s%" G_GINT64_FORMAT, i ? "," : "", e->sizes[i]);
    g_string_append_printf(w->header,
                           "],\"data_offsets\":[%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT "]}",
                           w->offset, end);
    w->offset = end;
    return TRUE;
}

/* Uniform in (-1, 1), by xorshift64*. */
static double next(Writer *w)
{
    w->state ^= w->state >> 12;
    w->state ^= w->state << 25;
    w->state ^= w->state >> 27;
    return (double)(gint64)(w->state * G_GUINT64_CONSTANT(2685821657736338717)) /
           9223372036854775808.0;
}

static double value(Writer *w, const DimNetEntry *e, gint64 i, double spread)
{
    const double u = next(w);

    if (e->use == DIM_AS_SCAN)
        return log(1 + (double)(i % e->sizes[1])) + 0.1 * u;
    if (g_str_has_suffix(e->name, "norm.weight") || g_str_has_suffix(e->name, "attn1.D"))
        return 1 + 0.3 * u;
    if (g_str_has_suffix(e->name, "dt_proj.bias")) /* the inverse softplus of 0.001 to 0.1 */
        return log(expm1(exp(log(0.01) + log(10) * u)));
    return spread * u;
}

static gboolean write_values(const DimNetEntry *e, void *data, GError **error)
{
    Writer *w = data;
    const gint64 count = dim_net_entry_count(e), fan_in = count / e->sizes[0];
    const gboolean is_weight = e->use >= DIM_AS_LINEAR || e->rank == 4;
    g_autofree float *values = g_new(float, (gsize)count);

    for (gint64 i = 0; i < count; i++)
        values[i] = (float)value(w, e, i, is_weight ? sqrt(3.0 / (double)fan_in) : 0.3);
    if (fwrite(values, sizeof(float), (gsize)count, w->file) == (gsize)count)
        return TRUE;
    g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be written", e->name);
    return FALSE;
}

static gboolean write_weights(const char *path, const DimMambaConfig *config, int table_side,
                              guint64 seed, GError **error)
{
    DimMambaNet names_only = {0};
    Writer w = {.header = g_string_new("{"), .file = fopen(path, "wb"), .state = seed * 2 + 1};
    gboolean ok = dim_mamba_walk(config, table_side, &names_only, describe, &w, error);

    g_string_append_c(w.header, '}');
    const guint64 length = GUINT64_TO_LE(w.header->len);
    ok = ok && w.file && fwrite(&length, 8, 1, w.file) == 1 &&
         fwrite(w.header->str, w.header->len, 1, w.file) == 1 &&
         dim_mamba_walk(config, table_side, &names_only, write_values, &w, error);
    ok = w.file && fclose(w.file) == 0 && ok;
    g_string_free(w.header, TRUE);
    if (!ok && error && !*error)
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be written", path);
    return ok;
}

gboolean random_model_write(const char *folder, const char *config, int table_side, guint64 seed,
                            GError **error)
{
    json_t *json = dim_json_parse(config, strlen(config), "config", error);
    g_autofree DimMambaConfig *c = json ? dim_net_dim.parse(json, "config", error) : NULL;
    g_autofree char *weights = g_build_filename(folder, "weights.safetensors", NULL);
    g_autofree char *model = g_build_filename(folder, "model.json", NULL);

    json_decref(json);
    if (!c || !write_weights(weights, c, table_side, seed, error))
        return FALSE;
    g_autofree char *text = g_strdup_printf(
        "{\"format\": \"gimp-dim-model\", \"version\": 1, \"name\": \"random weights\",\n"
        " \"backbone\": {\"family\": \"dim\", \"weights\": \"weights.safetensors\",\n  \"config\": "
        "%s},\n"
        " \"noise_schedule\": {\"type\": \"scaled_linear\", \"beta_start\": 0.00085, \"beta_end\": "
        "0.012,"
        " \"timesteps\": 1000},\n"
        " \"prediction\": \"epsilon\", \"unconditional_class\": %d, \"native_size\": %d}\n",
        config, c->n_classes, table_side * c->patch);
    return g_file_set_contents(model, text, -1, error);
}
