/* Family `dim`, Diffusion Mamba (arXiv 2405.14224), as a graph. It follows net-dim.c line by line;
 * what differs is that every value is kept for the way back.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-build.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/net-dim.h"

static const DimParameter nothing;

/* ---- parameters ------------------------------------------------------------------------------ */

static gboolean ends_with(const char *name, const char *end)
{
    return g_str_has_suffix(name, end);
}

/* Initial values: those of the paper's program (its layers' defaults, section 11 of our notes), but
 * for what keeps a small model calm at the start: filters and long skips begin near "pass on what
 * is there", modulation weak, the last layer at 0. */
static void choose_init(DimTrained *t, const DimMambaConfig *c)
{
    const double fan_in = (double)t->sizes[1] * (t->rank > 2 ? (double)t->sizes[2] : 1) *
                          (t->rank > 3 ? (double)t->sizes[3] : 1);
    const struct {
        const char *end;
        DimInit init;
        double size;
    } special[] = {
        {"additional_embed", DIM_INIT_ZERO, 0},
        {"pad_token", DIM_INIT_NORMAL, 0.02},
        {"pad_token_dec_split", DIM_INIT_NORMAL, 0.02},
        {"label_emb.weight", DIM_INIT_NORMAL, 0.02},
        {"embedding_table.weight", DIM_INIT_NORMAL, 0.02},
        {"linear_1.weight", DIM_INIT_NORMAL, 0.02},
        {"linear_2.weight", DIM_INIT_NORMAL, 0.02},
        {"scale_shift_table", DIM_INIT_NORMAL, 1 / sqrt((double)c->width)},
        {"norm.weight", DIM_INIT_ONE, 0},
        {"smoother.weight", DIM_INIT_CENTRE, 0.1 / 3},
        {"adaln_single.linear.weight", DIM_INIT_UNIFORM, 0.1 / sqrt(fan_in)},
        {"conv1d.bias", DIM_INIT_UNIFORM, 1 / sqrt((double)c->n_taps)},
        {"dt_proj.weight", DIM_INIT_UNIFORM, 1 / sqrt((double)c->rank)},
        {"dt_proj.bias", DIM_INIT_STEP_BIAS, 0},
        {"A_log", DIM_INIT_STATES, 0},
        {"attn1.D", DIM_INIT_ONE, 0},
        {"out_proj.weight", DIM_INIT_UNIFORM, 1 / sqrt((double)c->inner * c->depth)},
        {"skip_linear.weight", DIM_INIT_PASS, 0.1 / sqrt(fan_in)},
        {"skip_linear.0.weight", DIM_INIT_PASS, 0.1 / sqrt(fan_in)},
        {"proj_out_1.weight", DIM_INIT_UNIFORM, 0.1 / sqrt(fan_in)},
        {"proj_out_2.weight", DIM_INIT_ZERO, 0},
        {"final_layer.weight", DIM_INIT_PASS, 0},
    };

    t->init = ends_with(t->name, ".bias") ? DIM_INIT_ZERO : DIM_INIT_UNIFORM;
    t->size = 1 / sqrt(fan_in);
    for (gsize i = 0; i < G_N_ELEMENTS(special); i++)
        if (ends_with(t->name, special[i].end)) {
            t->init = special[i].init;
            t->size = special[i].size;
            return;
        }
}

/* dt_proj, of low rank and scaled with care, is none of Muon's, nor are tables and both ends. */
static gboolean is_hidden(const char *name)
{
    static const char *const ends[] = {"attn1.in_proj.weight",  "attn1.x_proj.weight",
                                       "attn1.out_proj.weight", "skip_linear.weight",
                                       "skip_linear.0.weight",  "skip_linear.1.weight"};

    for (gsize i = 0; i < G_N_ELEMENTS(ends); i++)
        if (ends_with(name, ends[i]))
            return TRUE;
    return FALSE;
}

typedef struct {
    const DimMambaConfig *config;
    DimParameters *parameters;
} Adding;

static gboolean add_entry(const DimNetEntry *e, void *data, GError **error)
{
    const Adding *adding = data;
    DimTrained t = {
        .name = (char *)e->name, .rank = e->rank, .turned = e->use == DIM_AS_TOKENS_TURNED};

    memcpy(t.sizes, e->sizes, sizeof t.sizes);
    choose_init(&t, adding->config);
    t.hidden = is_hidden(t.name);
    dim_parameters_add(adding->parameters, &t);
    return TRUE;
}

