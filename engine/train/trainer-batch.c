/* A micro-batch: crops, their latents, noise, and what the network shall answer.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * x_n = alpha_n z + sigma_n eps; the target is eps, or v = alpha_n eps - sigma_n z (arXiv
 * 2202.00512). */
#include "trainer.h"

#include <math.h>
#include <string.h>

#include "engine/rng.h"

/* What is drawn for a sample. */
typedef struct {
    gint64 seed, index;
    DimRandomStream stream, noise_stream;
} Luck;

enum { K_TIME, K_DROP, K_REPLAY };

/* What a number takes on one thread, to judge by whether others are worth waking. */
enum { CROP_NS = 5, NOISE_NS = 60 };

/* The training step n, 1..timesteps. */
static int draw_time(const DimTrainer *t, const Luck *luck)
{
    const int steps = t->spec->timesteps;

    if (t->params.times == DIM_TIMES_UNIFORM)
        return 1 + (int)dim_random_below(luck->seed, luck->stream, luck->index, K_TIME, steps);
    const double normal = dim_random_normal(luck->seed, luck->stream, luck->index, K_TIME);
    const double logit = t->params.times_mean + t->params.times_deviation * normal;
    return CLAMP((int)lround(steps / (1 + exp(-logit))), 1, steps);
}

static gint64 draw_label(const DimTrainer *t, const Luck *luck, int label)
{
    const double drop = t->params.label_drop;

    if (drop > 0 && dim_random_uniform(luck->seed, luck->stream, luck->index, K_DROP) < drop)
        return t->spec->info.unconditional_class;
    return label;
}

static void add_noise(const DimTrainer *t, const Luck *luck, int n, const float *z, float *noised,
                      float *target)
{
    const DimTime at = dim_schedule_at(&t->schedule, (double)n / t->spec->timesteps);
    const gint64 count = (gint64)t->latent[0] * t->latent[1] * t->latent[2];
    const gboolean is_v = t->spec->prediction == DIM_PREDICTION_V;

    for (gint64 i = 0; i < count; i++) {
        const double eps =
            dim_random_normal(luck->seed, luck->noise_stream, luck->index, (guint32)i);
        noised[i] = (float)(at.alpha * z[i] + at.sigma * eps);
        target[i] = (float)(is_v ? at.alpha * eps - at.sigma * z[i] : eps);
    }
}

int dim_trainer_noise(DimTrainer *t, gint64 index, int i)
{
    const gint64 count = (gint64)t->latent[0] * t->latent[1] * t->latent[2];
    const Luck luck = {t->params.seed, index, DIM_RANDOM_TEST, DIM_RANDOM_TEST_NOISE};
    const int n = draw_time(t, &luck);

    add_noise(t, &luck, n, t->z.data + i * count, t->noised + i * count, t->target + i * count);
    return n;
}

/* How many of the samples that begin with `index` are the first ones of a batch, which are
 * replayed. */
static int count_replayed(const DimTrainer *t, gint64 index, gboolean test)
{
    const gint64 left = t->replay ? t->replayed - index % t->params.batch : 0;

    return test ? 0 : (int)CLAMP(left, 0, t->micro);
}

/* A micro-batch on its way: its first sample's index, and what is drawn for each of them. */
typedef struct {
    DimTrainer *t;
    gint64 index;
    gboolean test;
    int replayed; /* the first ones, which are latents already */
    int *drawn;   /* the picture's class */
    gint64 *labels;
    double *times, *terms;
} Feed;

static void draw_crop(void *data, gint64 k)
{
    const Feed *f = data;
    const gint64 i = f->replayed + k, pixels = 3 * (gint64)f->t->size * f->t->size;

    f->drawn[i] = dim_dataset_crop(f->t->dataset, f->t->params.seed, f->index + i, f->test,
                                   f->t->crops.data + i * pixels);
}

