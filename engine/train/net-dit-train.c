/* Family `dit`, Diffusion Transformer (arXiv 2212.09748), as a graph. It follows net-dit.c line by
 * line; what differs is that every value is kept for the way back.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-build.h"

#include <string.h>

#include "engine/net-dit.h"

static const char positions[] = "pos_embed";

/* ---- parameters ------------------------------------------------------------------------------ */

static float *make_positions(const DimDitConfig *c)
{
    const int side = c->input_size / c->patch;
    float *table = g_new(float, (gsize)side *side * c->width);

    dim_dit_positions(table, side, side, c->width);
    return table;
}

typedef struct {
    const DimDitConfig *config;
    DimParameters *parameters;
} Adding;

static gboolean add_entry(const DimNetEntry *e, void *data, GError **error)
{
    const Adding *adding = data;
    DimTrained t = {.name = (char *)e->name, .rank = e->rank};

    memcpy(t.sizes, e->sizes, sizeof t.sizes);
    if (!strcmp(e->name, positions))
        t.fixed = make_positions(adding->config);
    else
        dim_build_choose_init(&t);
    dim_parameters_add(adding->parameters, &t);
    return TRUE;
}

/* The table of positions is that of the native grid: a model of another has none in its file. */
static void dit_parameters(const void *config, int h, int w, DimParameters *parameters)
{
    const DimDitConfig *c = config;
    Adding adding = {c, parameters};
    DimDitNet names_only = {.has_positions = h == c->input_size && w == c->input_size};

    dim_dit_walk(c, &names_only, add_entry, &adding, NULL);
}

static gboolean dit_check(const void *config, GError **error)
{
    return TRUE;
}

/* ---- the graph ------------------------------------------------------------------------------- */

typedef struct {
    DimBuild base;
    const DimDitConfig *config;
    DimVar *condition; /* [B, D] */
} Build;

/* [L, D], fixed */
static DkTensor find_positions(const Build *b, int rows, int columns)
{
    const gint64 sizes[] = {(gint64)rows * columns, b->config->width};

    if (dim_parameters_has(b->base.parameters, positions))
        return dim_parameter(b->base.parameters, positions, 2, sizes).value;
    DimVar *table = dim_graph_input(b->base.g, 2, sizes);
    g_autofree float *host = g_new(float, sizes[0] * sizes[1]);
    dim_dit_positions(host, rows, columns, b->config->width);
    if (dim_var_value(table).buffer)
        dk_write(dim_graph_device(b->base.g), dim_var_value(table), host);
    return dim_var_value(table);
}

static DimVar *build_tokens(const Build *b, DimVar *x, int rows, int columns)
{
    const DimDitConfig *c = b->config;

    x = dim_graph_patchify(b->base.g, x, c->patch);
    x = dim_build_linear(&b->base, x, "x_embedder.proj", c->width,
                         (gint64)c->in_channels * c->patch * c->patch);
    return dim_build_add_fixed(&b->base, x, find_positions(b, rows, columns));
}

static DimVar *build_attention(const Build *b, DimVar *x)
{
    const gint64 d = b->config->width;
    DimVar *qkv = dim_build_linear(&b->base, x, "attn.qkv", 3 * d, d), *part[3];

    for (int i = 0; i < 3; i++)
        part[i] = dim_build_part(&b->base, qkv, d, i);
    x = dim_graph_attention(b->base.g, part[0], part[1], part[2], b->config->n_heads);
    return dim_build_linear(&b->base, x, "attn.proj", d, d);
}

static DimVar *build_mlp(const Build *b, DimVar *x)
{
    const gint64 d = b->config->width, e = b->config->inner;

    x = dim_graph_act(b->base.g, dim_build_linear(&b->base, x, "mlp.fc1", e, d), DK_ACT_GELU);
    return dim_build_linear(&b->base, x, "mlp.fc2", d, e);
}

static DimVar *build_block(Build *b, DimVar *v, int i)
{
    const gint64 d = b->config->width;

    g_snprintf(b->base.prefix, sizeof b->base.prefix, "blocks.%d.", i);
    DimVar *modulation = dim_build_linear(&b->base, b->condition, "adaLN_modulation.1", 6 * d, d);
    DimVar *y = build_attention(b, dim_build_modulate(&b->base, v, modulation, 0));
    v = dim_graph_gate_add(b->base.g, v, dim_build_part(&b->base, modulation, d, 2), y);
    y = build_mlp(b, dim_build_modulate(&b->base, v, modulation, 3));
    b->base.prefix[0] = '\0';
    return dim_graph_gate_add(b->base.g, v, dim_build_part(&b->base, modulation, d, 5), y);
}

static void dit_build(const void *config, const DimParameters *parameters, int batch, int h, int w,
                      DkDevice *dk, DimTrainNet *net)
{
    const DimDitConfig *c = config;
    Build b = {.base = {.parameters = parameters, .g = dim_graph_new(dk), .batch = batch},
               .config = c};

    net->graph = b.base.g;
    net->batch = batch;
    net->inputs = g_new0(DimCondition, 1);
    net->x = dim_graph_input(b.base.g, 4, (gint64[]){batch, c->in_channels, h, w});
    b.condition = dim_build_condition(&b.base, net->inputs,
                                      c->n_classes + (c->has_null_label ? 1 : 0), c->width);
    DimVar *v = build_tokens(&b, net->x, h / c->patch, w / c->patch);
    for (int i = 0; i < c->depth; i++)
        v = build_block(&b, v, i);
    v = dim_build_head(&b.base, v, b.condition, (gint64)c->patch * c->patch * c->out_channels);
    net->output = dim_graph_unpatchify(b.base.g, v, c->patch, h, w);
}

static void dit_feed(const void *config, DimTrainNet *net, const double *t, const gint64 *y)
{
    dim_build_feed(net, dim_dit_sinusoid, t, y);
}

static double dit_time(int n)
{
    return n - 1;
}

/* From another grid: the formula again. */
static gboolean dit_adapt(const DimTrained *t, int rank, const gint64 *sizes, const float *from,
                          float *to)
{
    if (!t->fixed || rank != 3 || sizes[2] != t->sizes[2])
        return FALSE;
    memcpy(to, t->fixed, (gsize)t->count * sizeof *to);
    return TRUE;
}

static gboolean dit_is_label_table(const char *name)
{
    return !strcmp(name, "y_embedder.embedding_table.weight");
}

const DimTrainClass dim_train_dit = {
    .family = "dit",
    .check = dit_check,
    .parameters = dit_parameters,
    .build = dit_build,
    .feed = dit_feed,
    .time_of_step = dit_time,
    .adapt = dit_adapt,
    .is_label_table = dit_is_label_table,
};
