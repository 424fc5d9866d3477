/* Family `dim`: the configuration and what follows from it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-dim.h"

#include <float.h>
#include <math.h>

#include "error.h"
#include "json.h"

enum {
    WIDTH_MAX = 8192,
    INNER_MAX = 65536,
    BLOCKS_MAX = 8192,
    CLASSES_MAX = 1 << 20,
    TAPS_MAX = 8,
    PADS_MAX = 64,
    TABLE_MAX = 8192
};

static gboolean parse_widths(const DimJsonReader *r, DimMambaConfig *c)
{
    double expand = 2;

    if (!dim_json_need_int(r, "hidden_size", 1, WIDTH_MAX, &c->width) ||
        !dim_json_read_int(r, "patch_size", 1, 64, &c->patch) ||
        !dim_json_read_int(r, "in_channels", 1, WIDTH_MAX, &c->in_channels))
        return FALSE;
    c->out_channels = c->in_channels;
    c->rank = (c->width + 15) / 16;
    if (!dim_json_read_int(r, "out_channels", 1, WIDTH_MAX, &c->out_channels) ||
        !dim_json_need_int(r, "num_classes", 0, CLASSES_MAX, &c->n_classes) ||
        !dim_json_read_int(r, "d_state", 1, 1024, &c->n_states) ||
        !dim_json_read_int(r, "d_conv", 1, TAPS_MAX, &c->n_taps) ||
        !dim_json_read_int(r, "dt_rank", 1, WIDTH_MAX, &c->rank) ||
        !dim_json_read_double(r, "expand", 0, INNER_MAX, &expand))
        return FALSE;
    const double inner = expand * c->width;
    if (!(inner >= 1 && inner <= INNER_MAX))
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "expand is %g, which makes an inner width of %g; expected 1 to %d", expand,
                        inner, INNER_MAX);
    c->inner = (int)inner;
    return TRUE;
}

static gboolean parse_blocks(const DimJsonReader *r, DimMambaConfig *c)
{
    if (!dim_json_need_int(r, "depth", 1, BLOCKS_MAX, &c->depth) ||
        !dim_json_read_int(r, "encoder_start", 0, BLOCKS_MAX, &c->encoder_start) ||
        !dim_json_read_bool(r, "skip_connections", &c->skip_connections) ||
        !dim_json_read_int(r, "scan_directions", 1, 4, &c->n_directions))
        return FALSE;
    if (c->encoder_start > c->depth || (c->depth - c->encoder_start) % 2)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "depth is %d and encoder_start %d; expected an even difference from 0 up",
                        c->depth, c->encoder_start);
    return TRUE;
}

static gboolean parse_sequence(const DimJsonReader *r, DimMambaConfig *c)
{
    static const char *const schedules[] = {"lateral", "rho_pad", "none", NULL};
    int pads = DIM_PADS_LATERAL;

    c->n_pads = c->n_taps;
    if (!dim_json_get_choice(r->json, "pad_schedule", schedules, &pads, r->origin, r->error))
        return FALSE;
    c->pads = (DimPadSchedule)pads;
    return dim_json_read_int(r, "pad_token_len", 1, PADS_MAX, &c->n_pads) &&
           dim_json_read_bool(r, "split_tokens", &c->split_tokens) &&
           dim_json_read_bool(r, "depthwise_conv", &c->smoothers) &&
           dim_json_read_bool(r, "final_conv", &c->final_conv) &&
           dim_json_read_double(r, "norm_eps", DBL_MIN, 1, &c->eps);
}

/* null, a side, or [h, w] */
static gboolean parse_table_size(const DimJsonReader *r, DimMambaConfig *c)
{
    static const char key[] = "pos_embed_size";
    gint64 sides[2] = {0, 0};
    int n = 0;

    if (dim_json_is_null(r->json, key))
        return TRUE;
    if (json_is_array(json_object_get(r->json, key))) {
        if (!dim_json_get_ints(r->json, key, 2, 2, 1, TABLE_MAX, sides, &n, r->origin, r->error))
            return FALSE;
    } else {
        if (!dim_json_get_int(r->json, key, 1, TABLE_MAX, &sides[0], r->origin, r->error))
            return FALSE;
        sides[1] = sides[0];
    }
    c->table_h = (int)sides[0];
    c->table_w = (int)sides[1];
    return TRUE;
}

