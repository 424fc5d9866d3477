/* How fast a backbone trains: samples a second of processor time, and where that goes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * usage: train [THREADS [BATCH [STEPS [SIDE [FAMILY [CONFIG]]]]]]
 * SIDE: of the latent grid; FAMILY, CONFIG: backbone.family and .config (JSON). Without them the
 * shape of a small texture model at 128 pixels. Last line, for scripts: "samples_per_cpu_second
 * NUMBER". */
#include "engine/model.h"
#include "engine/train/net-train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *family, *config;
} small[] = {
    {"dim", "{\"hidden_size\": 256, \"depth\": 9, \"in_channels\": 16, \"num_classes\": 15}"},
    {"dit", "{\"hidden_size\": 256, \"depth\": 9, \"in_channels\": 16, \"num_classes\": 15, "
            "\"num_heads\": 4, \"learn_sigma\": false}"},
    {"diffussm", "{\"hidden_size\": 256, \"depth\": 9, \"in_channels\": 16, \"num_classes\": 15, "
                 "\"patch_size\": 2, \"learn_sigma\": false}"},
};

typedef struct {
    DkDevice *dk;
    DimParameters parameters;
    DimTrainNet net;
    DkTensor loss, target;
    double factor;
} Run;

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void step(Run *r, gint64 n)
{
    const DkTensor *b = r->parameters.block;
    const DkAdamW adamw = {.rate = 1e-4,
                           .beta1 = 0.9,
                           .beta2 = 0.99,
                           .eps = 1e-8,
                           .decay = 0.01,
                           .gradient_factor = 1,
                           .step = n + 1};

    dk_clear(r->dk, b[DIM_BLOCK_GRADIENT]);
    dim_graph_forward(r->net.graph);
    dk_squared_error(r->dk, r->loss, dim_var_gradient(r->net.output), dim_var_value(r->net.output),
                     r->target, r->factor);
    dim_graph_backward(r->net.graph);
    dk_adamw(r->dk, b[DIM_BLOCK_WEIGHTS], b[DIM_BLOCK_MEAN], b[DIM_BLOCK_SQUARE],
             b[DIM_BLOCK_GRADIENT], &adamw);
    dk_axpby(r->dk, b[DIM_BLOCK_AVERAGE], 0.001f, b[DIM_BLOCK_WEIGHTS], 0.999f);
    dim_graph_refresh(r->net.graph);
}

static void print_profile(DkDevice *dk, double samples)
{
    DkProfile entries[64];
    const int n = dk_profile_read(dk, entries, 64);

    printf("%-26s %10s %10s\n", "operation", "ms/sample", "GFLOP/s");
    for (int i = 0; i < n && i < 18; i++)
        printf("%-26s %10.3f %10.1f\n", entries[i].op, entries[i].seconds / samples * 1e3,
               entries[i].flop / entries[i].seconds * 1e-9);
}

static void feed(Run *r, const DimTrainClass *class, const void *config, int batch, gint64 count)
{
    g_autofree float *x = g_new(float, count);
    g_autofree double *t = g_new(double, batch);
    g_autofree gint64 *y = g_new0(gint64, batch);

    for (gint64 i = 0; i < count; i++)
        x[i] = (float)(i % 17) / 8 - 1;
    for (int i = 0; i < batch; i++)
        t[i] = 1 + 999.0 * i / batch;
    dk_write(r->dk, dim_var_value(r->net.x), x);
    dk_write(r->dk, r->target, x);
    class->feed(config, &r->net, t, y);
}

static int arg(int argc, char **argv, int i, int otherwise)
{
    return argc > i ? atoi(argv[i]) : otherwise;
}

static const char *small_config(const char *family)
{
    for (gsize i = 0; i < G_N_ELEMENTS(small); i++)
        if (!strcmp(small[i].family, family))
            return small[i].config;
    return "";
}

int main(int argc, char **argv)
{
    const int threads = arg(argc, argv, 1, 1), batch = arg(argc, argv, 2, 16),
              steps = arg(argc, argv, 3, 6), side = arg(argc, argv, 4, 16);
    const char *family = argc > 5 ? argv[5] : "dim";
    const DimTrainClass *class = dim_train_class(family);
    json_t *json = json_loads(argc > 6 ? argv[6] : small_config(family), 0, NULL);
    GError *error = NULL;
    void *config = class && json ? dim_net_class(family)->parse(json, "CONFIG", &error) : NULL;
    DimDevice *device = dim_device_open("cpu", threads, NULL);
    Run r = {.dk = device ? dim_device_dk(device) : NULL};
    DimNetFacts facts;

    if (!config || !device || batch < 1 || steps < 1) {
        fprintf(stderr, "train: %s\n",
                error ? error->message
                      : "expected [THREADS [BATCH [STEPS [SIDE [FAMILY [CONFIG]]]]]]");
        return 2;
    }
    dim_net_class(family)->facts(config, &facts);
    dim_parameters_init(&r.parameters, r.dk);
    class->parameters(config, side, side, &r.parameters);
    if (!dim_parameters_commit(&r.parameters, NULL))
        return 1;
    dim_parameters_draw(&r.parameters, 0);
    class->build(config, &r.parameters, batch, side, side, r.dk, &r.net);
    if (!dim_graph_finish(r.net.graph, r.net.output, NULL))
        return 1;
    const gint64 one = 1, sizes[] = {batch, facts.out_channels, side, side},
                 count = dk_tensor_count(dim_var_value(r.net.output));
    DkBuffer *buffer = dk_buffer_new(r.dk, 64 + (gsize)count * sizeof(float));
    r.loss = dk_tensor(buffer, 0, DK_F64, 1, &one);
    r.target = dk_tensor(buffer, 64, DK_F32, 4, sizes);
    r.factor = 1.0 / (double)count;
    feed(&r, class, config, batch, count);
    dim_graph_refresh(r.net.graph);
    step(&r, 0);
    dk_profile_enable(r.dk, true);
    const double begin = processor_seconds();
    for (int i = 1; i <= steps; i++)
        step(&r, i);
    const double seconds = processor_seconds() - begin, samples = (double)batch * steps;
    printf("%s; %" G_GINT64_FORMAT " parameters, batch %d, %.1f MB\n", dk_device_describe(r.dk),
           dim_parameters_total(&r.parameters), batch, (double)dk_device_bytes(r.dk) * 1e-6);
    print_profile(r.dk, samples);
    printf("samples_per_cpu_second %.2f\n", samples / seconds);
    return dk_sync(r.dk) == DK_OK ? 0 : 1;
}
