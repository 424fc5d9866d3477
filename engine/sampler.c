/* One run: from noise to a picture, a network evaluation a step.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "error.h"
#include "noise.h"
#include "params.h"
#include "seamless.h"
#include "task.h"
#include "upsample.h"
#include "windows.h"
#include "workspace.h"

struct DimSampler {
    DimModel *model;
    DimShape shape;
    DimPrompt prompt;
    DimDefaults upsample; /* theta, eta, t */
    int width, height, tile, steps, n_evaluations;
    gint64 seed;

    DimSchedule schedule;
    DimTime *times;         /* [steps + 1] */
    DimWorkspace workspace; /* closed once the latent is in `latent` for good */
    gint32 *roll_rows;      /* [2 h w], for one evaluation; only of a seamless picture */
    gint32 *window_rows;    /* [2 h w], for one window; only of a picture in windows */
    DimNoise noise;
    float
        *step_noise; /* [3 C h w]: the noise, its variance, room; only where the method adds any */
    DimArray latent; /* [1, C, h, w] */
    gboolean latent_is_final;

    int at; /* steps done */
    DimTask task;
    double flop_done, flop_total;
};

static gboolean make_times(DimSampler *sampler, GError **error)
{
    static const DimTime clean = {0, 1, 0, INFINITY};
    const DimMethod *method = sampler->shape.method;

    sampler->times = g_try_new(DimTime, (gsize)sampler->steps + 1);
    if (!sampler->times)
        return dim_fail_memory(error, "steps", sizeof(DimTime) * (guint64)sampler->steps);
    for (int k = 0; k <= sampler->steps; k++) {
        const double tc = method->grid(sampler->schedule.timesteps, sampler->steps, k);
        sampler->times[k] = tc > 0 ? dim_schedule_at(&sampler->schedule, tc) : clean;
    }
    return TRUE;
}

/* The start noise: what the caller gave, or the seed's. */
static gboolean fill_latent(DimSampler *sampler, const DimParams *params, GError **error)
{
    const DkTensor x = sampler->workspace.x;

    if (!dim_noise_init(&sampler->noise, params, sampler->shape.method, x.sizes,
                        sampler->shape.grid.upsample, error) ||
        !dim_array_alloc(&sampler->latent, 4, x.sizes, error))
        return FALSE;
    dim_noise_start(&sampler->noise, sampler->latent.data);
    return TRUE;
}

static gboolean make_step_noise(DimSampler *sampler, GError **error)
{
    const gsize n = 3 * (gsize)dim_array_count(&sampler->latent);

    if (!sampler->shape.method->adds_noise)
        return TRUE;
    sampler->step_noise = g_try_new0(float, n);
    return sampler->step_noise || dim_fail_memory(error, "noise", n * sizeof *sampler->step_noise);
}

/* Two tables of the whole grid: from and back. */
static gboolean make_rows(const DimSampler *sampler, gboolean wanted, gint32 **rows, GError **error)
{
    const gsize n = 2 * (gsize)sampler->shape.grid.height * sampler->shape.grid.width;

    if (!wanted)
        return TRUE;
    *rows = g_try_new(gint32, n);
    return *rows || dim_fail_memory(error, "order tables", n * sizeof **rows);
}

static gboolean set_up(DimSampler *sampler, const DimParams *params, GError **error)
{
    DimModel *model = sampler->model;
    const DimModelSpec *spec = model->spec;
    DimEstimate estimate;

    if (!dim_params_check_held(params, &spec->info, model->dk, model->weight_bytes, error) ||
        !dim_params_schedule(spec, &sampler->schedule, error))
        return FALSE;
    dim_params_shape(spec, params, &sampler->shape);
    dim_params_prompt(spec, params, &sampler->prompt);
    dim_estimate(&spec->info, params, &estimate);
    sampler->flop_total = estimate.flop;
    sampler->n_evaluations = sampler->steps * sampler->shape.method->stages;
    if (!make_times(sampler, error) ||
        !dim_workspace_open(&sampler->workspace, &sampler->shape, model->dk, model->net, error) ||
        !make_rows(sampler, sampler->shape.grid.seamless, &sampler->roll_rows, error) ||
        !make_rows(sampler, dim_windows_wanted(&sampler->shape.grid), &sampler->window_rows,
                   error) ||
        !fill_latent(sampler, params, error) || !make_step_noise(sampler, error))
        return FALSE;
    dk_write(model->dk, sampler->workspace.x, sampler->latent.data);
    return dim_dk_check(model->dk, "starting a run", error);
}

