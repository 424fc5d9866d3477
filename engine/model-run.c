/* One evaluation of a part of a model: shapes checked, then the network, then what went wrong.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "model.h"

#include <math.h>

#include "error.h"

static gboolean refuse(GError **error, const char *tensor, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static gboolean refuse(GError **error, const char *tensor, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    return dim_fail(error, DIM_ERROR_ARGUMENT, "input", "tensor \"%s\" %s", tensor, message);
}

/* [N, channels, H, W], finite, with sides that are multiples of what they must be. */
static gboolean check_images(const DimArray *x, const char *name, int channels, int height_multiple,
                             int width_multiple, GError **error)
{
    const gint64 n = dim_array_count(x);

    if (x->rank != 4 || n == 0)
        return refuse(error, name, "has no four sides above 0; expected [N, %d, H, W]", channels);
    for (int i = 0; i < 4; i++)
        if (x->sizes[i] > G_MAXINT)
            return refuse(error, name, "has a side of %" G_GINT64_FORMAT, x->sizes[i]);
    if (x->sizes[1] != channels)
        return refuse(error, name, "has %" G_GINT64_FORMAT " channels; expected %d", x->sizes[1],
                      channels);
    if (x->sizes[2] % height_multiple || x->sizes[3] % width_multiple)
        return refuse(error, name,
                      "is %" G_GINT64_FORMAT " high and %" G_GINT64_FORMAT
                      " wide; expected multiples of %d and %d",
                      x->sizes[2], x->sizes[3], height_multiple, width_multiple);
    for (gint64 i = 0; i < n; i++)
        if (!isfinite(x->data[i]))
            return refuse(error, name, "holds %g; expected finite numbers", (double)x->data[i]);
    return TRUE;
}

static gboolean check_times(const DimModel *model, const float *t, gint64 n, GError **error)
{
    const double last = model->spec->has_schedule ? model->spec->timesteps : G_MAXFLOAT;

    for (gint64 i = 0; i < n; i++)
        if (!(t[i] >= 0 && t[i] <= last))
            return refuse(error, "t", "holds %g; expected 0 to %g", (double)t[i], last);
    return TRUE;
}

static gboolean check_labels(const DimNetFacts *facts, const gint64 *y, gint64 n, GError **error)
{
    const gint64 last = facts->n_labels - (facts->has_null_label ? 0 : 1);

    if (!facts->n_labels)
        return TRUE;
    if (!y)
        return refuse(error, "y", "is missing; expected labels from 0 to %" G_GINT64_FORMAT, last);
    for (gint64 i = 0; i < n; i++)
        if (y[i] < 0 || y[i] > last)
            return refuse(error, "y",
                          "holds label %" G_GINT64_FORMAT "; expected 0 to %" G_GINT64_FORMAT, y[i],
                          last);
    return TRUE;
}

/* The end of an evaluation: `out` becomes the caller's *result, or is freed. */
static gboolean hand_over(gboolean done, DimArray *out, DimArray *result)
{
    if (done)
        *result = *out;
    else
        dim_array_clear(out);
    return done;
}

/* ---- the backbone ---------------------------------------------------------------------------- */

void dim_model_plan_clear(DimModel *model)
{
    dk_repeat_free(model->dk, &model->forward.kept);
    if (model->forward.plan)
        model->spec->net->plan_free(model->forward.plan);
    dim_arena_clear(&model->forward.arena);
    model->forward = (DimModelPlan){0};
}

/* Both passes over the arena take the same. */
static gboolean take_plan(DimModel *model, DimNet *net, const gint64 *sizes, int out_channels,
                          GError **error)
{
    DimModelPlan *f = &model->forward;
    const gint64 out_sizes[] = {sizes[0], out_channels, sizes[2], sizes[3]};

    f->x = dim_arena_take(&f->arena, DK_F32, 4, sizes);
    f->output = dim_arena_take(&f->arena, DK_F32, 4, out_sizes);
    f->plan = model->spec->net->plan(&f->arena, model->spec->net_config, net, (int)sizes[0],
                                     (int)sizes[2], (int)sizes[3], 0, 0, error);
    return f->plan != NULL;
}

