/* From a weight file to the device.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "weights-upload.h"

#include <string.h>

#include "error.h"
#include "weights.h"

enum { ALIGN = 64 };

char *dim_shape_text(int rank, const gint64 *sizes)
{
    GString *text = g_string_new("[");

    for (int i = 0; i < MIN(rank, 8); i++)
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT, i ? ", " : "", sizes[i]);
    g_string_append(text, rank > 8 ? ", ..]" : "]");
    return g_string_free(text, FALSE);
}

gboolean dim_tensor_is_float(const DimTensor *tensor)
{
    static const char *const types[] = {"F32", "F16", "BF16", "F64", NULL};
    return g_strv_contains(types, tensor->dtype);
}

const DimTensor *dim_weights_need(const DimWeights *weights, const char *name, int rank,
                                  const gint64 *sizes, GError **error)
{
    const DimTensor *tensor = dim_weights_find(weights, name);
    g_autofree char *want = dim_shape_text(rank, sizes);

    if (!tensor) {
        dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                 "tensor " DIM_NAME " is missing; expected one of shape %s", name, want);
        return NULL;
    }
    if (!dim_tensor_is_float(tensor)) {
        dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                 "tensor " DIM_NAME " has type %s; expected F32, F16, BF16 or F64", name,
                 tensor->dtype);
        return NULL;
    }
    if (tensor->rank != rank || memcmp(tensor->sizes, sizes, rank * sizeof *sizes)) {
        g_autofree char *got = dim_shape_text(tensor->rank, tensor->sizes);
        dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                 "tensor " DIM_NAME " has shape %s; expected %s", name, got, want);
        return NULL;
    }
    return tensor;
}

float *dim_weights_values(DimWeights *weights, const DimTensor *tensor, GError **error)
{
    g_autofree float *values = g_try_new(float, MAX(tensor->count, 1));

    if (!values) {
        dim_fail_memory(error, weights->origin, tensor->count * sizeof *values);
        return NULL;
    }
    if (!dim_weights_read_f32(weights, tensor, values, error))
        return NULL;
    return g_steal_pointer(&values);
}

static gsize aligned(gint64 count)
{
    return ((gsize)count * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
}

void dim_vectors_room(DimVectors *vectors, gint64 count)
{
    vectors->bytes += aligned(count);
}

gboolean dim_vectors_begin(DimVectors *vectors, DkDevice *dk, GError **error)
{
    vectors->used = 0;
    vectors->buffer = dk_buffer_new(dk, MAX(vectors->bytes, ALIGN));
    if (!vectors->buffer)
        g_set_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY, "no memory for %zu bytes of weights",
                    vectors->bytes);
    return vectors->buffer != NULL;
}

DkTensor dim_vectors_put(DimVectors *vectors, DkDevice *dk, const float *values, gint64 count)
{
    g_assert(vectors->used + aligned(count) <= vectors->bytes);
    const DkTensor y = dk_tensor(vectors->buffer, vectors->used, DK_F32, 1, (int64_t[]){count});
    vectors->used += aligned(count);
    dk_write(dk, y, values);
    return y;
}

void dim_vectors_clear(DimVectors *vectors, DkDevice *dk)
{
    if (vectors->buffer)
        dk_buffer_free(dk, &vectors->buffer);
    *vectors = (DimVectors){0};
}
