/* Family `diffussm`: the tensors by name, and their way to the device.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-diffussm.h"

#include <complex.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "error.h"
#include "model.h"
#include "weights.h"

/* ---- names and shapes ------------------------------------------------------------------------ */

typedef struct {
    DimNetVisit visit;
    void *data;
    GError **error;
    char prefix[32]; /* of the names that follow */
} Walk;

/* One tensor; unused sides are 0. */
static gboolean entry(Walk *w, DimSsmUse use, gpointer to, const char *name, gint64 s0, gint64 s1,
                      gint64 s2)
{
    g_autofree char *full = g_strconcat(w->prefix, name, NULL);
    DimNetEntry e = {.name = full, .sizes = {s0, s1, s2}, .use = use, .to = to};

    e.rank = s2 ? 3 : s1 ? 2 : 1;
    e.is_vector = use == DIM_SSM_VECTOR;
    return w->visit(&e, w->data, w->error);
}

/* A linear layer: NAME.weight [outputs, inputs] and NAME.bias [outputs]. */
static gboolean layer(Walk *w, DimSsmUse use, gpointer weight, DkTensor *bias, const char *name,
                      gint64 outputs, gint64 inputs)
{
    g_autofree char *of_weight = g_strconcat(name, ".weight", NULL);
    g_autofree char *of_bias = g_strconcat(name, ".bias", NULL);

    return entry(w, use, weight, of_weight, outputs, inputs, 0) &&
           entry(w, DIM_SSM_VECTOR, bias, of_bias, outputs, 0, 0);
}

static gboolean linear(Walk *w, DimSsmLinear *to, const char *name, gint64 outputs, gint64 inputs)
{
    return layer(w, DIM_SSM_LINEAR, &to->weight, &to->bias, name, outputs, inputs);
}

static gboolean walk_inputs(Walk *w, const DimSsmConfig *c, DimSsmNet *net)
{
    const gint64 d = c->width, p2 = (gint64)c->patch * c->patch;
    const gint64 labels = c->n_classes + (c->has_null_label ? 1 : 0);

    return linear(w, &net->embed, "x_embedder.proj", d, c->hourglass * p2 * c->in_channels) &&
           linear(w, &net->time_1, "t_embedder.mlp.0", d, DIM_SSM_SINUSOID) &&
           linear(w, &net->time_2, "t_embedder.mlp.2", d, d) &&
           (!labels || entry(w, DIM_SSM_VECTOR, &net->labels, "y_embedder.embedding_table.weight",
                             labels, d, 0));
}

static gboolean walk_scan(Walk *w, const DimSsmConfig *c, int i, const char *direction,
                          DkWeight **to)
{
    const gint64 d = c->width, n = c->n_states;

    g_snprintf(w->prefix, sizeof w->prefix, "blocks.%d.ssm.%s.", i, direction);
    const gboolean going =
        entry(w, DIM_SSM_LOG_DT, to, "log_dt", d, 0, 0) &&
        entry(w, DIM_SSM_LOG_A_REAL, to, "log_A_real", d, n, 0) &&
        entry(w, DIM_SSM_A_IMAG, to, "A_imag", d, n, 0) && entry(w, DIM_SSM_B, to, "B", d, n, 2) &&
        entry(w, DIM_SSM_C, to, "C", d, n, 2) && entry(w, DIM_SSM_D, to, "D", d, 0, 0);
    g_snprintf(w->prefix, sizeof w->prefix, "blocks.%d.", i);
    return going;
}

static gboolean walk_block(Walk *w, const DimSsmConfig *c, int i, DimSsmBlock *block)
{
    const gint64 d = c->width;

    g_snprintf(w->prefix, sizeof w->prefix, "blocks.%d.", i);
    const gboolean going =
        linear(w, &block->modulation, "adaLN_modulation.1", 3 * d, d) &&
        linear(w, &block->in, "dense_in", 2 * d, d) &&
        linear(w, &block->up, "dense_up", c->hourglass * d, 2 * d) &&
        walk_scan(w, c, i, "fwd", &block->scan[DIM_SSM_AHEAD]) &&
        walk_scan(w, c, i, "bwd", &block->scan[DIM_SSM_BACK]) &&
        layer(w, DIM_SSM_SPLIT, block->down, &block->down_bias, "dense_down", 2 * d, 2 * d) &&
        linear(w, &block->fuse_scan, "fuse_ssm", d, 2 * d) &&
        linear(w, &block->fuse_in, "fuse_in", d, d) &&
        linear(w, &block->fuse_out, "fuse_out", d, d);
    w->prefix[0] = '\0';
    return going;
}