DimSampler *dim_sampler_new(DimModel *model, const DimParams *params, GError **error)
{
    DimSampler *sampler = g_new0(DimSampler, 1);

    *sampler = (DimSampler){.model = model,
                            .upsample = model->spec->info.defaults,
                            .width = params->width,
                            .height = params->height,
                            .tile = params->tile,
                            .steps = params->steps,
                            .seed = params->seed};
    model->n_samplers++;
    if (!set_up(sampler, params, error))
        dim_sampler_free(&sampler);
    return sampler;
}

void dim_sampler_free(DimSampler **address)
{
    DimSampler *sampler = *address;

    if (!sampler)
        return;
    dim_workspace_close(&sampler->workspace);
    dim_schedule_clear(&sampler->schedule);
    dim_array_clear(&sampler->latent);
    g_free(sampler->times);
    g_free(sampler->roll_rows);
    g_free(sampler->window_rows);
    g_free(sampler->step_noise);
    sampler->model->n_samplers--;
    g_free(sampler);
    *address = NULL;
}

/* ---- one step ---- */

/* A pass' share of the whole run, by the operations it takes. */
static DkTensor run_pass(DimSampler *sampler, DimPass *pass, DkTensor x, const DimTime *at)
{
    const DimModelSpec *spec = sampler->model->spec;
    const double flop =
        spec->net->flop(spec->net_config, pass->batch, (int)x.sizes[2], (int)x.sizes[3]);
    const DimNetProgress progress = {&sampler->task, sampler->flop_done / sampler->flop_total,
                                     flop / sampler->flop_total};

    sampler->flop_done += flop;
    return dim_pass_run(pass, sampler->model->net, x, at->tc * sampler->schedule.timesteps,
                        &sampler->prompt, &progress);
}

/* x = alpha x0 + sigma eps and v = alpha eps - sigma x0 give eps = alpha v + sigma x ... */
static void make_noise(DimSampler *sampler, DkTensor p, DkTensor x, const DimTime *at)
{
    if (sampler->model->spec->prediction == DIM_PREDICTION_V)
        dk_axpby(sampler->model->dk, p, (float)at->sigma, x, (float)at->alpha);
}

/* ... and x0 = alpha x - sigma v. */
static void make_data(DimSampler *sampler, DkTensor p, DkTensor x, const DimTime *at,
                      DimPrediction is)
{
    if (is == DIM_PREDICTION_V)
        dk_axpby(sampler->model->dk, p, (float)at->alpha, x, (float)-at->sigma);
    else
        dk_axpby(sampler->model->dk, p, (float)(1 / at->alpha), x, (float)(-at->sigma / at->alpha));
}

/* Every channel a picture of its own, as dk_resize takes them. */
static DkTensor planes(DkTensor x)
{
    return dk_tensor_reshape(x, 4, (gint64[]){x.sizes[1], x.sizes[2], x.sizes[3], 1});
}

/* The guided pass, or, outside of guidance's interval, the other one. */
static DimPass *choose(const DimSampler *sampler, const DimTime *now, DimPass *guided,
                       DimPass *solo)
{
    const DimShape *shape = &sampler->shape;

    return dim_shape_batch(shape, now->tc) == shape->batch ? guided : solo;
}

/* eps += theta up (eps_small / m - down (eps)) */
static void follow_small(DimSampler *sampler, DkTensor eps, DkTensor x, const DimTime *now)
{
    DimWorkspace *work = &sampler->workspace;
    DkDevice *dk = sampler->model->dk;
    const int m = sampler->shape.grid.upsample;
    const DimUpsample small = dim_upsample_at(&sampler->schedule, m, now->tc);

    dk_resize(dk, planes(work->small_work), planes(x), DK_RESIZE_BOX);
    dk_axpby(dk, work->small_x, (float)small.scale, work->small_work, 0);
    const DkTensor eps_small =
        run_pass(sampler, choose(sampler, now, &work->small_pass, &work->small_solo), work->small_x,
                 &small.at);
    make_noise(sampler, eps_small, work->small_x, &small.at);

    dk_resize(dk, planes(work->small_work), planes(eps), DK_RESIZE_BOX);
    dk_axpby(dk, work->small_work, 1.0f / m, eps_small, -1);
    dk_resize(dk, planes(work->spread), planes(work->small_work), DK_RESIZE_NEAREST);
    dk_axpby(dk, eps, (float)sampler->upsample.theta, work->spread, 1);
}

