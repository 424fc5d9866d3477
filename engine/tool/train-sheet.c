/* A contact sheet: a row for each class, a column for each seed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-sheet.h"

#include <string.h>

#include "canvas.h"
#include "png.h"

enum { SEEDS = 6, CLASSES_MAX = 64, GAP = 4, CAPTION = 20, SCALE = 2 };

static gboolean fill_cell(DimModel *model, const DimParams *params, ToolCanvas *canvas, int x,
                          int y, DimTask *task, GError **error)
{
    float *corner = canvas->rgb + 3 * ((gsize)y * canvas->width + x);
    DimSampler *sampler = dim_sampler_new(model, params, error);
    gboolean good = sampler != NULL;

    while (good && !dim_sampler_done(sampler)) {
        if (g_atomic_int_get(&task->cancel))
            dim_sampler_cancel(sampler);
        good = dim_sampler_step(sampler, error);
    }
    good = good && dim_sampler_finish(sampler, corner, 3 * (gsize)canvas->width, error);
    dim_sampler_free(&sampler);
    return good;
}

static gboolean fill(DimModel *model, ToolCanvas *canvas, int rows, DimTask *task, GError **error)
{
    const DimModelInfo *info = dim_model_info(model);
    const int size = info->native_size;

    for (int row = 0; row < rows; row++) {
        const int y = GAP + row * (size + CAPTION);
        if (row < info->n_classes)
            tool_canvas_text(canvas, GAP, y, SCALE, 0x404040, info->classes[row]);
        for (int seed = 0; seed < SEEDS; seed++) {
            DimParams params;
            dim_params_init(&params, info);
            params.label = info->n_labels > 0 ? row : -1;
            params.seed = seed;
            params.upsample = DIM_UPSAMPLE_OFF;
            if (!fill_cell(model, &params, canvas, GAP + seed * (size + GAP), y + CAPTION - GAP,
                           task, error))
                return FALSE;
        }
    }
    return TRUE;
}

gboolean tool_train_sheet(DimDevice *device, const char *folder, const char *file, DimTask *task,
                          GError **error)
{
    ToolCanvas canvas = {0};
    DimModel *model = dim_model_open(device, folder, DIM_PARTS_BACKBONE | DIM_PARTS_DECODER,
                                     DIM_PRECISION_AUTO, NULL, error);
    if (!model)
        return FALSE;
    const DimModelInfo *info = dim_model_info(model);
    const int rows = CLAMP(info->n_labels, 1, CLASSES_MAX), size = info->native_size;
    const gboolean saved =
        tool_canvas_init(&canvas, GAP + SEEDS * (size + GAP), GAP + rows * (size + CAPTION),
                         error) &&
        fill(model, &canvas, rows, task, error) &&
        tool_png_save(file, canvas.rgb, canvas.width, canvas.height, NULL, error);
    tool_canvas_clear(&canvas);
    dim_model_close(&model);
    return saved;
}
