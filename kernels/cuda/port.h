/* What a kernel is written in: CUDA C++ under nvcc, the same words under any C++ compiler that is
 * given a <cuda-on-host.h> (the tests' one runs a block's threads as fibers).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Kernels use CUDA's own names (threadIdx, __syncthreads, __shfl_xor_sync, float4, ...) and, where
 * the two differ, these:
 *
 *     DK_SHARED(float, tile, [32][33]);       shared memory of the block: tile[i][j]
 *     DK_SHARED_DYNAMIC(float, rows);         float *rows: the launch's shared bytes
 *     DK_LAUNCH(dev, kernel, grid, block, shared_bytes, arguments...);  (cuda.h)
 *     DK_UNROLL                               before a loop whose index picks registers
 *     DK_UNROLL_BY(2)                         before one that wants fewer of them
 *
 * A name with template arguments goes in parentheses: DK_LAUNCH(dev, (scale<4>), ...).
 *
 * Not here, on purpose: atomics on floats, whose sums depend on the order of threads; fast-math
 * intrinsics (__expf), whose errors the kernel tests do not allow; dk_exp2 is as good as exp2f. */
#ifndef DK_CUDA_PORT_H
#define DK_CUDA_PORT_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define DK_SHARED(type, name, extent) __shared__ type name extent
/* One raw block for all instantiations of a template, whatever their types. */
#define DK_SHARED_DYNAMIC(type, name)                                                              \
    extern __shared__ float4 dk_shared_dynamic_[];                                                 \
    type *name = reinterpret_cast<type *>(dk_shared_dynamic_)
#define DK_PORT_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                             \
    kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__)
#define DK_PORT_ALLOW_SHARED(kernel, bytes)                                                        \
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)(bytes))
#define DK_UNROLL _Pragma("unroll")
#define DK_PRAGMA(text) _Pragma(#text)
#define DK_UNROLL_BY(n) DK_PRAGMA(unroll n)

#else

#include <cuda-on-host.h>

#define DK_UNROLL
#define DK_UNROLL_BY(n)

#endif

/* Operands of products. Conversion rounds to nearest, ties to even; what is finite stays so. */
typedef __nv_bfloat16 DkBf16;
typedef __half DkF16;

template <class T> static inline __host__ __device__ T dk_to(float x);

template <> inline __host__ __device__ float dk_to(float x)
{
    return x;
}

template <> inline __host__ __device__ DkBf16 dk_to(float x)
{
    return __float2bfloat16_rn(x);
}

template <> inline __host__ __device__ DkF16 dk_to(float x)
{
    return __float2half_rn(fabsf(x) <= FLT_MAX ? fminf(fmaxf(x, -65504), 65504) : x);
}

/* 2^x to 2^-22 of it, and 0 below the smallest normal number: one instruction, where exp2f takes
 * four for the sake of denormals. */
static inline __device__ float dk_exp2(float x)
{
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return x < -126 ? 0 : exp2f(x);
#endif
}

#endif
