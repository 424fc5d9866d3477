/* Matrix products on the host: plain loops that gcc makes vectors of.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Each sum is of LANES partial sums, whatever m is. */
#include "kernels/cuda/products.h"

#include <stdlib.h>

#include <vector>

struct DkCudaProducts {
    int unused;
};

DkCudaProducts *dk_cuda_products_open(DkDevice *)
{
    return new DkCudaProducts{};
}

void dk_cuda_products_close(DkDevice *, DkCudaProducts *products)
{
    delete products;
}

namespace {

enum { LANES = 16 };

/* A matrix as the product takes it. */
struct Matrix {
    const void *at;
    int64_t stride;
    bool transposed;
    DkProducts products;

    float element(int64_t i) const
    {
        if (products == DK_PRODUCTS_BF16)
            return __bfloat162float(static_cast<const DkBf16 *>(at)[i]);
        if (products == DK_PRODUCTS_F16)
            return __half2float(static_cast<const DkF16 *>(at)[i]);
        return static_cast<const float *>(at)[i];
    }
};

/* x[rows][room] of a matrix whose `rows` rows of k are wanted, zeros up to `room`. */
std::vector<float> gather(const Matrix &m, int64_t rows, int64_t k, int64_t room)
{
    std::vector<float> x((size_t)(rows * room));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < k; j++)
            x[(size_t)(i * room + j)] =
                m.element(m.transposed ? j * m.stride + i : i * m.stride + j);
    return x;
}

float dot(const float *a, const float *b, int64_t n)
{
    float sums[LANES] = {};
    float sum = 0;
    for (int64_t i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++)
            sums[j] += a[i + j] * b[i + j];
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    return sum;
}

float apply(float x, DkAct act)
{
    if (act == DK_ACT_RELU)
        return x > 0 ? x : 0;
    if (act == DK_ACT_GELU)
        return x / (1 + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    return x;
}

void multiply(const DkCudaProduct &p, int64_t batch)
{
    const int64_t size = dk_cuda_operand_bytes(p.products),
                  room = (p.k + LANES - 1) / LANES * LANES;
    const Matrix a = {static_cast<const char *>(p.a) + batch * p.a_batch * size, p.a_stride,
                      p.a_transposed, p.products};
    const Matrix b = {static_cast<const char *>(p.b) + batch * p.b_batch * size, p.b_stride,
                      !p.b_transposed, p.products};
    const std::vector<float> rows = gather(a, p.m, p.k, room), columns = gather(b, p.n, p.k, room);
    for (int64_t i = 0; i < p.m; i++)
        for (int64_t j = 0; j < p.n; j++) {
            float *c = p.c + batch * p.c_batch + i * p.c_stride + j;
            const float old = p.accumulate ? *c : 0, bias = p.bias ? p.bias[j] : 0;
            *c = apply(dot(&rows[(size_t)(i * room)], &columns[(size_t)(j * room)], room) + old +
                           bias,
                       p.act);
        }
}

} // namespace

void dk_cuda_product(DkDevice *dev, const DkCudaProduct *product)
{
    const DkCudaProduct p = *product;
    if (!dk_cuda_product_has(p.act))
        abort();
    cuda_host_enqueue(dk_cuda(dev)->stream, {p.a, p.b, p.c, p.bias}, [p] {
        for (int64_t i = 0; i < p.n_batch; i++)
            multiply(p, i);
    });
    dk_cuda_enqueued(dev, 1);
}