/* Every number of a plane a row of its own, as dk_gather takes them. */
static DkTensor rows(DkTensor x)
{
    return dk_tensor_reshape(x, 3, (gint64[]){x.sizes[1], x.sizes[2] * x.sizes[3], 1});
}

/* What a pass says of the variance, as many channels again behind its prediction; of the item with
 * the class. Only where it says something. */
static DkTensor variance_of(const DimPass *pass, gint64 n_channels)
{
    const DkTensor item = dk_tensor_slice(pass->output, 0, 1);
    const DkTensor planes = dk_tensor_reshape(item, 3, item.sizes + 1);
    const DkTensor variance = dk_tensor_slice(planes, n_channels, n_channels);

    return dk_tensor_reshape(variance, 4, (gint64[]){1, n_channels, item.sizes[2], item.sizes[3]});
}

/* The large pass in evaluation k, at x: in one piece or in windows. */
static DkTensor run_large(DimSampler *sampler, DkTensor x, const DimTime *now, int k)
{
    const DimWorkspace *work = &sampler->workspace;
    const DimGrid *grid = &sampler->shape.grid;
    DkDevice *dk = sampler->model->dk;
    DimPass *pass = choose(sampler, now, &sampler->workspace.pass, &sampler->workspace.solo);
    gint32 *from = sampler->window_rows;
    DimWindows windows;

    if (!dim_windows_wanted(grid))
        return run_pass(sampler, pass, x, now);
    gint32 *back = from + (gsize)grid->height * grid->width;
    dim_windows_lay(&windows, grid, sampler->seed, k, k == sampler->n_evaluations - 1);
    for (int i = 0; i < windows.n_down; i++)
        for (int j = 0; j < windows.n_right; j++) {
            dim_windows_rows(grid, &windows.down[i], &windows.right[j], from, back);
            dk_write(dk, work->window_from, from);
            dk_write(dk, work->window_back, back);
            dk_gather(dk, rows(work->window), rows(x), work->window_from);
            const DkTensor p = run_pass(sampler, pass, work->window, now);
            dk_gather(dk, rows(work->whole), rows(p), work->window_back);
            if (work->variance.rank)
                dk_gather(dk, rows(work->variance), rows(variance_of(pass, x.sizes[1])),
                          work->window_back);
        }
    dim_windows_clear(&windows);
    return work->whole;
}

/* The prediction at x, of the kind that the method wants. */
static DkTensor predict_at(DimSampler *sampler, DkTensor x, const DimTime *now, int k)
{
    const DkTensor p = run_large(sampler, x, now, k);
    DimPrediction is = sampler->model->spec->prediction;
    const gboolean guided_by_small =
        sampler->shape.grid.upsample > 1 &&
        dim_upsample_wanted(sampler->upsample.eta, sampler->upsample.t, now->tc);

    if (guided_by_small || !sampler->shape.method->wants_data) {
        make_noise(sampler, p, x, now);
        is = DIM_PREDICTION_EPSILON;
    }
    if (guided_by_small)
        follow_small(sampler, p, x, now);
    if (sampler->shape.method->wants_data)
        make_data(sampler, p, x, now, is);
    return p;
}

/* Evaluation k of the run: the prediction at the present x. For a seamless picture it is made of x
 * rolled, and rolled back. */