/* Crops and, where the backbone works on latents, what they are encoded to. */
static gboolean draw_latents(Feed *f, GError **error)
{
    DimTrainer *t = f->t;
    const gint64 pixels = 3 * (gint64)t->size * t->size;
    const gint64 count = (gint64)t->latent[0] * t->latent[1] * t->latent[2];

    memset(t->crops.data, 0, (gsize)(f->replayed * pixels) * sizeof *t->crops.data);
    dk_host_each(t->dk, t->micro - f->replayed, CROP_NS * (double)pixels, draw_crop, f);
    if (f->replayed < t->micro &&
        !t->spec->autoencoder->encode(t->dk, t->encoder, &t->crops, &t->z, NULL, error))
        return FALSE;
    for (int i = 0; i < f->replayed; i++) {
        const gint64 at = dim_random_below(t->params.seed, DIM_RANDOM_TRAIN, f->index + i, K_REPLAY,
                                           dim_replay_count(t->replay, FALSE));
        f->drawn[i] = dim_replay_latent(t->replay, at, FALSE, t->z.data + i * count);
    }
    return TRUE;
}

static void draw_noise(void *data, gint64 i)
{
    const Feed *f = data;
    DimTrainer *t = f->t;
    const gint64 count = (gint64)t->latent[0] * t->latent[1] * t->latent[2];
    const Luck luck = {t->params.seed, f->index + i, f->test ? DIM_RANDOM_TEST : DIM_RANDOM_TRAIN,
                       f->test ? DIM_RANDOM_TEST_NOISE : DIM_RANDOM_TRAIN_NOISE};
    const int n = draw_time(t, &luck);

    f->times[i] = t->class->time_of_step(n);
    dim_loss_terms(&t->schedule, t->spec->prediction, n, f->terms + i * DIM_LOSS_TERMS);
    f->labels[i] = f->test || (t->replayed && i >= f->replayed) ? f->drawn[i]
                                                                : draw_label(t, &luck, f->drawn[i]);
    add_noise(t, &luck, n, t->z.data + i * count, t->noised + i * count, t->target + i * count);
}

/* What the teacher answers becomes the goal of the first n samples. */
static gboolean ask_teacher(DimTrainer *t, int n, const double *times, const gint64 *labels,
                            GError **error)
{
    g_autofree gint64 *own = g_new(gint64, (guint)n);

    for (int i = 0; i < n; i++)
        own[i] = labels[i] == t->spec->info.unconditional_class ? dim_replay_no_class(t->replay)
                                                                : labels[i];
    return dim_replay_ask(t->replay, n, t->latent, t->noised, times, own, t->target, error);
}

gboolean dim_trainer_feed(DimTrainer *t, gint64 index, gboolean test, GError **error)
{
    const gint64 count = (gint64)t->latent[0] * t->latent[1] * t->latent[2];
    g_autofree int *drawn = g_new(int, t->micro);
    g_autofree gint64 *labels = g_new(gint64, t->micro);
    g_autofree double *times = g_new(double, t->micro);
    g_autofree double *terms = g_new(double, (gsize)t->micro *DIM_LOSS_TERMS);
    Feed f = {t, index, test, count_replayed(t, index, test), drawn, labels, times, terms};

    if (!draw_latents(&f, error))
        return FALSE;
    dk_host_each(t->dk, t->micro, NOISE_NS * (double)count, draw_noise, &f);
    if (f.replayed && !ask_teacher(t, f.replayed, times, labels, error))
        return FALSE;
    dk_write(t->dk, dim_var_value(t->net.x), t->noised);
    dk_write(t->dk, t->goal.target, t->target);
    if (!dk_tensor_is_empty(t->goal.clean)) {
        dk_write(t->dk, t->goal.clean, t->z.data);
        dk_write(t->dk, t->goal.terms, terms);
    }
    t->class->feed(t->spec->net_config, &t->net, times, labels);
    return TRUE;
}
