/* The working grid of a picture.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "grid.h"

#include "upsample.h"

static gint64 divide_up(gint64 a, gint64 b)
{
    return (a + b - 1) / b;
}

static gboolean fit(int asked, int pixels, int multiple, int factor, int *side)
{
    const gint64 unit = (gint64)multiple * factor;
    const gint64 fitted = divide_up(divide_up(asked, pixels), unit) * unit;

    *side = (int)MIN(fitted, 1 << 30);
    return fitted <= 1 << 30;
}

static int factor(const DimModelSpec *spec, const DimParams *params)
{
    return params->upsample == DIM_UPSAMPLE_AUTO
               ? dim_upsample_factor(params->width, params->height, spec->info.native_size)
               : params->upsample;
}

gboolean dim_grid_for(const DimModelSpec *spec, const DimParams *params, DimGrid *grid)
{
    DimNetFacts facts = {0};
    DimAutoencoderFacts codec = {0};

    spec->net->facts(spec->net_config, &facts);
    spec->autoencoder->facts(spec->autoencoder_config, &codec);
    grid->pixels = codec.factor;
    grid->upsample = factor(spec, params);
    grid->seamless = params->seamless == DIM_SEAMLESS_AUTO ? DIM_SEAMLESS_BOTH : params->seamless;
    grid->margin_width = grid->seamless & DIM_SEAMLESS_X ? codec.margin : 0;
    grid->margin_height = grid->seamless & DIM_SEAMLESS_Y ? codec.margin : 0;
    if (!fit(params->width, grid->pixels, facts.width_multiple, grid->upsample, &grid->width) ||
        !fit(params->height, grid->pixels, facts.height_multiple, grid->upsample, &grid->height) ||
        !fit(spec->info.native_size, grid->pixels, facts.width_multiple, 1, &grid->window_width) ||
        !fit(spec->info.native_size, grid->pixels, facts.height_multiple, 1, &grid->window_height))
        return FALSE;
    grid->window_width = params->windows ? MIN(grid->window_width, grid->width) : grid->width;
    grid->window_height = params->windows ? MIN(grid->window_height, grid->height) : grid->height;
    return TRUE;
}

void dim_grid_units(const DimModelSpec *spec, const DimParams *params, gint64 *width,
                    gint64 *height)
{
    DimNetFacts facts = {0};
    DimAutoencoderFacts codec = {0};

    spec->net->facts(spec->net_config, &facts);
    spec->autoencoder->facts(spec->autoencoder_config, &codec);
    const gint64 pixels = (gint64)codec.factor * factor(spec, params);
    *width = pixels * facts.width_multiple;
    *height = pixels * facts.height_multiple;
}