static void mamba_parameters(const void *config, int h, int w, DimParameters *parameters)
{
    const DimMambaConfig *c = config;
    Adding adding = {c, parameters};
    DimMambaNet names_only = {0};

    dim_mamba_walk(c, h / c->patch, &names_only, add_entry, &adding, NULL);
}

static gboolean mamba_check(const void *config, GError **error)
{
    const DimMambaConfig *c = config;

    if (c->skip_tune || c->table_h)
        return dim_fail(
            error, DIM_ERROR_UNSUPPORTED, "backbone.config",
            "skip_tune and pos_embed_size are for sampling; a model is trained without");
    return TRUE;
}

/* ---- the graph ------------------------------------------------------------------------------- */

/* What is written before each micro-batch. */
typedef struct {
    DimVar *time, *sinusoid; /* [B, d], [B, 256] */
    DkTensor labels;         /* [B] */
} Inputs;

typedef struct {
    DimBuild base;
    const DimMambaConfig *config;
    DimMambaGrid grid;
    DimVar *time, *class_vector; /* [B, d]: e and l */
    DimVar *modulation;          /* [B, 3d] */
    DkTensor order[4];
    Inputs *inputs;
} Build;

/* A table as a value: [1, rows, columns]. */
static DimVar *table(const Build *b, const char *name, gint64 rows, gint64 columns)
{
    const DimParameter p = dim_parameter(b->base.parameters, name, 3, (gint64[]){1, rows, columns});
    return dim_graph_parameter(b->base.g, p);
}

static DimVar *look_up(const Build *b, const char *name)
{
    return dim_build_look_up(&b->base, name, b->config->n_classes + 1, b->config->width,
                             b->inputs->labels);
}

/* Time and class: the two tokens' vectors, and the modulation that all blocks share. */
static void build_vectors(Build *b)
{
    const gint64 d = b->config->width, n = b->base.batch;
    const char *const labels = "adaln_single.emb.class_embedder.embedding_table.weight";

    b->inputs->labels = dim_graph_rows(b->base.g, n, NULL);
    b->inputs->time = b->time = dim_graph_input(b->base.g, 2, (gint64[]){n, d});
    b->inputs->sinusoid = dim_graph_input(b->base.g, 2, (gint64[]){n, DIM_TIME_SINUSOID});
    b->class_vector = look_up(b, "label_emb.weight");

    DimVar *a =
        dim_build_linear(&b->base, b->inputs->sinusoid,
                         "adaln_single.emb.timestep_embedder.linear_1", d, DIM_TIME_SINUSOID);
    a = dim_graph_act(b->base.g, a, DK_ACT_SILU);
    a = dim_build_linear(&b->base, a, "adaln_single.emb.timestep_embedder.linear_2", d, d);
    a = dim_graph_add(b->base.g, a, look_up(b, labels));
    a = dim_graph_act(b->base.g, a, DK_ACT_SILU);
    b->modulation = dim_build_linear(&b->base, a, "adaln_single.linear", 3 * d, d);
}

/* Patches with their positions, smoothed: [B, H·W, d]. */
static DimVar *build_image(Build *b, DimVar *x)
{
    const DimMambaConfig *c = b->config;
    const gint64 d = c->width, n = b->grid.height * b->grid.width;
    const DimParameter all = dim_parameter(b->base.parameters, "additional_embed", 2,
                                           (gint64[]){DIM_EXTRA_TOKENS + n, d});
    DimVar *positions =
        dim_graph_parameter(b->base.g, dim_parameter_slice(all, DIM_EXTRA_TOKENS, n));
    DimVar *image = dim_graph_patchify(b->base.g, x, c->patch);

    image = dim_build_linear(&b->base, image, "pos_embed.proj", d,
                             (gint64)c->in_channels * c->patch * c->patch);
    image = dim_build_reshape(&b->base, image, b->base.batch, n * d, 0, 0);
    image = dim_graph_add_row(b->base.g, image,
                              dim_graph_reshape(b->base.g, positions, 1, (gint64[]){n * d}));
    if (c->smoothers) {
        image = dim_build_reshape(&b->base, image, b->base.batch, b->grid.height, b->grid.width, d);
        image = dim_graph_conv2d_dw(
            b->base.g, image, dim_build_matrix(&b->base, "a4m_adapter.first_smoother.weight", d, 9),
            dim_build_vector(&b->base, "a4m_adapter.first_smoother.bias", d));
    }
    return dim_build_reshape(&b->base, image, b->base.batch, n, d, 0);
}

