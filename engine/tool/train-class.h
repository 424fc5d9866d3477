/* `dim train --add-class`: a model learns a class more.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_CLASS_H
#define DIM_TOOL_TRAIN_CLASS_H

#include "train.h"

/* The number of steps where it is to follow from the time. */
#define TOOL_STEPS_OPEN G_GINT64_CONSTANT(1000000000)

/* The options of a class more as settings: --images is the data, --model what to go on from (taken
 * over), --output (may be NULL) where the model goes to in the end; *output becomes the folder of
 * the training. FALSE after a usage mistake. */
gboolean tool_train_class_options(json_t *given, char **model, const char *images, const char *run,
                                  char **output);
/* What the model says, and settings that suit. */
gboolean tool_train_class_adopt(ToolTrain *train, const json_t *given, GError **error);
/* The classes and the pictures of the new one; crops: scales that suit them. */
gboolean tool_train_class_read(ToolTrain *train, DimCropParams *crops, DimTask *task,
                               GError **error);
/* RUN/model and RUN/teacher, where they are missing. */
gboolean tool_train_class_make(ToolTrain *train, GError **error);
/* The teacher and its latents, which are made where they are missing. */
gboolean tool_train_class_open(ToolTrain *train, GError **error);
/* The finished model to where it was asked for. Nothing to do for other trainings. */
gboolean tool_train_class_install(ToolTrain *train, GError **error);

/* RUN/progress.json of a class more, for other programs. row, message: may be NULL; loss: may be
 * NAN. */
void tool_train_status(ToolTrain *train, const char *state, const ToolTrainRow *row, gint64 steps,
                       double seconds_left, double loss, const char *message);

#endif
