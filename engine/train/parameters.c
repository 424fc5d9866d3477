/* See parameters.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "parameters.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/rng.h"

enum { ALIGNMENT = 16 }; /* numbers: 64 bytes */

void dim_parameters_init(DimParameters *p, DkDevice *dk)
{
    *p = (DimParameters){.dk = dk, .list = g_array_new(FALSE, TRUE, sizeof(DimTrained))};
}

static DimTrained *trained(const DimParameters *p, guint i)
{
    return &g_array_index(p->list, DimTrained, i);
}

void dim_parameters_clear(DimParameters *p)
{
    if (!p->list)
        return;
    for (guint i = 0; i < p->list->len; i++) {
        g_free(trained(p, i)->name);
        g_free(trained(p, i)->fixed);
    }
    g_array_free(p->list, TRUE);
    dk_buffer_free(p->dk, &p->buffer);
    *p = (DimParameters){0};
}

void dim_parameters_add(DimParameters *p, const DimTrained *tensor)
{
    DimTrained t = *tensor;

    gint64 *end = tensor->fixed ? &p->fixed_count : &p->count;

    t.name = g_strdup(tensor->name);
    t.at = *end;
    t.count = 1;
    for (int i = 0; i < t.rank; i++)
        t.count *= t.sizes[i];
    g_array_append_val(p->list, t);
    *end += (t.count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

gboolean dim_parameters_commit(DimParameters *p, GError **error)
{
    const gsize bytes = (gsize)p->count * sizeof(float);
    const gsize all = DIM_N_BLOCKS * bytes + (gsize)p->fixed_count * sizeof(float);

    p->buffer = dk_buffer_new(p->dk, all);
    if (!p->buffer)
        return dim_fail_memory(error, "weights to train", all);
    for (int i = 0; i < DIM_N_BLOCKS; i++) {
        p->block[i] = dk_tensor(p->buffer, (gsize)i * bytes, DK_F32, 1, &p->count);
        dk_clear(p->dk, p->block[i]);
    }
    if (p->fixed_count)
        p->fixed = dk_tensor(p->buffer, DIM_N_BLOCKS * bytes, DK_F32, 1, &p->fixed_count);
    for (guint i = 0; i < p->list->len; i++)
        if (trained(p, i)->fixed)
            dim_parameters_put(p, DIM_BLOCK_WEIGHTS, trained(p, i), trained(p, i)->fixed);
    return TRUE;
}

gint64 dim_parameters_total(const DimParameters *p)
{
    gint64 total = 0;

    for (guint i = 0; i < p->list->len; i++)
        total += trained(p, i)->fixed ? 0 : trained(p, i)->count;
    return total;
}

/* ---- views ----------------------------------------------------------------------------------- */

static const DimTrained *find(const DimParameters *p, const char *name)
{
    for (guint i = 0; i < p->list->len; i++)
        if (!strcmp(trained(p, i)->name, name))
            return trained(p, i);
    return NULL;
}

gboolean dim_parameters_has(const DimParameters *p, const char *name)
{
    return find(p, name) != NULL;
}

static DkTensor place(const DimParameters *p, int block, const DimTrained *t)
{
    return dk_tensor_columns(t->fixed ? p->fixed : p->block[block], t->at, t->count);
}

static DkTensor shaped(DkTensor t, int rank, const gint64 *sizes)
{
    t.row_stride = dk_tensor_count(t);
    return dk_tensor_reshape(t, rank, sizes);
}

DkTensor dim_parameters_matrix(const DimParameters *p, int block, const DimTrained *t)
{
    g_assert(t->rank == 2 && !t->fixed);
    return shaped(place(p, block, t), t->rank, t->sizes);
}

DimParameter dim_parameter(const DimParameters *p, const char *name, int rank, const gint64 *sizes)
{
    const DimTrained *t = find(p, name);
    DimParameter parameter = {0};

    g_assert(t);
    parameter.value = shaped(place(p, DIM_BLOCK_WEIGHTS, t), rank, sizes);
    if (!t->fixed)
        parameter.grad = shaped(place(p, DIM_BLOCK_GRADIENT, t), rank, sizes);
    return parameter;
}

DimParameter dim_parameter_columns(DimParameter p, gint64 first, gint64 count)
{
    return (DimParameter){dk_tensor_columns(p.value, first, count),
                          dk_tensor_columns(p.grad, first, count)};
}

DimParameter dim_parameter_slice(DimParameter p, gint64 first, gint64 count)
{
    return (DimParameter){dk_tensor_slice(p.value, first, count),
                          dk_tensor_slice(p.grad, first, count)};
}

/* ---- host ------------------------------------------------------------------------------------ */

/* [rows, columns] to [columns, rows]. */
static void turn(float *to, const float *from, gint64 rows, gint64 columns)
{
    for (gint64 r = 0; r < rows; r++)
        for (gint64 c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
}

void dim_parameters_get(const DimParameters *p, int block, const DimTrained *t, float *values)
{
    g_autofree float *turned = t->turned ? g_new(float, t->count) : NULL;

    dk_read(p->dk, turned ? turned : values, place(p, block, t));
    if (turned)
        turn(values, turned, t->sizes[2], t->sizes[1]);
}

void dim_parameters_put(DimParameters *p, int block, const DimTrained *t, const float *values)
{
    g_autofree float *turned = t->turned ? g_new(float, t->count) : NULL;

    if (turned)
        turn(turned, values, t->sizes[1], t->sizes[2]);
    dk_write(p->dk, place(p, block, t), turned ? turned : values);
}

/* ---- initial values -------------------------------------------------------------------------- */

/* ln (e^y - 1), the bias that softplus turns into a step of y. */
static double inverse_softplus(double y)
{
    return y + log(-expm1(-y));
}

/* Whether number i stands where "pass on what is there" has its 1: on the diagonal of the first
 * square, of a 3x3 convolution in the middle tap. */
static int passes(const DimTrained *t, gint64 i)
{
    const gint64 taps = t->rank == 4 ? t->sizes[2] * t->sizes[3] : 1;

    return i % taps == taps / 2 && i / taps / t->sizes[1] == i / taps % t->sizes[1];
}

static float draw(const DimTrained *t, gint64 seed, gint64 index, gint64 i)
{
    const guint32 k = (guint32)i;
    const double even = 2 * dim_random_uniform(seed, DIM_RANDOM_WEIGHTS, index, k) - 1;

    switch (t->init) {
    case DIM_INIT_ZERO:
        break;
    case DIM_INIT_ONE:
        return 1;
    case DIM_INIT_NORMAL:
        return (float)(t->size * dim_random_normal(seed, DIM_RANDOM_WEIGHTS, index, k));
    case DIM_INIT_UNIFORM:
        return (float)(t->middle + t->size * even);
    case DIM_INIT_CENTRE:
        return (float)(t->size * even + (i % 9 == 4));
    case DIM_INIT_PASS:
        return (float)(t->size * even + passes(t, i));
    case DIM_INIT_STATES:
        return (float)log((double)(i % t->sizes[1]) + 1);
    case DIM_INIT_STEP_BIAS:
        return (float)inverse_softplus(MAX(exp((even + 1) / 2 * log(100.0) + log(0.001)), 1e-4));
    case DIM_INIT_FREQUENCIES:
        return (float)(G_PI * (double)(i % t->sizes[1]));
    case DIM_INIT_REAL:
        return i % 2 == 0;
    }
    return 0;
}

void dim_trained_xavier(DimTrained *t)
{
    gint64 inputs = 1;

    for (int i = 1; i < t->rank; i++)
        inputs *= t->sizes[i];
    t->init = DIM_INIT_UNIFORM;
    t->size = sqrt(6 / (double)(inputs + t->sizes[0]));
}

void dim_parameters_draw(DimParameters *p, gint64 seed)
{
    for (guint i = 0; i < p->list->len; i++) {
        const DimTrained *t = trained(p, i);
        if (t->fixed)
            continue;
        g_autofree float *values = g_new(float, t->count);
        for (gint64 j = 0; j < t->count; j++)
            values[j] = draw(t, seed, i, j);
        dim_parameters_put(p, DIM_BLOCK_WEIGHTS, t, values);
        dim_parameters_put(p, DIM_BLOCK_AVERAGE, t, values);
    }
}
