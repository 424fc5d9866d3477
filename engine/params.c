/* Parameters of a run: defaults, limits, what they cost.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "params.h"

#include <math.h>
#include <sys/random.h>

#include "error.h"
#include "memory.h"
#include "seamless.h"
#include "text.h"
#include "upsample.h"
#include "windows.h"

void dim_params_init(DimParams *params, const DimModelInfo *info)
{
    *params = (DimParams){
        .label = info->n_classes > 0 ? 0 : -1,
        .width = info->native_size,
        .height = info->native_size,
        .steps = info->defaults.steps,
        .guidance = info->unconditional_class < 0 ? 1 : info->defaults.guidance,
        .sampler = info->defaults.sampler,
        .upsample = DIM_UPSAMPLE_AUTO,
        .seamless = info->defaults.seamless ? DIM_SEAMLESS_AUTO : DIM_SEAMLESS_OFF,
        .windows = info->defaults.windows,
        .tile = -1,
        .guidance_high = 1,
    };
}

gint64 dim_seed_fresh(void)
{
    guint64 bits;

    if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
        bits = (guint64)g_random_int() << 32 | g_random_int();
    return (gint64)(bits & DIM_SEED_MAX);
}

/* ---- what a run is ---- */

/* With a class to guide towards, and something to guide away from. */
static gboolean is_guided(const DimParams *params)
{
    return params->guidance != 1 && params->label >= 0;
}

gboolean dim_params_schedule(const DimModelSpec *spec, DimSchedule *schedule, GError **error)
{
    g_autofree char *origin = g_strdup_printf("%s/model.json: noise_schedule", spec->info.folder);

    return dim_schedule_init(schedule, spec->schedule, spec->beta_start, spec->beta_end,
                             spec->timesteps, origin, error);
}

gboolean dim_params_shape(const DimModelSpec *spec, const DimParams *params, DimShape *shape)
{
    *shape = (DimShape){.spec = spec,
                        .method = dim_method_find(params->sampler),
                        .batch = is_guided(params) ? 2 : 1,
                        .guidance_low = params->guidance_low,
                        .guidance_high = params->guidance_high};
    return dim_grid_for(spec, params, &shape->grid);
}

void dim_params_prompt(const DimModelSpec *spec, const DimParams *params, DimPrompt *prompt)
{
    const int none =
        spec->info.unconditional_class >= 0 ? spec->info.unconditional_class : spec->info.n_labels;

    *prompt = (DimPrompt){.labels = {params->label >= 0 ? params->label : none, none},
                          .guidance = params->guidance};
}

/* ---- what it costs ---- */

static double backbone_flop(const DimModelSpec *spec, const DimParams *params,
                            const DimShape *shape, int *evaluations)
{
    const DimDefaults *upsample = &spec->info.defaults;
    const DimMethod *method = shape->method;
    const int m = shape->grid.upsample, h = shape->grid.height, w = shape->grid.width;
    int n_large[3] = {0}, n_small[3] = {0}; /* by their batch */
    const int n_all = params->steps * method->stages;
    double flop = 0;

    for (int i = 0; i < n_all; i++) {
        const int point = i / method->stages + i % method->stages;
        const double tc = method->grid(spec->timesteps, params->steps, point);
        const int batch = dim_shape_batch(shape, tc);
        const int n = dim_seamless_rolls(shape->grid.seamless, i == n_all - 1);
        n_large[batch] += n * dim_windows_count(&shape->grid, params->seed, i, i == n_all - 1);
        if (m > 1 && dim_upsample_wanted(upsample->eta, upsample->t, tc))
            n_small[batch] += n;
    }
    *evaluations = 0;
    for (int batch = 1; batch <= shape->batch; batch++) {
        *evaluations += batch * (n_large[batch] + n_small[batch]);
        flop += n_large[batch] * spec->net->flop(spec->net_config, batch, shape->grid.window_height,
                                                 shape->grid.window_width);
        if (m > 1)
            flop += n_small[batch] * spec->net->flop(spec->net_config, batch, h / m, w / m);
    }
    return flop;
}

/* Numbers for each of the sample that dim_sampler_new takes for a step's noise. */
static int noise_copies(const DimMethod *method)
{
    return method->adds_noise ? 3 : 0;
}

/* Bytes that a run takes beside the weights. Activations and the decoder's work are never both
 * there; the sample and the picture, uncropped and as the caller's, are. */
