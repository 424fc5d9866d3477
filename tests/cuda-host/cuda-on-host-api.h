/* The part of the CUDA runtime that the back end calls, on the host. Names, values and meanings are
 * CUDA's own.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CUDA_ON_HOST_API_H
#define CUDA_ON_HOST_API_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <initializer_list>
#include <memory>

#define CUDART_VERSION 12000

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorIllegalAddress = 700,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
};

enum cudaMemcpyKind {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice
};
enum { cudaStreamNonBlocking = 1 };
enum { cudaEventDisableTiming = 2 };
enum cudaMemPoolAttr {
    cudaMemPoolAttrReleaseThreshold = 4,
    cudaMemPoolAttrReservedMemCurrent = 5,
    cudaMemPoolAttrUsedMemCurrent = 7,
};
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };

struct CudaHostStream;
struct CudaHostGraph;
struct CudaHostEvent;
typedef CudaHostStream *cudaStream_t;
typedef CudaHostEvent *cudaEvent_t;
typedef CudaHostGraph *cudaGraph_t;
typedef CudaHostGraph *cudaGraphExec_t;
typedef void *cudaMemPool_t;

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int major, minor, multiProcessorCount;
};

cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t error);

cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int device);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value);
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void *value);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventDestroy(cudaEvent_t event);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, uint64_t flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);

cudaError_t cudaMallocAsync(void **data, size_t bytes, cudaStream_t stream);
cudaError_t cudaFreeAsync(void *data, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream);

/* Not CUDA's. */
struct CudaHostKernel {
    size_t bytes; /* of the object, the arguments among them */
    virtual void run() const = 0;
    virtual ~CudaHostKernel() = default;
};

/* A launch, and other work in the stream's order, which uses the memory of the card at `touched`.
 * Recorded where the stream captures: a graph's memory must then still be there when it runs. */
void cuda_host_launch(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                      cudaStream_t stream, const std::shared_ptr<CudaHostKernel> &bound);
void cuda_host_enqueue(cudaStream_t stream, std::initializer_list<const void *> touched,
                       const std::function<void()> &work);
cudaError_t cuda_host_allow_shared(size_t bytes);

/* Between the blocks of a launch: true lets it go. */
extern bool (*cuda_host_stopped)(void *data);
extern void *cuda_host_stopped_data;

#endif
