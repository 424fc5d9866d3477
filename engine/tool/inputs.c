/* What a backbone is evaluated on, out of a file: tensors x, t and y.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tool.h"

#include <string.h>

static gboolean refuse(const char *file, const char *tensor, const char *fault, GError **error)
{
    g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT, "%s: tensor \"%s\" %s", file, tensor, fault);
    return FALSE;
}

static gboolean read_labels(DimWeights *weights, const char *file, ToolInputs *inputs,
                            GError **error)
{
    const DimTensor *t = dim_weights_find(weights, "y");

    if (!t)
        return TRUE;
    if (strcmp(t->dtype, "I64") || t->rank != 1 || t->count != inputs->x.sizes[0])
        return refuse(file, "y", "has another type or shape; expected I64, one for each item of x",
                      error);
    if (!(inputs->y = g_try_new(gint64, t->count))) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY, "%s: no memory for tensor \"y\"", file);
        return FALSE;
    }
    return dim_weights_read_i64(weights, t, inputs->y, error);
}

gboolean tool_read_inputs(const char *file, ToolInputs *inputs, GError **error)
{
    DimWeights *weights = dim_weights_open(file, error);
    gboolean ok = weights && tool_read_f32(weights, file, "x", 4, &inputs->x, error) &&
                  tool_read_f32(weights, file, "t", 1, &inputs->t, error);

    if (ok && inputs->t.sizes[0] != inputs->x.sizes[0])
        ok = refuse(file, "t", "has another number of items than x; expected one for each", error);
    ok = ok && read_labels(weights, file, inputs, error);
    dim_weights_close(&weights);
    if (!ok)
        tool_inputs_clear(inputs);
    return ok;
}

void tool_inputs_clear(ToolInputs *inputs)
{
    dim_array_clear(&inputs->x);
    dim_array_clear(&inputs->t);
    g_clear_pointer(&inputs->y, g_free);
}
