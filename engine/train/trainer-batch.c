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

/* Crops of the micro-batch and, where the backbone works on latents, what they are encoded to; the
 * first `replayed` are latents already. */
static gboolean draw_latents(DimTrainer *t, gint64 index, gboolean test, int replayed, int *labels,
                             GError **error)
{
    const gint64 pixels = 3 * (gint64)t->size * t->size;
    const gint64 count = (gint64)t->latent[0] * t->latent[1] * t->latent[2];

    memset(t->crops.data, 0, (gsize)(replayed * pixels) * sizeof *t->crops.data);
    for (int i = replayed; i < t->micro; i++)
        labels[i] = dim_dataset_crop(t->dataset, t->params.seed, index + i, test,
                                     t->crops.data + i * pixels);
    if (replayed < t->micro &&
        !t->spec->autoencoder->encode(t->dk, t->encoder, &t->crops, &t->z, NULL, error))
        return FALSE;
    for (int i = 0; i < replayed; i++) {
        const gint64 at = dim_random_below(t->params.seed, DIM_RANDOM_TRAIN, index + i, K_REPLAY,
                                           dim_replay_count(t->replay, FALSE));
        labels[i] = dim_replay_latent(t->replay, at, FALSE, t->z.data + i * count);
    }
    return TRUE;
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

    const int replayed = count_replayed(t, index, test);

    if (!draw_latents(t, index, test, replayed, drawn, error))
        return FALSE;
    for (int i = 0; i < t->micro; i++) {
        const Luck luck = {t->params.seed, index + i, test ? DIM_RANDOM_TEST : DIM_RANDOM_TRAIN,
                           test ? DIM_RANDOM_TEST_NOISE : DIM_RANDOM_TRAIN_NOISE};
        const int n = draw_time(t, &luck);
        times[i] = t->class->time_of_step(n);
        dim_loss_terms(&t->schedule, t->spec->prediction, n, terms + (gsize)i * DIM_LOSS_TERMS);
        labels[i] =
            test || (t->replayed && i >= replayed) ? drawn[i] : draw_label(t, &luck, drawn[i]);
        add_noise(t, &luck, n, t->z.data + i * count, t->noised + i * count, t->target + i * count);
    }
    if (replayed && !ask_teacher(t, replayed, times, labels, error))
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
