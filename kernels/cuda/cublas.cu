/* Matrix products by cuBLASLt.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * cuBLASLt counts in columns: our row-major c[m, n] is its n x m matrix, b its first operand, a its
 * second, and the bias runs along its rows. f32 products are exact f32 (no TF32).
 *
 * An algorithm is chosen once for a kind of product (Kind), as if m were M_CHOICE and without
 * splitting k: the same row has the same bits alone, in a batch and in a strip. Where a card's
 * library cannot run that choice at another m, it is asked for that m. */
#include "kernels/cuda/products.h"

#include <cublasLt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { M_CHOICE = 1024, WORKSPACE_BYTES = 32 << 20, N_KINDS = 256 };

/* All that a choice depends on but m. Compared byte by byte: cleared before it is filled. */
struct Kind {
    int64_t n, k, n_batch;
    int32_t a_transposed, b_transposed, products, accumulate, biased, act, alignment;
};

struct Choice {
    Kind kind;
    cublasLtMatmulAlgo_t algorithm;
};

struct DkCudaProducts {
    cublasLtHandle_t handle;
    void *workspace;
    int n_choices, oldest; /* a full table drops the oldest */
    Choice choices[N_KINDS];
};

static bool check(DkDevice *dev, cublasStatus_t status, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return true;
    snprintf(dev->problem, sizeof dev->problem, "cuBLASLt: %s: %s", what,
             cublasLtGetStatusString(status));
    dk_cuda(dev)->host->fail(dev, DK_DEVICE_FAILED);
    return false;
}

DkCudaProducts *dk_cuda_products_open(DkDevice *dev)
{
    DkCudaProducts *products = static_cast<DkCudaProducts *>(calloc(1, sizeof *products));
    if (!products)
        return nullptr;
    const cublasStatus_t status = cublasLtCreate(&products->handle);
    products->workspace = status ? nullptr : dk_cuda_alloc(dev, WORKSPACE_BYTES);
    if (products->workspace)
        return products;
    snprintf(dev->problem, sizeof dev->problem, "cuBLASLt cannot be opened: %s",
             status ? cublasLtGetStatusString(status) : "the card has no memory");
    dk_cuda_products_close(dev, products);
    return nullptr;
}

void dk_cuda_products_close(DkDevice *dev, DkCudaProducts *products)
{
    dk_cuda_free(dev, products->workspace, WORKSPACE_BYTES);
    if (products->handle)
        cublasLtDestroy(products->handle);
    free(products);
}

/* ---- what the library is told ---------------------------------------------------------------- */

struct Problem {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c; /* the library's: b, a and c of ours */
};

static cublasLtEpilogue_t epilogue(const DkCudaProduct *p)
{
    if (p->act == DK_ACT_RELU)
        return p->bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    if (p->act == DK_ACT_GELU) /* its tanh form */
        return p->bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    return p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

static cublasStatus_t make_operation(const DkCudaProduct *p, cublasLtMatmulDesc_t *operation)
{
    const cublasOperation_t first = p->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t second = p->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t end = epilogue(p);
    cublasStatus_t s = cublasLtMatmulDescCreate(operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (s)
        return s;
    s = cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_TRANSA, &first,
                                       sizeof first);
    s = s ? s
          : cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_TRANSB, &second,
                                           sizeof second);
    s = s ? s
          : cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &end,
                                           sizeof end);
    if (!s && p->bias)
        s = cublasLtMatmulDescSetAttribute(*operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias,
                                           sizeof p->bias);
    return s;
}

static cublasStatus_t make_layout(cublasLtMatrixLayout_t *layout, cudaDataType type, int64_t rows,
                                  int64_t columns, int64_t stride, int64_t n_batch, int64_t batch)
{
    const int32_t count = (int32_t)n_batch;
    cublasStatus_t s =
        cublasLtMatrixLayoutCreate(layout, type, (uint64_t)rows, (uint64_t)columns, stride);
    if (s || n_batch == 1)
        return s;
    s = cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                         sizeof count);
    return s ? s
             : cublasLtMatrixLayoutSetAttribute(
                   *layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch, sizeof batch);
}

static cublasStatus_t make_problem(const DkCudaProduct *p, int64_t m, Problem *t)
{
    const cudaDataType type = p->products == DK_PRODUCTS_BF16  ? CUDA_R_16BF
                              : p->products == DK_PRODUCTS_F16 ? CUDA_R_16F
                                                               : CUDA_R_32F;
    cublasStatus_t s = make_operation(p, &t->operation);
    s = s ? s
          : make_layout(&t->a, type, p->b_transposed ? p->k : p->n, p->b_transposed ? p->n : p->k,
                        p->b_stride, p->n_batch, p->b_batch);
    s = s ? s
          : make_layout(&t->b, type, p->a_transposed ? m : p->k, p->a_transposed ? p->k : m,
                        p->a_transposed && m > p->a_stride ? m : p->a_stride, p->n_batch,
                        p->a_batch);
    return s ? s : make_layout(&t->c, CUDA_R_32F, p->n, m, p->c_stride, p->n_batch, p->c_batch);
}

