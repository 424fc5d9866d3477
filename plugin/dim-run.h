/* One call of a procedure, the same in both hosts: from arguments to a picture, with or without the
 * dialog.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_RUN_H
#define DIM_RUN_H

#include "plugin/dim-arguments.h"
#include "plugin/dim-host.h"
#include "plugin/dim-job.h"

G_BEGIN_DECLS

#define DIM_PLUG_IN_BINARY "gimp-dim"

/* What the procedure browser of either host says. */
#define DIM_AUTHORS "The gimp-dim authors"
#define DIM_YEAR "2026"
#define DIM_LAYER_BLURB "Make a new layer with a class-conditional diffusion model"
#define DIM_NEW_BLURB "Make a new image with a class-conditional diffusion model"
#define DIM_HELP                                                                                   \
  "A picture of a class that the model was trained on, of any size. The layer carries its recipe " \
  "as the parasite gimp-dim-recipe; the same recipe makes the same pixels."

/* Generates. Interactive: the dialog asks first, and *arguments becomes what was chosen. `image` is
 * the open one, or DIM_HOST_NO_IMAGE. DIM_ERROR_CANCELLED: the person said no. */
gboolean dim_run (GimpRunMode mode, DimArguments *arguments, DimHostImage image,
                  DimPicture *picture, GError **error);

/* How GIMP names an outcome. */
GimpPDBStatusType dim_run_status (const GError *error);

G_END_DECLS
#endif
