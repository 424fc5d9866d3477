/* Seamless pictures: a run on the torus.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "seamless.h"

#include "rng.h"

const char *const *dim_seamless_names(void)
{
    static const char *const names[] = {"off", "x", "y", "both", NULL};

    return names;
}

/* One side's offset: a multiple of the cell, each as likely as the others. */
static int offset(const DimGrid *grid, int side, gint64 seed, int k, int axis)
{
    const int cell = grid->upsample;

    return cell * (int)dim_random_below(seed, DIM_RANDOM_ROLL, k, axis, side / cell);
}

DimRoll dim_seamless_roll(const DimGrid *grid, gint64 seed, int k)
{
    return (DimRoll){
        .down = grid->seamless & DIM_SEAMLESS_Y ? offset(grid, grid->height, seed, k, 0) : 0,
        .right = grid->seamless & DIM_SEAMLESS_X ? offset(grid, grid->width, seed, k, 1) : 0,
    };
}

void dim_seamless_rows(const DimGrid *grid, DimRoll roll, gint32 *from, gint32 *back)
{
    const int h = grid->height, w = grid->width;

    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            const gint32 here = i * w + j, there = (i + roll.down) % h * w + (j + roll.right) % w;
            from[there] = here;
            back[here] = there;
        }
}

/* The inner place of one up to any distance beyond. */
static gint64 inside(gint64 at, gint64 side)
{
    return (at % side + side) % side;
}

gboolean dim_seamless_wrap(const DimGrid *grid, const DimArray *z, DimArray *wide, GError **error)
{
    const gint64 h = z->sizes[2], w = z->sizes[3], up = grid->margin_height,
                 left = grid->margin_width;
    const gint64 sizes[] = {1, z->sizes[1], h + 2 * up, w + 2 * left};
    float *to;

    if (!dim_array_alloc(wide, 4, sizes, error))
        return FALSE;
    to = wide->data;
    for (gint64 c = 0; c < sizes[1]; c++)
        for (gint64 i = 0; i < sizes[2]; i++)
            for (gint64 j = 0; j < sizes[3]; j++)
                *to++ = z->data[(c * h + inside(i - up, h)) * w + inside(j - left, w)];
    return TRUE;
}
