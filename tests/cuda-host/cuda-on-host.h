/* CUDA's words for a C++ compiler: kernels of kernels/cuda/ executed on the host, for tests.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A block's threads run as fibers, one at a time: a thread runs straight through until it waits for
 * others (__syncthreads, __syncwarp, shuffles, votes). The blocks run one after another. What this
 * finds, with one line that names kernel, block and thread, and the end of the program:
 *   - barriers and shuffles that not all threads reach, or that they reach at different places;
 *   - results that depend on the order of threads or blocks: DIM_CUDA_HOST_ORDER=forward, reverse
 *     or a number, the seed of a random order;
 *   - shared memory that is read before it is written (it is full of NaN before each block), or
 *     accessed out of its bounds;
 *   - launches and shared memory beyond what every card has;
 *   - in the checking build (check.cc): each access is checked against what is allocated, and two
 *     threads that touch the same bytes without a barrier in between, one of them writing, are
 *     found; traffic is counted;
 *   - writes beside allocations, in every build;
 *   - what may not be done while a stream is captured, and a graph whose memory was freed since.
 * Single-threaded: all of the program's CUDA calls come from one thread. */
#ifndef CUDA_ON_HOST_H
#define CUDA_ON_HOST_H

#include "cuda-on-host-api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __ldg(pointer) (*(pointer))

/* ---- vector types ---------------------------------------------------------------------------- */

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(16) double2 {
    double x, y;
};

static inline float2 make_float2(float x, float y)
{
    return {x, y};
}

static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

static inline int2 make_int2(int x, int y)
{
    return {x, y};
}

static inline int4 make_int4(int x, int y, int z, int w)
{
    return {x, y, z, w};
}

static inline double2 make_double2(double x, double y)
{
    return {x, y};
}

struct __nv_bfloat16 {
    uint16_t bits;
};

static inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return {0x7fff};
    return {(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

static inline float __bfloat162float(__nv_bfloat16 x)
{
    const uint32_t bits = (uint32_t)x.bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct __half {
    uint16_t bits;
};

/* Of a number's size m · 2^e, 0.5 <= m < 1, f16 keeps multiples of 2^(e - 11), and of 2^-24. */
static inline __half __float2half_rn(float x)
{
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    int e;
    frexpf(x, &e);
    if (x != x)
        return {0x7fff};
    if (fabsf(x) >= 65520)
        return {(uint16_t)(sign | 0x7c00)};
    e = e < -13 ? -13 : e;
    const float n = nearbyintf(ldexpf(fabsf(x), 11 - e)); /* up to 2048: the next exponent */
    return {(uint16_t)(sign | (n == 0 ? 0 : ((e + 13) << 10) + (int)n))};
}

static inline float __half2float(__half x)
{
    const int e = x.bits >> 10 & 31, m = x.bits & 1023;
    const float size = e == 31 ? (m ? NAN : INFINITY)
                       : e     ? ldexpf((float)(1024 + m), e - 25)
                               : ldexpf((float)m, -24);
    return x.bits & 0x8000 ? -size : size;
}

static inline float cuda_host_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

static inline float cuda_host_float(__half x)
{
    return __half2float(x);
}

/* ---- mathematics ----------------------------------------------------------------------------- */

static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}

static inline float __int_as_float(int bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int __float_as_int(float x)
{
    int bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

template <class T> static inline T min(T a, T b)
{
    return b < a ? b : a;
}

template <class T> static inline T max(T a, T b)
{
    return a < b ? b : a;
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}

/* ---- the thread at hand ---------------------------------------------------------------------- */

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

void cuda_host_barrier(const char *file, int line);
#define __syncthreads() cuda_host_barrier(__FILE__, __LINE__)
/* Waits for the lanes of the mask, which call the same. Answers `value` of the lane `source`; for a
 * vote, the lanes whose value is not 0. */
enum CudaHostExchange { CUDA_HOST_SHUFFLE, CUDA_HOST_VOTE, CUDA_HOST_SYNCWARP };
uint64_t cuda_host_exchange(CudaHostExchange what, unsigned mask, uint64_t value, int source);
int cuda_host_lane();

static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    cuda_host_exchange(CUDA_HOST_SYNCWARP, mask, 0, 0);
}

/* Tensor cores' product of a warp, as kernels/cuda/mma.cuh describes it; DIM_CUDA_HOST_MMA=0: there
 * are none for bf16. */
bool cuda_host_has_mma();
template <class T>
void cuda_host_mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

static inline void __threadfence_block()
{
}

template <class T>
static inline T cuda_host_shuffle(unsigned mask, T value, int lane, bool inside, int source)
{
    static_assert(sizeof(T) <= 8, "shuffles take up to 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = cuda_host_exchange(CUDA_HOST_SHUFFLE, mask, bits, inside ? source : lane);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T> static inline T __shfl_sync(unsigned mask, T value, int source, int width = 32)
{
    const int lane = cuda_host_lane(), first = lane & -width;
    return cuda_host_shuffle(mask, value, lane, true, first + (source & (width - 1)));
}

template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32)
{
    const int lane = cuda_host_lane(), last = lane | (width - 1);
    return cuda_host_shuffle(mask, value, lane, (lane ^ bits) <= last, lane ^ bits);
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    const int lane = cuda_host_lane(), last = lane | (width - 1), source = lane + (int)by;
    return cuda_host_shuffle(mask, value, lane, source <= last, source);
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    const int lane = cuda_host_lane(), first = lane & -width, source = lane - (int)by;
    return cuda_host_shuffle(mask, value, lane, source >= first, source);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    return (unsigned)cuda_host_exchange(CUDA_HOST_VOTE, mask, predicate != 0, 0);
}

static inline int __any_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) != 0;
}

static inline int __all_sync(unsigned mask, int predicate)
{
    return __ballot_sync(mask, predicate) == mask;
}

/* One thread runs at a time. Integers only, as in port.h. Not instrumented: these are no races. */
#define CUDA_HOST_ATOMIC static inline __attribute__((no_sanitize("thread"), noinline, unused))

CUDA_HOST_ATOMIC int atomicAdd(int *at, int value)
{
    const int old = *at;
    *at += value;
    return old;
}

CUDA_HOST_ATOMIC int atomicMax(int *at, int value)
{
    const int old = *at;
    *at = value > old ? value : old;
    return old;
}

/* ---- shared memory --------------------------------------------------------------------------- */

/* The block's storage of the declaration at `site`; a new block's is full of NaN. */
void *cuda_host_shared(const void *site, const char *name, size_t bytes);
void *cuda_host_shared_dynamic(size_t *bytes);
[[noreturn]] void cuda_host_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An array in shared memory whose indices are checked. */
template <class Array> struct CudaHostShared;

template <class T, size_t N> struct CudaHostShared<T[N]> {
    T (*array)[N];
    template <class I> decltype(auto) operator[](I index) const
    {
        if (index < 0 || (size_t)index >= N)
            cuda_host_fault("index %lld of shared memory that has %zu", (long long)index, N);
        if constexpr (std::is_array_v<T>)
            return CudaHostShared<T>{&(*array)[index]};
        else
            return static_cast<T &>((*array)[index]);
    }
    operator T *() const
    {
        return *array;
    }
};

#define DK_SHARED(type, name, extent)                                                              \
    static const char name##_site = 0;                                                             \
    const CudaHostShared<type extent> name = {                                                     \
        static_cast<type(*) extent>(cuda_host_shared(&name##_site, #name, sizeof(type extent)))}

#define DK_SHARED_DYNAMIC(type, name)                                                              \
    size_t name##_bytes_;                                                                          \
    type *const name = static_cast<type *>(cuda_host_shared_dynamic(&name##_bytes_))

/* A kernel with its arguments as they are at the launch. In a namespace of each source's own: two
 * of them may call different structures by one name. */
namespace {
template <class... P> struct CudaHostArguments;

template <> struct CudaHostArguments<> {
    template <class F, class... A> void call(F f, const A &...arguments) const
    {
        f(arguments...);
    }
};

template <class T, class... P> struct CudaHostArguments<T, P...> {
    T first;
    CudaHostArguments<P...> others;

    template <class F, class... A> void call(F f, const A &...before) const
    {
        others.call(f, before..., first);
    }
};

template <class... P> struct CudaHostBound : CudaHostKernel {
    void (*kernel)(P...);
    CudaHostArguments<P...> arguments;

    CudaHostBound(void (*kernel_)(P...), const CudaHostArguments<P...> &arguments_)
        : kernel(kernel_), arguments(arguments_)
    {
        bytes = sizeof *this;
    }
    void run() const override
    {
        arguments.call(kernel);
    }
};

template <class... P> CudaHostArguments<P...> cuda_host_keep(P... arguments);

template <> inline CudaHostArguments<> cuda_host_keep<>()
{
    return {};
}

template <class T, class... P> CudaHostArguments<T, P...> cuda_host_keep_first(T first, P... others)
{
    return {first, cuda_host_keep<P...>(others...)};
}

template <class... P> CudaHostArguments<P...> cuda_host_keep(P... arguments)
{
    return cuda_host_keep_first<P...>(arguments...);
}

template <class... P, class... A>
std::shared_ptr<CudaHostKernel> cuda_host_bind(void (*kernel)(P...), A... arguments)
{
    return std::make_shared<CudaHostBound<P...>>(kernel, cuda_host_keep<P...>(arguments...));
}
} // namespace

#define DK_PORT_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                             \
    cuda_host_launch(#kernel, grid, block, shared_bytes, stream,                                   \
                     cuda_host_bind(kernel, __VA_ARGS__))
#define DK_PORT_ALLOW_SHARED(kernel, bytes) cuda_host_allow_shared(bytes)

#endif
