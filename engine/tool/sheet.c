/* `dim sheet`: pictures of many classes and seeds on one contact sheet.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "contact-sheet.h"
#include "items.h"
#include "progress.h"
#include "tool.h"

enum { SIDE_MAX = 32768 }; /* of the sheet */

typedef struct {
    ToolCommon common;
    char *size, *classes, *guidance, *upsample, *seamless, *windows, *output;
    int steps, n_seeds, repeat;
    gint64 seed;
} Options;

/* ---- options --------------------------------------------------------------------------------- */

static gboolean read_counts(const Options *o, ToolSheet *sheet)
{
    if (o->n_seeds < 1 || o->n_seeds > 1000 || o->repeat < 1 || o->repeat > 16) {
        tool_usage("--seeds %d, --repeat %d: expected 1 to 1000 and 1 to 16", o->n_seeds,
                   o->repeat);
        return FALSE;
    }
    if (o->seed < 0 || o->seed > DIM_SEED_MAX - o->n_seeds) {
        tool_usage("--seed %" G_GINT64_FORMAT ": expected 0 or more", o->seed);
        return FALSE;
    }
    sheet->n_seeds = o->n_seeds;
    sheet->repeat = o->repeat;
    sheet->params.seed = o->seed;
    if (o->steps)
        sheet->params.steps = o->steps;
    return TRUE;
}

/* ---- the run --------------------------------------------------------------------------------- */

/* The rows that --classes names, or all of the model's. */
static gboolean find_classes(const Options *o, const DimModelInfo *info, ToolSheet *sheet,
                             int **labels, GError **error)
{
    ToolItems items = {0};

    if (!o->classes)
        return TRUE;
    if (!tool_items_find_classes(&items, info, o->classes, error)) {
        tool_items_clear(&items);
        return FALSE;
    }
    g_free(*labels);
    sheet->labels = *labels = items.labels;
    sheet->n_rows = items.n_classes;
    return TRUE;
}

static gboolean check_extent(const ToolSheet *s, GError **error)
{
    const gint64 width = (gint64)s->n_seeds * s->repeat * s->params.width,
                 height = (gint64)s->n_rows * s->repeat * s->params.height;

    if (width > 0 && height > 0 && width < SIDE_MAX && height < SIDE_MAX)
        return TRUE;
    g_set_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                "the sheet would have %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
                " pixels; expected sides of 1 to %d",
                width, height, SIDE_MAX);
    return FALSE;
}

static gboolean draw(const Options *o, DimModel *model, ToolSheet *sheet, int **labels,
                     GError **error)
{
    const DimModelInfo *info = dim_model_info(model);
    DimTask task = {0};

    if (!find_classes(o, info, sheet, labels, error) || !check_extent(sheet, error))
        return FALSE;
    sheet->params.label = sheet->labels[0];
    if (!dim_params_check(&sheet->params, info, error))
        return FALSE;
    ToolProgress *progress = tool_progress_begin();
    tool_progress_task(progress, "sampling", &task);
    const gboolean good = tool_sheet_save(model, sheet, o->output, TRUE, &task, error);
    tool_progress_end(&progress);
    return good;
}

static int run(const Options *o)
{
    const char *const inputs[] = {NULL};
    GError *error = NULL;
    DimDevice *device = NULL;
    DimModel *model = NULL;
    ToolSheet sheet;
    int *labels = NULL, status = TOOL_FAILED;

    if (!o->output)
        return tool_usage("sheet: expected --output FILE.png");
    if (tool_check_output(o->output, inputs, &error))
        model =
            tool_open_model(&o->common, DIM_PARTS_BACKBONE | DIM_PARTS_DECODER, &device, &error);
    if (model) {
        tool_sheet_init(&sheet, dim_model_info(model), &labels);
        DimParams *params = &sheet.params;
        if (!tool_read_size(o->size, &params->width, &params->height) ||
            !tool_read_guidance(o->guidance, &params->guidance) ||
            !tool_read_upsample(o->upsample, &params->upsample) ||
            !tool_read_seamless(o->seamless, &params->seamless) ||
            !tool_read_windows(o->windows, &params->windows) || !read_counts(o, &sheet))
            status = TOOL_USAGE;
        else if (draw(o, model, &sheet, &labels, &error))
            status = TOOL_DONE;
    }
    g_free(labels);
    dim_model_close(&model);
    dim_device_close(&device);
    return error ? tool_failed(error) : status;
}

int tool_sheet(int argc, char **argv)
{
    Options o = {.n_seeds = 6, .repeat = 1};
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &o.output, "PNG to write", "FILE"},
        {"classes", 0, 0, G_OPTION_ARG_STRING, &o.classes,
         "A row for each, names or numbers (all of the model's)", "A,B,..."},
        {"seeds", 0, 0, G_OPTION_ARG_INT, &o.n_seeds, "Pictures in a row (6)", "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT64, &o.seed, "Of the first one; then one more each (0)",
         "K"},
        {"size", 0, 0, G_OPTION_ARG_STRING, &o.size, "Of each picture (the model's native one)",
         "WxH"},
        {"repeat", 0, 0, G_OPTION_ARG_INT, &o.repeat,
         "Show each as N x N tiles, to see its seams (1)", "N"},
        {"seamless", 0, 0, G_OPTION_ARG_STRING, &o.seamless,
         "Which borders meet: off, x, y, both or auto", "HOW"},
        {"windows", 0, 0, G_OPTION_ARG_STRING, &o.windows,
         "Sizes above the native one in windows of it: off, on", "HOW"},
        {"steps", 0, 0, G_OPTION_ARG_INT, &o.steps, "Sampler steps (the model's)", "N"},
        {"guidance", 0, 0, G_OPTION_ARG_STRING, &o.guidance, "Scale, 1 is off (the model's)", "W"},
        {"upsample", 0, 0, G_OPTION_ARG_STRING, &o.upsample, "auto, off or a factor (auto)", "M"},
        G_OPTION_ENTRY_NULL,
    };
    const int status = tool_parse(&argc, &argv, entries, NULL, 0, &o.common) ? run(&o) : TOOL_USAGE;
    char *texts[] = {o.size, o.classes, o.guidance, o.upsample, o.seamless, o.windows, o.output};

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    tool_common_clear(&o.common);
    return status;
}
