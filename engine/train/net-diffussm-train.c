/* Family `diffussm`, Diffusion State Space Model (arXiv 2311.18257), as a graph. It follows
 * net-diffussm.c line by line; what differs is that every value is kept for the way back.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-build.h"

#include <math.h>
#include <string.h>

#include "engine/net-diffussm.h"
#include "engine/net-dim.h"
#include "engine/net-dit.h"

/* ---- parameters ------------------------------------------------------------------------------ */

/* As DiT; the scan as S4D-Lin (arXiv 2206.11893, section 4), decays of a half, steps from 0.001 to
 * 0.1. */
static void choose_scan_init(DimTrained *t)
{
    const double slow = 1e-3;
    const struct {
        const char *end;
        DimInit init;
        double middle, size, rate_most;
    } special[] = {
        {".log_dt", DIM_INIT_UNIFORM, log(0.01), log(10), slow},
        {".log_A_real", DIM_INIT_UNIFORM, log(0.5), 0, slow},
        {".A_imag", DIM_INIT_FREQUENCIES, 0, 0, slow},
        {".B", DIM_INIT_REAL, 0, 0, slow},
        {".C", DIM_INIT_NORMAL, 0, sqrt(0.5), 0},
        {".D", DIM_INIT_NORMAL, 0, 1, 0},
    };

    dim_build_choose_init(t);
    for (gsize i = 0; i < G_N_ELEMENTS(special); i++)
        if (strstr(t->name, ".ssm.") && g_str_has_suffix(t->name, special[i].end)) {
            t->init = special[i].init;
            t->middle = special[i].middle;
            t->size = special[i].size;
            t->rate_most = special[i].rate_most;
            t->no_decay = TRUE;
        }
}

static gboolean add_entry(const DimNetEntry *e, void *data, GError **error)
{
    DimTrained t = {.name = (char *)e->name, .rank = e->rank};

    memcpy(t.sizes, e->sizes, sizeof t.sizes);
    choose_scan_init(&t);
    dim_parameters_add(data, &t);
    return TRUE;
}

static void ssm_parameters(const void *config, int h, int w, DimParameters *parameters)
{
    DimSsmNet names_only = {0};

    dim_ssm_walk(config, &names_only, add_entry, parameters, NULL);
}

static gboolean ssm_check(const void *config, GError **error)
{
    return TRUE;
}

/* ---- the graph ------------------------------------------------------------------------------- */

typedef struct {
    DimBuild base;
    const DimSsmConfig *config;
    gint64 n_tokens;   /* J */
    DimVar *condition; /* [B, D] */
} Build;

static DimVar *add_positions(const Build *b, DimVar *x, int rows)
{
    const gint64 sizes[] = {b->n_tokens, b->config->width};
    DimVar *table = dim_graph_input(b->base.g, 2, sizes);
    g_autofree float *host = g_new(float, sizes[0] * sizes[1]);

    dim_dit_positions(host, rows, (int)(sizes[0] / rows), (int)sizes[1]);
    if (dim_var_value(table).buffer)
        dk_write(dim_graph_device(b->base.g), dim_var_value(table), host);
    return dim_build_add_fixed(&b->base, x, dim_var_value(table));
}

static DimVar *build_tokens(const Build *b, DimVar *x, int rows)
{
    const DimSsmConfig *c = b->config;
    const gint64 inputs = (gint64)c->hourglass * c->patch * c->patch * c->in_channels;

    x = dim_graph_patchify(b->base.g, x, c->patch);
    x = dim_build_reshape(&b->base, x, b->base.batch, b->n_tokens, inputs, 0);
    x = dim_build_linear(&b->base, x, "x_embedder.proj", c->width, inputs);
    return c->has_positions ? add_positions(b, x, rows) : x;
}

static DimS4dParameters direction(Build *b, int i, const char *name)
{
    const gint64 d = b->config->width, n = b->config->n_states;
    DimBuild at = b->base;

    g_snprintf(at.prefix, sizeof at.prefix, "blocks.%d.ssm.%s.", i, name);
    DimS4dParameters p = {.log_dt = dim_build_vector(&at, "log_dt", d),
                          .log_a_real = dim_build_matrix(&at, "log_A_real", d, n),
                          .a_imag = dim_build_matrix(&at, "A_imag", d, n),
                          .b = dim_build_matrix(&at, "B", d, 2 * n),
                          .c = dim_build_matrix(&at, "C", d, 2 * n),
                          .skip = dim_build_vector(&at, "D", d)};
    for (int k = 0; k < 2; k++) {
        DimParameter *to = k ? &p.c : &p.b;
        to->value = dk_tensor_reshape(to->value, 3, (gint64[]){d, n, 2});
        to->grad = dk_tensor_reshape(to->grad, 3, (gint64[]){d, n, 2});
    }
    return p;
}