static DkTensor predict(DimSampler *sampler, const DimTime *now, int k)
{
    const DimWorkspace *work = &sampler->workspace;
    const DimGrid *grid = &sampler->shape.grid;
    DkDevice *dk = sampler->model->dk;
    const int n = dim_seamless_rolls(grid->seamless, k == sampler->n_evaluations - 1);
    gint32 *from = sampler->roll_rows;
    DimRoll rolls[DIM_ROLLS_MAX];

    if (!grid->seamless)
        return predict_at(sampler, work->x, now, k);
    gint32 *back = from + (gsize)grid->height * grid->width;
    for (int i = 0; i < n; i++)
        rolls[i] = dim_seamless_roll(grid, sampler->seed, k, i, n);
    for (int i = 0; i < n; i++) {
        dim_seamless_rows(grid, rolls, n, i, from, back);
        dk_write(dk, work->from, from);
        dk_write(dk, work->back, back);
        dk_gather(dk, rows(work->rolled), rows(work->x), work->from);
        dk_gather(dk, rows(work->joined), rows(predict_at(sampler, work->rolled, now, k)),
                  work->back);
    }
    return work->joined;
}

/* What the network says of the variance; NULL: nothing. */
static const float *read_variance(DimSampler *sampler, const DimTime *now)
{
    DimWorkspace *work = &sampler->workspace;
    const gint64 n = dim_array_count(&sampler->latent), plane = n / work->x.sizes[1];
    const DimPass *pass = choose(sampler, now, &work->pass, &work->solo);
    const gint64 n_channels = work->x.sizes[1];
    float *variance = sampler->step_noise + n, *rolled = variance + n;

    if (pass->output.sizes[1] != 2 * n_channels)
        return NULL;
    dk_read(sampler->model->dk, variance,
            work->variance.rank ? work->variance : variance_of(pass, n_channels));
    if (!sampler->shape.grid.seamless)
        return variance;
    for (gint64 i = 0; i < n; i++) { /* none in the last step, which adds no noise */
        const gint32 at = sampler->roll_rows[plane + i % plane];
        rolled[i] = at < 0 ? 0 : variance[i / plane * plane + at];
    }
    return rolled;
}

/* Every evaluation of the present step, and what the method makes of it. */
static void advance(DimSampler *sampler)
{
    const DimMethod *method = sampler->shape.method;
    const int k = sampler->at;
    DimRun run = {.dk = sampler->model->dk,
                  .steps = sampler->steps,
                  .times = sampler->times,
                  .x = sampler->workspace.x,
                  .z = sampler->workspace.z,
                  .noise = sampler->step_noise};

    memcpy(run.kept, sampler->workspace.kept, sizeof run.kept);
    for (run.stage = 0; run.stage < method->stages; run.stage++) {
        const DimTime *now = &sampler->times[k + run.stage];
        run.p = predict(sampler, now, k * method->stages + run.stage);
        if (method->adds_noise) {
            dim_noise_step(&sampler->noise, k, run.noise);
            run.variance = read_variance(sampler, now);
        }
        method->advance(&run, k);
    }
}

gboolean dim_sampler_step(DimSampler *sampler, GError **error)
{
    DkDevice *dk = sampler->model->dk;

    g_assert(!dim_sampler_done(sampler));
    if (!dim_task_go_on(&sampler->task, error))
        return FALSE;
    dim_dk_follow(dk, &sampler->task);
    advance(sampler);
    const gboolean done = dim_dk_check(dk, "sampling", error);
    dim_dk_follow(dk, NULL);
    sampler->at += done;
    return done;
}

gboolean dim_sampler_done(const DimSampler *sampler)
{
    return sampler->at == sampler->steps;
}

int dim_sampler_at(const DimSampler *sampler)
{
    return sampler->at;
}

double dim_sampler_progress(const DimSampler *sampler)
{
    return dim_task_progress(&sampler->task);
}

void dim_sampler_cancel(DimSampler *sampler)
{
    dim_task_cancel(&sampler->task);
}

/* ---- the result ---- */

static gboolean read_latent(DimSampler *sampler, GError **error)
{
    if (sampler->latent_is_final)
        return TRUE;
    dk_read(sampler->model->dk, sampler->latent.data, sampler->workspace.x);
    if (!dim_dk_check(sampler->model->dk, "reading the sample", error))
        return FALSE;
    for (gint64 i = 0; i < dim_array_count(&sampler->latent); i++)
        if (!isfinite(sampler->latent.data[i]))
            return dim_fail(error, DIM_ERROR_UNSUPPORTED, sampler->model->spec->info.folder,
                            "the sample ran out of the range of numbers at step %d; expected less "
                            "guidance, more steps, or other weights",
                            sampler->at);
    sampler->latent_is_final = dim_sampler_done(sampler);
    return TRUE;
}

