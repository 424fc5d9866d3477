/* Family `diffussm`: the configuration.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-diffussm.h"

#include "error.h"
#include "json.h"

enum {
    WIDTH_MAX = 8192,
    BLOCKS_MAX = 8192,
    STATES_MAX = 4096,
    CLASSES_MAX = 1 << 20,
    SIDE_MAX = 8192,
    PATCH_MAX = 64
};

static gboolean parse_image(const DimJsonReader *r, DimSsmConfig *c)
{
    static const char *const positions[] = {"none", "sincos", NULL};
    gboolean learn_sigma = TRUE;
    int input_size = 32, which = 0; /* every size works: the key is only checked */

    if (!dim_json_read_int(r, "input_size", 1, SIDE_MAX, &input_size) ||
        !dim_json_read_int(r, "patch_size", 1, PATCH_MAX, &c->patch) ||
        !dim_json_read_int(r, "in_channels", 1, WIDTH_MAX, &c->in_channels) ||
        !dim_json_read_bool(r, "learn_sigma", &learn_sigma) ||
        !dim_json_get_choice(r->json, "pos_embed", positions, &which, r->origin, r->error))
        return FALSE;
    c->out_channels = c->in_channels * (learn_sigma ? 2 : 1);
    c->has_positions = which == 1;
    return TRUE;
}

static gboolean parse_blocks(const DimJsonReader *r, DimSsmConfig *c)
{
    int d_state = 64;

    if (!dim_json_read_int(r, "hidden_size", 1, WIDTH_MAX, &c->width) ||
        !dim_json_read_int(r, "depth", 1, BLOCKS_MAX, &c->depth) ||
        !dim_json_read_int(r, "hourglass_ratio", 1, WIDTH_MAX, &c->hourglass) ||
        !dim_json_read_int(r, "d_state", 2, STATES_MAX, &d_state))
        return FALSE;
    c->n_states = d_state / 2;
    if (d_state % 2)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "d_state is %d; expected an even number, states come in pairs", d_state);
    if (2 * c->width % c->hourglass)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "hourglass_ratio is %d; expected a divisor of twice hidden_size, %d",
                        c->hourglass, 2 * c->width);
    if (c->has_positions && c->width % 4)
        return dim_fail(r->error, DIM_ERROR_FORMAT, r->origin,
                        "hidden_size is %d; expected a multiple of 4 with pos_embed sincos",
                        c->width);
    return TRUE;
}

static gboolean parse_labels(const DimJsonReader *r, DimSsmConfig *c)
{
    double dropped = 0.1;

    if (!dim_json_read_int(r, "num_classes", 0, CLASSES_MAX, &c->n_classes) ||
        !dim_json_read_double(r, "class_dropout_prob", 0, 1, &dropped))
        return FALSE;
    c->has_null_label = c->n_classes > 0 && dropped > 0;
    return TRUE;
}

void *dim_ssm_config_parse(const json_t *config, const char *origin, GError **error)
{
    static const char *const keys[] = {"input_size",  "patch_size",  "in_channels",
                                       "hidden_size", "depth",       "hourglass_ratio",
                                       "d_state",     "num_classes", "class_dropout_prob",
                                       "learn_sigma", "pos_embed",   NULL};
    const DimJsonReader r = {config, origin, error};
    DimSsmConfig c = {
        .patch = 1,
        .hourglass = 2,
        .in_channels = 4,
        .width = 1152,
        .depth = 29,
        .n_classes = 1000,
    };

    if (!dim_json_only(config, keys, origin, error) || !parse_image(&r, &c) ||
        !parse_blocks(&r, &c) || !parse_labels(&r, &c))
        return NULL;
    return g_memdup2(&c, sizeof c);
}
