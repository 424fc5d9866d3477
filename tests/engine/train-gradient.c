/* The graph of a network against gradients that PyTorch's autograd found in float64
 * (tests/golden/gradients), and against differences of its own loss where no such case is at hand.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/model.h"
#include "engine/rng.h"
#include "engine/train/net-train.h"
#include "engine/weights-upload.h"

#include <math.h>
#include <string.h>

/* A network with a batch on it. */
typedef struct {
    DimDevice *device;
    DkDevice *dk;
    const DimTrainClass *class;
    DimParameters parameters;
    DimTrainNet net;
    DkBuffer *buffer;
    DkTensor loss, target;
    gint64 count; /* of the output */
} Bench;

static DimDevice *open_device(const char *name)
{
    g_autoptr(GError) error = NULL;
    DimDevice *device = dim_device_open(name, 2, &error);

    g_assert_no_error(error);
    return device;
}

static void bench_open(Bench *b, const char *device, const DimNetClass *net, const void *config,
                       int batch, int h, int w)
{
    g_autoptr(GError) error = NULL;
    DimNetFacts facts;

    net->facts(config, &facts);
    const gint64 one = 1, sizes[] = {batch, facts.out_channels, h, w};
    *b = (Bench){.device = open_device(device), .class = dim_train_class(net->family)};
    b->dk = dim_device_dk(b->device);
    b->count = (gint64)batch * facts.out_channels * h * w;
    dim_parameters_init(&b->parameters, b->dk);
    b->class->parameters(config, h, w, &b->parameters);
    dim_parameters_commit(&b->parameters, &error);
    g_assert_no_error(error);
    b->class->build(config, &b->parameters, batch, h, w, b->dk, &b->net);
    dim_graph_finish(b->net.graph, b->net.output, &error);
    g_assert_no_error(error);
    b->buffer = dk_buffer_new(b->dk, 64 + (gsize)b->count * sizeof(float));
    b->loss = dk_tensor(b->buffer, 0, DK_F64, 1, &one);
    b->target = dk_tensor(b->buffer, 64, DK_F32, 4, sizes);
}

static void bench_close(Bench *b)
{
    dim_graph_free(&b->net.graph);
    g_free(b->net.inputs);
    dim_parameters_clear(&b->parameters);
    dk_buffer_free(b->dk, &b->buffer);
    dim_device_close(&b->device);
}

/* The loss of the batch at hand; its gradient too, in parts of the memory that others had before.
 */
static double bench_run(Bench *b, gboolean backward)
{
    double loss = 0;

    dim_graph_refresh(b->net.graph);
    dk_clear(b->dk, b->loss);
    dim_graph_forward(b->net.graph);
    dk_squared_error(b->dk, b->loss, dim_var_gradient(b->net.output), dim_var_value(b->net.output),
                     b->target, 1.0 / (double)b->count);
    if (backward)
        dim_graph_backward(b->net.graph);
    dk_read(b->dk, &loss, b->loss);
    g_assert_cmpint(dk_sync(b->dk), ==, DK_OK);
    return loss;
}

static DimTrained *tensor_at(const Bench *b, guint i)
{
    return &g_array_index(b->parameters.list, DimTrained, i);
}

/* ---- against PyTorch ------------------------------------------------------------------------- */

static float *values_of(DimWeights *weights, const char *name)
{
    g_autoptr(GError) error = NULL;
    const DimTensor *tensor = dim_weights_find(weights, name);

    g_assert_nonnull(tensor);
    float *values = dim_weights_values(weights, tensor, &error);
    g_assert_no_error(error);
    return values;
}

/* |got - want| / |want| */
static double relative(const float *got, const float *want, gint64 n)
{
    double off = 0, all = 0;

    for (gint64 i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        all += (double)want[i] * want[i];
    }
    return sqrt(off / all);
}

static void put_weights(Bench *b, DimWeights *file)
{
    for (guint i = 0; i < b->parameters.list->len; i++) {
        g_autofree char *name = g_strconcat("weights/", tensor_at(b, i)->name, NULL);
        if (tensor_at(b, i)->fixed)
            continue;
        g_autofree float *values = values_of(file, name);
        dim_parameters_put(&b->parameters, DIM_BLOCK_WEIGHTS, tensor_at(b, i), values);
    }
}