/* null or [top, bottom] */
static gboolean parse_skip_tune(const DimJsonReader *r, DimMambaConfig *c)
{
    const json_t *value = json_object_get(r->json, "skip_tune");
    const json_t *top = json_array_get(value, 0), *bottom = json_array_get(value, 1);

    if (!value || json_is_null(value))
        return TRUE;
    if (json_array_size(value) != 2 || !json_is_number(top) || !json_is_number(bottom) ||
        !(fabs(json_number_value(top)) <= 1e6) || !(fabs(json_number_value(bottom)) <= 1e6))
        return dim_fail(
            r->error, DIM_ERROR_FORMAT, r->origin,
            "skip_tune is something else than null or [top, bottom], two numbers within a million");
    /* The factor runs from the first decoder block to the last: there must be two. */
    if (dim_mamba_pairs(c) < 2)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "skip_tune is set with %d decoder blocks; expected two or more",
                        dim_mamba_pairs(c));
    c->skip_tune = TRUE;
    c->tune_top = json_number_value(top);
    c->tune_bottom = json_number_value(bottom);
    return TRUE;
}

void *dim_mamba_config_parse(const json_t *config, const char *origin, GError **error)
{
    static const char *const keys[] = {"hidden_size",     "depth",
                                       "patch_size",      "in_channels",
                                       "out_channels",    "num_classes",
                                       "d_state",         "d_conv",
                                       "expand",          "dt_rank",
                                       "encoder_start",   "skip_connections",
                                       "scan_directions", "pad_schedule",
                                       "pad_token_len",   "split_tokens",
                                       "depthwise_conv",  "final_conv",
                                       "norm_eps",        "pos_embed_size",
                                       "skip_tune",       NULL};
    const DimJsonReader r = {config, origin, error};
    DimMambaConfig c = {
        .patch = 2,
        .in_channels = 4,
        .n_states = 16,
        .n_taps = 3,
        .encoder_start = 1,
        .skip_connections = TRUE,
        .n_directions = 4,
        .split_tokens = TRUE,
        .smoothers = TRUE,
        .eps = 1e-5,
    };

    if (!dim_json_only(config, keys, origin, error) || !parse_widths(&r, &c) ||
        !parse_blocks(&r, &c) || !parse_sequence(&r, &c) || !parse_table_size(&r, &c) ||
        !parse_skip_tune(&r, &c))
        return NULL;
    return g_memdup2(&c, sizeof c);
}

int dim_mamba_pairs(const DimMambaConfig *c)
{
    return (c->depth - c->encoder_start) / 2;
}

gboolean dim_mamba_is_encoder(const DimMambaConfig *c, int block)
{
    return block >= c->encoder_start && block < c->encoder_start + dim_mamba_pairs(c);
}

gboolean dim_mamba_is_decoder(const DimMambaConfig *c, int block)
{
    return block >= c->encoder_start + dim_mamba_pairs(c);
}

double dim_mamba_skip_factor(const DimMambaConfig *c, int block)
{
    if (!c->skip_tune)
        return 1;
    /* The 0.001 stands where the time was meant: the published runs were made so. */
    const double top = c->tune_bottom + (c->tune_top - c->tune_bottom) * 0.001;
    const int first = c->encoder_start + dim_mamba_pairs(c), last = c->depth - 1;
    return c->tune_bottom + (double)(block - first) / (last - first) * (top - c->tune_bottom);
}
