/* A chain's tensors: names and shapes checked, values packed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "vae-chain.h"

#include "error.h"
#include "model.h"
#include "task.h"

static gboolean visit_layer(DimNeed *need, GString *text, DimNeedVisit visit, void *data)
{
    const gsize stem = text->len;

    g_string_append(text, ".weight");
    need->name = text->str;
    need->is_bias = FALSE;
    if (!visit(need, data))
        return FALSE;
    if (need->layer.no_bias)
        return TRUE;
    g_string_truncate(text, stem);
    g_string_append(text, ".bias");
    need->name = text->str;
    need->is_bias = TRUE;
    return visit(need, data);
}

gboolean dim_chain_walk(const DimChain *chain, DimLayerName name, const void *name_data,
                        DimNeedVisit visit, void *data)
{
    DimLayer layers[DIM_STEP_LAYERS];
    g_autoptr(GString) text = g_string_new(NULL);

    for (int i = 0; i < chain->n_steps; i++) {
        const int n = dim_step_layers(&chain->steps[i], layers);
        for (int j = 0; j < n; j++) {
            DimNeed need = {.layer = layers[j], .at_step = i, .at_layer = j};
            g_string_truncate(text, 0);
            name(text, &chain->steps[i], layers[j].role, name_data);
            if (!visit_layer(&need, text, visit, data))
                return FALSE;
        }
    }
    return TRUE;
}

typedef struct {
    DimNeedFn need;
    void *data;
    GError **error;
} Needs;

/* A kernel's shape in full; answers the rank. */
static int layer_shape(const DimNeed *need, gint64 shape[4])
{
    const DimLayer *layer = &need->layer;

    shape[0] = (gint64)layer->out + layer->unused;
    shape[1] = layer->in;
    shape[2] = shape[3] = layer->kernel;
    return need->is_bias || layer->kernel == 0 ? 1 : 4;
}

static gboolean visit_needs(const DimNeed *need, void *data)
{
    const Needs *needs = data;
    gint64 shape[4];
    const int rank = layer_shape(need, shape);

    return needs->need(need->name, rank, shape, needs->data, needs->error);
}

gboolean dim_chain_needs(const DimChain *chain, DimLayerName name, const void *name_data,
                         DimNeedFn need, void *data, GError **error)
{
    Needs needs = {need, data, error};
    return dim_chain_walk(chain, name, name_data, visit_needs, &needs);
}

typedef struct {
    const DimWeights *weights;
    int n_present;
    gint64 parameters;
    GError **error;
} Check;

static gboolean visit_present(const DimNeed *need, void *data)
{
    Check *check = data;

    check->n_present += dim_weights_find(check->weights, need->name) != NULL;
    return TRUE;
}

int dim_chain_present(const DimChain *chain, const DimWeights *weights, DimLayerName name,
                      const void *data)
{
    Check check = {.weights = weights};

    dim_chain_walk(chain, name, data, visit_present, &check);
    return check.n_present;
}

static const DimTensor *need_tensor(const DimWeights *weights, const DimNeed *need, GError **error)
{
    const DimLayer *layer = &need->layer;
    gint64 shape[4];
    int rank = layer_shape(need, shape);

    if (rank == 4 && layer->is_matrix) {
        const DimTensor *tensor = dim_weights_find(weights, need->name);
        if (tensor && tensor->rank == 2)
            rank = 2;
    }
    return dim_weights_need(weights, need->name, rank, shape, error);
}

static gboolean visit_check(const DimNeed *need, void *data)
{
    Check *check = data;
    const DimTensor *tensor = need_tensor(check->weights, need, check->error);

    if (tensor)
        check->parameters += tensor->count;
    return tensor != NULL;
}

gboolean dim_chain_check(const DimChain *chain, const DimWeights *weights, DimLayerName name,
                         const void *data, gint64 *parameters, GError **error)
{
    Check check = {.weights = weights, .error = error};

    if (!dim_chain_walk(chain, name, data, visit_check, &check))
        return FALSE;
    *parameters += check.parameters;
    return TRUE;
}

static DkTensor put_constant(DimVectors *vectors, DkDevice *dk, double value, int n)
{
    g_autofree float *values = g_new(float, n);

    for (int i = 0; i < n; i++)
        values[i] = (float)value;
    return dim_vectors_put(vectors, dk, values, n);
}

