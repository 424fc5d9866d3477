/* See net-build.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-build.h"

static const double EPSILON = 1e-6; /* of the norms of DiT and DiffuSSM */

DimParameter dim_build_matrix(const DimBuild *b, const char *name, gint64 rows, gint64 columns)
{
    g_autofree char *full = g_strconcat(b->prefix, name, NULL);
    return dim_parameter(b->parameters, full, 2, (gint64[]){rows, columns});
}

DimParameter dim_build_vector(const DimBuild *b, const char *name, gint64 n)
{
    g_autofree char *full = g_strconcat(b->prefix, name, NULL);
    return dim_parameter(b->parameters, full, 1, &n);
}

DimVar *dim_build_linear(const DimBuild *b, DimVar *x, const char *name, gint64 n, gint64 k)
{
    g_autofree char *weight = g_strconcat(name, ".weight", NULL);
    g_autofree char *bias = g_strconcat(name, ".bias", NULL);
    return dim_graph_linear(b->g, x, dim_build_matrix(b, weight, n, k),
                            dim_build_vector(b, bias, n));
}

DimVar *dim_build_reshape(const DimBuild *b, DimVar *x, gint64 s0, gint64 s1, gint64 s2, gint64 s3)
{
    return dim_graph_reshape(b->g, x, s3 ? 4 : s2 ? 3 : s1 ? 2 : 1, (gint64[]){s0, s1, s2, s3});
}

DimVar *dim_build_look_up(const DimBuild *b, const char *name, gint64 rows, gint64 width,
                          DkTensor labels)
{
    const DimParameter p = dim_parameter(b->parameters, name, 3, (gint64[]){1, rows, width});
    DimVar *table = dim_graph_parameter(b->g, p);

    return dim_build_reshape(b, dim_graph_gather(b->g, 1, b->batch, 1, &table, &labels), b->batch,
                             width, 0, 0);
}

/* ---- what DiT and DiffuSSM share --------------------------------------------------------------
 */

void dim_build_choose_init(DimTrained *t)
{
    static const char *const zero[] = {".bias", "adaLN_modulation.1.weight",
                                       "final_layer.linear.weight"};
    static const char *const normal[] = {"embedding_table.weight", "t_embedder.mlp.0.weight",
                                         "t_embedder.mlp.2.weight"};

    dim_trained_xavier(t);
    t->hidden = t->rank == 2 && g_str_has_prefix(t->name, "blocks.") &&
                g_str_has_suffix(t->name, ".weight") && !strstr(t->name, ".adaLN_modulation.");
    for (gsize i = 0; i < G_N_ELEMENTS(zero); i++)
        if (g_str_has_suffix(t->name, zero[i]))
            t->init = DIM_INIT_ZERO;
    for (gsize i = 0; i < G_N_ELEMENTS(normal); i++)
        if (g_str_has_suffix(t->name, normal[i])) {
            t->init = DIM_INIT_NORMAL;
            t->size = 0.02;
        }
}

DimVar *dim_build_condition(const DimBuild *b, DimCondition *inputs, gint64 n_labels, gint64 width)
{
    inputs->labels = dim_graph_rows(b->g, b->batch, NULL);
    inputs->sinusoid = dim_graph_input(b->g, 2, (gint64[]){b->batch, DIM_BUILD_SINUSOID});

    DimVar *c =
        dim_build_linear(b, inputs->sinusoid, "t_embedder.mlp.0", width, DIM_BUILD_SINUSOID);
    c = dim_graph_act(b->g, c, DK_ACT_SILU);
    c = dim_build_linear(b, c, "t_embedder.mlp.2", width, width);
    if (n_labels)
        c = dim_graph_add(b->g, c,
                          dim_build_look_up(b, "y_embedder.embedding_table.weight", n_labels, width,
                                            inputs->labels));
    return dim_graph_act(b->g, c, DK_ACT_SILU);
}

void dim_build_feed(DimTrainNet *net, void (*sinusoid)(float *out, double t), const double *t,
                    const gint64 *y)
{
    const DimCondition *inputs = net->inputs;
    DkDevice *dk = dim_graph_device(net->graph);
    g_autofree float *rows = g_new(float, (gsize)net->batch *DIM_BUILD_SINUSOID);
    g_autofree gint32 *labels = g_new(gint32, net->batch);

    for (int i = 0; i < net->batch; i++) {
        labels[i] = (gint32)y[i];
        sinusoid(rows + (gsize)i * DIM_BUILD_SINUSOID, t[i]);
    }
    dk_write(dk, inputs->labels, labels);
    dk_write(dk, dim_var_value(inputs->sinusoid), rows);
}

DimVar *dim_build_part(const DimBuild *b, DimVar *modulation, gint64 width, int part)
{
    return dim_graph_columns(b->g, modulation, part * width, width);
}

DimVar *dim_build_modulate(const DimBuild *b, DimVar *x, DimVar *modulation, int shift)
{
    const DimParameter none = {0};
    const gint64 width = dim_var_value(x).sizes[2];

    return dim_graph_norm_modulate(b->g, x, none, dim_build_part(b, modulation, width, shift + 1),
                                   dim_build_part(b, modulation, width, shift), DK_NORM_LAYER,
                                   EPSILON);
}

DimVar *dim_build_head(const DimBuild *b, DimVar *x, DimVar *condition, gint64 n)
{
    const gint64 width = dim_var_value(x).sizes[2];
    DimVar *modulation =
        dim_build_linear(b, condition, "final_layer.adaLN_modulation.1", 2 * width, width);

    return dim_build_linear(b, dim_build_modulate(b, x, modulation, 0), "final_layer.linear", n,
                            width);
}

DimVar *dim_build_add_fixed(const DimBuild *b, DimVar *x, DkTensor positions)
{
    const DkTensor t = dim_var_value(x);
    const gint64 length = t.sizes[1], width = t.sizes[2], all = length * width;
    DimVar *rows = dim_graph_fixed(b->g, dk_tensor_reshape(positions, 1, &all));

    x = dim_graph_add_row(b->g, dim_build_reshape(b, x, b->batch, all, 0, 0), rows);
    return dim_build_reshape(b, x, b->batch, length, width, 0);
}
