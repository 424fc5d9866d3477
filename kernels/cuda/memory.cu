/* Memory of the card, copies to and from it, weights, and dk_clear.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * All memory comes from the driver's pool in the order of the stream, so that neither taking it nor
 * giving it back waits for the card. Nothing is taken in a step but the scratch block's growth, in
 * the first of its kind. */
#include "kernels/cuda/cuda.h"

#include <assert.h>
#include <stdlib.h>

void *dk_cuda_alloc(DkDevice *dev, size_t bytes)
{
    void *data = nullptr;
    assert(!dk_cuda(dev)->is_capturing);
    if (bytes == 0 || cudaMallocAsync(&data, bytes, dk_cuda(dev)->stream) != cudaSuccess) {
        cudaGetLastError(); /* no memory is the caller's to tell */
        return nullptr;
    }
    dk_cuda(dev)->host->account(dev, bytes, 0);
    return data;
}

void dk_cuda_free(DkDevice *dev, void *data, size_t bytes)
{
    if (!data)
        return;
    assert(!dk_cuda(dev)->is_capturing);
    cudaFreeAsync(data, dk_cuda(dev)->stream);
    dk_cuda(dev)->host->account(dev, 0, bytes);
}

/* What the pool keeps of what was freed counts as taken with the driver. */
int64_t dk_cuda_free_bytes(const DkDevice *)
{
    size_t left = 0, all = 0;
    uint64_t reserved = 0, used = 0;
    cudaMemPool_t pool;
    cudaError_t error = cudaMemGetInfo(&left, &all);
    error = error ? error : cudaDeviceGetDefaultMemPool(&pool, 0);
    error =
        error ? error : cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved);
    error = error ? error : cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used);
    if (error == cudaSuccess)
        return (int64_t)(left + reserved - used);
    cudaGetLastError(); /* an error that sticks is told by the next operation */
    return INT64_MAX;
}

void *dk_cuda_scratch(DkDevice *dev, size_t bytes)
{
    DkCuda *cuda = dk_cuda(dev);
    if (bytes <= cuda->scratch_bytes)
        return cuda->scratch;
    dk_cuda_free(dev, cuda->scratch, cuda->scratch_bytes);
    cuda->scratch = dk_cuda_alloc(dev, bytes);
    cuda->scratch_bytes = cuda->scratch ? bytes : 0;
    if (!cuda->scratch)
        cuda->host->fail(dev, DK_NO_MEMORY);
    return cuda->scratch;
}

DkBuffer *dk_cuda_buffer_new(DkDevice *dev, size_t bytes)
{
    DkBuffer *buffer = static_cast<DkBuffer *>(malloc(sizeof *buffer));
    if (!buffer)
        return nullptr;
    buffer->bytes = bytes;
    buffer->data = static_cast<unsigned char *>(dk_cuda_alloc(dev, bytes));
    if (!buffer->data) {
        free(buffer);
        return nullptr;
    }
    return buffer;
}

void dk_cuda_buffer_free(DkDevice *dev, DkBuffer **buffer)
{
    dk_cuda_free(dev, (*buffer)->data, (*buffer)->bytes);
    free(*buffer);
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* Bytes of a row, bytes from row to row, and how many rows. */
struct Pitch {
    size_t row, stride, n;
};

static Pitch pitch(DkTensor t)
{
    const size_t size = dk_type_size(t.type), n = (size_t)dk_rows(t);
    const size_t row = (size_t)dk_columns(t) * size;
    if (n == 1 || t.row_stride == dk_columns(t))
        return {row * n, row * n, 1};
    return {row, (size_t)t.row_stride * size, n};
}

/* The runtime has read pageable memory when it returns, so the host's copy may go. */
void dk_cuda_write(DkDevice *dev, DkTensor y, const void *host)
{
    const Pitch p = pitch(y);
    dk_cuda_check(dev,
                  cudaMemcpy2DAsync(dk_data(y), p.stride, host, p.row, p.row, p.n,
                                    cudaMemcpyHostToDevice, dk_cuda(dev)->stream),
                  "writing");
}

void dk_cuda_read(DkDevice *dev, void *host, DkTensor x)
{
    const Pitch p = pitch(x);
    const cudaStream_t stream = dk_cuda(dev)->stream;
    if (dk_cuda_check(dev,
                      cudaMemcpy2DAsync(host, p.row, dk_data(x), p.stride, p.row, p.n,
                                        cudaMemcpyDeviceToHost, stream),
                      "reading"))
        dk_cuda_check(dev, cudaStreamSynchronize(stream), "reading");
}

void dk_cuda_clear(DkDevice *dev, DkTensor y)
{
    const Pitch p = pitch(y);
    dk_cuda_check(dev, cudaMemset2DAsync(dk_data(y), p.stride, 0, p.row, p.n, dk_cuda(dev)->stream),
                  "clear");
}

/* ---- weights --------------------------------------------------------------------------------- */

DkWeight *dk_cuda_weight_new(DkDevice *dev, DkWeightKind kind, int64_t n, int64_t k, int kh, int kw,
                             size_t bytes)
{
    DkWeight *w = static_cast<DkWeight *>(calloc(1, sizeof *w));
    if (!w)
        return nullptr;
    w->kind = kind;
    w->n = n;
    w->k = k;
    w->kh = kh;
    w->kw = kw;
    w->products = kind == DK_WEIGHT_LINEAR ? dev->products : DK_PRODUCTS_F32;
    w->bytes = bytes;
    w->data = static_cast<float *>(dk_cuda_alloc(dev, bytes));
    if (!w->data) {
        free(w);
        return nullptr;
    }
    return w;
}

DkWeight *dk_cuda_weight_fill(DkDevice *dev, DkWeight *w, const void *host)
{
    if (w && !dk_cuda_check(dev,
                            cudaMemcpyAsync(w->data, host, w->bytes, cudaMemcpyHostToDevice,
                                            dk_cuda(dev)->stream),
                            "writing weights"))
        dk_cuda_weight_free(dev, &w);
    return w;
}

void dk_cuda_weight_free(DkDevice *dev, DkWeight **w)
{
    dk_cuda_free(dev, (*w)->data, (*w)->bytes);
    free(*w);
    *w = nullptr;
}
