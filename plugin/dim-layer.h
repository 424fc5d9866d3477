/* A picture becomes a layer of an image of any mode and precision, or an image of its own.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_LAYER_H
#define DIM_LAYER_H

#include "plugin/dim-host.h"
#include "plugin/dim-job.h"

G_BEGIN_DECLS

/* The parasite on each layer: the recipe that makes it again, docs/recipe.md. */
#define DIM_LAYER_PARASITE "gimp-dim-recipe"

/* A new layer above the chosen one, in the middle of the selection or else of the canvas, in one
 * undo step; the image is touched only when the layer is complete. Answers DIM_HOST_NO_LAYER and an
 * error when GIMP refuses. */
DimHostLayer dim_layer_insert (DimHostImage image, const DimPicture *picture, GError **error);

/* A new RGB image that holds the picture alone; *image is set on success only. */
DimHostLayer dim_layer_new_image (const DimPicture *picture, DimHostImage *image, GError **error);

G_END_DECLS
#endif
