/* Family `dim`: the sequence, and the four orders in which the blocks scan it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The sequence is stored once, row by row; a block that scans by columns is given a table of rows
 * instead of a copy. A long skip needs no table at all: it adds row to row, whatever order either
 * block scanned in. */
#include "net-dim.h"

#include <math.h>

DimMambaGrid dim_mamba_grid(const DimMambaConfig *c, int height, int width)
{
    const gint64 pads = c->pads == DIM_PADS_NONE ? 0 : c->n_pads;
    DimMambaGrid grid = {
        .height = height,
        .width = width,
        .padded_height = height + pads,
        .padded_width = width + pads,
        .lead = DIM_EXTRA_TOKENS + (c->split_tokens ? c->n_pads : 0),
    };
    grid.length = grid.lead + grid.padded_height * grid.padded_width;
    return grid;
}

int dim_mamba_direction(const DimMambaConfig *c, int block)
{
    if (block < c->encoder_start || block == c->depth - 1)
        return DIM_SCAN_ROWS;
    if (dim_mamba_is_encoder(c, block))
        return (block - c->encoder_start + 1) % c->n_directions;
    return (c->depth - 1 - block) % c->n_directions;
}

void dim_mamba_order(const DimMambaGrid *grid, int direction, gint32 *order)
{
    const gint64 rows = grid->padded_height, columns = grid->padded_width, cells = rows * columns;
    const gboolean by_columns =
        direction == DIM_SCAN_COLUMNS || direction == DIM_SCAN_COLUMNS_REVERSED;
    const gboolean reversed =
        direction == DIM_SCAN_ROWS_REVERSED || direction == DIM_SCAN_COLUMNS_REVERSED;

    for (gint64 i = 0; i < grid->lead; i++)
        order[i] = (gint32)i;
    for (gint64 i = 0; i < cells; i++) {
        const gint64 q = reversed ? cells - 1 - i : i;
        const gint64 cell = by_columns ? q % rows * columns + q / rows : q;
        order[grid->lead + i] = (gint32)(grid->lead + cell);
    }
}

/* Which pad stands at a cell outside of the H x W image. */
static gint64 pad_at(const DimMambaConfig *c, const DimMambaGrid *grid, gint64 row, gint64 column)
{
    if (row < grid->height)
        return column - grid->width;
    if (c->pads == DIM_PADS_LATERAL)
        return row - grid->height;
    return ((row - grid->height) * grid->padded_width + column) % c->n_pads;
}

void dim_mamba_sources(const DimMambaConfig *c, const DimMambaGrid *grid,
                       gint32 *const rows[DIM_N_SOURCES])
{
    for (int source = 0; source < DIM_N_SOURCES; source++)
        for (gint64 i = 0; i < grid->length; i++)
            rows[source][i] = -1;
    for (gint32 i = 0; i < grid->lead; i++)
        if (i < DIM_EXTRA_TOKENS)
            rows[DIM_FROM_EXTRA][i] = i;
        else
            rows[DIM_FROM_SPLIT][i] = i - DIM_EXTRA_TOKENS;

    gint64 i = grid->lead;
    for (gint64 row = 0; row < grid->padded_height; row++)
        for (gint64 column = 0; column < grid->padded_width; column++, i++)
            if (row < grid->height && column < grid->width)
                rows[DIM_FROM_IMAGE][i] = (gint32)(row * grid->width + column);
            else
                rows[DIM_FROM_PADS][i] = (gint32)pad_at(c, grid, row, column);
}

void dim_mamba_crop(const DimMambaGrid *grid, gint32 *rows)
{
    for (gint64 row = 0; row < grid->height; row++)
        for (gint64 column = 0; column < grid->width; column++)
            *rows++ = (gint32)(grid->lead + row * grid->padded_width + column);
}

void dim_mamba_sinusoid(float *out, int size, double t)
{
    const int half = size / 2;

    for (int i = 0; i < half; i++) {
        const double angle = t * exp(-log(10000) * i / half);
        out[i] = (float)cos(angle);
        out[half + i] = (float)sin(angle);
    }
    if (size % 2)
        out[size - 1] = 0;
}
