/* What a training's steps came to: RUN/loss.csv, and the curve drawn from it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_LOG_H
#define DIM_TOOL_TRAIN_LOG_H

#include "engine/dim-train.h"

typedef struct {
    gint64 step, samples;
    double seconds;         /* of training, over all runs */
    double loss, test_loss; /* test_loss: NAN where it was not measured */
    double rate, gradient_norm;
} ToolTrainRow;

typedef struct ToolTrainLog ToolTrainLog;

/* Opens or makes the file; lines behind step `at`, which an unbroken run would write again, go
 * away. */
ToolTrainLog *tool_train_log_open(const char *file, gint64 at, GError **error);
void tool_train_log_close(ToolTrainLog **log);
/* Appends one line, whole. */
gboolean tool_train_log_add(ToolTrainLog *log, const ToolTrainRow *row, GError **error);
const GArray *tool_train_log_rows(const ToolTrainLog *log); /* ToolTrainRow; borrowed */

/* Loss, smoothed, and test loss over the samples seen, as a PNG. */
gboolean tool_train_plot(const GArray *rows, const char *file, GError **error);

#endif
