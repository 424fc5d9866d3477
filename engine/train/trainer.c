/* Training: gradient of a batch, clipped, one step of the optimiser, the average of the weights.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "trainer.h"

#include <math.h>

#include "engine/error.h"
#include "engine/task.h"

enum { MICRO_TOKENS = 2048 }; /* a micro-batch is chosen to have at most that many patches */

void dim_train_params_init(DimTrainParams *params)
{
    *params = (DimTrainParams){
        .steps = 10000,
        .warmup = 100,
        .batch = 32,
        .rate = 1e-3,
        .rate_floor = 0.02,
        .beta1 = 0.9,
        .beta2 = 0.99,
        .eps = 1e-8,
        .decay = 0.01,
        .clip = 1,
        .average = 0.9995,
        .label_drop = 0.1,
        .times = DIM_TIMES_UNIFORM,
        .times_deviation = 1,
        .precision = DIM_PRECISION_F32,
    };
}

/* ---- opening --------------------------------------------------------------------------------- */

static gboolean bad(GError **error, const char *what, const char *expected)
{
    return dim_fail(error, DIM_ERROR_ARGUMENT, "training", "%s; expected %s", what, expected);
}

static gboolean check_params(const DimTrainParams *p, GError **error)
{
    const struct {
        gboolean good;
        const char *what, *expected;
    } rules[] = {
        {p->steps >= 1 && p->warmup >= 0, "steps out of range", "1 or more"},
        {p->batch >= 1 && p->micro_batch >= 0, "a batch out of range", "1 or more"},
        {p->rate > 0 && p->rate <= 1, "a learning rate out of range", "above 0, up to 1"},
        {p->rate_floor >= 0 && p->rate_floor <= 1, "a rate floor out of range", "0 to 1"},
        {p->beta1 >= 0 && p->beta1 < 1 && p->beta2 >= 0 && p->beta2 < 1, "betas out of range",
         "0 to below 1"},
        {p->eps > 0 && p->decay >= 0 && p->clip >= 0, "eps, decay or clip out of range",
         "eps above 0, the others from 0"},
        {p->average >= 0 && p->average < 1, "an average out of range", "0 to below 1"},
        {p->label_drop >= 0 && p->label_drop <= 1, "label_drop out of range", "0 to 1"},
        {p->times_deviation > 0, "a deviation of the times out of range", "above 0"},
        {p->seed >= 0 && p->seed <= DIM_SEED_MAX, "a seed out of range", "0 to 2^53 - 1"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++)
        if (!rules[i].good)
            return bad(error, rules[i].what, rules[i].expected);
    return TRUE;
}

static gboolean check_spec(const DimTrainer *t, GError **error)
{
    const DimModelSpec *s = t->spec;
    const char *folder = s->info.folder;
    DimAutoencoderFacts ae = {0};
    DimNetFacts net = {0};

    if (!s->net || !t->class)
        return dim_fail(error, DIM_ERROR_UNSUPPORTED, folder, "no backbone that can be trained");
    if (!s->autoencoder || !s->has_schedule || !s->has_prediction || s->info.native_size < 1)
        return dim_fail(error, DIM_ERROR_FORMAT, folder,
                        "model.json names no autoencoder, noise_schedule, prediction or "
                        "native_size; expected all of them");
    s->autoencoder->facts(s->autoencoder_config, &ae);
    s->net->facts(s->net_config, &net);
    if (net.in_channels != ae.channels ||
        (net.out_channels != net.in_channels && net.out_channels != 2 * net.in_channels))
        return dim_fail(error, DIM_ERROR_FORMAT, folder,
                        "a backbone of %d to %d channels and latents of %d; expected the same, or "
                        "variances, too",
                        net.in_channels, net.out_channels, ae.channels);
    if (s->info.native_size % (ae.factor * net.width_multiple) ||
        s->info.native_size % (ae.factor * net.height_multiple))
        return dim_fail(error, DIM_ERROR_FORMAT, folder,
                        "native_size %d; expected a multiple of %d", s->info.native_size,
                        ae.factor * MAX(net.width_multiple, net.height_multiple));
    if (dim_dataset_size(t->dataset) != s->info.native_size)
        return bad(error, "crops of another size than the model's native_size", "the same");
    if (dim_dataset_n_classes(t->dataset) > net.n_labels)
        return bad(error, "more classes in the data than the model has", "at most as many");
    if (dim_dataset_n_images(t->dataset, -1, FALSE) < 1)
        return bad(error, "no picture to train on", "one or more");
    if (t->params.label_drop > 0 && s->info.unconditional_class < 0)
        return bad(error, "label_drop for a model without unconditional_class", "0");
    return t->class->check(s->net_config, error);
}

/* The largest part of the process's share that divides it and is small enough for the caches. */
static int choose_micro(const DimTrainer *t, int patches)
{
    const int most = MAX(1, MICRO_TOKENS / MAX(1, patches));

    for (int micro = MIN(t->share, most); micro > 1; micro--)
        if (t->share % micro == 0)
            return micro;
    return 1;
}

static gboolean choose_sizes(DimTrainer *t, GError **error)
{
    const DimModelSpec *s = t->spec;
    DimAutoencoderFacts ae;
    DimNetFacts net;

    s->autoencoder->facts(s->autoencoder_config, &ae);
    s->net->facts(s->net_config, &net);
    t->size = s->info.native_size;
    t->latent[0] = ae.channels;
    t->latent[1] = t->latent[2] = t->size / ae.factor;
    if (t->params.batch % t->peers.n)
        return bad(error, "a batch that the processes cannot share", "a multiple of their number");
    t->share = t->params.batch / t->peers.n;
    const int side = t->latent[1] / net.patch;
    t->micro = t->params.micro_batch ? t->params.micro_batch : choose_micro(t, side * side);
    if (t->share % t->micro)
        return bad(error, "a micro-batch that does not divide the share of a process", "a divisor");
    return TRUE;
}

static gboolean open_encoder(DimTrainer *t, GError **error)
{
    const DimModelSpec *s = t->spec;
    DimAutoencoderFiles files = {0};
    gint64 parameters;
    gboolean good = dim_model_spec_open_autoencoder(s, DIM_PARTS_ENCODER, &files, error);

    if (good && s->autoencoder->check)
        good = s->autoencoder->check(s->autoencoder_config, &files, &parameters, error) != 0;
    if (good)
        t->encoder = s->autoencoder->load(t->dk, s->autoencoder_config, s->scale_factor, &files,
                                          DIM_PARTS_ENCODER, NULL, error);
    dim_autoencoder_files_close(&files);
    return t->encoder != NULL;
}

static gboolean take_batch(DimTrainer *t, GError **error)
{
    const gint64 crops[] = {t->micro, 3, t->size, t->size};
    const gint64 z[] = {t->micro, t->latent[0], t->latent[1], t->latent[2]}, one = 1;
    const gint64 terms[] = {t->micro, DIM_LOSS_TERMS};
    const gsize count = (gsize)(z[0] * z[1] * z[2] * z[3]), sums = 64;
    /* each at a multiple of 64 bytes */
    const gsize bytes = (count * sizeof(float) + 63) / 64 * 64;
    DimNetFacts net;

    if (!dim_array_alloc(&t->crops, 4, crops, error) || !dim_array_alloc(&t->z, 4, z, error))
        return FALSE;
    t->noised = g_try_new(float, count);
    t->target = g_try_new(float, count);
    t->buffer = dk_buffer_new(t->dk, 2 * sums + 2 * bytes +
                                         (gsize)t->micro * DIM_LOSS_TERMS * sizeof(double));
    if (!t->noised || !t->target || !t->buffer)
        return dim_fail_memory(error, "a micro-batch", count * sizeof(float));
    t->loss = dk_tensor(t->buffer, 0, DK_F64, 1, &one);
    t->norm = dk_tensor(t->buffer, sums, DK_F64, 1, &one);
    t->goal.target = dk_tensor(t->buffer, 2 * sums, DK_F32, 4, z);
    t->spec->net->facts(t->spec->net_config, &net);
    if (net.out_channels > net.in_channels) {
        t->goal.clean = dk_tensor(t->buffer, 2 * sums + bytes, DK_F32, 4, z);
        t->goal.terms = dk_tensor(t->buffer, 2 * sums + 2 * bytes, DK_F64, 2, terms);
        t->goal.weight = 0.001 * t->spec->timesteps;
    }
    return TRUE;
}

/* Other users of the device, such as a model that draws a sheet, leave it at f32. */
static void set_products(DimTrainer *t, gboolean training)
{
    const gboolean rounded = training && t->params.precision == DIM_PRECISION_BF16;

    dk_device_set_products(t->dk, rounded ? DK_PRODUCTS_BF16 : DK_PRODUCTS_F32);
}

static gboolean build_net(DimTrainer *t, GError **error)
{
    const DimModelSpec *s = t->spec;

    dim_parameters_init(&t->parameters, t->dk);
    t->class->parameters(s->net_config, t->latent[1], t->latent[2], &t->parameters);
    if (!dim_parameters_commit(&t->parameters, error))
        return FALSE;
    set_products(t, TRUE);
    t->class->build(s->net_config, &t->parameters, t->micro, t->latent[1], t->latent[2], t->dk,
                    &t->net);
    set_products(t, FALSE);
    return dim_optimiser_init(&t->optimiser, &t->parameters, t->params.optimiser, error) &&
           dim_graph_finish(t->net.graph, t->net.output, error) &&
           dim_schedule_init(&t->schedule, s->schedule, s->beta_start, s->beta_end, s->timesteps,
                             s->info.folder, error);
}

static gboolean start(DimTrainer *t, const char *checkpoint, GError **error)
{
    const char *folder = t->spec->info.folder;
    g_autofree char *file = g_build_filename(folder, t->spec->net_weights, NULL);

    if (checkpoint && g_file_test(checkpoint, G_FILE_TEST_EXISTS)) {
        if (!dim_trainer_read_checkpoint(t, checkpoint, error))
            return FALSE;
    } else if (g_file_test(file, G_FILE_TEST_EXISTS)) {
        if (!dim_trainer_read_weights(t, error))
            return FALSE;
    } else {
        dim_parameters_draw(&t->parameters, t->params.seed);
    }
    dim_graph_refresh(t->net.graph);
    return dim_dk_check(t->dk, folder, error);
}

DimTrainer *dim_trainer_new(DimDevice *device, const char *folder, const char *checkpoint,
                            const DimTrainParams *params, const DimDataset *dataset,
                            const DimTrainPeers *peers, GError **error)
{
    if (!check_params(params, error))
        return NULL;
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    if (!spec)
        return NULL;
    DimTrainer *t = g_new0(DimTrainer, 1);
    t->device = device;
    t->dk = dim_device_dk(device);
    t->spec = spec;
    t->params = *params;
    t->dataset = dataset;
    t->peers = peers ? *peers : (DimTrainPeers){.n = 1};
    t->class = spec->net ? dim_train_class(spec->net->family) : NULL;
    dim_device_count_models(device, 1);
    if (!check_spec(t, error) || !choose_sizes(t, error) || !open_encoder(t, error) ||
        !take_batch(t, error) || !build_net(t, error) || !start(t, checkpoint, error))
        dim_trainer_free(&t);
    return t;
}

void dim_trainer_free(DimTrainer **trainer)
{
    DimTrainer *t = *trainer;

    if (!t)
        return;
    dim_graph_free(&t->net.graph);
    g_free(t->net.inputs);
    dim_optimiser_clear(&t->optimiser);
    dim_parameters_clear(&t->parameters);
    dim_schedule_clear(&t->schedule);
    if (t->encoder)
        t->spec->autoencoder->free(t->dk, t->encoder);
    dim_array_clear(&t->crops);
    dim_array_clear(&t->z);
    g_free(t->noised);
    g_free(t->target);
    dk_buffer_free(t->dk, &t->buffer);
    DimModelInfo *info = &t->spec->info;
    dim_model_info_free(&info);
    dim_device_count_models(t->device, -1);
    g_clear_pointer(trainer, g_free);
}

gint64 dim_trainer_at(const DimTrainer *trainer)
{
    return trainer->step;
}

void dim_trainer_aim(DimTrainer *trainer, gint64 steps)
{
    trainer->params.steps = MAX(1, steps);
}

gint64 dim_trainer_parameters(const DimTrainer *trainer)
{
    return dim_parameters_total(&trainer->parameters);
}

/* ---- a step ---------------------------------------------------------------------------------- */

static double rate_at(const DimTrainParams *p, gint64 step)
{
    if (step < p->warmup)
        return p->rate * (double)(step + 1) / (double)p->warmup;
    const double span = (double)MAX(1, p->steps - p->warmup);
    const double along = MIN(1, (double)(step - p->warmup) / span);
    return p->rate * (p->rate_floor + (1 - p->rate_floor) * 0.5 * (1 + cos(G_PI * along)));
}

/* One micro-batch there and, if asked for, back. The loss gathers on the device. */
static gboolean run_micro(DimTrainer *t, gint64 index, double samples, gboolean test,
                          GError **error)
{
    const double elements = (double)t->latent[0] * t->latent[1] * t->latent[2];

    if (!dim_trainer_feed(t, index, test, error))
        return FALSE;
    dim_graph_forward(t->net.graph);
    dim_loss_run(t->dk, t->loss, dim_var_gradient(t->net.output), dim_var_value(t->net.output),
                 &t->goal, 1 / (samples * elements));
    if (!test) {
        set_products(t, TRUE);
        dim_graph_backward(t->net.graph);
        set_products(t, FALSE);
    }
    return dim_dk_check(t->dk, "training", error);
}

static gboolean run_share(DimTrainer *t, DimTask *task, GError **error)
{
    const gint64 first = t->step * t->params.batch + (gint64)t->peers.rank * t->share;

    dk_clear(t->dk, t->loss);
    dk_clear(t->dk, t->parameters.block[DIM_BLOCK_GRADIENT]);
    for (int i = 0; i < t->share; i += t->micro)
        if (!dim_task_go_on(task, error) || !run_micro(t, first + i, t->params.batch, FALSE, error))
            return FALSE;
    return TRUE;
}

/* Gradient and loss of the whole batch, from all processes. */
static gboolean gather(DimTrainer *t, double *loss, GError **error)
{
    const DkTensor gradient = t->parameters.block[DIM_BLOCK_GRADIENT];
    const gint64 count = t->parameters.count;

    dk_read(t->dk, loss, t->loss);
    if (t->peers.n == 1)
        return TRUE;
    g_autofree float *host = g_try_new(float, count + 1);
    if (!host)
        return dim_fail_memory(error, "the gradient", (guint64)count * sizeof *host);
    dk_read(t->dk, host, gradient);
    host[count] = (float)*loss;
    t->peers.sum(host, count + 1, t->peers.data);
    *loss = host[count];
    dk_write(t->dk, gradient, host);
    return TRUE;
}

static void update(DimTrainer *t, double rate, double norm)
{
    const DimTrainParams *p = &t->params;
    const DkTensor *block = t->parameters.block;
    const DkAdamW settings = {.rate = rate,
                              .beta1 = p->beta1,
                              .beta2 = p->beta2,
                              .eps = p->eps,
                              .decay = p->decay,
                              .gradient_factor = p->clip > 0 && norm > p->clip ? p->clip / norm : 1,
                              .step = t->step + 1};
    /* An average over the run so far, until that is longer than what `average` remembers. */
    const double average = MIN(p->average, (double)(t->step + 1) / (double)(t->step + 10));

    dim_optimiser_step(&t->optimiser, &settings);
    dk_axpby(t->dk, block[DIM_BLOCK_AVERAGE], (float)(1 - average), block[DIM_BLOCK_WEIGHTS],
             (float)average);
    dim_graph_refresh(t->net.graph);
}

static gboolean optimise(DimTrainer *t, DimTrainReport *report, GError **error)
{
    double squares = 0;

    dk_clear(t->dk, t->norm);
    dk_sum_squares(t->dk, t->norm, t->parameters.block[DIM_BLOCK_GRADIENT]);
    dk_read(t->dk, &squares, t->norm);
    report->gradient_norm = sqrt(squares);
    report->rate = rate_at(&t->params, t->step);
    if (!isfinite(report->loss) || !isfinite(squares))
        return dim_fail(error, DIM_ERROR_DEVICE, "training",
                        "the loss is no number any more at step %" G_GINT64_FORMAT
                        "; expected a lower learning rate",
                        t->step + 1);
    update(t, report->rate, report->gradient_norm);
    return dim_dk_check(t->dk, "training", error);
}

gboolean dim_trainer_step(DimTrainer *t, DimTask *task, DimTrainReport *report, GError **error)
{
    DimTrainReport r = {0};

    /* Until here a cancel leaves no trace; the update itself is not interrupted. */
    dim_dk_follow(t->dk, task);
    const gboolean ran = run_share(t, task, error);
    dim_dk_follow(t->dk, NULL);
    if (!ran || !gather(t, &r.loss, error) || !optimise(t, &r, error))
        return FALSE;
    t->step++;
    r.step = t->step;
    r.samples = t->step * t->params.batch;
    *report = r;
    return TRUE;
}

/* ---- the test loss --------------------------------------------------------------------------- */

/* The gradient's memory keeps the weights while the average stands in for them. */
void dim_trainer_swap_in(DimTrainer *t)
{
    const DkTensor *block = t->parameters.block;

    dk_axpby(t->dk, block[DIM_BLOCK_GRADIENT], 1, block[DIM_BLOCK_WEIGHTS], 0);
    dk_axpby(t->dk, block[DIM_BLOCK_WEIGHTS], 1, block[DIM_BLOCK_AVERAGE], 0);
    dim_graph_refresh(t->net.graph);
}

void dim_trainer_swap_out(DimTrainer *t)
{
    const DkTensor *block = t->parameters.block;

    dk_axpby(t->dk, block[DIM_BLOCK_WEIGHTS], 1, block[DIM_BLOCK_GRADIENT], 0);
    dim_graph_refresh(t->net.graph);
}

gboolean dim_trainer_test_loss(DimTrainer *t, int count, DimTask *task, double *loss,
                               GError **error)
{
    const int n = (MAX(1, count) + t->micro - 1) / t->micro * t->micro;
    gboolean good = TRUE;

    if (dim_dataset_n_images(t->dataset, -1, TRUE) < 1)
        return bad(error, "a test loss without test pictures", "one or more");
    dim_trainer_swap_in(t);
    dk_clear(t->dk, t->loss);
    dim_dk_follow(t->dk, task);
    for (int i = 0; i < n && good; i += t->micro)
        good = dim_task_go_on(task, error) && run_micro(t, i, n, TRUE, error);
    dim_dk_follow(t->dk, NULL);
    dim_trainer_swap_out(t);
    if (good)
        dk_read(t->dk, loss, t->loss);
    return dim_dk_check(t->dk, "training", good ? error : NULL) && good;
}
