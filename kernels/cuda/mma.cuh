/* A product of bf16 or f16 matrices by the tensor cores of a warp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * c[16, 8] += a[16, 16] · b[16, 8], sums in f32. With g = lane / 4 and t = lane % 4 a lane has
 *     a[0], a[1]: columns 2t and 2t + 1 of the rows g and g + 8; a[2], a[3]: the same 8 columns on
 *     b[0]: rows 2t and 2t + 1 of the column g; b[1]: the same 8 rows on
 *     c[0], c[1]: columns 2t and 2t + 1 of the row g; c[2], c[3]: of the row g + 8
 * two numbers a word, the first one in its low half (PTX ISA, mma.m16n8k16). So what two products
 * have left in c is, rounded, what the next one takes as a. Cards of 7.5 have f16 alone, and half
 * of the depth at a time (mma.m16n8k8): a[0] and a[1] with b[0], then the rest. */
#ifndef DK_CUDA_MMA_CUH
#define DK_CUDA_MMA_CUH

#include "kernels/cuda/cuda.h"

#include <string.h>

template <class T> static inline __device__ uint32_t dk_pair(T low, T high)
{
    uint16_t halves[2];
    memcpy(&halves[0], &low, 2);
    memcpy(&halves[1], &high, 2);
    return (uint32_t)halves[1] << 16 | halves[0];
}

template <class T> static inline __device__ uint32_t dk_round_pair(float low, float high)
{
    return dk_pair(dk_to<T>(low), dk_to<T>(high));
}

/* Of bf16 numbers. */
static inline __device__ float dk_low(uint32_t pair)
{
    return __int_as_float((int)(pair << 16));
}

static inline __device__ float dk_high(uint32_t pair)
{
    return __int_as_float((int)(pair & 0xffff0000));
}

/* The same of bf16 numbers by each lane for itself, for cards before 8.0: 32 exchanges where those
 * have one instruction. */
static inline __device__ void dk_mma_by_lanes(float (&c)[4], const uint32_t (&a)[4],
                                              const uint32_t (&b)[2])
{
    const int lane = (int)(threadIdx.x % 32), t = lane % 4;
    DK_UNROLL_BY(1)
    for (int k = 0; k < 8; k++) { /* two rows of b */
        uint32_t rows[2], columns[2];
        for (int i = 0; i < 2; i++) {
            const uint32_t near = __shfl_sync(0xffffffffu, a[i], (lane & ~3) + k % 4);
            const uint32_t far = __shfl_sync(0xffffffffu, a[2 + i], (lane & ~3) + k % 4);
            rows[i] = k < 4 ? near : far;
            const int from = (2 * t + i) * 4 + k % 4;
            const uint32_t first = __shfl_sync(0xffffffffu, b[0], from);
            const uint32_t second = __shfl_sync(0xffffffffu, b[1], from);
            columns[i] = k < 4 ? first : second;
        }
        for (int i = 0; i < 4; i++) {
            c[i] = fmaf(dk_low(rows[i / 2]), dk_low(columns[i % 2]), c[i]);
            c[i] = fmaf(dk_high(rows[i / 2]), dk_high(columns[i % 2]), c[i]);
        }
    }
}

/* 80: the kernel's code may use what came with 8.0. */
template <class Kernel> static inline int dk_mma_arch(Kernel *kernel)
{
#ifdef __CUDACC__
    cudaFuncAttributes of;
    return cudaFuncGetAttributes(&of, kernel) == cudaSuccess ? of.ptxVersion : 0;
#else
    return cuda_host_has_mma() ? 80 : 75;
#endif
}

template <class T>
static inline __device__ void dk_mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

template <>
inline __device__ void dk_mma<DkBf16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(__CUDACC__)
    dk_mma_by_lanes(c, a, b);
#else
    if (cuda_host_has_mma())
        cuda_host_mma<DkBf16>(c, a, b);
    else
        dk_mma_by_lanes(c, a, b);
#endif
}

template <>
inline __device__ void dk_mma<DkF16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(__CUDACC__)
    for (int i = 0; i < 2; i++)
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                     "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2 * i]), "r"(a[2 * i + 1]), "r"(b[i]));
#else
    cuda_host_mma<DkF16>(c, a, b);
#endif
}

#endif