static gint64 run_bytes(const DimModelSpec *spec, const DimParams *params, const DimShape *shape,
                        double *decode_flop)
{
    const DimGrid *grid = &shape->grid;
    const int high = grid->height + 2 * grid->margin_height,
              wide = grid->width + 2 * grid->margin_width;
    const double cells = (double)grid->width * grid->height, decoded = (double)high * wide;
    gint64 decode = 0, activations = dim_workspace_measure(shape, NULL);
    double total;

    spec->autoencoder->estimate(spec->autoencoder_config, high, wide, params->tile, &decode,
                                decode_flop);
    total = sizeof(float) *
            ((cells * (1 + noise_copies(shape->method)) + (decoded > cells ? decoded : 0)) *
                 spec->info.backbone.channels +
             3 * decoded * grid->pixels * grid->pixels + 3.0 * params->width * params->height);
    total += activations < 0 ? (double)G_MAXINT64 : (double)MAX(activations, decode);
    return total < (double)G_MAXINT64 ? (gint64)total : G_MAXINT64;
}

static gint64 add_bytes(gint64 a, gint64 b)
{
    return a > G_MAXINT64 - b ? G_MAXINT64 : a + b;
}

void dim_estimate(const DimModelInfo *info, const DimParams *params, DimEstimate *estimate)
{
    const DimModelSpec *spec = dim_model_spec_of(info);
    const gint64 weights =
        (gint64)sizeof(float) * (info->backbone.parameters + info->autoencoder.parameters);
    DimShape shape;
    double decode = 0;

    *estimate = (DimEstimate){.bytes = G_MAXINT64, .flop = INFINITY};
    if (!dim_params_shape(spec, params, &shape))
        return;
    estimate->grid_width = shape.grid.width;
    estimate->grid_height = shape.grid.height;
    estimate->upsample = shape.grid.upsample;
    estimate->bytes = add_bytes(run_bytes(spec, params, &shape, &decode), weights);
    estimate->flop = backbone_flop(spec, params, &shape, &estimate->evaluations) + decode;
}

/* ---- checks ---- */

gboolean dim_params_check_model(const DimModelSpec *spec, GError **error)
{
    const DimModelInfo *info = &spec->info;
    g_autofree char *origin = g_build_filename(info->folder, "model.json", NULL);
    const char *missing = !spec->net                     ? "backbone"
                          : !spec->autoencoder           ? "autoencoder"
                          : !spec->has_schedule          ? "noise_schedule"
                          : !spec->has_prediction        ? "prediction"
                          : !spec->has_unconditional_key ? "unconditional_class"
                          : info->native_size <= 0       ? "native_size"
                                                         : NULL;
    DimNetFacts facts = {0};
    DimSchedule schedule;

    if (missing)
        return dim_fail(error, DIM_ERROR_FORMAT, origin, "%s is missing; sampling needs it",
                        missing);
    spec->net->facts(spec->net_config, &facts);
    if (facts.out_channels < facts.in_channels)
        return dim_fail(error, DIM_ERROR_UNSUPPORTED, origin,
                        "the backbone answers %d channels for %d; sampling expects no fewer",
                        facts.out_channels, facts.in_channels);
    if (!dim_params_schedule(spec, &schedule, error))
        return FALSE;
    dim_schedule_clear(&schedule);
    return TRUE;
}

static gboolean check_prompt(const DimParams *params, const DimModelSpec *spec, GError **error)
{
    const DimModelInfo *info = &spec->info;
    DimNetFacts facts = {0};

    spec->net->facts(spec->net_config, &facts);
    if (params->label >= info->n_labels || params->label < -1)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "class", "%d; this model has %d", params->label,
                        info->n_labels);
    if (params->label < 0 && info->n_labels > 0 && info->unconditional_class < 0 &&
        !facts.has_null_label)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "class", "this model needs one");
    if (!(params->guidance >= 0 && params->guidance <= 100))
        return dim_fail(error, DIM_ERROR_ARGUMENT, "guidance", "%g; expected 0 to 100",
                        params->guidance);
    if (params->guidance != 1 && info->unconditional_class < 0)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "guidance",
                        "%g; %s has no unconditional class, expected 1", params->guidance,
                        info->name);
    return TRUE;
}

