/* AdamW for all weights, or Muon for the matrices between hidden layers and AdamW for the rest.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024): a
 * matrix's momentum is replaced by the nearest matrix whose singular values are all about 1, so
 * that a step goes as far in directions that the gradient hardly shows as in those that dominate
 * it. A few steps of Newton-Schulz's iteration find it by products alone. The size of a step is
 * that of arXiv 2502.16982 (section 2.2): 0.2 sqrt (longer side) times the rate, which leaves a
 * change of the size that AdamW makes, and so one rate and one decay for both. */
#include "optimiser.h"

#include <math.h>

#include "engine/error.h"

#define MOMENTUM 0.95

enum { ITERATIONS = 5 };

/* Of the odd polynomial a s + b s³ + c s⁵ that drives each singular value s towards 1 (Jordan). */
#define NS_A 3.4445
#define NS_B (-4.7750)
#define NS_C 2.0315

typedef struct {
    gint64 rows, columns;
    DkWeight *factor; /* tall: [columns, columns]; wide: [rows, columns] */
} Shape;

static const DkTensor empty;

static const DimTrained *tensor_at(const DimOptimiser *o, guint i)
{
    return &g_array_index(o->parameters->list, DimTrained, i);
}

static gboolean is_muons(const DimOptimiser *o, const DimTrained *t)
{
    return o->muon && t->hidden;
}

/* ---- opening --------------------------------------------------------------------------------- */

static Shape *shape_of(const DimOptimiser *o, const DimTrained *t)
{
    for (guint i = 0; i < o->shapes->len; i++) {
        Shape *s = &g_array_index(o->shapes, Shape, i);
        if (s->rows == t->sizes[0] && s->columns == t->sizes[1])
            return s;
    }
    return NULL;
}

static gboolean is_tall(const Shape *s)
{
    return s->rows >= s->columns;
}

static gboolean add_shape(DimOptimiser *o, const DimTrained *t, GError **error)
{
    Shape s = {t->sizes[0], t->sizes[1], NULL};
    const gint64 n = is_tall(&s) ? s.columns : s.rows;
    g_autofree float *zeros = g_try_new0(float, (gsize)(n * s.columns));

    if (zeros)
        s.factor = dk_weight_linear(o->parameters->dk, zeros, n, s.columns);
    if (!s.factor)
        return dim_fail_memory(error, "the optimiser", (guint64)(n * s.columns) * sizeof(float));
    g_array_append_val(o->shapes, s);
    return TRUE;
}

static gboolean take_memory(DimOptimiser *o, gint64 count, gint64 square, GError **error)
{
    const gsize wide = ((gsize)count * sizeof(float) + 63) / 64 * 64;
    const gsize small = ((gsize)square * sizeof(float) + 63) / 64 * 64;
    const gint64 one = 1;

    o->buffer = dk_buffer_new(o->parameters->dk, 2 * (wide + small) + 64);
    if (!o->buffer)
        return dim_fail_memory(error, "the optimiser", 2 * (wide + small));
    o->x = dk_tensor(o->buffer, 0, DK_F32, 1, &count);
    o->y = dk_tensor(o->buffer, wide, DK_F32, 1, &count);
    o->a = dk_tensor(o->buffer, 2 * wide, DK_F32, 1, &square);
    o->b = dk_tensor(o->buffer, 2 * wide + small, DK_F32, 1, &square);
    o->sum = dk_tensor(o->buffer, 2 * (wide + small), DK_F64, 1, &one);
    return TRUE;
}

gboolean dim_optimiser_init(DimOptimiser *o, const DimParameters *parameters, DimOptimiserKind kind,
                            GError **error)
{
    gint64 count = 0, square = 0;

    *o = (DimOptimiser){.parameters = parameters,
                        .muon = kind == DIM_OPTIMISER_MUON,
                        .shapes = g_array_new(FALSE, FALSE, sizeof(Shape))};
    for (guint i = 0; i < parameters->list->len; i++) {
        const DimTrained *t = tensor_at(o, i);
        const gint64 shorter = MIN(t->sizes[0], t->sizes[1]);
        if (!is_muons(o, t))
            continue;
        count = MAX(count, t->count);
        square = MAX(square, shorter * shorter);
        if (!shape_of(o, t) && !add_shape(o, t, error))
            return FALSE;
    }
    return count == 0 || take_memory(o, count, square, error);
}

void dim_optimiser_clear(DimOptimiser *o)
{
    if (!o->shapes)
        return;
    for (guint i = 0; i < o->shapes->len; i++)
        dk_weight_free(o->parameters->dk, &g_array_index(o->shapes, Shape, i).factor);
    g_array_free(o->shapes, TRUE);
    dk_buffer_free(o->parameters->dk, &o->buffer);
    *o = (DimOptimiser){0};
}

/* ---- Muon ------------------------------------------------------------------------------------ */

/* The first numbers of a scratch tensor as a matrix. */
static DkTensor matrix(DkTensor t, gint64 rows, gint64 columns)
{
    DkTensor first = dk_tensor_columns(t, 0, rows * columns);

    first.row_stride = rows * columns;
    return dk_tensor_reshape(first, 2, (gint64[]){rows, columns});
}

/* to = leftᵀ right, or added to it. */
static void add_product(DkDevice *dk, DkTensor to, DkTensor left, DkTensor right, gboolean add)
{
    if (!add)
        dk_clear(dk, to);
    dk_linear_backward_weight(dk, to, empty, left, right);
}

