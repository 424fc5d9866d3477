/* A large grid in windows of the size that a model was trained on.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * What a model knows of texture it knows at its native size. So each evaluation of a large grid is
 * made of evaluations of windows of that size, which share the grid and lie elsewhere in every
 * evaluation (MultiDiffusion, arXiv 2302.08113, with windows that move in place of many that
 * overlap): no line is always a border, and memory does not grow with the picture. What the last
 * evaluation does at the borders no other mends, so there they overlap by half. */
#ifndef DIM_WINDOWS_H
#define DIM_WINDOWS_H

#include "grid.h"

/* Along one side: where a window begins, and the places [from, to) that are taken from it. */
typedef struct {
    int start, from, to;
} DimWindow;

typedef struct {
    int n_down, n_right;
    DimWindow *down, *right; /* in order; their places are the whole side, each once */
} DimWindows;

/* Whether a run's large passes are made of windows. */
gboolean dim_windows_wanted(const DimGrid *grid);

/* Those of evaluation k; dim_windows_clear. */
void dim_windows_lay(DimWindows *windows, const DimGrid *grid, gint64 seed, int k,
                     gboolean is_last);
int dim_windows_count(const DimGrid *grid, gint64 seed, int k, gboolean is_last);
void dim_windows_clear(DimWindows *windows);

/* Where a window's numbers come from: y = the window of x is y[j] = x[from[j]], and its places
 * are x[i] = y[back[i]], -1 where they are another one's. [window_height * window_width] and
 * [height * width] of the grid. */
void dim_windows_rows(const DimGrid *grid, const DimWindow *down, const DimWindow *right,
                      gint32 *from, gint32 *back);

#endif