/* Y of H, [B, L, 2D]. */
static DimVar *build_scan(Build *b, DimVar *x, int i)
{
    const gint64 d = b->config->width, m = b->config->hourglass;
    const DimS4dParameters ahead = direction(b, i, "fwd"), back = direction(b, i, "bwd");

    x = dim_graph_act(b->base.g, dim_build_linear(&b->base, x, "dense_in", 2 * d, d), DK_ACT_GELU);
    x = dim_graph_act(b->base.g, dim_build_linear(&b->base, x, "dense_up", m * d, 2 * d),
                      DK_ACT_GELU);
    x = dim_build_reshape(&b->base, x, b->base.batch, m * b->n_tokens, d, 0);
    return dim_graph_s4d_scan(b->base.g, x, &ahead, &back);
}

/* gelu (Y at each position · its piece of Wdown) W2: pieces side by side are a sum of products. */
static DimVar *build_narrowing(Build *b, DimVar *y)
{
    const gint64 d = b->config->width, m = b->config->hourglass, q = 2 * d / m;
    const DimParameter down = dim_build_matrix(&b->base, "dense_down.weight", 2 * d, 2 * d);
    const DimParameter bias = dim_build_vector(&b->base, "dense_down.bias", 2 * d);
    const DimParameter fuse = dim_build_matrix(&b->base, "fuse_ssm.weight", d, 2 * d), none = {0};
    DimVar *sum = NULL;

    y = dim_build_reshape(&b->base, y, b->base.batch, b->n_tokens, m * 2 * d, 0);
    for (gint64 i = 0; i < m; i++) {
        DimVar *piece = dim_graph_columns(b->base.g, y, i * 2 * d, 2 * d);
        piece = dim_graph_linear(b->base.g, piece, dim_parameter_slice(down, i * q, q),
                                 dim_parameter_columns(bias, i * q, q));
        piece = dim_graph_linear(b->base.g, dim_graph_act(b->base.g, piece, DK_ACT_GELU),
                                 dim_parameter_columns(fuse, i * q, q),
                                 i ? none : dim_build_vector(&b->base, "fuse_ssm.bias", d));
        sum = sum ? dim_graph_add(b->base.g, sum, piece) : piece;
    }
    return sum;
}

static DimVar *build_block(Build *b, DimVar *v, int i)
{
    const gint64 d = b->config->width;
    DimGraph *g = b->base.g;

    g_snprintf(b->base.prefix, sizeof b->base.prefix, "blocks.%d.", i);
    DimVar *modulation = dim_build_linear(&b->base, b->condition, "adaLN_modulation.1", 3 * d, d);
    DimVar *normed = dim_build_modulate(&b->base, v, modulation, 0);
    DimVar *y = dim_graph_act(g, build_narrowing(b, build_scan(b, normed, i)), DK_ACT_GELU);
    DimVar *x = dim_graph_act(g, dim_build_linear(&b->base, normed, "fuse_in", d, d), DK_ACT_GELU);
    y = dim_build_linear(&b->base, dim_graph_multiply(g, y, x), "fuse_out", d, d);
    b->base.prefix[0] = '\0';
    return dim_graph_gate_add(g, v, dim_build_part(&b->base, modulation, d, 2), y);
}

static void ssm_build(const void *config, const DimParameters *parameters, int batch, int h, int w,
                      DkDevice *dk, DimTrainNet *net)
{
    const DimSsmConfig *c = config;
    const gint64 places = (gint64)(h / c->patch) * (w / c->patch);
    const gint64 outputs = (gint64)c->patch * c->patch * c->out_channels;
    Build b = {.base = {.parameters = parameters, .g = dim_graph_new(dk), .batch = batch},
               .config = c,
               .n_tokens = places / c->hourglass};

    net->graph = b.base.g;
    net->batch = batch;
    net->inputs = g_new0(DimCondition, 1);
    net->x = dim_graph_input(b.base.g, 4, (gint64[]){batch, c->in_channels, h, w});
    b.condition = dim_build_condition(&b.base, net->inputs,
                                      c->n_classes + (c->has_null_label ? 1 : 0), c->width);
    DimVar *v = build_tokens(&b, net->x, h / c->patch);
    for (int i = 0; i < c->depth; i++)
        v = build_block(&b, v, i);
    v = dim_build_head(&b.base, v, b.condition, c->hourglass * outputs);
    v = dim_build_reshape(&b.base, v, batch, places, outputs, 0);
    net->output = dim_graph_unpatchify(b.base.g, v, c->patch, h, w);
}

static void sinusoid(float *out, double t)
{
    dim_mamba_sinusoid(out, DIM_SSM_SINUSOID, t);
}

static void ssm_feed(const void *config, DimTrainNet *net, const double *t, const gint64 *y)
{
    dim_build_feed(net, sinusoid, t, y);
}

static double ssm_time(int n)
{
    return n - 1;
}

/* Every tensor has the same shape on every grid. */
static gboolean ssm_adapt(const DimTrained *t, int rank, const gint64 *sizes, const float *from,
                          float *to)
{
    return FALSE;
}

static gboolean ssm_is_label_table(const char *name)
{
    return !strcmp(name, "y_embedder.embedding_table.weight");
}

const DimTrainClass dim_train_diffussm = {
    .family = "diffussm",
    .check = ssm_check,
    .parameters = ssm_parameters,
    .build = ssm_build,
    .feed = ssm_feed,
    .time_of_step = ssm_time,
    .adapt = ssm_adapt,
    .is_label_table = ssm_is_label_table,
};
