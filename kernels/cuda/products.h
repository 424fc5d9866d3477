/* Matrix products, by cuBLASLt (cublas.cu); where kernels run on the host, by plain loops.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_PRODUCTS_H
#define DK_CUDA_PRODUCTS_H

#include "kernels/cuda/cuda.h"

/* c[m, n] = act (a[m, k] · b[k, n] + bias[n] + (accumulate ? c : 0)), row-major, n_batch times. A
 * transposed a lies as [k, m], b as [n, k]. Sums are f32; their order depends neither on m nor on
 * time. */
struct DkCudaProduct {
    int64_t m, n, k, n_batch;
    const void *a, *b;   /* floats, or 16-bit numbers */
    DkProducts products; /* which of them */
    float *c;
    int64_t a_stride, b_stride, c_stride; /* elements from row to row */
    int64_t a_batch, b_batch, c_batch;    /* and from one of the batch to the next */
    bool a_transposed, b_transposed, accumulate;
    const float *bias; /* NULL: none */
    DkAct act;         /* those of dk_cuda_product_has */
};

/* Bytes of an operand's number. */
static inline int64_t dk_cuda_operand_bytes(DkProducts products)
{
    return products == DK_PRODUCTS_F32 ? 4 : 2;
}

/* Activations that the product applies itself; others take a pass of their own. */
static inline bool dk_cuda_product_has(DkAct act)
{
    return act == DK_ACT_NONE || act == DK_ACT_RELU || act == DK_ACT_GELU;
}

/* NULL: it cannot be used, and dev->problem says why. */
DkCudaProducts *dk_cuda_products_open(DkDevice *dev);
void dk_cuda_products_close(DkDevice *dev, DkCudaProducts *products);
/* Enqueues the product; an error sticks. */
void dk_cuda_product(DkDevice *dev, const DkCudaProduct *p);

#endif
