/* Family `dit`: the tensors by name, and their way to the device.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-dit.h"

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
static gboolean entry(Walk *w, DimDitUse use, gpointer to, const char *name, gint64 s0, gint64 s1,
                      gint64 s2, gint64 s3)
{
    g_autofree char *full = g_strconcat(w->prefix, name, NULL);
    DimNetEntry e = {.name = full, .sizes = {s0, s1, s2, s3}, .use = use, .to = to};

    e.rank = s3 ? 4 : s2 ? 3 : s1 ? 2 : 1;
    e.is_vector = use == DIM_DIT_VECTOR;
    return w->visit(&e, w->data, w->error);
}

/* A linear layer: NAME.weight [outputs, inputs] and NAME.bias [outputs]. */
static gboolean linear(Walk *w, DkWeight **weight, DkTensor *bias, const char *name, gint64 outputs,
                       gint64 inputs)
{
    g_autofree char *of_weight = g_strconcat(name, ".weight", NULL);
    g_autofree char *of_bias = g_strconcat(name, ".bias", NULL);

    return entry(w, DIM_DIT_LINEAR, weight, of_weight, outputs, inputs, 0, 0) &&
           entry(w, DIM_DIT_VECTOR, bias, of_bias, outputs, 0, 0, 0);
}

static gboolean walk_inputs(Walk *w, const DimDitConfig *c, DimDitNet *net)
{
    const gint64 d = c->width, p = c->patch, side = c->input_size / p;
    const gint64 labels = c->n_classes + (c->has_null_label ? 1 : 0);

    return (!net->has_positions ||
            entry(w, DIM_DIT_VECTOR, &net->positions, "pos_embed", 1, side * side, d, 0)) &&
           entry(w, DIM_DIT_LINEAR, &net->patch, "x_embedder.proj.weight", d, c->in_channels, p,
                 p) &&
           entry(w, DIM_DIT_VECTOR, &net->patch_bias, "x_embedder.proj.bias", d, 0, 0, 0) &&
           linear(w, &net->time_1, &net->time_1_bias, "t_embedder.mlp.0", d, DIM_DIT_SINUSOID) &&
           linear(w, &net->time_2, &net->time_2_bias, "t_embedder.mlp.2", d, d) &&
           entry(w, DIM_DIT_VECTOR, &net->labels, "y_embedder.embedding_table.weight", labels, d, 0,
                 0);
}

static gboolean walk_block(Walk *w, const DimDitConfig *c, int i, DimDitBlock *block)
{
    const gint64 d = c->width, e = c->inner;

    g_snprintf(w->prefix, sizeof w->prefix, "blocks.%d.", i);
    const gboolean going =
        linear(w, &block->qkv, &block->qkv_bias, "attn.qkv", 3 * d, d) &&
        linear(w, &block->proj, &block->proj_bias, "attn.proj", d, d) &&
        linear(w, &block->fc1, &block->fc1_bias, "mlp.fc1", e, d) &&
        linear(w, &block->fc2, &block->fc2_bias, "mlp.fc2", d, e) &&
        linear(w, &block->modulation, &block->modulation_bias, "adaLN_modulation.1", 6 * d, d);
    w->prefix[0] = '\0';
    return going;
}

gboolean dim_dit_walk(const DimDitConfig *config, DimDitNet *net, DimNetVisit visit, void *data,
                      GError **error)
{
    const gint64 d = config->width,
                 outputs = (gint64)config->patch * config->patch * config->out_channels;
    Walk w = {.visit = visit, .data = data, .error = error};
    DimDitBlock unused;

    if (!walk_inputs(&w, config, net))
        return FALSE;
    for (int i = 0; i < config->depth; i++)
        if (!walk_block(&w, config, i, net->blocks ? &net->blocks[i] : &unused))
            return FALSE;
    return linear(&w, &net->head_modulation, &net->head_modulation_bias,
                  "final_layer.adaLN_modulation.1", 2 * d, d) &&
           linear(&w, &net->head, &net->head_bias, "final_layer.linear", outputs, d);
}

gboolean dim_dit_has_positions(const DimWeights *weights)
{
    return dim_weights_find(weights, "pos_embed") != NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

static gboolean put(DimNetLoad *load, const DimNetEntry *e, GError **error)
{
    const gint64 count = dim_net_entry_count(e), n = e->sizes[0];

    if (e->is_vector) {
        *(DkTensor *)e->to = dim_vectors_put(load->vectors, load->dk, load->values, count);
        return TRUE;
    }
    DkWeight *weight = dk_weight_linear(load->dk, load->values, n, count / n);
    *(DkWeight **)e->to = weight;
    return weight ||
           dim_dk_fail_weight(load->dk, e->name, (guint64)count * sizeof *load->values, error);
}

static gboolean walk_net(void *net, DimNetVisit visit, void *data, GError **error)
{
    DimDitNet *n = net;
    return dim_dit_walk(&n->config, n, visit, data, error);
}

DimNet *dim_dit_load(DkDevice *dk, const void *config, DimWeights *weights,
                     const DimNetProgress *progress, GError **error)
{
    DimDitNet *net = g_new0(DimDitNet, 1);

    net->config = *(const DimDitConfig *)config;
    net->has_positions = dim_dit_has_positions(weights);
    net->blocks = g_new0(DimDitBlock, net->config.depth);
    DimNetLoad load = {.dk = dk,
                       .net = net,
                       .vectors = &net->vectors,
                       .weights = weights,
                       .progress = progress,
                       .walk = walk_net,
                       .put = put};
    if (!dim_net_load(&load, error)) {
        dim_dit_free(dk, (DimNet *)net);
        return NULL;
    }
    const gint64 d = net->config.width;
    net->labels =
        dk_tensor_reshape(net->labels, 3, (gint64[]){1, dk_tensor_count(net->labels) / d, d});
    return (DimNet *)net;
}

static gboolean free_entry(const DimNetEntry *e, void *data, GError **error)
{
    if (!e->is_vector && *(DkWeight **)e->to)
        dk_weight_free(data, (DkWeight **)e->to);
    return TRUE;
}

void dim_dit_free(DkDevice *dk, DimNet *base)
{
    DimDitNet *net = (DimDitNet *)base;

    if (!net)
        return;
    dim_dit_walk(&net->config, net, free_entry, dk, NULL);
    dim_vectors_clear(&net->vectors, dk);
    g_free(net->blocks);
    g_free(net);
}