/* One buffer for norms and biases: its size is known from the steps alone. */
static gboolean begin_vectors(DimChain *chain, DkDevice *dk, GError **error)
{
    DimLayer layers[DIM_STEP_LAYERS];
    const int first = chain->steps[0].in, last = chain->steps[chain->n_steps - 1].out;

    dim_vectors_room(&chain->vectors, first);
    dim_vectors_room(&chain->vectors, last);
    for (int i = 0; i < chain->n_steps; i++) {
        const int n = dim_step_layers(&chain->steps[i], layers);
        for (int j = 0; j < n; j++) {
            if (layers[j].kernel == 0)
                dim_vectors_room(&chain->vectors, layers[j].out);
            if (!layers[j].no_bias)
                dim_vectors_room(&chain->vectors, layers[j].out);
        }
    }
    if (!dim_vectors_begin(&chain->vectors, dk, error))
        return FALSE;
    chain->in_shifts = put_constant(&chain->vectors, dk, chain->in_shift, first);
    chain->out_shifts = put_constant(&chain->vectors, dk, chain->out_shift, last);
    return TRUE;
}

typedef struct {
    DimChain *chain;
    DkDevice *dk;
    DimWeights *weights;
    DimTask *task;
    GError **error;
} Load;

/* A 3 x 3 kernel over pixels that are repeated 2 x 2 reads only 2 x 2 different ones: which,
 * depends on whether the output's row (down) and column (right) is odd. Kernel rows or columns
 * first..last fall together on the t-th of them. */
static float *fold_kernel(const float *w, gint64 n, int down, int right)
{
    static const struct {
        int first, last;
    } taps[2][2] = {{{0, 0}, {1, 2}}, {{0, 1}, {2, 2}}};
    float *folded = g_try_new(float, n * 4);

    for (gint64 i = 0; folded && i < n; i++, w += 9)
        for (int t = 0; t < 4; t++) {
            double sum = 0;
            for (int u = taps[down][t / 2].first; u <= taps[down][t / 2].last; u++)
                for (int v = taps[right][t % 2].first; v <= taps[right][t % 2].last; v++)
                    sum += w[3 * u + v];
            folded[4 * i + t] = (float)sum;
        }
    return folded;
}

static gboolean put_up(Load *load, const DimLayer *layer, DimLayerData *to, const float *values)
{
    for (int i = 0; i < 4; i++) {
        g_autofree float *folded =
            fold_kernel(values, (gint64)layer->out * layer->in, i / 2, i % 2);
        if (!folded ||
            !(to[i].weight = dk_weight_conv2d(load->dk, folded, layer->out, layer->in, 2, 2)))
            return FALSE;
    }
    return TRUE;
}

static gboolean put_values(Load *load, const DimNeed *need, const float *values)
{
    const DimLayer *layer = &need->layer;
    DimLayerData *to = &load->chain->data[need->at_step][need->at_layer];

    if (need->is_bias)
        to->bias = dim_vectors_put(&load->chain->vectors, load->dk, values, layer->out);
    else if (layer->kernel == 0)
        to->gain = dim_vectors_put(&load->chain->vectors, load->dk, values, layer->out);
    else if (load->chain->steps[need->at_step].kind == DIM_STEP_UP)
        return put_up(load, layer, to, values);
    else if (layer->kernel == 1)
        to->weight = dk_weight_linear(load->dk, values, layer->out, layer->in);
    else
        to->weight =
            dk_weight_conv2d(load->dk, values, layer->out, layer->in, layer->kernel, layer->kernel);
    return need->is_bias || layer->kernel == 0 || to->weight;
}

static gboolean visit_load(const DimNeed *need, void *data)
{
    Load *load = data;
    const DimTensor *tensor = need_tensor(load->weights, need, load->error);

    if (!tensor || !dim_task_go_on(load->task, load->error))
        return FALSE;
    g_autofree float *values = dim_weights_values(load->weights, tensor, load->error);
    if (!values)
        return FALSE;
    if (put_values(load, need, values))
        return TRUE;
    return dim_dk_fail_weight(load->dk, need->name, tensor->count * sizeof *values, load->error);
}

gboolean dim_chain_load(DimChain *chain, DkDevice *dk, DimWeights *weights, DimLayerName name,
                        const void *data, DimTask *task, GError **error)
{
    Load load = {.chain = chain, .dk = dk, .weights = weights, .task = task, .error = error};

    chain->data = g_malloc0_n(chain->n_steps, sizeof *chain->data);
    if (begin_vectors(chain, dk, error) && dim_chain_walk(chain, name, data, visit_load, &load))
        return TRUE;
    dim_chain_unload(chain, dk);
    return FALSE;
}

void dim_chain_unload(DimChain *chain, DkDevice *dk)
{
    for (int i = 0; chain->data && i < chain->n_steps; i++)
        for (int j = 0; j < DIM_STEP_LAYERS; j++)
            dk_weight_free(dk, &chain->data[i][j].weight);
    dim_vectors_clear(&chain->vectors, dk);
    g_clear_pointer(&chain->data, g_free);
}
