/* A contact sheet: a row for each class, a column for each seed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "contact-sheet.h"

#include <string.h>

#include "canvas.h"
#include "png.h"

enum { SEEDS = 6, CLASSES_MAX = 64, GAP = 4, CAPTION = 20, SCALE = 2 };

typedef struct {
    const ToolSheet *sheet;
    DimModel *model;
    ToolCanvas canvas;
    float *rgb; /* one picture */
    DimTask *task;
    gboolean counted;
} Drawing;

void tool_sheet_init(ToolSheet *sheet, const DimModelInfo *info, int **labels)
{
    *sheet =
        (ToolSheet){.n_rows = CLAMP(info->n_labels, 1, CLASSES_MAX), .n_seeds = SEEDS, .repeat = 1};
    dim_params_init(&sheet->params, info);
    *labels = g_new(int, sheet->n_rows);
    for (int i = 0; i < sheet->n_rows; i++)
        (*labels)[i] = info->n_labels > 0 ? i : -1;
    sheet->labels = *labels;
}

/* Progress of the picture at hand within all of them. */
static void count(const Drawing *d, int row, int column, double part)
{
    const ToolSheet *s = d->sheet;
    const double all = (double)s->n_rows * s->n_seeds;

    if (d->counted)
        g_atomic_int_set(&d->task->per_million,
                         (int)(1e6 * ((double)row * s->n_seeds + column + part) / all));
}

static gboolean sample(const Drawing *d, int row, int column, GError **error)
{
    DimParams params = d->sheet->params;

    params.label = d->sheet->labels[row];
    params.seed += column;
    DimSampler *sampler = dim_sampler_new(d->model, &params, error);
    gboolean good = sampler != NULL;
    while (good && !dim_sampler_done(sampler)) {
        if (g_atomic_int_get(&d->task->cancel))
            dim_sampler_cancel(sampler);
        good = dim_sampler_step(sampler, error);
        count(d, row, column, dim_sampler_progress(sampler));
    }
    good = good && dim_sampler_finish(sampler, d->rgb, 3 * (gsize)params.width, error);
    dim_sampler_free(&sampler);
    return good;
}

static void place(Drawing *d, int x, int y)
{
    const int width = d->sheet->params.width, height = d->sheet->params.height,
              repeat = d->sheet->repeat;

    for (int row = 0; row < repeat * height; row++)
        for (int i = 0; i < repeat; i++)
            memcpy(d->canvas.rgb + 3 * ((gsize)(y + row) * d->canvas.width + x + i * width),
                   d->rgb + 3 * (gsize)(row % height) * width, 3 * (gsize)width * sizeof(float));
}

static gboolean draw(Drawing *d, GError **error)
{
    const ToolSheet *s = d->sheet;
    const DimModelInfo *info = dim_model_info(d->model);
    const int across = s->repeat * s->params.width + GAP,
              down = s->repeat * s->params.height + CAPTION;

    for (int row = 0; row < s->n_rows; row++) {
        const int y = GAP + row * down, label = s->labels[row];
        if (label >= 0 && label < info->n_classes)
            tool_canvas_text(&d->canvas, GAP, y, SCALE, 0x404040, info->classes[label]);
        for (int column = 0; column < s->n_seeds; column++) {
            if (!sample(d, row, column, error))
                return FALSE;
            place(d, GAP + column * across, y + CAPTION - GAP);
        }
    }
    return TRUE;
}

gboolean tool_sheet_save(DimModel *model, const ToolSheet *s, const char *file, gboolean counted,
                         DimTask *task, GError **error)
{
    const int width = s->params.width, height = s->params.height;
    Drawing d = {.sheet = s, .model = model, .task = task, .counted = counted};
    DimArray one = {0};

    if (!dim_array_alloc(&one, 3, (gint64[]){height, width, 3}, error))
        return FALSE;
    d.rgb = one.data;
    const gboolean saved =
        tool_canvas_init(&d.canvas, GAP + s->n_seeds * (s->repeat * width + GAP),
                         GAP + s->n_rows * (s->repeat * height + CAPTION), error) &&
        draw(&d, error) &&
        tool_png_save(file, d.canvas.rgb, d.canvas.width, d.canvas.height, NULL, error);
    tool_canvas_clear(&d.canvas);
    dim_array_clear(&one);
    return saved;
}
