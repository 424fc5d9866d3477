/* A contact sheet: what a model makes of its classes, on one picture.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_CONTACT_SHEET_H
#define DIM_TOOL_CONTACT_SHEET_H

#include "engine/dim.h"

typedef struct {
    DimParams params;  /* of every picture, but for label and seed, which is the first one's */
    const int *labels; /* a row for each of n_rows; -1: no class */
    int n_rows, n_seeds;
    int repeat; /* each picture is shown as so many by so many tiles */
} ToolSheet;

/* The model's defaults at its native size: all its classes (the first 64 of them), 6 seeds.
 * `labels` is to be freed with g_free. */
void tool_sheet_init(ToolSheet *sheet, const DimModelInfo *info, int **labels);
/* Draws it as a PNG. The task's cancel is obeyed; where `counted`, its progress moves. */
gboolean tool_sheet_save(DimModel *model, const ToolSheet *sheet, const char *file,
                         gboolean counted, DimTask *task, GError **error);

#endif
