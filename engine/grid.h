/* The sizes of a run: which grid the backbone works on for a picture of a given size.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_GRID_H
#define DIM_GRID_H

#include "model.h"

typedef struct {
    int width, height; /* of the working grid, in latent pixels */
    int upsample;      /* the factor between it and the small pass' grid, 1: no small pass */
    int pixels;        /* of the picture to one of the grid, one way */
    int window_width, window_height; /* of one evaluation; the whole grid without windows */
    DimSeamless seamless;
    /* Grid pixels that decoding takes around the sample from its far side, on each side of it. */
    int margin_width, margin_height;
} DimGrid;

/* The next grid from the picture's size up that the autoencoder, the patches, what the backbone
 * asks for, and the upsampling factor allow. FALSE: a side would pass 2^30. */
gboolean dim_grid_for(const DimModelSpec *spec, const DimParams *params, DimGrid *grid);

/* What a side of such a picture is a multiple of when nothing is to be cropped, in pixels. */
void dim_grid_units(const DimModelSpec *spec, const DimParams *params, gint64 *width,
                    gint64 *height);

#endif