static void feed_case(Bench *b, const DimModelSpec *spec, DimWeights *file)
{
    g_autofree float *x = values_of(file, "x"), *t = values_of(file, "t"),
                     *target = values_of(file, "target");
    const double times[] = {(double)t[0], (double)t[1]};
    gint64 labels[2];

    g_assert_true(dim_weights_read_i64(file, dim_weights_find(file, "y"), labels, NULL));
    dk_write(b->dk, dim_var_value(b->net.x), x);
    dk_write(b->dk, b->target, target);
    b->class->feed(spec->net_config, &b->net, times, labels);
}

static void compare_gradients(const Bench *b, DimWeights *file, double factor, double allowed)
{
    for (guint i = 0; i < b->parameters.list->len; i++) {
        const DimTrained *t = tensor_at(b, i);
        g_autofree char *name = g_strconcat("gradient/", t->name, NULL);
        if (t->fixed)
            continue;
        g_autofree float *want = values_of(file, name), *got = g_new(float, t->count);
        dim_parameters_get(&b->parameters, DIM_BLOCK_GRADIENT, t, got);
        for (gint64 k = 0; k < t->count; k++)
            got[k] = (float)(got[k] / factor);
        const double off = relative(got, want, t->count);
        if (!(off < allowed))
            g_error("%s: %g relative to PyTorch's gradient, %g allowed", t->name, off, allowed);
    }
}

/* data: "DEVICE CASE" */
static void test_case(gconstpointer data)
{
    g_auto(GStrv) words = g_strsplit(data, " ", 2);
    g_autofree char *folder =
        g_test_build_filename(G_TEST_DIST, "..", "golden", "gradients", words[1], NULL);
    g_autofree char *path = g_build_filename(folder, "case.safetensors", NULL);
    g_autoptr(GError) error = NULL;
    DimModelSpec *spec = dim_model_spec_read(folder, &error);
    g_assert_no_error(error);
    DimWeights *file = dim_weights_open(path, &error);
    g_assert_no_error(error);
    const DimTensor *x = dim_weights_find(file, "x");
    /* A decay that is a float is off by the power that it is raised to. */
    const double allowed = g_str_has_prefix(data, "cpu s4d") ? 2e-4 : 5e-5;
    g_autofree float *loss = values_of(file, "loss"), *output = values_of(file, "output");
    Bench b;

    bench_open(&b, words[0], spec->net, spec->net_config, 2, (int)x->sizes[2], (int)x->sizes[3]);
    put_weights(&b, file);
    feed_case(&b, spec, file);
    dk_clear(b.dk, b.parameters.block[DIM_BLOCK_GRADIENT]);
    const double got = bench_run(&b, TRUE);
    g_assert_cmpfloat_with_epsilon(got, (double)loss[0], 1e-5 * (double)loss[0]);
    g_autofree float *ours = g_new(float, b.count);
    dk_read(b.dk, ours, dim_var_value(b.net.output));
    g_assert_cmpfloat(relative(ours, output, b.count), <, 1e-5);
    compare_gradients(&b, file, 1, allowed);
    bench_run(&b, TRUE); /* a second run adds as much again */
    compare_gradients(&b, file, 2, allowed);

    bench_close(&b);
    dim_weights_close(&file);
    DimModelInfo *info = &spec->info;
    dim_model_info_free(&info);
}

/* ---- against differences --------------------------------------------------------------------- */

/* Weights of all kinds, none of them 0. */
static void draw_weights(Bench *b)
{
    dim_parameters_draw(&b->parameters, 7);
    for (guint i = 0; i < b->parameters.list->len; i++) {
        const DimTrained *t = tensor_at(b, i);
        g_autofree float *values = g_new(float, t->count);
        dim_parameters_get(&b->parameters, DIM_BLOCK_WEIGHTS, t, values);
        for (gint64 k = 0; k < t->count; k++)
            values[k] += (float)(0.03 * dim_random_normal(8, DIM_RANDOM_WEIGHTS, i, (guint32)k));
        dim_parameters_put(&b->parameters, DIM_BLOCK_WEIGHTS, t, values);
    }
}