gboolean dim_sampler_latent(DimSampler *sampler, DimArray *z, GError **error)
{
    if (!read_latent(sampler, error) ||
        !dim_array_alloc(z, sampler->latent.rank, sampler->latent.sizes, error))
        return FALSE;
    memcpy(z->data, sampler->latent.data, sizeof(float) * dim_array_count(z));
    return TRUE;
}

static void crop(const DimSampler *sampler, const DimArray *image, float *rgb, gsize row_stride)
{
    const DimGrid *grid = &sampler->shape.grid;
    const gint64 n_rows = image->sizes[2], n_columns = image->sizes[3],
                 top = (gint64)grid->margin_height * grid->pixels,
                 left = (gint64)grid->margin_width * grid->pixels;

    for (int i = 0; i < sampler->height; i++)
        for (int j = 0; j < sampler->width; j++)
            for (int c = 0; c < 3; c++) {
                const gint64 at = (c * n_rows + top + i) * n_columns + left + j;
                const float v = image->data[at] * 0.5f + 0.5f;
                rgb[i * row_stride + 3 * (gsize)j + c] = CLAMP(v, 0.0f, 1.0f);
            }
}

static gboolean check_codec(const DimSampler *sampler, GError **error)
{
    const DimModelSpec *spec = sampler->model->spec;
    const int channels = (int)sampler->latent.sizes[1];
    DimAutoencoderFacts codec = {0};

    spec->autoencoder->facts(spec->autoencoder_config, &codec);
    if (codec.channels == channels && codec.out_channels == 3)
        return TRUE;
    return dim_fail(
        error, DIM_ERROR_UNSUPPORTED, spec->info.folder,
        "the sample has %d channels, which the autoencoder %s cannot make a picture of; "
        "expected to keep the sample itself",
        channels, spec->info.autoencoder.family);
}

/* The picture of the latent, margins included, in an array of its own. */
static gboolean decode(DimSampler *sampler, const DimArray *z, DimArray *image, GError **error)
{
    DimModel *model = sampler->model;
    const gint64 pixels = sampler->shape.grid.pixels;
    const gint64 sizes[] = {1, 3, z->sizes[2] * pixels, z->sizes[3] * pixels};
    const DimNetProgress progress = {&sampler->task, sampler->flop_done / sampler->flop_total,
                                     1 - sampler->flop_done / sampler->flop_total};

    if (!dim_array_alloc(image, 4, sizes, error))
        return FALSE;
    dim_dk_follow(model->dk, &sampler->task);
    const gboolean done = model->spec->autoencoder->decode(model->dk, model->ae, z, sampler->tile,
                                                           image, &progress, error);
    dim_dk_follow(model->dk, NULL);
    return done;
}

static gboolean decode_torus(DimSampler *sampler, DimArray *image, GError **error)
{
    const DimGrid *grid = &sampler->shape.grid;
    DimArray wide = {0};

    if (!grid->margin_width && !grid->margin_height)
        return decode(sampler, &sampler->latent, image, error);
    const gboolean done = dim_seamless_wrap(grid, &sampler->latent, &wide, error) &&
                          decode(sampler, &wide, image, error);
    dim_array_clear(&wide);
    return done;
}

/* The picture takes the place of the activations: they are never both there. */
gboolean dim_sampler_finish(DimSampler *sampler, float *rgb, gsize row_stride, GError **error)
{
    DimArray image = {0};

    g_assert(dim_sampler_done(sampler));
    if (!check_codec(sampler, error) || !dim_task_go_on(&sampler->task, error) ||
        !read_latent(sampler, error))
        return FALSE;
    dim_workspace_close(&sampler->workspace);
    const gboolean done = decode_torus(sampler, &image, error);
    if (done) {
        crop(sampler, &image, rgb, row_stride);
        dim_task_advance(&sampler->task, 1);
    }
    dim_array_clear(&image);
    return done;
}
