/* One call of the procedure that trains a class, the same in both hosts.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TRAIN_RUN_H
#define DIM_TRAIN_RUN_H

#include "plugin/dim-host.h"
#include "ui/dim-train-start.h"

G_BEGIN_DECLS

#define DIM_TRAIN_LABEL "_Train Diffusion Class..."
#define DIM_TRAIN_BLURB "Teach a diffusion model a class of one's own"
#define DIM_TRAIN_HELP                                                                             \
  "A model learns one class more from pictures in a folder or from the visible layers of the "     \
  "image, and keeps the classes that it has; what comes of it is a model of its own. The dialog "  \
  "starts a process that goes on by itself. A call without it waits; one that is cancelled "       \
  "leaves "                                                                                        \
  "a checkpoint, and the same call goes on from there."

/* Interactive: the window, for the model of the request; else starts or resumes and waits. *model
 * (g_free): the folder of the model that is there then; "" where the window was closed without. */
gboolean dim_train_run (GimpRunMode mode, const DimTrainRequest *request, DimHostImage image,
                        char **model, GError **error);

G_END_DECLS
#endif