/* A token [B, 1, d] of a vector, with its position. */
static DimVar *build_token(Build *b, DimVar *x, gint64 place)
{
    const gint64 d = b->config->width, rows = DIM_EXTRA_TOKENS + b->grid.height * b->grid.width;
    const DimParameter all =
        dim_parameter(b->base.parameters, "additional_embed", 2, (gint64[]){rows, d});
    DimVar *position = dim_graph_parameter(b->base.g, dim_parameter_slice(all, place, 1));

    x = dim_graph_add_row(b->base.g, x, dim_graph_reshape(b->base.g, position, 1, &d));
    return dim_build_reshape(&b->base, x, b->base.batch, 1, d, 0);
}

/* All tokens in their rows: [B, L, d]. */
static DimVar *build_sequence(Build *b, DimVar *x)
{
    const DimMambaConfig *c = b->config;
    const gint64 length = b->grid.length, d = c->width;
    g_autofree gint32 *host = g_new(gint32, (DIM_N_SOURCES + 1) * length);
    gint32 *rows[DIM_N_SOURCES];
    DimVar *sources[DIM_N_SOURCES + 1];
    DkTensor tables[DIM_N_SOURCES + 1];
    int n = 0;

    for (int i = 0; i < DIM_N_SOURCES; i++)
        rows[i] = host + i * length;
    dim_mamba_sources(c, &b->grid, rows);
    for (int i = 0; i < DIM_EXTRA_TOKENS;
         i++) { /* each of the extra tokens is a source of its own */
        gint32 *one = host + DIM_N_SOURCES * length;
        for (gint64 l = 0; l < length; l++)
            one[l] = rows[DIM_FROM_EXTRA][l] == i ? 0 : -1;
        tables[n] = dim_graph_rows(b->base.g, length, one);
        sources[n++] = build_token(b, i ? b->class_vector : b->time, i);
    }
    if (c->split_tokens) {
        tables[n] = dim_graph_rows(b->base.g, length, rows[DIM_FROM_SPLIT]);
        sources[n++] = table(b, "a4m_adapter.pad_token_dec_split", c->n_pads, d);
    }
    if (c->pads != DIM_PADS_NONE) {
        tables[n] = dim_graph_rows(b->base.g, length, rows[DIM_FROM_PADS]);
        sources[n++] = table(b, "a4m_adapter.pad_token", c->n_pads, d);
    }
    tables[n] = dim_graph_rows(b->base.g, length, rows[DIM_FROM_IMAGE]);
    sources[n++] = build_image(b, x);
    return dim_graph_gather(b->base.g, b->base.batch, length, n, sources, tables);
}

/* v = A0 v + A1 kept + b */
static DimVar *build_skip(Build *b, DimVar *v, DimVar *kept)
{
    const gint64 d = b->config->width;

    if (d > 512)
        return dim_graph_add(b->base.g, dim_build_linear(&b->base, v, "skip_linear.0", d, d),
                             dim_build_linear(&b->base, kept, "skip_linear.1", d, d));
    const DimParameter both = dim_build_matrix(&b->base, "skip_linear.weight", d, 2 * d);
    v = dim_graph_linear(b->base.g, v, dim_parameter_columns(both, 0, d),
                         dim_build_vector(&b->base, "skip_linear.bias", d));
    return dim_graph_add(
        b->base.g, v,
        dim_graph_linear(b->base.g, kept, dim_parameter_columns(both, d, d), nothing));
}

static DimVar *build_mamba(Build *b, DimVar *y, DkTensor order)
{
    const DimMambaConfig *c = b->config;
    const gint64 d = c->width, e = c->inner, n = c->n_states, r = c->rank;
    DimGraph *g = b->base.g;
    DimVar *xz = dim_graph_linear(
        g, y, dim_build_matrix(&b->base, "attn1.in_proj.weight", 2 * e, d), nothing);
    DimVar *x = dim_graph_columns(g, xz, 0, e), *z = dim_graph_columns(g, xz, e, e);
    DimVar *u =
        dim_graph_conv1d_dw(g, x, dim_build_matrix(&b->base, "attn1.conv1d.weight", e, c->n_taps),
                            dim_build_vector(&b->base, "attn1.conv1d.bias", e), order, DK_ACT_SILU);
    DimVar *dbc = dim_graph_linear(
        g, u, dim_build_matrix(&b->base, "attn1.x_proj.weight", r + 2 * n, e), nothing);
    DimVar *dt = dim_build_linear(&b->base, dim_graph_columns(g, dbc, 0, r), "attn1.dt_proj", e, r);

    y = dim_graph_selective_scan(
        g, u, dt, dim_build_matrix(&b->base, "attn1.A_log", e, n), dim_graph_columns(g, dbc, r, n),
        dim_graph_columns(g, dbc, r + n, n), dim_build_vector(&b->base, "attn1.D", e), z, order);
    return dim_graph_linear(g, y, dim_build_matrix(&b->base, "attn1.out_proj.weight", d, e),
                            nothing);
}