static void free_problem(Problem *t)
{
    if (t->operation)
        cublasLtMatmulDescDestroy(t->operation);
    for (cublasLtMatrixLayout_t layout : {t->a, t->b, t->c})
        if (layout)
            cublasLtMatrixLayoutDestroy(layout);
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* Largest power of two up to 16 that a pointer and a row's bytes are multiples of. */
static int32_t alignment(const void *at, int64_t stride, int64_t size)
{
    const uintptr_t bits = reinterpret_cast<uintptr_t>(at) | (uintptr_t)(stride * size) | 16;
    return (int32_t)(bits & -bits);
}

static int32_t least_alignment(const DkCudaProduct *p)
{
    const int64_t size = dk_cuda_operand_bytes(p->products);
    int32_t least = alignment(p->c, p->c_stride, 4);
    for (int32_t other : {alignment(p->a, p->a_stride, size), alignment(p->b, p->b_stride, size)})
        least = other < least ? other : least;
    return least;
}

static Kind kind_of(const DkCudaProduct *p)
{
    Kind kind;
    memset(&kind, 0, sizeof kind);
    kind.n = p->n;
    kind.k = p->k;
    kind.n_batch = p->n_batch;
    kind.a_transposed = p->a_transposed;
    kind.b_transposed = p->b_transposed;
    kind.products = p->products;
    kind.accumulate = p->accumulate;
    kind.biased = p->bias != nullptr;
    kind.act = p->act;
    kind.alignment = least_alignment(p);
    return kind;
}

static cublasStatus_t prefer(cublasLtMatmulPreference_t preference, uint32_t align)
{
    const size_t workspace = WORKSPACE_BYTES;
    const uint32_t no_split = CUBLASLT_REDUCTION_SCHEME_NONE;
    cublasStatus_t s = cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    s = s ? s
          : cublasLtMatmulPreferenceSetAttribute(
                preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_split, sizeof no_split);
    for (cublasLtMatmulPreferenceAttributes_t operand :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
        s = s ? s : cublasLtMatmulPreferenceSetAttribute(preference, operand, &align, sizeof align);
    return s;
}

static cublasStatus_t ask(const DkCudaProducts *products, const DkCudaProduct *p, int64_t m,
                          cublasLtMatmulAlgo_t *algorithm)
{
    Problem t = {};
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulHeuristicResult_t best = {};
    int n = 0;
    cublasStatus_t s = make_problem(p, m, &t);
    s = s ? s : cublasLtMatmulPreferenceCreate(&preference);
    s = s ? s : prefer(preference, (uint32_t)least_alignment(p));
    s = s ? s
          : cublasLtMatmulAlgoGetHeuristic(products->handle, t.operation, t.a, t.b, t.c, t.c,
                                           preference, 1, &best, &n);
    if (preference)
        cublasLtMatmulPreferenceDestroy(preference);
    free_problem(&t);
    *algorithm = best.algo;
    return s == CUBLAS_STATUS_SUCCESS && n == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : s;
}

static cublasStatus_t choose(DkCudaProducts *products, const DkCudaProduct *p,
                             cublasLtMatmulAlgo_t *algorithm)
{
    const Kind kind = kind_of(p);
    for (int i = 0; i < products->n_choices; i++)
        if (memcmp(&products->choices[i].kind, &kind, sizeof kind) == 0) {
            *algorithm = products->choices[i].algorithm;
            return CUBLAS_STATUS_SUCCESS;
        }
    const cublasStatus_t status = ask(products, p, M_CHOICE, algorithm);
    if (status)
        return status;
    int at = products->n_choices;
    if (at == N_KINDS)
        at = products->oldest++ % N_KINDS;
    else
        products->n_choices++;
    products->choices[at].kind = kind;
    products->choices[at].algorithm = *algorithm;
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

static cublasStatus_t run(const DkCuda *cuda, const DkCudaProduct *p, const Problem *t)
{
    DkCudaProducts *products = cuda->products;
    const float one = 1, old = p->accumulate ? 1 : 0;
    cublasLtMatmulAlgo_t algorithm;
    cublasLtMatmulHeuristicResult_t fit = {};
    cublasStatus_t s = choose(products, p, &algorithm);
    if (s ||
        cublasLtMatmulAlgoCheck(products->handle, t->operation, t->a, t->b, t->c, t->c, &algorithm,
                                &fit) ||
        fit.workspaceSize > WORKSPACE_BYTES)
        s = ask(products, p, p->m, &algorithm);
    return s ? s
             : cublasLtMatmul(products->handle, t->operation, &one, p->b, t->a, p->a, t->b, &old,
                              p->c, t->c, p->c, t->c, &algorithm, products->workspace,
                              WORKSPACE_BYTES, cuda->stream);
}

void dk_cuda_product(DkDevice *dev, const DkCudaProduct *p)
{
    Problem t = {};
    cublasStatus_t status = make_problem(p, p->m, &t);
    status = status ? status : run(dk_cuda(dev), p, &t);
    free_problem(&t);
    check(dev, status, "product");
    dk_cuda_enqueued(dev, 1);
}
