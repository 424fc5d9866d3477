/* Family `dim`: the tensors by name, and their way to the device.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-dim.h"

#include <math.h>

#include "error.h"
#include "model.h"
#include "weights.h"

/* ---- names and shapes ------------------------------------------------------------------------ */

typedef struct {
    const DimMambaConfig *config;
    DimNetVisit visit;
    void *data;
    GError **error;
    char prefix[32]; /* of the names that follow */
    double skip_factor;
} Walk;

/* One tensor; unused sides are 0. */
static gboolean entry(Walk *w, DimMambaUse use, gpointer to, const char *name, gint64 s0, gint64 s1,
                      gint64 s2, gint64 s3)
{
    g_autofree char *full = g_strconcat(w->prefix, name, NULL);
    DimNetEntry e = {
        .name = full, .sizes = {s0, s1, s2, s3}, .use = use, .to = to, .factor = w->skip_factor};

    e.rank = s3 ? 4 : s2 ? 3 : s1 ? 2 : 1;
    e.is_vector = use < DIM_AS_LINEAR;
    return w->visit(&e, w->data, w->error);
}

static gboolean vector(Walk *w, DkTensor *to, const char *name, gint64 s0)
{
    return entry(w, DIM_AS_VECTOR, to, name, s0, 0, 0, 0);
}

static gboolean linear(Walk *w, DkWeight **to, const char *name, gint64 outputs, gint64 inputs)
{
    return entry(w, DIM_AS_LINEAR, to, name, outputs, inputs, 0, 0);
}

static gboolean walk_sequence(Walk *w, gint64 table_side, DimMambaNet *net)
{
    const DimMambaConfig *c = w->config;
    const gint64 d = c->width, p = c->patch, n_pads = c->n_pads;

    return entry(w, DIM_AS_VECTOR, &net->positions, "additional_embed", 1,
                 DIM_EXTRA_TOKENS + table_side * table_side, d, 0) &&
           entry(w, DIM_AS_LINEAR, &net->patch, "pos_embed.proj.weight", d, c->in_channels, p, p) &&
           vector(w, &net->patch_bias, "pos_embed.proj.bias", d) &&
           (!c->split_tokens || entry(w, DIM_AS_VECTOR, &net->split,
                                      "a4m_adapter.pad_token_dec_split", 1, n_pads, d, 0)) &&
           (c->pads == DIM_PADS_NONE ||
            entry(w, DIM_AS_TOKENS_TURNED, &net->pads, "a4m_adapter.pad_token", 1, d, n_pads, 0)) &&
           (!c->smoothers || (entry(w, DIM_AS_VECTOR, &net->first_w,
                                    "a4m_adapter.first_smoother.weight", d, 1, 3, 3) &&
                              vector(w, &net->first_b, "a4m_adapter.first_smoother.bias", d) &&
                              entry(w, DIM_AS_VECTOR, &net->last_w,
                                    "a4m_adapter.last_smoother.weight", d, 1, 3, 3) &&
                              vector(w, &net->last_b, "a4m_adapter.last_smoother.bias", d)));
}

static gboolean walk_vectors(Walk *w, DimMambaNet *net)
{
    const gint64 d = w->config->width, labels = w->config->n_classes + 1;

    return entry(w, DIM_AS_VECTOR, &net->labels, "label_emb.weight", labels, d, 0, 0) &&
           linear(w, &net->time_1, "adaln_single.emb.timestep_embedder.linear_1.weight", d,
                  DIM_TIME_SINUSOID) &&
           vector(w, &net->time_1_bias, "adaln_single.emb.timestep_embedder.linear_1.bias", d) &&
           linear(w, &net->time_2, "adaln_single.emb.timestep_embedder.linear_2.weight", d, d) &&
           vector(w, &net->time_2_bias, "adaln_single.emb.timestep_embedder.linear_2.bias", d) &&
           entry(w, DIM_AS_VECTOR, &net->modulation_labels,
                 "adaln_single.emb.class_embedder.embedding_table.weight", labels, d, 0, 0) &&
           linear(w, &net->modulation, "adaln_single.linear.weight", 3 * d, d) &&
           vector(w, &net->modulation_bias, "adaln_single.linear.bias", 3 * d);
}

/* Up to a width of 512 the program has one layer over both inputs side by side, above it one layer
 * for each. */
static gboolean walk_skip(Walk *w, DimMambaBlock *block)
{
    const gint64 d = w->config->width;

    if (d <= 512)
        return entry(w, DIM_AS_LINEAR_PAIR, block->skip, "skip_linear.weight", d, 2 * d, 0, 0) &&
               vector(w, &block->skip_bias[0], "skip_linear.bias", d);
    const double factor = w->skip_factor;
    w->skip_factor = 1;
    if (!linear(w, &block->skip[0], "skip_linear.0.weight", d, d) ||
        !vector(w, &block->skip_bias[0], "skip_linear.0.bias", d))
        return FALSE;
    w->skip_factor = factor;
    return linear(w, &block->skip[1], "skip_linear.1.weight", d, d) &&
           vector(w, &block->skip_bias[1], "skip_linear.1.bias", d);
}

