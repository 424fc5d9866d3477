/* The layers of an image as pictures to train with. Compiled once for each host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_LAYERS_H
#define DIM_LAYERS_H

#include "plugin/dim-host.h"
#include "ui/dim-train-start.h"

G_BEGIN_DECLS

/* The visible layers, those in visible groups too; none for DIM_HOST_NO_IMAGE. `image` outlives
 * it. Each is a picture as if it were alone: its own pixels, whatever its opacity, mode, mask and
 * the layers below it are. Transparent borders are cut off; a layer that is transparent inside is
 * left out, with a notice: the model would learn the holes. */
DimTrainLayers dim_layers_of (const DimHostImage *image);

G_END_DECLS
#endif
