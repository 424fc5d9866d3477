/* Seamless pictures: a run on the torus.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A backbone knows borders: its scans start and end there, its convolutions and pads see them. So
 * the sample is rolled by a random offset before every evaluation and what is predicted is rolled
 * back: each line of the picture is a border in one evaluation and an inner line in most. All else
 * in a run works number by number, or on whole cells of upsample guidance, and needs no roll. */
#ifndef DIM_SEAMLESS_H
#define DIM_SEAMLESS_H

#include "grid.h"

typedef struct {
    int down, right; /* in pixels of the grid: 0 .. height - 1, 0 .. width - 1 */
} DimRoll;

/* How evaluation k of a run is rolled: along the sides asked for, by whole cells of upsample
 * guidance. */
DimRoll dim_seamless_roll(const DimGrid *grid, gint64 seed, int k);

/* Where a plane's numbers come from: y = x rolled by `roll` is y[i] = x[from[i]], y rolled back is
 * x[i] = y[back[i]]. Both [grid->height * grid->width]. */
void dim_seamless_rows(const DimGrid *grid, DimRoll roll, gint32 *from, gint32 *back);

/* z [1, C, h, w] with the grid's margins around it, the far side's numbers in each; allocates. */
gboolean dim_seamless_wrap(const DimGrid *grid, const DimArray *z, DimArray *wide, GError **error);

#endif