/* y = A x + B x xᵀ x + C (x xᵀ)² x, or the same from the other side, by the Gram matrix of the
 * shorter side. */
static void iterate(DimOptimiser *o, const Shape *s, DkTensor y, DkTensor x)
{
    DkDevice *dk = o->parameters->dk;
    const gint64 n = MIN(s->rows, s->columns);
    const DkTensor gram = matrix(o->a, n, n), square = matrix(o->b, n, n);

    if (is_tall(s)) {
        add_product(dk, gram, x, x, FALSE);
    } else {
        dk_weight_set(dk, s->factor, x, false);
        dk_linear(dk, gram, x, s->factor, empty, DK_ACT_NONE, false);
    }
    add_product(dk, square, gram, gram, FALSE); /* it is symmetric */
    dk_axpby(dk, square, NS_B, gram, NS_C);
    dk_axpby(dk, y, NS_A, x, 0);
    if (is_tall(s)) {
        dk_weight_set(dk, s->factor, square, false);
        dk_linear(dk, y, x, s->factor, empty, DK_ACT_NONE, true);
    } else {
        add_product(dk, y, square, x, TRUE);
    }
}

/* In o->x; the result is there or in o->y. A gradient of zeros stays as it is. */
static DkTensor orthogonalise(DimOptimiser *o, const Shape *s)
{
    DkDevice *dk = o->parameters->dk;
    DkTensor x = matrix(o->x, s->rows, s->columns), y = matrix(o->y, s->rows, s->columns);
    double squares = 0;

    dk_clear(dk, o->sum);
    dk_sum_squares(dk, o->sum, x);
    dk_read(dk, &squares, o->sum);
    dk_axpby(dk, y, (float)(1 / (sqrt(squares) + 1e-20)), x, 0);
    for (int i = 0; i < ITERATIONS; i++) {
        const DkTensor from = i % 2 ? x : y, to = i % 2 ? y : x;
        iterate(o, s, to, from);
    }
    return ITERATIONS % 2 ? x : y;
}

static void step_muon(DimOptimiser *o, const DimTrained *t, const DkAdamW *settings)
{
    DkDevice *dk = o->parameters->dk;
    const Shape *s = shape_of(o, t);
    const DkTensor x = matrix(o->x, s->rows, s->columns);
    const DkTensor weight = dim_parameters_matrix(o->parameters, DIM_BLOCK_WEIGHTS, t);
    const DkTensor mean = dim_parameters_matrix(o->parameters, DIM_BLOCK_MEAN, t);
    const DkTensor gradient = dim_parameters_matrix(o->parameters, DIM_BLOCK_GRADIENT, t);
    const float factor = (float)settings->gradient_factor;
    const double size = 0.2 * sqrt((double)MAX(s->rows, s->columns));

    dk_axpby(dk, mean, factor, gradient, (float)MOMENTUM);
    dk_axpby(dk, x, factor, gradient, 0); /* Nesterov's: a step ahead */
    dk_axpby(dk, x, (float)MOMENTUM, mean, 1);
    dk_axpby(dk, weight, (float)(-settings->rate * size), orthogonalise(o, s),
             (float)(1 - settings->rate * settings->decay));
}

/* ---- AdamW ----------------------------------------------------------------------------------- */

static gboolean step_alike(const DimOptimiser *o, const DimTrained *a, const DimTrained *b)
{
    return !a->no_decay == !b->no_decay && !(a->rate_most < b->rate_most) &&
           !(a->rate_most > b->rate_most) && !is_muons(o, b);
}

/* Where the run of tensors that want the same of AdamW as the first one ends. */
static guint run_end(const DimOptimiser *o, guint first)
{
    const guint n = o->parameters->list->len;
    guint end = first + 1;

    while (end < n &&
           (tensor_at(o, end)->fixed || step_alike(o, tensor_at(o, first), tensor_at(o, end))))
        end++;
    return end;
}

static void step_adamw(DimOptimiser *o, guint first, guint end, const DkAdamW *settings)
{
    const DimParameters *p = o->parameters;
    const DimTrained *of = tensor_at(o, first);
    const gint64 last = end < p->list->len ? tensor_at(o, end)->at : p->count;
    DkTensor part[DIM_BLOCK_AVERAGE];
    DkAdamW own = *settings;

    for (int k = 0; k < DIM_BLOCK_AVERAGE; k++)
        part[k] = dk_tensor_columns(p->block[k], of->at, last - of->at);
    own.decay = of->no_decay ? 0 : own.decay;
    own.rate = of->rate_most > 0 ? MIN(own.rate, of->rate_most) : own.rate;
    dk_adamw(p->dk, part[DIM_BLOCK_WEIGHTS], part[DIM_BLOCK_MEAN], part[DIM_BLOCK_SQUARE],
             part[DIM_BLOCK_GRADIENT], &own);
}

void dim_optimiser_step(DimOptimiser *o, const DkAdamW *settings)
{
    for (guint i = 0, end; i < o->parameters->list->len; i = end) {
        const DimTrained *t = tensor_at(o, i);
        const gboolean alone = t->fixed || is_muons(o, t);
        end = alone ? i + 1 : run_end(o, i);
        if (is_muons(o, t))
            step_muon(o, t, settings);
        else if (!t->fixed)
            step_adamw(o, i, end, settings);
    }
}
