/* Where windows lie, and what is taken from each.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "windows.h"

#include "rng.h"

gboolean dim_windows_wanted(const DimGrid *grid)
{
    return grid->window_width < grid->width || grid->window_height < grid->height;
}

/* A window every `stride` places, the first one up to a stride before the side's beginning; those
 * that stand over are moved inside. What two of them have is shared in the middle. */
static int lay_side(DimWindow **windows, int side, int window, int stride, int phase)
{
    const int last = side - window;
    int n = 0;

    *windows = g_new(DimWindow, (gsize)(side / stride) + 2);
    for (int start = -phase, before = -1; before < last; start += stride) {
        const int at = CLAMP(start, 0, last);
        if (at == before)
            continue;
        (*windows)[n] = (DimWindow){at, 0, side};
        if (n > 0)
            (*windows)[n].from = (*windows)[n - 1].to = (before + window + at + 1) / 2;
        before = at;
        n++;
    }
    return n;
}

/* Sides that are seamless are rolled as they are, and need no phase. */
static int phase_of(const DimGrid *grid, DimSeamless seamless, int side, int window, int stride,
                    gint64 seed, int k, int axis)
{
    return side == window || grid->seamless & seamless
               ? 0
               : (int)dim_random_below(seed, DIM_RANDOM_WINDOW, k, (guint32)axis, stride);
}

void dim_windows_lay(DimWindows *windows, const DimGrid *grid, gint64 seed, int k, gboolean is_last)
{
    const int high = grid->window_height, wide = grid->window_width;
    const int down = is_last ? MAX(1, high / 2) : high, right = is_last ? MAX(1, wide / 2) : wide;

    windows->n_down =
        lay_side(&windows->down, grid->height, high, down,
                 phase_of(grid, DIM_SEAMLESS_Y, grid->height, high, down, seed, k, 0));
    windows->n_right =
        lay_side(&windows->right, grid->width, wide, right,
                 phase_of(grid, DIM_SEAMLESS_X, grid->width, wide, right, seed, k, 1));
}

int dim_windows_count(const DimGrid *grid, gint64 seed, int k, gboolean is_last)
{
    DimWindows windows;

    if (!dim_windows_wanted(grid))
        return 1;
    dim_windows_lay(&windows, grid, seed, k, is_last);
    const int n = windows.n_down * windows.n_right;
    dim_windows_clear(&windows);
    return n;
}

void dim_windows_clear(DimWindows *windows)
{
    g_free(windows->down);
    g_free(windows->right);
    *windows = (DimWindows){0};
}

void dim_windows_rows(const DimGrid *grid, const DimWindow *down, const DimWindow *right,
                      gint32 *from, gint32 *back)
{
    const int w = grid->width, wide = grid->window_width;

    for (int i = 0; i < grid->window_height; i++)
        for (int j = 0; j < wide; j++)
            from[i * wide + j] = (down->start + i) * w + right->start + j;
    for (int i = 0; i < grid->height; i++)
        for (int j = 0; j < w; j++)
            back[i * w + j] = i >= down->from && i < down->to && j >= right->from && j < right->to
                                  ? (i - down->start) * wide + j - right->start
                                  : -1;
}
