/* `dim bench`: where the time of one evaluation of the backbone goes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

enum { REPEAT = 5, REPEAT_MAX = 10000, STAGES_MAX = 64 };

typedef struct {
    ToolCommon common;
    char *inputs;
    int repeat;
    gboolean json;
} Options;

typedef struct {
    int repeat;
    double median, least;  /* seconds of one evaluation */
    double cpu;            /* least processor time of one, all threads together */
    double total;          /* seconds of all */
    double load, load_cpu; /* seconds until the model was there, and their processor time */
    gint64 weights;        /* bytes that it then held */
    int n_stages;
    DimStage stages[STAGES_MAX]; /* of all */
} Times;

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Numbers of about the spread of a noisy latent: the time does not depend on them. */
static void fill(DimArray *x)
{
    GRand *random = g_rand_new_with_seed(1);

    for (gint64 i = 0; i < dim_array_count(x); i++)
        x->data[i] = (float)g_rand_double_range(random, -1.7, 1.7);
    g_rand_free(random);
}

/* Picture pixels a pixel of the backbone's grid. Without an autoencoder nothing says it: colours
 * are pixels themselves, more channels than three are latents, which published models have 8 times
 * smaller. */
static int grid_pixels(const DimModelInfo *info)
{
    enum { COLOURS = 3, PUBLISHED = 8 };

    if (info->autoencoder.family)
        return info->autoencoder.factor;
    return info->backbone.channels > COLOURS ? PUBLISHED : 1;
}

/* What a sampler asks at native size: the same picture with a class and, where the model can be
 * guided, without. */
static gboolean native_inputs(const DimModelInfo *info, ToolInputs *inputs, GError **error)
{
    const gboolean guided = info->unconditional_class >= 0;
    const int pixels = grid_pixels(info);
    const int patch = info->backbone.factor,
              side = (info->native_size / pixels + patch - 1) / patch * patch;
    const gint64 batch = guided ? 2 : 1;

    if (!side) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                    "%s: names no native_size; expected --inputs FILE", info->folder);
        return FALSE;
    }
    if (!dim_array_alloc(&inputs->x, 4, (gint64[]){batch, info->backbone.channels, side, side},
                         error) ||
        !dim_array_alloc(&inputs->t, 1, &batch, error))
        return FALSE;
    fill(&inputs->x);
    inputs->y = g_new0(gint64, batch);
    for (gint64 i = 0; i < batch; i++)
        inputs->t.data[i] = 500;
    if (guided)
        inputs->y[1] = info->unconditional_class;
    return TRUE;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    gint64 wall;
    clock_t cpu;
} Clock;

static Clock clock_begin(void)
{
    return (Clock){g_get_monotonic_time(), clock()};
}

static void clock_end(Clock begin, double *seconds, double *cpu)
{
    *seconds = (double)(g_get_monotonic_time() - begin.wall) * 1e-6;
    *cpu = (double)(clock() - begin.cpu) / CLOCKS_PER_SEC;
}

static gboolean evaluate(DimModel *model, const ToolInputs *inputs, double *seconds, double *cpu,
                         GError **error)
{
    DimArray output = {0};
    const Clock begin = clock_begin();
    const gboolean ok =
        dim_model_forward(model, &inputs->x, inputs->t.data, inputs->y, &output, NULL, error);

    clock_end(begin, seconds, cpu);
    dim_array_clear(&output);
    return ok;
}

static gboolean measure(DimModel *model, DimDevice *device, const ToolInputs *inputs, Times *times,
                        GError **error)
{
    g_autofree double *seconds = g_new(double, times->repeat);
    double cpu;

    /* The first evaluation takes the memory and packs what is packed late. */
    if (!evaluate(model, inputs, seconds, &cpu, error))
        return FALSE;
    dim_device_profile(device, TRUE);
    for (int i = 0; i < times->repeat; i++) {
        if (!evaluate(model, inputs, &seconds[i], &cpu, error))
            return FALSE;
        times->total += seconds[i];
        times->cpu = i ? MIN(times->cpu, cpu) : cpu;
    }
    times->n_stages = dim_device_stages(device, times->stages, STAGES_MAX);
    dim_device_profile(device, FALSE);

    qsort(seconds, times->repeat, sizeof *seconds, compare);
    times->least = seconds[0];
    times->median = (seconds[(times->repeat - 1) / 2] + seconds[times->repeat / 2]) / 2;
    return TRUE;
}

/* ---- showing --------------------------------------------------------------------------------- */

static double rate(double flop, double seconds)
{
    return seconds > 0 ? flop * 1e-9 / seconds : 0;
}

