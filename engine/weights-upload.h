/* From a weight file to the device: a tensor looked up by name, its shape checked, its values
 * packed for one operation.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_WEIGHTS_UPLOAD_H
#define DIM_WEIGHTS_UPLOAD_H

#include "dim.h"
#include "kernels/dk.h"

/* "[512, 4, 3, 3]", for errors; g_free. */
char *dim_shape_text(int rank, const gint64 *sizes);
/* F32, F16, BF16 or F64. */
gboolean dim_tensor_is_float(const DimTensor *tensor);
/* The tensor `name` of a float type and of this shape, or NULL and an error that says what is there
 * instead. */
const DimTensor *dim_weights_need(const DimWeights *weights, const char *name, int rank,
                                  const gint64 *sizes, GError **error);
/* All values of a tensor as f32; g_free. DIM_ERROR_NO_MEMORY. */
float *dim_weights_values(DimWeights *weights, const DimTensor *tensor, GError **error);

/* Many small vectors and tables in one buffer: add up the room first, then put them one by one. */
typedef struct {
    DkBuffer *buffer;
    gsize used, bytes;
} DimVectors;

void dim_vectors_room(DimVectors *vectors,
                      gint64 count); /* before dim_vectors_begin, once for each put */
gboolean dim_vectors_begin(DimVectors *vectors, DkDevice *dk, GError **error);
DkTensor dim_vectors_put(DimVectors *vectors, DkDevice *dk, const float *values, gint64 count);
void dim_vectors_clear(DimVectors *vectors, DkDevice *dk);

#endif