static gboolean walk_block(Walk *w, int i, DimMambaBlock *block)
{
    const DimMambaConfig *c = w->config;
    const gint64 d = c->width, e = c->inner, n = c->n_states, r = c->rank;

    g_snprintf(w->prefix, sizeof w->prefix, "transformer_blocks.%d.", i);
    gboolean going =
        entry(w, DIM_AS_MODULATION, &block->modulation, "scale_shift_table", 3, d, 0, 0) &&
        vector(w, &block->norm, "norm1.norm.weight", d) &&
        linear(w, &block->in_proj, "attn1.in_proj.weight", 2 * e, d) &&
        entry(w, DIM_AS_VECTOR, &block->conv_w, "attn1.conv1d.weight", e, 1, c->n_taps, 0) &&
        vector(w, &block->conv_b, "attn1.conv1d.bias", e) &&
        linear(w, &block->x_proj, "attn1.x_proj.weight", r + 2 * n, e) &&
        linear(w, &block->dt_proj, "attn1.dt_proj.weight", e, r) &&
        vector(w, &block->dt_bias, "attn1.dt_proj.bias", e) &&
        entry(w, DIM_AS_SCAN, &block->a, "attn1.A_log", e, n, 0, 0) &&
        vector(w, &block->d, "attn1.D", e) &&
        linear(w, &block->out_proj, "attn1.out_proj.weight", d, e);
    if (going && c->skip_connections && dim_mamba_is_decoder(c, i)) {
        w->skip_factor = dim_mamba_skip_factor(c, i);
        going = walk_skip(w, block);
        w->skip_factor = 1;
    }
    w->prefix[0] = '\0';
    return going;
}

static gboolean walk_head(Walk *w, DimMambaNet *net)
{
    const DimMambaConfig *c = w->config;
    const gint64 d = c->width, outputs = (gint64)c->patch * c->patch * c->out_channels;

    return vector(w, &net->head_norm, "norm_out.norm.weight", d) &&
           linear(w, &net->head_modulation, "proj_out_1.weight", 2 * d, d) &&
           vector(w, &net->head_modulation_bias, "proj_out_1.bias", 2 * d) &&
           linear(w, &net->head, "proj_out_2.weight", outputs, d) &&
           vector(w, &net->head_bias, "proj_out_2.bias", outputs) &&
           (!c->final_conv || (entry(w, DIM_AS_CONV2D, &net->final_conv, "final_layer.weight",
                                     c->out_channels, c->out_channels, 3, 3) &&
                               vector(w, &net->final_bias, "final_layer.bias", c->out_channels)));
}

gboolean dim_mamba_walk(const DimMambaConfig *config, gint64 table_side, DimMambaNet *net,
                        DimNetVisit visit, void *data, GError **error)
{
    Walk w = {.config = config, .visit = visit, .data = data, .error = error, .skip_factor = 1};
    DimMambaBlock unused;

    if (!walk_sequence(&w, table_side, net) || !walk_vectors(&w, net))
        return FALSE;
    for (int i = 0; i < config->depth; i++)
        if (!walk_block(&w, i, net->blocks ? &net->blocks[i] : &unused))
            return FALSE;
    return walk_head(&w, net);
}

gint64 dim_mamba_table_side(const DimMambaConfig *config, const DimWeights *weights, GError **error)
{
    static const char name[] = "additional_embed";
    const DimTensor *t = dim_weights_find(weights, name);
    const gint64 patches = t && t->rank == 3 ? t->sizes[1] - DIM_EXTRA_TOKENS : 0;
    const gint64 side = patches > 0 ? (gint64)floor(sqrt((double)patches)) : 0;

    if (side > 0 && side * side == patches)
        return side;
    g_autofree char *found = t ? dim_shape_text(t->rank, t->sizes) : NULL;
    dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
             "tensor \"%s\" %s%s; expected [1, %d + side x side, %d]", name,
             t ? "has shape " : "is missing", t ? found : "", DIM_EXTRA_TOKENS, config->width);
    return 0;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void turn_tokens(float *to, const float *from, gint64 channels, gint64 tokens)
{
    for (gint64 c = 0; c < channels; c++)
        for (gint64 t = 0; t < tokens; t++)
            to[t * channels + c] = from[c * tokens + t];
}

static gboolean put_vector(DimNetLoad *load, const DimNetEntry *e, float *values, GError **error)
{
    const gint64 count = dim_net_entry_count(e);
    g_autofree float *turned = NULL;

    if (e->use == DIM_AS_MODULATION)
        for (gint64 i = 2 * e->sizes[1]; i < count; i++)
            values[i] += 1;
    if (e->use == DIM_AS_TOKENS_TURNED) {
        if (!(turned = g_try_new(float, count)))
            return dim_fail_memory(error, e->name, (guint64)count * sizeof *turned);
        turn_tokens(turned, values, e->sizes[1], e->sizes[2]);
        values = turned;
    }
    *(DkTensor *)e->to = dim_vectors_put(load->vectors, load->dk, values, count);
    return TRUE;
}