static void feed_noise(Bench *b, const void *config, int n_classes)
{
    g_autofree float *x = g_new(float, b->count), *target = g_new(float, b->count);

    for (gint64 i = 0; i < b->count; i++) {
        x[i] = (float)dim_random_normal(9, DIM_RANDOM_TRAIN_NOISE, 0, (guint32)i);
        target[i] = (float)dim_random_normal(9, DIM_RANDOM_TRAIN_NOISE, 1, (guint32)i);
    }
    dk_write(b->dk, dim_var_value(b->net.x), x);
    dk_write(b->dk, b->target, target);
    b->class->feed(config, &b->net, (double[]){100, 700}, (gint64[]){0, n_classes});
}

/* One tensor at a time goes a little along its gradient and back: the loss must change as the
 * gradient says. */
static void check_tensor(Bench *b, const DimTrained *t)
{
    g_autofree float *gradient = g_new(float, t->count), *before = g_new(float, t->count),
                     *moved = g_new(float, t->count);
    double squares = 0, loss[2], size = 0;

    dim_parameters_get(&b->parameters, DIM_BLOCK_GRADIENT, t, gradient);
    dim_parameters_get(&b->parameters, DIM_BLOCK_WEIGHTS, t, before);
    for (gint64 i = 0; i < t->count; i++) {
        squares += (double)gradient[i] * gradient[i];
        size += (double)before[i] * before[i];
    }
    g_assert_cmpfloat(squares, >, 0);
    const double length = sqrt(squares), step = MIN(0.02 * sqrt(size) + 1e-3, 0.01 / length);
    for (int side = 0; side < 2; side++) {
        for (gint64 i = 0; i < t->count; i++)
            moved[i] = (float)(before[i] + (side ? step : -step) / length * gradient[i]);
        dim_parameters_put(&b->parameters, DIM_BLOCK_WEIGHTS, t, moved);
        loss[side] = bench_run(b, FALSE);
    }
    dim_parameters_put(&b->parameters, DIM_BLOCK_WEIGHTS, t, before);
    const double slope = (loss[1] - loss[0]) / (2 * step), noise = 3e-7 * loss[0] / step;
    if (!(fabs(slope - length) < 0.03 * length + noise))
        g_error("%s: the loss rises by %g along a gradient of length %g", t->name, slope, length);
}

/* data: a configuration as JSON */
static void test_differences(gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    json_t *json = json_loads(data, 0, NULL);
    const DimNetClass *class = dim_net_class("dim");
    g_autofree void *config = class->parse(json, "test", &error);
    DimNetFacts facts;
    Bench b;

    g_assert_no_error(error);
    json_decref(json);
    class->facts(config, &facts);
    bench_open(&b, "cpu", class, config, 2, 4 * facts.patch, 4 * facts.patch);
    draw_weights(&b);
    feed_noise(&b, config, facts.n_labels);
    dk_clear(b.dk, b.parameters.block[DIM_BLOCK_GRADIENT]);
    bench_run(&b, TRUE);
    for (guint i = 0; i < b.parameters.list->len; i++)
        check_tensor(&b, tensor_at(&b, i));
    bench_close(&b);
}

int main(int argc, char **argv)
{
    static const char *const cases[] = {"ref lateral",         "ref rho", "ref attention",
                                        "ref attention-plain", "ref s4d", "ref s4d-thirds",
                                        "cpu lateral",         "cpu rho", "cpu attention",
                                        "cpu attention-plain", "cpu s4d", "cpu s4d-thirds"};

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdelimit(g_strconcat("/gradient/", cases[i], NULL), " ", '/');
        g_test_add_data_func(path, cases[i], test_case);
    }
    g_test_add_data_func(
        "/differences/final-conv",
        "{\"hidden_size\": 16, \"depth\": 3, \"in_channels\": 3, \"num_classes\": 2, \"d_state\": "
        "3,"
        " \"final_conv\": true, \"pad_schedule\": \"none\", \"split_tokens\": false}",
        test_differences);
    g_test_add_data_func(
        "/differences/plain",
        "{\"hidden_size\": 16, \"depth\": 3, \"in_channels\": 2, \"num_classes\": 2, \"d_state\": "
        "3,"
        " \"skip_connections\": false, \"depthwise_conv\": false, \"patch_size\": 1}",
        test_differences);
    g_test_add_data_func("/differences/wide",
                         "{\"hidden_size\": 514, \"depth\": 3, \"in_channels\": 2, "
                         "\"num_classes\": 1, \"d_state\": 2,"
                         " \"expand\": 0.03, \"dt_rank\": 2, \"pad_token_len\": 1}",
                         test_differences);
    return g_test_run();
}