static void print_table(const DimModelInfo *info, const DimDevice *device, const ToolInputs *inputs,
                        const Times *times)
{
    const gint64 *sizes = inputs->x.sizes;
    g_autofree char *name = dim_text_clean(info->name);
    double flop = 0, seconds = 0;
    gint64 peak;
    const gint64 held = dim_device_bytes(device, &peak);

    g_print("%s, %s\n", name, dim_device_describe(device));
    g_print("one evaluation of [%d, %d, %d, %d]: median %.2f ms, least %.2f ms of %d, "
            "least processor time %.2f ms\n",
            (int)sizes[0], (int)sizes[1], (int)sizes[2], (int)sizes[3], times->median * 1e3,
            times->least * 1e3, times->repeat, times->cpu * 1e3);
    g_print("loaded in %.2f s, processor time %.2f s\n\n", times->load, times->load_cpu);
    g_print("%-18s %8s %10s %7s %9s\n", "stage", "calls", "ms", "share", "GFLOP/s");
    for (int i = 0; i < times->n_stages; i++) {
        const DimStage *s = &times->stages[i];
        g_print("%-18s %8.0f %10.3f %6.1f%% %9.1f\n", s->name, (double)s->calls / times->repeat,
                s->seconds * 1e3 / times->repeat, 100 * s->seconds / times->total,
                rate(s->flop, s->seconds));
        flop += s->flop;
        seconds += s->seconds;
    }
    const double rest = times->total - seconds;
    g_print("%-18s %8s %10.3f %6.1f%%\n", "between them", "", rest * 1e3 / times->repeat,
            100 * rest / times->total);
    g_print("%-18s %8s %10.3f %6.1f%% %9.1f\n\n", "whole", "", times->total * 1e3 / times->repeat,
            100.0, rate(flop, times->total));
    g_print("memory: %.1f MB held, %.1f MB of them weights, %.1f MB at the most\n",
            (double)held * 1e-6, (double)times->weights * 1e-6, (double)peak * 1e-6);
}

static json_t *stage_json(const DimStage *s, const Times *times)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", s->name, "calls",
                     (double)s->calls / times->repeat, "ms", s->seconds * 1e3 / times->repeat,
                     "share", s->seconds / times->total, "gflops", rate(s->flop, s->seconds));
}

static void print_json(const DimModelInfo *info, const DimDevice *device, const ToolInputs *inputs,
                       const Times *times)
{
    gint64 peak;
    const gint64 held = dim_device_bytes(device, &peak);
    json_t *sizes = json_array(), *stages = json_array();
    double flop = 0;

    for (int i = 0; i < inputs->x.rank; i++)
        json_array_append_new(sizes, json_integer(inputs->x.sizes[i]));
    for (int i = 0; i < times->n_stages; i++) {
        json_array_append_new(stages, stage_json(&times->stages[i], times));
        flop += times->stages[i].flop;
    }
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:{s:I, s:I, s:I}}", "model",
        info->name, "device", dim_device_describe(device), "x", sizes, "repeat", times->repeat,
        "load_ms", times->load * 1e3, "load_cpu_ms", times->load_cpu * 1e3, "median_ms",
        times->median * 1e3, "least_ms", times->least * 1e3, "least_cpu_ms", times->cpu * 1e3,
        "gflops", rate(flop, times->total), "stages", stages, "memory", "weights",
        (json_int_t)times->weights, "bytes", (json_int_t)held, "peak_bytes", (json_int_t)peak);
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    g_print("%s\n", text);
    free(text);
    json_decref(root);
}

/* ---- the command ----------------------------------------------------------------------------- */

static gboolean bench(const Options *options, GError **error)
{
    DimDevice *device = NULL;
    DimModel *model = NULL;
    ToolInputs inputs = {0};
    Times times = {.repeat = options->repeat};
    gboolean ok = !options->inputs || tool_read_inputs(options->inputs, &inputs, error);

    const Clock begin = clock_begin();
    if (ok && (model = tool_open_model(&options->common, DIM_PARTS_BACKBONE, &device, error))) {
        const DimModelInfo *info = dim_model_info(model);
        clock_end(begin, &times.load, &times.load_cpu);
        times.weights = dim_device_bytes(device, NULL);
        ok = (options->inputs || native_inputs(info, &inputs, error)) &&
             measure(model, device, &inputs, &times, error);
        if (ok)
            (options->json ? print_json : print_table)(info, device, &inputs, &times);
    }
    ok = ok && model;
    tool_inputs_clear(&inputs);
    dim_model_close(&model);
    dim_device_close(&device);
    return ok;
}

int tool_bench(int argc, char **argv)
{
    Options o = {.repeat = REPEAT};
    GError *error = NULL;
    int status = TOOL_DONE;
    const GOptionEntry entries[] = {
        {"inputs", 'i', 0, G_OPTION_ARG_FILENAME, &o.inputs,
         "Tensors x, t, y as of `dim forward`; without them, a guided evaluation of the native "
         "size",
         "FILE"},
        {"repeat", 0, 0, G_OPTION_ARG_INT, &o.repeat, "Evaluations to measure (5)", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &o.json, "Print a JSON object", NULL},
        G_OPTION_ENTRY_NULL,
    };

    if (!tool_parse(&argc, &argv, entries, NULL, 0, &o.common))
        status = TOOL_USAGE;
    else if (o.repeat < 1 || o.repeat > REPEAT_MAX)
        status = tool_usage("--repeat %d: expected 1 to %d", o.repeat, REPEAT_MAX);
    else if (!bench(&o, &error))
        status = tool_failed(error);
    tool_common_clear(&o.common);
    g_free(o.inputs);
    return status;
}
