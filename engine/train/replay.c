/* What a model can do already, so that training does not take it away: latents of its own making,
 * and its own answers on them as goals (Li and Hoiem, "Learning without forgetting", arXiv
 * 1606.09282; Shin et al., "Continual learning with deep generative replay", arXiv 1705.08690).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The file is one tensor, "latents" [classes, each, C, h, w]; the classes are every n-th of the
 * model's. */
#include <string.h>

#include "engine/error.h"
#include "engine/task.h"
#include "engine/weights-upload.h"
#include "engine/weights.h"
#include "trainer.h"

enum { CLASSES_MAX = 64 };

struct DimReplay {
    DimModel *teacher;
    float *latents;
    int groups, each, n_labels; /* classes in the file, latents of each, classes of the model */
    gint64 count;               /* numbers of a latent */
    gint64 sizes[3];            /* C, h, w */
};

static int n_groups(const DimModelInfo *info)
{
    return CLAMP(info->n_labels, 1, CLASSES_MAX);
}

/* ---- making ---------------------------------------------------------------------------------- */

static gboolean sample(DimModel *teacher, const DimParams *params, DimArray *z, DimTask *task,
                       GError **error)
{
    DimSampler *sampler = dim_sampler_new(teacher, params, error);
    gboolean good = sampler != NULL;

    while (good && !dim_sampler_done(sampler))
        good = dim_task_go_on(task, error) && dim_sampler_step(sampler, error);
    good = good && dim_sampler_latent(sampler, z, error);
    dim_sampler_free(&sampler);
    return good;
}

static gboolean make_one(DimModel *teacher, int which, int each, gint64 seed, DimArray *all,
                         DimTask *task, GError **error)
{
    const DimModelInfo *info = dim_model_info(teacher);
    const int groups = n_groups(info);
    DimArray z = {0};
    DimParams params;

    dim_params_init(&params, info);
    params.label = (int)((gint64)(which / each) * info->n_labels / groups);
    params.guidance = 1;
    params.upsample = DIM_UPSAMPLE_OFF;
    params.seed = (seed + which) % DIM_SEED_MAX;
    if (!sample(teacher, &params, &z, task, error))
        return FALSE;
    if (!all->data) {
        const gint64 sizes[] = {groups, each, z.sizes[1], z.sizes[2], z.sizes[3]};
        if (!dim_array_alloc(all, 5, sizes, error)) {
            dim_array_clear(&z);
            return FALSE;
        }
    }
    const gsize count = (gsize)dim_array_count(&z);
    memcpy(all->data + (gsize)which * count, z.data, count * sizeof *z.data);
    dim_array_clear(&z);
    return TRUE;
}

gboolean dim_replay_make(DimModel *teacher, int each, gint64 seed, const char *file, DimTask *task,
                         GError **error)
{
    static const char *const name = "latents";
    const int n = n_groups(dim_model_info(teacher)) * each;
    DimArray all = {0};
    gboolean good = TRUE;

    g_assert(each >= 2);
    for (int i = 0; good && i < n; i++) {
        good = make_one(teacher, i, each, seed, &all, task, error);
        dim_task_advance(task, (double)(i + 1) / n);
    }
    good = good && dim_tensors_save(file, 1, &name, &all, error);
    dim_array_clear(&all);
    return good;
}

/* ---- reading --------------------------------------------------------------------------------- */

DimReplay *dim_replay_open(DimModel *teacher, const char *file, GError **error)
{
    const DimModelInfo *info = dim_model_info(teacher);
    DimWeights *weights = dim_weights_open(file, error);
    DimReplay *replay = NULL;

    if (!weights)
        return NULL;
    const DimTensor *t = dim_weights_find(weights, "latents");
    const int side = info->native_size / MAX(1, info->autoencoder.factor);
    if (!t || !dim_tensor_is_float(t) || t->rank != 5 || t->sizes[0] != n_groups(info) ||
        t->sizes[1] < 2 || t->sizes[1] > G_MAXINT / CLASSES_MAX ||
        t->sizes[2] != info->backbone.channels || t->sizes[3] != side || t->sizes[4] != side) {
        dim_fail(error, DIM_ERROR_FORMAT, file,
                 "tensor \"latents\" is missing or of another shape; expected [%d, 2 or more, %d, "
                 "%d, %d]",
                 n_groups(info), info->backbone.channels, side, side);
    } else {
        float *latents = dim_weights_values(weights, t, error);
        if (latents) {
            replay = g_new0(DimReplay, 1);
            *replay = (DimReplay){.teacher = teacher,
                                  .latents = latents,
                                  .groups = (int)t->sizes[0],
                                  .each = (int)t->sizes[1],
                                  .n_labels = info->n_labels,
                                  .count = t->sizes[2] * t->sizes[3] * t->sizes[4]};
            memcpy(replay->sizes, t->sizes + 2, sizeof replay->sizes);
        }
    }
    dim_weights_close(&weights);
    return replay;
}