static DimVar *build_block(Build *b, DimVar *v, int i)
{
    const gint64 d = b->config->width;
    DimGraph *g = b->base.g;
    DimVar *rows = dim_graph_reshape(
        g, dim_graph_parameter(g, dim_build_vector(&b->base, "scale_shift_table", 3 * d)), 1,
        (gint64[]){3 * d});
    DimVar *modulation = dim_graph_add_row(g, b->modulation, rows);
    DimVar *shift = dim_graph_columns(g, modulation, 0, d);
    DimVar *scale = dim_graph_columns(g, modulation, d, d);
    DimVar *gate = dim_graph_columns(g, modulation, 2 * d, d);
    DimVar *y = dim_graph_norm_modulate(g, v, dim_build_vector(&b->base, "norm1.norm.weight", d),
                                        scale, shift, DK_NORM_RMS, b->config->eps);

    y = build_mamba(b, y, b->order[dim_mamba_direction(b->config, i)]);
    return dim_graph_gate_add_1(g, v, gate, y);
}

static DimVar *build_blocks(Build *b, DimVar *v)
{
    const DimMambaConfig *c = b->config;
    g_autofree DimVar **kept = g_new0(DimVar *, c->depth);

    for (int i = 0; i < c->depth; i++) {
        g_snprintf(b->base.prefix, sizeof b->base.prefix, "transformer_blocks.%d.", i);
        if (c->skip_connections && dim_mamba_is_decoder(c, i))
            v = build_skip(b, v, kept[c->depth - 1 - i + c->encoder_start]);
        v = build_block(b, v, i);
        kept[i] = v;
    }
    b->base.prefix[0] = '\0';
    return v;
}

static DimVar *build_head(Build *b, DimVar *v, int h, int w)
{
    const DimMambaConfig *c = b->config;
    const gint64 d = c->width, n = b->grid.height * b->grid.width, o = c->out_channels;
    g_autofree gint32 *crop = g_new(gint32, n);
    DimGraph *g = b->base.g;

    dim_mamba_crop(&b->grid, crop);
    v = dim_graph_gather(g, b->base.batch, n, 1, &v, (DkTensor[]){dim_graph_rows(g, n, crop)});
    if (c->smoothers) {
        v = dim_build_reshape(&b->base, v, b->base.batch, b->grid.height, b->grid.width, d);
        v = dim_graph_conv2d_dw(
            g, v, dim_build_matrix(&b->base, "a4m_adapter.last_smoother.weight", d, 9),
            dim_build_vector(&b->base, "a4m_adapter.last_smoother.bias", d));
        v = dim_build_reshape(&b->base, v, b->base.batch, n, d, 0);
    }
    DimVar *head = dim_graph_act(g, dim_graph_add(g, b->class_vector, b->time), DK_ACT_SILU);
    head = dim_build_linear(&b->base, head, "proj_out_1", 2 * d, d);
    v = dim_graph_norm_modulate(g, v, dim_build_vector(&b->base, "norm_out.norm.weight", d),
                                dim_graph_columns(g, head, d, d), dim_graph_columns(g, head, 0, d),
                                DK_NORM_RMS, c->eps);
    v = dim_build_linear(&b->base, v, "proj_out_2", (gint64)c->patch * c->patch * o, d);
    v = dim_graph_unpatchify(g, v, c->patch, h, w);
    if (!c->final_conv)
        return v;
    v = dim_build_reshape(&b->base, dim_graph_patchify(g, v, 1), b->base.batch, h, w, o);
    v = dim_graph_conv2d(
        g, v, dim_parameter(b->base.parameters, "final_layer.weight", 4, (gint64[]){o, o, 3, 3}),
        dim_build_vector(&b->base, "final_layer.bias", o));
    return dim_graph_unpatchify(
        g, dim_build_reshape(&b->base, v, b->base.batch, (gint64)h * w, o, 0), 1, h, w);
}