gboolean dim_ssm_walk(const DimSsmConfig *config, DimSsmNet *net, DimNetVisit visit, void *data,
                      GError **error)
{
    const gint64 d = config->width, p2 = (gint64)config->patch * config->patch;
    Walk w = {.visit = visit, .data = data, .error = error};
    DimSsmBlock unused = {0};

    if (!walk_inputs(&w, config, net))
        return FALSE;
    for (int i = 0; i < config->depth; i++)
        if (!walk_block(&w, config, i, net->blocks ? &net->blocks[i] : &unused))
            return FALSE;
    return linear(&w, &net->head_modulation, "final_layer.adaLN_modulation.1", 2 * d, d) &&
           linear(&w, &net->head, "final_layer.linear",
                  config->hourglass * p2 * config->out_channels, d);
}

/* ---- the scan's discretisation --------------------------------------------------------------- */

enum { N_PARTS = DIM_SSM_D - DIM_SSM_LOG_DT + 1 };

/* What is held of one direction until its last part is there. */
typedef struct {
    float *parts[N_PARTS];
    double *decay, *gain, *skip; /* [D, N, 2], [D, N, 2], [D] */
} Scan;

static gboolean scan_alloc(Scan *scan, const DimSsmConfig *c, GError **error)
{
    const gsize d = c->width, states = d * c->n_states;
    const gsize counts[N_PARTS] = {d, states, states, 2 * states, 2 * states, d};
    gboolean got = TRUE;

    for (int i = 0; i < N_PARTS; i++)
        got = (scan->parts[i] = g_try_new(float, counts[i])) && got;
    scan->decay = g_try_new(double, 2 * states);
    scan->gain = g_try_new(double, 2 * states);
    scan->skip = g_try_new(double, d);
    return (got && scan->decay && scan->gain && scan->skip) ||
           dim_fail_memory(error, "states", 10 * states * sizeof(double));
}

static void scan_clear(Scan *scan)
{
    for (int i = 0; i < N_PARTS; i++)
        g_free(scan->parts[i]);
    g_free(scan->decay);
    g_free(scan->gain);
    g_free(scan->skip);
}

/* The integral of exp (A s) over a step: (exp (A dt) - 1) / A, by its series where that cancels. */
static double complex hold(double complex a, double dt)
{
    const double complex z = a * dt;

    if (cabs(z) < 1e-4)
        return dt * (1 + z / 2 * (1 + z / 3 * (1 + z / 4)));
    return (cexp(z) - 1) / a;
}

/* Zero-order hold: decay = exp (dt A), gain = C B (decay - 1) / A. All in double: what a float
 * would lose here is raised to the power of the sequence's length. FALSE where a state is beyond a
 * float. */
static gboolean discretise(const Scan *scan, const DimSsmConfig *c)
{
    float *const *parts = scan->parts;
    const float *log_dt = parts[0], *log_a_real = parts[1], *a_imag = parts[2];
    const float *b = parts[3], *read = parts[4], *skip = parts[5];

    for (gint64 i = 0; i < c->width; i++) {
        const double dt = exp((double)log_dt[i]);
        scan->skip[i] = skip[i];
        for (gint64 j = i * c->n_states; j < (i + 1) * c->n_states; j++) {
            const double complex a = -exp((double)log_a_real[j]) + I * (double)a_imag[j];
            const double complex cb = ((double)b[2 * j] + I * (double)b[2 * j + 1]) *
                                      ((double)read[2 * j] + I * (double)read[2 * j + 1]);
            const double complex decay = cexp(a * dt), gain = cb * hold(a, dt);
            if (!(cabs(decay) <= 1 && cabs(gain) < FLT_MAX / 4))
                return FALSE;
            scan->decay[2 * j] = creal(decay);
            scan->decay[2 * j + 1] = cimag(decay);
            scan->gain[2 * j] = creal(gain);
            scan->gain[2 * j + 1] = cimag(gain);
        }
    }
    return TRUE;
}

/* ---- values ---------------------------------------------------------------------------------- */

