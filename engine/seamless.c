/* Seamless pictures: a run on the torus.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "seamless.h"

#include "rng.h"

const char *const *dim_seamless_names(void)
{
    static const char *const names[] = {"off", "x", "y", "both", "auto", NULL};

    return names;
}

int dim_seamless_rolls(DimSeamless seamless, gboolean is_last)
{
    if (!seamless || !is_last)
        return 1;
    /* A place is near a border of each kind in at most one of them. */
    return seamless == DIM_SEAMLESS_BOTH ? 3 : 2;
}

/* One side's offset: a multiple of the cell, each as likely as the others. */
static int offset(const DimGrid *grid, int side, gint64 seed, int k, int axis, int i, int n)
{
    const int cells = side / grid->upsample;
    const int first = (int)dim_random_below(seed, DIM_RANDOM_ROLL, k, axis, cells);

    return grid->upsample * (int)((first + (gint64)cells * i / n) % cells);
}

DimRoll dim_seamless_roll(const DimGrid *grid, gint64 seed, int k, int i, int n)
{
    return (DimRoll){
        .down = grid->seamless & DIM_SEAMLESS_Y ? offset(grid, grid->height, seed, k, 0, i, n) : 0,
        .right = grid->seamless & DIM_SEAMLESS_X ? offset(grid, grid->width, seed, k, 1, i, n) : 0,
    };
}

/* How far from the nearer end a place of a side lies. */
static int depth(int at, int side)
{
    return MIN(at, side - 1 - at);
}

/* The roll that takes the place farthest from those borders that the picture does not have; of two,
 * the first. */
static int deepest(const DimGrid *grid, const DimRoll *rolls, int n, int row, int column)
{
    int best = 0, most = -1;

    for (int i = 0; i < n; i++) {
        const int y = (row + rolls[i].down) % grid->height,
                  x = (column + rolls[i].right) % grid->width;
        const int d = MIN(grid->seamless & DIM_SEAMLESS_Y ? depth(y, grid->height) : G_MAXINT,
                          grid->seamless & DIM_SEAMLESS_X ? depth(x, grid->width) : G_MAXINT);
        if (d > most) {
            most = d;
            best = i;
        }
    }
    return best;
}

void dim_seamless_rows(const DimGrid *grid, const DimRoll *rolls, int n, int i, gint32 *from,
                       gint32 *back)
{
    const int h = grid->height, w = grid->width;

    for (int row = 0; row < h; row++)
        for (int column = 0; column < w; column++) {
            const gint32 here = row * w + column;
            const gint32 there = (row + rolls[i].down) % h * w + (column + rolls[i].right) % w;
            from[there] = here;
            back[here] = deepest(grid, rolls, n, row, column) == i ? there : -1;
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
