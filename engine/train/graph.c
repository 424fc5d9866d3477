/* The graph itself: values, memory of the gradients, the two runs. See graph.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "graph-private.h"

#include "engine/error.h"

/* Memory of gradients, lent to one value after another. */
typedef struct {
    DkBuffer *buffer;
    gsize bytes;
    gboolean lent;
} Block;

DimGraph *dim_graph_new(DkDevice *dk)
{
    DimGraph *g = g_new0(DimGraph, 1);

    g->dk = dk;
    g->vars = g_ptr_array_new_with_free_func(g_free);
    g->ops = g_ptr_array_new_with_free_func(g_free);
    g->buffers = g_ptr_array_new();
    g->blocks = g_array_new(FALSE, TRUE, sizeof(Block));
    return g;
}

void dim_graph_free(DimGraph **graph)
{
    DimGraph *g = *graph;

    if (!g)
        return;
    for (guint i = 0; i < g->ops->len; i++) {
        Op *op = g->ops->pdata[i];
        if (op->weight)
            dk_weight_free(g->dk, &op->weight);
        if (op->turned)
            dk_weight_free(g->dk, &op->turned);
    }
    for (guint i = 0; i < g->buffers->len; i++)
        dk_buffer_free(g->dk, (DkBuffer **)&g->buffers->pdata[i]);
    for (guint i = 0; i < g->blocks->len; i++)
        dk_buffer_free(g->dk, &g_array_index(g->blocks, Block, i).buffer);
    g_array_free(g->blocks, TRUE);
    g_ptr_array_free(g->buffers, TRUE);
    g_ptr_array_free(g->ops, TRUE);
    g_ptr_array_free(g->vars, TRUE);
    g_clear_pointer(graph, g_free);
}

DkDevice *dim_graph_device(const DimGraph *g)
{
    return g->dk;
}

/* ---- values ---------------------------------------------------------------------------------- */

static gsize bytes_of(DkType type, int rank, const gint64 *sizes)
{
    gsize bytes = dk_type_size(type);

    for (int i = 0; i < rank; i++)
        bytes *= (gsize)sizes[i];
    return bytes;
}

/* Without memory the tensor is still well formed, and dim_graph_finish fails: nothing runs on it.
 */
DkTensor dim_graph_keep(DimGraph *g, DkType type, int rank, const gint64 *sizes)
{
    DkBuffer *buffer = dk_buffer_new(g->dk, bytes_of(type, rank, sizes));

    if (buffer)
        g_ptr_array_add(g->buffers, buffer);
    else
        g->out_of_memory = TRUE;
    return dk_tensor(buffer, 0, type, rank, sizes);
}

static DimVar *new_var(DimGraph *g, DkTensor value)
{
    DimVar *var = g_new0(DimVar, 1);

    var->value = value;
    var->root = var;
    var->block = -1;
    var->track = &var->own_track;
    g_ptr_array_add(g->vars, var);
    return var;
}

DimVar *dim_graph_value(DimGraph *g, int rank, const gint64 *sizes)
{
    return new_var(g, dim_graph_keep(g, DK_F32, rank, sizes));
}

DimVar *dim_graph_input(DimGraph *g, int rank, const gint64 *sizes)
{
    return dim_graph_value(g, rank, sizes);
}

DimVar *dim_graph_parameter(DimGraph *g, DimParameter parameter)
{
    DimVar *var = new_var(g, parameter.value);

    var->gradient = parameter.grad;
    var->wanted = TRUE;
    var->track->written = TRUE;
    return var;
}

DimVar *dim_graph_fixed(DimGraph *g, DkTensor value)
{
    return new_var(g, value);
}

DkTensor dim_graph_rows(DimGraph *g, gint64 n, const gint32 *rows)
{
    const DkTensor t = dim_graph_keep(g, DK_I32, 1, &n);

    if (rows && t.buffer)
        dk_write(g->dk, t, rows);
    return t;
}

static DimVar *new_view(DimGraph *g, DimVar *x, DkTensor value)
{
    DimVar *var = new_var(g, value);

    var->root = x->root;
    var->wanted = x->wanted;
    var->track = x->track;
    return var;
}

DimVar *dim_graph_reshape(DimGraph *g, DimVar *x, int rank, const gint64 *sizes)
{
    return new_view(g, x, dk_tensor_reshape(x->value, rank, sizes));
}

DimVar *dim_graph_columns(DimGraph *g, DimVar *x, gint64 first, gint64 count)
{
    DimVar *var = new_view(g, x, dk_tensor_columns(x->value, first, count));

    x->track->width = x->value.sizes[x->value.rank - 1];
    var->track = &var->own_track;
    var->own_track.whole = x->track;
    return var;
}

DkTensor dim_var_value(const DimVar *var)
{
    return var->value;
}

