/* Host buffers, copies and unpacked weights.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <stdlib.h>
#include <string.h>

DkBuffer *dk_ref_buffer_new(DkDevice *dev, size_t bytes)
{
    DkBuffer *buffer = malloc(sizeof *buffer);
    if (!buffer)
        return NULL;
    buffer->bytes = bytes;
    buffer->data = dk_host_alloc(dev, bytes);
    if (!buffer->data) {
        free(buffer);
        return NULL;
    }
    return buffer;
}

void dk_ref_buffer_free(DkDevice *dev, DkBuffer **buffer)
{
    dk_host_free(dev, (*buffer)->data, (*buffer)->bytes);
    free(*buffer);
}

void dk_ref_write(DkDevice *dev, DkTensor y, const void *host)
{
    const size_t size = dk_type_size(y.type), row = (size_t)dk_columns(y) * size;
    for (int64_t i = 0; i < dk_rows(y); i++)
        memcpy((char *)dk_data(y) + (size_t)(i * y.row_stride) * size,
               (const char *)host + (size_t)i * row, row);
}

void dk_ref_read(DkDevice *dev, void *host, DkTensor x)
{
    const size_t size = dk_type_size(x.type), row = (size_t)dk_columns(x) * size;
    for (int64_t i = 0; i < dk_rows(x); i++)
        memcpy((char *)host + (size_t)i * row,
               (char *)dk_data(x) + (size_t)(i * x.row_stride) * size, row);
}

void dk_ref_clear(DkDevice *dev, DkTensor y)
{
    const size_t size = dk_type_size(y.type);
    for (int64_t i = 0; i < dk_rows(y); i++)
        memset((char *)dk_data(y) + (size_t)(i * y.row_stride) * size, 0,
               (size_t)dk_columns(y) * size);
}

/* ---- repeats: a call is all that there is to keep -------------------------------------------- */

void dk_ref_repeat(DkDevice *dev, DkRepeat **kept, void (*enqueue)(void *data), void *data)
{
    enqueue(data);
}

void dk_ref_repeat_free(DkDevice *dev, DkRepeat **kept)
{
}

/* ---- weights --------------------------------------------------------------------------------- */

DkWeight *dk_weight_alloc(DkDevice *dev, DkWeightKind kind, int64_t n, int64_t k, int kh, int kw,
                          size_t floats)
{
    DkWeight *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    *w = (DkWeight){.kind = kind, .n = n, .k = k, .kh = kh, .kw = kw};
    w->products = kind == DK_WEIGHT_LINEAR ? dev->products : DK_PRODUCTS_F32;
    w->bytes = floats * sizeof(float);
    w->data = floats <= SIZE_MAX / sizeof(float) ? dk_host_alloc(dev, w->bytes) : NULL;
    if (!w->data) {
        free(w);
        return NULL;
    }
    return w;
}

void dk_weight_release(DkDevice *dev, DkWeight *w)
{
    dk_host_free(dev, w->data, w->bytes);
    free(w);
}

static DkWeight *copy_as_given(DkDevice *dev, DkWeightKind kind, const float *values, int64_t n,
                               int64_t k, int kh, int kw)
{
    const size_t floats = (size_t)n * (size_t)k * (size_t)kh * (size_t)kw;
    DkWeight *w = dk_weight_alloc(dev, kind, n, k, kh, kw, floats);
    for (size_t i = 0; w && i < floats; i++)
        w->data[i] = dk_operand(values[i], w->products);
    return w;
}

DkWeight *dk_ref_weight_linear(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    return copy_as_given(dev, DK_WEIGHT_LINEAR, w, n, k, 1, 1);
}

DkWeight *dk_ref_weight_conv2d(DkDevice *dev, const float *w, int64_t out, int64_t in, int kh,
                               int kw)
{
    return copy_as_given(dev, DK_WEIGHT_CONV2D, w, out, in, kh, kw);
}

DkWeight *dk_ref_weight_scan(DkDevice *dev, const float *a, int64_t e, int64_t n)
{
    return copy_as_given(dev, DK_WEIGHT_SCAN, a, e, n, 1, 1);
}

void dk_ref_weight_free(DkDevice *dev, DkWeight **w)
{
    dk_weight_release(dev, *w);
}