/* [d, 2d] as two weights of [d, d]; the second takes the factor. */
static gboolean put_pair(DkDevice *dk, DkWeight **to, const float *values, gint64 d, double factor)
{
    g_autofree float *half = g_try_new(float, d *d);

    for (int side = 0; half && side < 2; side++) {
        for (gint64 i = 0; i < d; i++)
            for (gint64 j = 0; j < d; j++) {
                const double value = values[i * 2 * d + side * d + j];
                half[i * d + j] = (float)(side ? value * factor : value);
            }
        to[side] = dk_weight_linear(dk, half, d, d);
    }
    return to[0] && to[1];
}

static gboolean put_weight(DimNetLoad *load, const DimNetEntry *e, float *values, GError **error)
{
    const gint64 count = dim_net_entry_count(e), n = e->sizes[0];
    DkWeight **to = e->to;
    gboolean stands;

    switch (e->use) {
    case DIM_AS_LINEAR_PAIR:
        stands = put_pair(load->dk, to, values, n, e->factor);
        break;
    case DIM_AS_CONV2D:
        *to =
            dk_weight_conv2d(load->dk, values, n, e->sizes[1], (int)e->sizes[2], (int)e->sizes[3]);
        stands = *to != NULL;
        break;
    case DIM_AS_SCAN:
        for (gint64 i = 0; i < count; i++)
            values[i] = (float)-exp((double)values[i]);
        *to = dk_weight_scan(load->dk, values, n, e->sizes[1]);
        stands = *to != NULL;
        break;
    default:
        if (e->factor != 1)
            for (gint64 i = 0; i < count; i++)
                values[i] = (float)(values[i] * e->factor);
        *to = dk_weight_linear(load->dk, values, n, count / n);
        stands = *to != NULL;
    }
    return stands || dim_dk_fail_weight(load->dk, e->name, (guint64)count * sizeof *values, error);
}

static gboolean put(DimNetLoad *load, const DimNetEntry *e, GError **error)
{
    return (e->is_vector ? put_vector : put_weight)(load, e, load->values, error);
}

static gboolean walk_net(void *net, DimNetVisit visit, void *data, GError **error)
{
    DimMambaNet *n = net;
    return dim_mamba_walk(&n->config, n->table_side, n, visit, data, error);
}

/* Views in the shapes that the operations take. */
static void shape_vectors(DimMambaNet *net)
{
    const DimMambaConfig *c = &net->config;
    const gint64 d = c->width, labels = c->n_classes + 1;

    net->positions = dk_tensor_reshape(
        net->positions, 2, (gint64[]){DIM_EXTRA_TOKENS + net->table_side * net->table_side, d});
    net->labels = dk_tensor_reshape(net->labels, 3, (gint64[]){1, labels, d});
    net->modulation_labels = dk_tensor_reshape(net->modulation_labels, 3, (gint64[]){1, labels, d});
    if (c->split_tokens)
        net->split = dk_tensor_reshape(net->split, 3, (gint64[]){1, c->n_pads, d});
    if (c->pads != DIM_PADS_NONE)
        net->pads = dk_tensor_reshape(net->pads, 3, (gint64[]){1, c->n_pads, d});
    if (c->smoothers) {
        net->first_w = dk_tensor_reshape(net->first_w, 2, (gint64[]){d, 9});
        net->last_w = dk_tensor_reshape(net->last_w, 2, (gint64[]){d, 9});
    }
    for (int i = 0; i < c->depth; i++)
        net->blocks[i].conv_w =
            dk_tensor_reshape(net->blocks[i].conv_w, 2, (gint64[]){c->inner, c->n_taps});
}

DimNet *dim_mamba_load(DkDevice *dk, const void *config, DimWeights *weights,
                       const DimNetProgress *progress, GError **error)
{
    const DimMambaConfig *c = config;
    const gint64 side = dim_mamba_table_side(c, weights, error);

    if (!side)
        return NULL;
    DimMambaNet *net = g_new0(DimMambaNet, 1);
    net->config = *c;
    net->table_side = side;
    net->blocks = g_new0(DimMambaBlock, c->depth);
    DimNetLoad load = {.dk = dk,
                       .net = net,
                       .vectors = &net->vectors,
                       .weights = weights,
                       .progress = progress,
                       .walk = walk_net,
                       .put = put};
    if (!dim_net_load(&load, error)) {
        dim_mamba_free(dk, (DimNet *)net);
        return NULL;
    }
    shape_vectors(net);
    return (DimNet *)net;
}

static gboolean free_entry(const DimNetEntry *e, void *data, GError **error)
{
    if (!e->is_vector)
        for (int i = 0; i < (e->use == DIM_AS_LINEAR_PAIR ? 2 : 1); i++)
            if (((DkWeight **)e->to)[i])
                dk_weight_free(data, &((DkWeight **)e->to)[i]);
    return TRUE;
}

void dim_mamba_free(DkDevice *dk, DimNet *base)
{
    DimMambaNet *net = (DimMambaNet *)base;

    if (!net)
        return;
    dim_mamba_walk(&net->config, net->table_side, net, free_entry, dk, NULL);
    dim_vectors_clear(&net->vectors, dk);
    g_free(net->blocks);
    g_free(net);
}