/* The same place in the gradient's memory as the value has in its own. */
DkTensor dim_var_gradient(const DimVar *var)
{
    const DimVar *root = var->root;
    DkTensor t = var->value;

    t.buffer = root->gradient.buffer;
    t.offset = var->value.offset - root->value.offset + root->gradient.offset;
    return t;
}

/* ---- operations ------------------------------------------------------------------------------ */

Op *dim_graph_op(DimGraph *g, OpRun forward, OpRun backward, DimVar *out, int n_in,
                 DimVar *const *in)
{
    Op *op = g_new0(Op, 1);

    g_assert(n_in <= MAX_INPUTS);
    op->forward = forward;
    op->backward = backward;
    op->out = out;
    op->n_in = n_in;
    op->moves = -1;
    for (int i = 0; i < n_in; i++)
        op->in[i] = in[i];
    g_ptr_array_add(g->ops, op);
    return op;
}

/* ---- memory of the gradients ----------------------------------------------------------------- */

static Block *block_of(DimGraph *g, int i)
{
    return &g_array_index(g->blocks, Block, i);
}

/* The smallest free block that is large enough and not wasteful, or a new one. */
static int lend_block(DimGraph *g, gsize bytes)
{
    int best = -1;

    for (int i = 0; i < (int)g->blocks->len; i++) {
        const Block *b = block_of(g, i);
        if (!b->lent && b->bytes >= bytes && b->bytes <= 2 * bytes &&
            (best < 0 || b->bytes < block_of(g, best)->bytes))
            best = i;
    }
    if (best < 0) {
        const Block fresh = {.buffer = dk_buffer_new(g->dk, bytes), .bytes = bytes};
        g->out_of_memory |= !fresh.buffer;
        g_array_append_val(g->blocks, fresh);
        best = (int)g->blocks->len - 1;
    }
    block_of(g, best)->lent = TRUE;
    return best;
}

static void lend_gradient(DimGraph *g, DimVar *root)
{
    root->block = lend_block(g, bytes_of(DK_F32, root->value.rank, root->value.sizes));
    root->gradient = root->value;
    root->gradient.buffer = block_of(g, root->block)->buffer;
    root->gradient.offset = 0;
}

static void mark_written(DimVar *var)
{
    var->track->written = TRUE;
    if (var->track->whole) {
        var->track->whole->written = TRUE;
        var->track->whole->columns += var->value.sizes[var->value.rank - 1];
    }
}

/* The result's memory becomes the input's: only for a whole value that nothing was added to yet. */
static gboolean can_move(const Op *op, int i)
{
    const DimVar *in = op->in[i];
    return op->moves == i && in->root == in && op->out->block >= 0 && !in->gradient.buffer;
}

static void place_input(DimGraph *g, Op *op, int i)
{
    DimVar *in = op->in[i], *root = in->root;

    op->first[i] = !in->track->written;
    if (op->first[i] && can_move(op, i)) {
        op->moved = TRUE;
        root->block = op->out->block;
        root->gradient = root->value;
        root->gradient.buffer = op->out->gradient.buffer;
        root->gradient.offset = 0;
    } else if (!root->gradient.buffer) {
        lend_gradient(g, root);
    }
    if (op->first[i])
        mark_written(in);
}

/* One operation's turn on the way back. */
static void place_op(DimGraph *g, Op *op)
{
    DimVar *out = op->out;

    if (!out->wanted || !out->track->written) {
        op->backward = NULL;
        return;
    }
    g_assert(out->track->columns == 0 || out->track->columns == out->track->width);
    for (int i = 0; i < op->n_in; i++)
        if (op->in[i]->wanted)
            place_input(g, op, i);
    if (!op->moved)
        block_of(g, out->block)->lent = FALSE;
}

gboolean dim_graph_finish(DimGraph *g, DimVar *output, GError **error)
{
    g_assert(output->root == output && output->wanted);
    output->track->written = TRUE;
    lend_gradient(g, output);
    for (guint i = g->ops->len; i-- > 0;)
        place_op(g, g->ops->pdata[i]);
    return !g->out_of_memory || dim_fail(error, DIM_ERROR_NO_MEMORY, "training",
                                         "no memory for a micro-batch; expected a smaller one");
}

/* ---- running --------------------------------------------------------------------------------- */

void dim_graph_refresh(DimGraph *g)
{
    for (guint i = 0; i < g->ops->len; i++) {
        Op *op = g->ops->pdata[i];
        if (op->refresh)
            op->refresh(g, op);
    }
}

void dim_graph_forward(DimGraph *g)
{
    for (guint i = 0; i < g->ops->len; i++) {
        Op *op = g->ops->pdata[i];
        op->forward(g, op);
    }
}

void dim_graph_backward(DimGraph *g)
{
    for (guint i = g->ops->len; i-- > 0;) {
        Op *op = g->ops->pdata[i];
        if (op->backward)
            op->backward(g, op);
    }
}