static gboolean put_linear(DimNetLoad *load, const DimNetEntry *e, int pieces, GError **error)
{
    const gint64 n = e->sizes[0] / pieces, k = e->sizes[1];
    DkWeight **to = e->to;

    for (int i = 0; i < pieces; i++)
        if (!(to[i] = dk_weight_linear(load->dk, load->values + i * n * k, n, k)))
            return dim_dk_fail_weight(load->dk, e->name, (guint64)(n * k) * sizeof *load->values,
                                      error);
    return TRUE;
}

static gboolean put_scan(DimNetLoad *load, const DimNetEntry *e, GError **error)
{
    const DimSsmConfig *c = &((DimSsmNet *)load->net)->config;
    Scan *scan = load->more;

    if (!scan->decay && !scan_alloc(scan, c, error))
        return FALSE;
    memcpy(scan->parts[e->use - DIM_SSM_LOG_DT], load->values,
           (gsize)dim_net_entry_count(e) * sizeof *load->values);
    if (e->use != DIM_SSM_D)
        return TRUE;
    if (!discretise(scan, c))
        return dim_fail(error, DIM_ERROR_FORMAT, load->weights->origin,
                        "tensors " DIM_NAME " and beside it make a state that is no finite number; "
                        "expected a trained scan",
                        e->name);
    DkWeight *weight =
        dk_weight_s4d(load->dk, scan->decay, scan->gain, scan->skip, c->width, c->n_states);
    *(DkWeight **)e->to = weight;
    return weight || dim_dk_fail_weight(load->dk, e->name,
                                        4 * (guint64)c->width * c->n_states * sizeof(float), error);
}

static gboolean put(DimNetLoad *load, const DimNetEntry *e, GError **error)
{
    switch (e->use) {
    case DIM_SSM_VECTOR:
        *(DkTensor *)e->to =
            dim_vectors_put(load->vectors, load->dk, load->values, dim_net_entry_count(e));
        return TRUE;
    case DIM_SSM_LINEAR:
        return put_linear(load, e, 1, error);
    case DIM_SSM_SPLIT:
        return put_linear(load, e, ((DimSsmNet *)load->net)->config.hourglass, error);
    default:
        return put_scan(load, e, error);
    }
}

static gboolean walk_net(void *net, DimNetVisit visit, void *data, GError **error)
{
    DimSsmNet *n = net;
    return dim_ssm_walk(&n->config, n, visit, data, error);
}

DimNet *dim_ssm_load(DkDevice *dk, const void *config, DimWeights *weights,
                     const DimNetProgress *progress, GError **error)
{
    DimSsmNet *net = g_new0(DimSsmNet, 1);
    Scan scan = {0};

    net->config = *(const DimSsmConfig *)config;
    net->blocks = g_new0(DimSsmBlock, net->config.depth);
    for (int i = 0; i < net->config.depth; i++)
        net->blocks[i].down = g_new0(DkWeight *, net->config.hourglass);
    DimNetLoad load = {.dk = dk,
                       .net = net,
                       .vectors = &net->vectors,
                       .weights = weights,
                       .progress = progress,
                       .walk = walk_net,
                       .put = put,
                       .more = &scan};
    const gboolean loaded = dim_net_load(&load, error);
    scan_clear(&scan);
    if (!loaded) {
        dim_ssm_free(dk, (DimNet *)net);
        return NULL;
    }
    const gint64 d = net->config.width;
    if (!dk_tensor_is_empty(net->labels))
        net->labels =
            dk_tensor_reshape(net->labels, 3, (gint64[]){1, dk_tensor_count(net->labels) / d, d});
    return (DimNet *)net;
}

typedef struct {
    DkDevice *dk;
    int pieces;
} Free;

static gboolean free_entry(const DimNetEntry *e, void *data, GError **error)
{
    const Free *all = data;
    const gboolean weight = e->use == DIM_SSM_LINEAR || e->use == DIM_SSM_D;

    for (int i = 0; i < (e->use == DIM_SSM_SPLIT ? all->pieces : weight); i++)
        dk_weight_free(all->dk, (DkWeight **)e->to + i);
    return TRUE;
}

void dim_ssm_free(DkDevice *dk, DimNet *base)
{
    DimSsmNet *net = (DimSsmNet *)base;

    if (!net)
        return;
    Free all = {dk, net->config.hourglass};
    dim_ssm_walk(&net->config, net, free_entry, &all, NULL);
    dim_vectors_clear(&net->vectors, dk);
    for (int i = 0; i < net->config.depth; i++)
        g_free(net->blocks[i].down);
    g_free(net->blocks);
    g_free(net);
}
