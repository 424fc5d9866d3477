/* Family `dit`: the configuration, and the tables that follow from it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-dit.h"

#include <math.h>
#include <string.h>

#include "error.h"
#include "json.h"

enum {
    WIDTH_MAX = 8192,
    INNER_MAX = 65536,
    BLOCKS_MAX = 8192,
    CLASSES_MAX = 1 << 20,
    SIDE_MAX = 8192,
    PATCH_MAX = 64
};

static gboolean parse_image(const DimJsonReader *r, DimDitConfig *c)
{
    gboolean learn_sigma = TRUE;

    if (!dim_json_read_int(r, "input_size", 1, SIDE_MAX, &c->input_size) ||
        !dim_json_read_int(r, "patch_size", 1, PATCH_MAX, &c->patch) ||
        !dim_json_read_int(r, "in_channels", 1, WIDTH_MAX, &c->in_channels) ||
        !dim_json_read_bool(r, "learn_sigma", &learn_sigma))
        return FALSE;
    c->out_channels = c->in_channels * (learn_sigma ? 2 : 1);
    c->guided_channels = c->in_channels;
    if (c->input_size % c->patch)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "input_size is %d; expected a multiple of patch_size, %d", c->input_size,
                        c->patch);
    return dim_json_read_int(r, "guidance_channels", 1, c->in_channels, &c->guided_channels);
}

static gboolean parse_blocks(const DimJsonReader *r, DimDitConfig *c)
{
    double ratio = 4;

    if (!dim_json_read_int(r, "hidden_size", 1, WIDTH_MAX, &c->width) ||
        !dim_json_read_int(r, "depth", 1, BLOCKS_MAX, &c->depth) ||
        !dim_json_read_int(r, "num_heads", 1, WIDTH_MAX, &c->n_heads) ||
        !dim_json_read_double(r, "mlp_ratio", 0, INNER_MAX, &ratio))
        return FALSE;
    if (c->width % 4 || c->width % c->n_heads)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "hidden_size is %d; expected a multiple of 4 and of num_heads, %d",
                        c->width, c->n_heads);
    const double inner = ratio * c->width;
    if (!(inner >= 1 && inner <= INNER_MAX))
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "mlp_ratio is %g, which makes an inner width of %g; expected 1 to %d",
                        ratio, inner, INNER_MAX);
    c->inner = (int)inner;
    return TRUE;
}

static gboolean parse_labels(const DimJsonReader *r, DimDitConfig *c)
{
    double dropped = 0.1;

    if (!dim_json_read_int(r, "num_classes", 0, CLASSES_MAX, &c->n_classes) ||
        !dim_json_read_double(r, "class_dropout_prob", 0, 1, &dropped))
        return FALSE;
    c->has_null_label = dropped > 0;
    return c->n_classes > 0 || c->has_null_label ||
           dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                    "num_classes is 0 and class_dropout_prob too; expected one of them above 0");
}

void *dim_dit_config_parse(const json_t *config, const char *origin, GError **error)
{
    static const char *const keys[] = {
        "input_size",  "patch_size",  "in_channels",       "hidden_size",
        "depth",       "num_heads",   "mlp_ratio",         "class_dropout_prob",
        "num_classes", "learn_sigma", "guidance_channels", NULL};
    const DimJsonReader r = {config, origin, error};
    DimDitConfig c = {
        .input_size = 32,
        .patch = 2,
        .in_channels = 4,
        .width = 1152,
        .depth = 28,
        .n_heads = 16,
        .n_classes = 1000,
    };

    if (!dim_json_only(config, keys, origin, error) || !parse_image(&r, &c) ||
        !parse_blocks(&r, &c) || !parse_labels(&r, &c))
        return NULL;
    return g_memdup2(&c, sizeof c);
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* The program forms frequencies and angles in float, rounding after each operation; at t near 1000
 * that is seen in the fourth digit of the output. */
void dim_dit_sinusoid(float *out, double t)
{
    enum { HALF = DIM_DIT_SINUSOID / 2 };
    const float step = (float)-log(10000), time = (float)t;

    for (int k = 0; k < HALF; k++) {
        const float exponent = step * (float)k / HALF; /* the division is exact */
        const float frequency = (float)exp((double)exponent), angle = time * frequency;
        out[k] = (float)cos((double)angle);
        out[HALF + k] = (float)sin((double)angle);
    }
}

/* out[2 q]: one coordinate. */
static void encode(float *out, int place, int q)
{
    for (int k = 0; k < q; k++) {
        const double angle = place * pow(10000, -(double)k / q);
        out[k] = (float)sin(angle);
        out[q + k] = (float)cos(angle);
    }
}

void dim_dit_positions(float *out, int rows, int columns, int width)
{
    const gsize half = (gsize)width / 2, line = (gsize)columns * width;

    for (int j = 0; j < columns; j++)
        encode(out + (gsize)j * width, j, width / 4);
    for (int i = 0; i < rows; i++) {
        float *first = out + i * line;
        encode(first + half, i, width / 4);
        for (int j = 0; j < columns; j++) {
            float *token = first + (gsize)j * width;
            if (i > 0)
                memcpy(token, out + (gsize)j * width, half * sizeof *out);
            if (j > 0)
                memcpy(token + half, first + half, half * sizeof *out);
        }
    }
}
