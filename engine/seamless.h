/* Seamless pictures: a run on the torus.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A backbone knows borders: its scans start and end there, its convolutions and pads see them. So
 * the sample is rolled by a random offset before every evaluation and what is predicted is rolled
 * back: each line of the picture is a border in one evaluation and an inner line in most. What the
 * last evaluation does at its borders no other mends, so there are more of it, with borders apart,
 * and each number is taken where it lies farthest from them. All else in a run works number by
 * number, or on whole cells of upsample guidance, and needs no roll. */
#ifndef DIM_SEAMLESS_H
#define DIM_SEAMLESS_H

#include "grid.h"

enum { DIM_ROLLS_MAX = 3 };

typedef struct {
    int down, right; /* in pixels of the grid: 0 .. height - 1, 0 .. width - 1 */
} DimRoll;

/* How often the network is evaluated in place of once, in the last evaluation of a run and before;
 * 1 for a picture that is not seamless. */
int dim_seamless_rolls(DimSeamless seamless, gboolean is_last);

/* How evaluation i of n in place of evaluation k is rolled: along the sides asked for, by whole
 * cells of upsample guidance; the n of them an equal part of a side apart. */
DimRoll dim_seamless_roll(const DimGrid *grid, gint64 seed, int k, int i, int n);

/* Where a plane's numbers come from: y = x rolled by rolls[i] is y[j] = x[from[j]], y rolled back
 * is x[j] = y[back[j]]; back is -1 where another one of the n rolls has the place farther from its
 * borders. Both [grid->height * grid->width]. */
void dim_seamless_rows(const DimGrid *grid, const DimRoll *rolls, int n, int i, gint32 *from,
                       gint32 *back);

/* z [1, C, h, w] with the grid's margins around it, the far side's numbers in each; allocates. */
gboolean dim_seamless_wrap(const DimGrid *grid, const DimArray *z, DimArray *wide, GError **error);

#endif