static void mamba_build(const void *config, const DimParameters *parameters, int batch, int h,
                        int w, DkDevice *dk, DimTrainNet *net)
{
    const DimMambaConfig *c = config;
    Build b = {.base = {.parameters = parameters, .g = dim_graph_new(dk), .batch = batch},
               .config = c,
               .grid = dim_mamba_grid(c, h / c->patch, w / c->patch),
               .inputs = g_new0(Inputs, 1)};
    g_autofree gint32 *order = g_new(gint32, b.grid.length);

    for (int i = 0; i < c->n_directions; i++) {
        dim_mamba_order(&b.grid, i, order);
        b.order[i] = dim_graph_rows(b.base.g, b.grid.length, order);
    }
    net->graph = b.base.g;
    net->batch = batch;
    net->inputs = b.inputs;
    net->x = dim_graph_input(b.base.g, 4, (gint64[]){batch, c->in_channels, h, w});
    build_vectors(&b);
    net->output = build_head(&b, build_blocks(&b, build_sequence(&b, net->x)), h, w);
}

static void mamba_feed(const void *config, DimTrainNet *net, const double *t, const gint64 *y)
{
    const DimMambaConfig *c = config;
    const Inputs *inputs = net->inputs;
    g_autofree float *rows = g_new(float, (gsize)net->batch *MAX(c->width, DIM_TIME_SINUSOID));
    g_autofree gint32 *labels = g_new(gint32, net->batch);
    DkDevice *dk = dim_graph_device(net->graph);

    for (int i = 0; i < net->batch; i++) {
        labels[i] = (gint32)y[i];
        dim_mamba_sinusoid(rows + (gsize)i * c->width, c->width, t[i]);
    }
    dk_write(dk, inputs->labels, labels);
    dk_write(dk, dim_var_value(inputs->time), rows);
    for (int i = 0; i < net->batch; i++)
        dim_mamba_sinusoid(rows + (gsize)i * DIM_TIME_SINUSOID, DIM_TIME_SINUSOID, t[i]);
    dk_write(dk, dim_var_value(inputs->sinusoid), rows);
}

/* ---- weak to strong -------------------------------------------------------------------------- */

/* One axis of a bilinear resize with half-pixel centres. */
static void resize_axis(int to, int from, int j, int *low, int *high, double *f)
{
    const double u = MAX(0, (j + 0.5) * from / to - 0.5);

    *low = (int)u;
    *high = MIN(*low + 1, from - 1);
    *f = u - *low;
}

/* The position table from another grid, as the paper's program does it when it goes to a larger
 * one. */
static void resize_positions(float *to, const float *from, int new_side, int side, gint64 d)
{
    memcpy(to, from, (gsize)(DIM_EXTRA_TOKENS * d) * sizeof *to);
    to += DIM_EXTRA_TOKENS * d;
    from += DIM_EXTRA_TOKENS * d;
    for (int i = 0; i < new_side; i++)
        for (int j = 0; j < new_side; j++) {
            int top, bottom, left, right;
            double down, across;
            resize_axis(new_side, side, i, &top, &bottom, &down);
            resize_axis(new_side, side, j, &left, &right, &across);
            for (gint64 c = 0; c < d; c++) {
                const double upper = (1 - across) * from[((gint64)top * side + left) * d + c] +
                                     across * from[((gint64)top * side + right) * d + c];
                const double lower = (1 - across) * from[((gint64)bottom * side + left) * d + c] +
                                     across * from[((gint64)bottom * side + right) * d + c];
                to[((gint64)i * new_side + j) * d + c] = (float)((1 - down) * upper + down * lower);
            }
        }
}

static int side_of(gint64 rows)
{
    const int side = (int)lround(sqrt((double)(rows - DIM_EXTRA_TOKENS)));
    return rows > DIM_EXTRA_TOKENS && (gint64)side * side == rows - DIM_EXTRA_TOKENS ? side : 0;
}

static gboolean mamba_adapt(const DimTrained *t, int rank, const gint64 *sizes, const float *from,
                            float *to)
{
    const int side = rank == 3 ? side_of(sizes[1]) : 0;

    if (strcmp(t->name, "additional_embed") || !side || sizes[0] != 1 || sizes[2] != t->sizes[2])
        return FALSE;
    resize_positions(to, from, side_of(t->sizes[1]), side, t->sizes[2]);
    return TRUE;
}

static double mamba_time(int n)
{
    return n;
}

static gboolean mamba_is_label_table(const char *name)
{
    return !strcmp(name, "label_emb.weight") ||
           !strcmp(name, "adaln_single.emb.class_embedder.embedding_table.weight");
}

const DimTrainClass dim_train_dim = {
    .family = "dim",
    .check = mamba_check,
    .parameters = mamba_parameters,
    .build = mamba_build,
    .feed = mamba_feed,
    .time_of_step = mamba_time,
    .adapt = mamba_adapt,
    .is_label_table = mamba_is_label_table,
};