static gboolean check_run(const DimParams *params, GError **error)
{
    if (params->steps < 1 || params->steps > DIM_STEPS_MAX)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "steps", "%d; expected 1 to %d", params->steps,
                        DIM_STEPS_MAX);
    if (params->seed < 0 || params->seed > DIM_SEED_MAX)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "seed",
                        "%" G_GINT64_FORMAT "; expected 0 to %" G_GINT64_FORMAT, params->seed,
                        DIM_SEED_MAX);
    if (!params->sampler || !dim_method_find(params->sampler)) {
        const char *wanted = params->sampler ? params->sampler : "";
        g_autofree char *near = dim_text_suggest(wanted, dim_sampler_names());
        g_autofree char *all = g_strjoinv(", ", (char **)dim_sampler_names());
        return dim_fail(error, DIM_ERROR_ARGUMENT, "sampler", DIM_NAME " is unknown%s; expected %s",
                        wanted, near, all);
    }
    if (params->upsample < 0 || params->upsample > DIM_UPSAMPLE_MAX)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "upsample",
                        "%d; expected auto, off or a factor from 2 to %d", params->upsample,
                        DIM_UPSAMPLE_MAX);
    if ((int)params->seamless < DIM_SEAMLESS_OFF || params->seamless > DIM_SEAMLESS_AUTO)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "seamless",
                        "%d; expected off, x, y, both or auto", (int)params->seamless);
    if (!(params->guidance_low >= 0 && params->guidance_low <= params->guidance_high &&
          params->guidance_high <= 1))
        return dim_fail(error, DIM_ERROR_ARGUMENT, "guidance interval",
                        "%g,%g; expected two times, 0 <= LO <= HI <= 1", params->guidance_low,
                        params->guidance_high);
    if ((int)params->rng < DIM_RNG_PHILOX || params->rng > DIM_RNG_TORCH)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "rng", "%d; expected philox or torch",
                        (int)params->rng);
    if (params->tile < -1)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "tile", "%d; expected 0 or more", params->tile);
    return TRUE;
}

static gboolean check_times(const DimParams *params, const DimModelSpec *spec, GError **error)
{
    if (!dim_method_find(params->sampler)->is_respaced || params->steps <= spec->timesteps)
        return TRUE;
    return dim_fail(error, DIM_ERROR_ARGUMENT, "steps",
                    "%d; expected no more with %s than the %d of the model's noise schedule",
                    params->steps, params->sampler, spec->timesteps);
}

/* Pictures count their own pixels up to here: the smallest that a side may have. */
static int least_side(const DimModelSpec *spec)
{
    DimNetFacts facts = {0};
    DimAutoencoderFacts codec = {0};

    spec->net->facts(spec->net_config, &facts);
    spec->autoencoder->facts(spec->autoencoder_config, &codec);
    return codec.has_files ? DIM_SIDE_MIN : facts.patch;
}

/* Without walking through the network: the finished picture alone would be too large. */
static gboolean fits(const DimParams *params, const DimModelInfo *info, gint64 held,
                     gint64 available, gint64 *bytes)
{
    DimEstimate estimate;
    const double picture = 2.0 * 3 * sizeof(float) * params->width * params->height;

    *bytes = picture < (double)G_MAXINT64 ? (gint64)picture : G_MAXINT64;
    if (*bytes > available)
        return FALSE;
    dim_estimate(info, params, &estimate);
    *bytes = estimate.bytes == G_MAXINT64 ? G_MAXINT64 : estimate.bytes - held;
    return *bytes <= available;
}

/* The largest size of the shape of params that fits, with a sixteenth to spare, as what is free
 * changes all the time; FALSE, and params as they are: none does. */
static gboolean shrink(DimParams *params, const DimModelInfo *info, gint64 held, gint64 available)
{
    const int longer = MAX(params->width, params->height);
    const int least = least_side(dim_model_spec_of(info));
    DimParams trial = *params, best = *params;
    gboolean found = FALSE;
    gint64 bytes;

    for (int low = 0, high = longer; high - low > 1;) {
        const int side = low + (high - low) / 2;
        trial.width = (int)round((double)params->width * side / longer);
        trial.height = (int)round((double)params->height * side / longer);
        dim_params_fit(&trial, info);
        if (fits(&trial, info, held, available - available / 16, &bytes)) {
            low = side;
            best = trial;
            found = trial.width >= least && trial.height >= least;
        } else
            high = side;
    }
    if (found)
        *params = best;
    return found;
}