void dim_replay_free(DimReplay **replay)
{
    if (*replay)
        g_free((*replay)->latents);
    g_clear_pointer(replay, g_free);
}

int dim_replay_count(const DimReplay *replay, gboolean apart)
{
    return replay->groups * (apart ? 1 : replay->each - 1);
}

int dim_replay_latent(const DimReplay *r, gint64 index, gboolean apart, float *z)
{
    const gint64 group = apart ? index : index / (r->each - 1);
    const gint64 at = group * r->each + (apart ? r->each - 1 : index % (r->each - 1));

    memcpy(z, r->latents + at * r->count, (gsize)r->count * sizeof *z);
    return (int)(group * r->n_labels / r->groups);
}

int dim_replay_no_class(const DimReplay *replay)
{
    return dim_model_info(replay->teacher)->unconditional_class;
}

gboolean dim_replay_ask(const DimReplay *replay, int n, const int *latent, float *x,
                        const double *times, const gint64 *labels, float *output, GError **error)
{
    const DimArray in = {.data = x, .rank = 4, .sizes = {n, latent[0], latent[1], latent[2]}};
    g_autofree float *t = g_new(float, n);
    DimArray out;

    for (int i = 0; i < n; i++)
        t[i] = (float)times[i];
    if (!dim_model_forward(replay->teacher, &in, t, labels, &out, NULL, error))
        return FALSE;
    memcpy(output, out.data, (gsize)dim_array_count(&out) * sizeof *output);
    dim_array_clear(&out);
    return TRUE;
}

/* ---- in a trainer ---------------------------------------------------------------------------- */

gboolean dim_trainer_set_replay(DimTrainer *t, const DimReplay *replay, int count, GError **error)
{
    if (replay->sizes[0] != t->latent[0] || replay->sizes[1] != t->latent[1] ||
        replay->sizes[2] != t->latent[2])
        return dim_fail(error, DIM_ERROR_ARGUMENT, "replay",
                        "latents of another shape than the trainer's; expected the same");
    if (count < 0 || count > t->params.batch)
        return dim_fail(error, DIM_ERROR_ARGUMENT, "replay",
                        "%d samples of a batch of %d; expected at most all", count,
                        t->params.batch);
    t->replay = replay;
    t->replayed = count;
    return TRUE;
}

/* Sums of squares over a micro-batch whose first latent kept apart is `index`. */
static gboolean compare(DimTrainer *t, gint64 index, double *moved, double *whole, GError **error)
{
    const gint64 count = t->replay->count;
    g_autofree gint64 *labels = g_new(gint64, t->micro);
    g_autofree double *times = g_new(double, t->micro);

    for (int i = 0; i < t->micro; i++) {
        const gint64 at = (index + i) % dim_replay_count(t->replay, TRUE);
        labels[i] = dim_replay_latent(t->replay, at, TRUE, t->z.data + i * count);
        times[i] = t->class->time_of_step(dim_trainer_noise(t, index + i, i));
    }
    if (!dim_replay_ask(t->replay, t->micro, t->latent, t->noised, times, labels, t->target, error))
        return FALSE;
    dk_write(t->dk, dim_var_value(t->net.x), t->noised);
    t->class->feed(t->spec->net_config, &t->net, times, labels);
    dim_graph_forward(t->net.graph);
    dk_read(t->dk, t->noised, dim_var_value(t->net.output));
    for (gint64 i = 0; i < t->micro * count; i++) {
        const double difference = t->noised[i] - t->target[i];
        *moved += difference * difference;
        *whole += (double)t->target[i] * t->target[i];
    }
    return dim_dk_check(t->dk, "training", error);
}

gboolean dim_trainer_drift(DimTrainer *t, int count, DimTask *task, double *drift, GError **error)
{
    double moved = 0, whole = 0;
    gboolean good = TRUE;

    g_assert(t->replay);
    dim_trainer_swap_in(t);
    for (int i = 0; good && i < MAX(1, count); i += t->micro)
        good = dim_task_go_on(task, error) && compare(t, i, &moved, &whole, error);
    dim_trainer_swap_out(t);
    if (good)
        *drift = whole > 0 ? moved / whole : 0;
    return good;
}
