/* A contact sheet: what a model makes of each of its classes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_SHEET_H
#define DIM_TOOL_TRAIN_SHEET_H

#include "engine/dim.h"

/* A row of pictures for each class (the first 64 of them), seeds 0 to 5, with the model's defaults,
 * as a PNG. task->cancel is obeyed, its progress left alone. */
gboolean tool_train_sheet(DimDevice *device, const char *folder, const char *file, DimTask *task,
                          GError **error);

#endif