gboolean dim_params_shrink(DimParams *params, const DimModelInfo *info)
{
    return shrink(params, info, 0, dim_memory_available());
}

/* " ...; the largest of this shape that fits is 1024x512" */
static char *suggest_size(const DimParams *params, const DimModelInfo *info, gint64 held,
                          gint64 available)
{
    DimParams smaller = *params;

    return shrink(&smaller, info, held, available)
               ? g_strdup_printf("; the largest size of this shape that fits is %dx%d",
                                 smaller.width, smaller.height)
               : g_strdup("; no size of this shape fits");
}

/* ---- sizes of seamless pictures ---- */

enum { FIT_TRIALS_MAX = 64 };

/* To the multiple of `unit` that is nearest; of two, and with `up`, the larger one. */
static int fit_side(int side, gint64 unit, gboolean up)
{
    const gint64 n = (side + (up ? unit - 1 : unit / 2)) / unit;

    return (int)MIN(MAX(n, 1) * unit, G_MAXINT / unit * unit);
}

/* Another size may have another factor of upsampling, and so another unit: then the size grows
 * until it agrees with itself. */
gboolean dim_params_fit(DimParams *params, const DimModelInfo *info)
{
    const DimModelSpec *spec = dim_model_spec_of(info);
    DimParams trial = *params;
    gint64 width, height;

    for (int i = 0; i < FIT_TRIALS_MAX; i++) {
        const DimParams last = trial;
        dim_grid_units(spec, &last, &width, &height);
        if (trial.seamless & DIM_SEAMLESS_X)
            trial.width = fit_side(trial.width, width, i > 0);
        if (trial.seamless & DIM_SEAMLESS_Y)
            trial.height = fit_side(trial.height, height, i > 0);
        if (trial.width == last.width && trial.height == last.height)
            break;
    }
    const gboolean is_other = trial.width != params->width || trial.height != params->height;
    *params = trial;
    return is_other;
}

static gboolean check_seamless(const DimParams *params, const DimModelSpec *spec, GError **error)
{
    DimParams nearest = *params;
    gint64 width, height;

    if (!dim_params_fit(&nearest, &spec->info))
        return TRUE;
    g_autofree char *size = g_strdup_printf("size %dx%d", params->width, params->height);
    dim_grid_units(spec, params, &width, &height);
    return dim_fail(error, DIM_ERROR_ARGUMENT, size,
                    "a seamless picture's sides are multiples of %d pixels here; the nearest such "
                    "size is %dx%d",
                    (int)(params->seamless & DIM_SEAMLESS_X ? width : height), nearest.width,
                    nearest.height);
}

static gboolean check_size(const DimParams *params, const DimModelSpec *spec, const DkDevice *dk,
                           gint64 held, GError **error)
{
    const int least = least_side(spec);
    const gint64 available = dk ? dim_memory_available_on(dk) : dim_memory_available();
    const gboolean is_card = dk && dk_device_free_bytes(dk) < G_MAXINT64;
    g_autofree char *size = g_strdup_printf("size %dx%d", params->width, params->height);
    gint64 bytes;

    if (params->width < least || params->height < least)
        return dim_fail(error, DIM_ERROR_ARGUMENT, size, "expected sides of %d pixels or more",
                        least);
    if (fits(params, &spec->info, held, available, &bytes))
        return check_seamless(params, spec, error);
    g_autofree char *suggestion = suggest_size(params, &spec->info, held, available);
    if (bytes == G_MAXINT64)
        return dim_fail(error, DIM_ERROR_NO_MEMORY, size, "no machine has the memory%s",
                        suggestion);
    return dim_fail(error, DIM_ERROR_NO_MEMORY, size, "needs %.1f GB of %s, %.1f GB are free%s",
                    bytes * 1e-9, is_card ? "the card's memory" : "memory", available * 1e-9,
                    suggestion);
}

gboolean dim_params_check_held(const DimParams *params, const DimModelInfo *info,
                               const DkDevice *dk, gint64 held, GError **error)
{
    const DimModelSpec *spec = dim_model_spec_of(info);

    return dim_params_check_model(spec, error) && check_run(params, error) &&
           check_times(params, spec, error) && check_prompt(params, spec, error) &&
           check_size(params, spec, dk, held, error);
}

gboolean dim_params_check(const DimParams *params, const DimModelInfo *info, GError **error)
{
    return dim_params_check_held(params, info, NULL, 0, error);
}