static gboolean make_plan(DimModel *model, const gint64 *sizes, int out_channels, GError **error)
{
    DimModelPlan *f = &model->forward;

    if (f->plan && f->x.sizes[0] == sizes[0] && f->x.sizes[2] == sizes[2] &&
        f->x.sizes[3] == sizes[3])
        return TRUE;
    dim_model_plan_clear(model);
    dim_arena_dry(&f->arena);
    if (!take_plan(model, NULL, sizes, out_channels, error))
        return FALSE;
    model->spec->net->plan_free(g_steal_pointer(&f->plan));
    if (!dim_arena_commit(&f->arena, model->dk, error) ||
        !take_plan(model, model->net, sizes, out_channels, error)) {
        dim_model_plan_clear(model);
        return FALSE;
    }
    return TRUE;
}

typedef struct {
    DimModel *model;
    const DimNetProgress *progress;
} Forward;

static void enqueue_forward(void *data)
{
    const Forward *forward = data;
    const DimModel *model = forward->model;
    const DimModelPlan *f = &model->forward;

    model->spec->net->forward(model->dk, model->net, f->plan, f->output, f->x, forward->progress);
}

gboolean dim_model_forward(DimModel *model, const DimArray *x, const float *t, const gint64 *y,
                           DimArray *output, DimTask *task, GError **error)
{
    DimNetFacts facts = {0};
    DimArray out;

    g_assert(model->net);
    model->spec->net->facts(model->spec->net_config, &facts);
    if (!check_images(x, "x", facts.in_channels, facts.patch, facts.patch, error) ||
        !check_times(model, t, x->sizes[0], error) ||
        !check_labels(&facts, y, x->sizes[0], error) ||
        !make_plan(model, x->sizes, facts.out_channels, error) ||
        !dim_array_alloc(&out, 4, model->forward.output.sizes, error))
        return FALSE;

    const DimNetProgress progress = {task, 0, 1};
    g_autofree double *times = g_new(double, x->sizes[0]);
    for (gint64 i = 0; i < x->sizes[0]; i++)
        times[i] = t[i];
    dim_dk_follow(model->dk, task);
    dk_write(model->dk, model->forward.x, x->data);
    model->spec->net->ask(model->dk, model->forward.plan, times, y);
    dk_repeat(model->dk, &model->forward.kept, enqueue_forward, &(Forward){model, &progress});
    dim_net_progress(&progress, 1);
    dk_read(model->dk, out.data, model->forward.output);
    const gboolean done = dim_dk_check(model->dk, "backbone", error);
    dim_dk_follow(model->dk, NULL);
    if (!done)
        dim_model_plan_clear(model); /* its tables may not have been written */
    return hand_over(done, &out, output);
}

/* ---- the autoencoder ------------------------------------------------------------------------- */

gboolean dim_model_encode(DimModel *model, const DimArray *image, DimArray *z, DimTask *task,
                          GError **error)
{
    DimAutoencoderFacts facts = {0};
    const DimNetProgress progress = {task, 0, 1};
    DimArray out;

    g_assert(model->ae && model->parts & DIM_PARTS_ENCODER);
    model->spec->autoencoder->facts(model->spec->autoencoder_config, &facts);
    if (!check_images(image, "image", facts.in_channels, facts.factor, facts.factor, error))
        return FALSE;
    const gint64 sizes[] = {image->sizes[0], facts.channels, image->sizes[2] / facts.factor,
                            image->sizes[3] / facts.factor};
    if (!dim_array_alloc(&out, 4, sizes, error))
        return FALSE;
    dim_dk_follow(model->dk, task);
    const gboolean done =
        model->spec->autoencoder->encode(model->dk, model->ae, image, &out, &progress, error);
    dim_dk_follow(model->dk, NULL);
    return hand_over(done, &out, z);
}

gboolean dim_model_decode(DimModel *model, const DimArray *z, int tile, DimArray *image,
                          DimTask *task, GError **error)
{
    DimAutoencoderFacts facts = {0};
    const DimNetProgress progress = {task, 0, 1};
    DimArray out;

    g_assert(model->ae && model->parts & DIM_PARTS_DECODER);
    model->spec->autoencoder->facts(model->spec->autoencoder_config, &facts);
    if (!check_images(z, "z", facts.channels, 1, 1, error))
        return FALSE;
    const gint64 sizes[] = {z->sizes[0], facts.out_channels, z->sizes[2] * facts.factor,
                            z->sizes[3] * facts.factor};
    if (!dim_array_alloc(&out, 4, sizes, error))
        return FALSE;
    dim_dk_follow(model->dk, task);
    const gboolean done =
        model->spec->autoencoder->decode(model->dk, model->ae, z, tile, &out, &progress, error);
    dim_dk_follow(model->dk, NULL);
    return hand_over(done, &out, image);
}
