/* The CUDA runtime on the host: memory with red zones, one stream after another in order, graphs.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * DIM_CUDA_HOST_MEMORY=BYTES is the card's memory (1 GB without it); DIM_CUDA_HOST_FAIL=N lets the
 * N-th launch fail as a card does that was lost. Launches are done at once; with
 * DIM_CUDA_HOST_QUEUE=N they wait, as on a card, until the program waits for them, copies to or
 * from the host or frees memory, and more than N that wait end the program. With
 * DIM_CUDA_HOST_LAUNCHES=FILE a line for each kernel is added to the file at the end: name, threads
 * of its largest block, bytes of dynamic shared memory, most of all launches. */
#include "cuda-host.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

/* What lies in the card's memory; no two that ever were have the same number. */
struct Allocation {
    size_t bytes;
    uint64_t number;
};

struct CudaHostGraph {
    std::vector<std::function<void()>> work;
    std::map<const unsigned char *, uint64_t> used; /* allocations, by their first byte */
};

struct CudaHostStream {
    CudaHostGraph *capture; /* NULL: nothing is captured */
    bool is_spoilt;         /* what is captured */
    std::deque<std::function<void()>> waiting;
    uint64_t n_done;
};

struct CudaHostEvent {
    cudaStream_t stream; /* NULL: never recorded */
    uint64_t n_before;   /* done once the stream has done that much */
};

namespace {

cudaError_t last_error;

cudaError_t remember(cudaError_t error)
{
    if (error)
        last_error = error;
    return error;
}

/* By address of the first byte. */
std::map<const unsigned char *, Allocation> &allocations()
{
    static std::map<const unsigned char *, Allocation> all;
    return all;
}

/* While a stream is captured the program may not do this: the capture is lost. */
bool is_captured(cudaStream_t stream)
{
    if (!stream->capture)
        return false;
    stream->is_spoilt = true;
    remember(cudaErrorStreamCaptureUnsupported);
    return true;
}

size_t held;

size_t number_of(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}

size_t capacity()
{
    return number_of("DIM_CUDA_HOST_MEMORY", (size_t)1 << 30);
}

} // namespace

cudaError_t cudaGetLastError()
{
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorInvalidConfiguration:
        return "invalid configuration argument";
    case cudaErrorIllegalAddress:
        return "an illegal memory access was encountered";
    case cudaErrorStreamCaptureUnsupported:
        return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
        return "operation failed due to a previous error during capture";
    }
    return "unrecognized error code";
}

cudaError_t cudaSetDevice(int device)
{
    return remember(device == 0 ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int)
{
    *properties = {};
    strcpy(properties->name, "kernels executed on the host");
    properties->totalGlobalMem = capacity();
    properties->major = 8;
    properties->minor = 0;
    properties->multiProcessorCount = 4;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int)
{
    *pool = nullptr;
    return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *)
{
    return cudaSuccess;
}

/* The pool gives back at once what is freed. */
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *value)
{
    *static_cast<uint64_t *>(value) = held;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    *total = capacity();
    *free = *total > held ? *total - held : 0;
    return cudaSuccess;
}

/* ---- streams and graphs ---------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = new CudaHostStream{};
    return cudaSuccess;
}

/* Does what waits, up to the n-th piece of all. */
static void drain(cudaStream_t stream, uint64_t n)
{
    while (!stream->waiting.empty() && stream->n_done < n) {
        const std::function<void()> work = stream->waiting.front();
        stream->waiting.pop_front();
        work();
        stream->n_done++;
    }
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    drain(stream, UINT64_MAX);
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    drain(stream, UINT64_MAX);
    cuda_host_check_red_zones("before the program waited");
    return cudaSuccess;
}

static void use(CudaHostGraph *graph, const void *at)
{
    CudaHostMemory memory;
    if (at && cuda_host_find_memory(at, &memory) && at >= memory.data)
        graph->used[memory.data] = allocations()[memory.data].number;
}

static size_t queue_limit()
{
    static const size_t limit = number_of("DIM_CUDA_HOST_QUEUE", 0);
    return limit;
}

static void add_work(cudaStream_t stream, const std::function<void()> &work)
{
    if (queue_limit() == 0) {
        work();
        return;
    }
    stream->waiting.push_back(work);
    if (stream->waiting.size() > queue_limit())
        cuda_host_fault("%zu pieces of work wait for the card; expected at most %zu",
                        stream->waiting.size(), queue_limit());
}

void cuda_host_enqueue(cudaStream_t stream, std::initializer_list<const void *> touched,
                       const std::function<void()> &work)
{
    if (!stream->capture) {
        add_work(stream, work);
        return;
    }
    for (const void *at : touched)
        use(stream->capture, at);
    stream->capture->work.push_back(work);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new CudaHostEvent{};
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    *event = {stream, stream->n_done + stream->waiting.size()};
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (event->stream)
        drain(event->stream, event->n_before);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    stream->capture = new CudaHostGraph;
    stream->is_spoilt = false;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = stream->capture;
    stream->capture = nullptr;
    if (!*graph)
        return remember(cudaErrorInvalidValue);
    if (!stream->is_spoilt)
        return cudaSuccess;
    delete *graph;
    *graph = nullptr;
    return remember(cudaErrorStreamCaptureInvalidated);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, uint64_t)
{
    *exec = new CudaHostGraph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    for (const auto &[data, number] : exec->used) {
        const auto found = allocations().find(data);
        if (found == allocations().end() || found->second.number != number)
            cuda_host_fault("a graph uses memory that was freed after its capture");
    }
    const auto graph = std::make_shared<CudaHostGraph>(*exec);
    add_work(stream, [graph] {
        for (const std::function<void()> &work : graph->work)
            work();
    });
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

/* ---- memory ---------------------------------------------------------------------------------- */

cudaError_t cudaMallocAsync(void **data, size_t bytes, cudaStream_t stream)
{
    static uint64_t n_allocations;
    if (is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    if (bytes > capacity() - held)
        drain(stream, UINT64_MAX); /* what is freed there */
    if (bytes > capacity() - held)
        return remember(cudaErrorMemoryAllocation);
    const size_t rounded = (bytes + 255) / 256 * 256;
    unsigned char *whole =
        static_cast<unsigned char *>(aligned_alloc(256, rounded + 2 * CUDA_HOST_RED));
    if (!whole)
        return remember(cudaErrorMemoryAllocation);
    memset(whole, CUDA_HOST_POISON, rounded + 2 * CUDA_HOST_RED);
    allocations()[whole + CUDA_HOST_RED] = {bytes, ++n_allocations};
    held += bytes;
    if (cuda_host_checks)
        cuda_host_checks->alloc(whole + CUDA_HOST_RED, bytes);
    *data = whole + CUDA_HOST_RED;
    return cudaSuccess;
}

static bool is_clean(const unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] != CUDA_HOST_POISON)
            return false;
    return true;
}

static void check_red_zones(const unsigned char *data, size_t bytes, const char *when)
{
    if (!is_clean(data - CUDA_HOST_RED, CUDA_HOST_RED))
        cuda_host_fault("%s: wrote ahead of an allocation of %zu bytes", when, bytes);
    if (!is_clean(data + bytes, CUDA_HOST_RED))
        cuda_host_fault("%s: wrote behind an allocation of %zu bytes", when, bytes);
}

void cuda_host_check_red_zones(const char *when)
{
    for (const auto &[data, allocation] : allocations())
        check_red_zones(data, allocation.bytes, when);
}

bool cuda_host_find_memory(const void *at, CudaHostMemory *memory)
{
    const unsigned char *byte = static_cast<const unsigned char *>(at);
    auto next = allocations().upper_bound(byte + CUDA_HOST_RED);
    if (next == allocations().begin())
        return false;
    --next;
    *memory = {const_cast<unsigned char *>(next->first), next->second.bytes};
    return byte >= memory->data - CUDA_HOST_RED &&
           byte < memory->data + memory->bytes + CUDA_HOST_RED;
}

cudaError_t cudaFreeAsync(void *data, cudaStream_t stream)
{
    if (is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    drain(stream, UINT64_MAX);
    const auto found = allocations().find(static_cast<unsigned char *>(data));
    if (found == allocations().end())
        cuda_host_fault("frees memory that is none of the card's");
    check_red_zones(found->first, found->second.bytes, "at its end");
    held -= found->second.bytes;
    if (cuda_host_checks)
        cuda_host_checks->free(static_cast<unsigned char *>(data));
    free(static_cast<unsigned char *>(data) - CUDA_HOST_RED);
    allocations().erase(found);
    return cudaSuccess;
}

/* The card's side of a copy. */
static void check_span(const void *at, size_t pitch, size_t width, size_t height)
{
    CudaHostMemory memory;
    const size_t span = (height - 1) * pitch + width;
    if (!cuda_host_find_memory(at, &memory) || at < memory.data ||
        static_cast<const unsigned char *>(at) + span > memory.data + memory.bytes)
        cuda_host_fault("a copy of %zu bytes leaves the card's memory", span);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream)
{
    if (width > to_pitch || width > from_pitch)
        return remember(cudaErrorInvalidValue);
    if (kind != cudaMemcpyDeviceToDevice && is_captured(stream))
        return cudaErrorStreamCaptureUnsupported;
    cuda_host_enqueue(stream, {to, from}, [=] {
        if (kind != cudaMemcpyDeviceToHost)
            check_span(to, to_pitch, width, height);
        if (kind != cudaMemcpyHostToDevice)
            check_span(from, from_pitch, width, height);
        for (size_t i = 0; i < height; i++)
            memcpy(static_cast<char *>(to) + i * to_pitch,
                   static_cast<const char *>(from) + i * from_pitch, width);
    });
    if (kind != cudaMemcpyDeviceToDevice)
        drain(stream, UINT64_MAX);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

cudaError_t cudaMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream)
{
    if (width > pitch)
        return remember(cudaErrorInvalidValue);
    cuda_host_enqueue(stream, {to}, [=] {
        check_span(to, pitch, width, height);
        for (size_t i = 0; i < height; i++)
            memset(static_cast<char *>(to) + i * pitch, value, width);
    });
    return cudaSuccess;
}

/* ---- launches -------------------------------------------------------------------------------- */

static size_t allowed_shared = CUDA_HOST_STATIC;

cudaError_t cuda_host_allow_shared(size_t bytes)
{
    if (bytes > CUDA_HOST_SHARED)
        return remember(cudaErrorInvalidValue);
    allowed_shared = bytes > allowed_shared ? bytes : allowed_shared;
    return cudaSuccess;
}

static bool is_launch(dim3 grid, dim3 block, size_t shared_bytes)
{
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    return threads >= 1 && threads <= CUDA_HOST_THREADS && block.z <= 64 && grid.x >= 1 &&
           grid.x <= INT32_MAX && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 &&
           grid.z <= 65535 && shared_bytes <= allowed_shared;
}

static bool is_to_fail()
{
    static size_t left = number_of("DIM_CUDA_HOST_FAIL", 0);
    return left > 0 && --left == 0;
}

namespace {

struct Largest {
    unsigned threads;
    size_t shared_bytes;
};

std::map<std::string, Largest> &launched()
{
    static std::map<std::string, Largest> all;
    return all;
}

void report_launches()
{
    FILE *out = fopen(getenv("DIM_CUDA_HOST_LAUNCHES"), "ae");
    for (const auto &[kernel, l] : launched())
        if (out)
            fprintf(out, "%s\t%u\t%zu\n", kernel.c_str(), l.threads, l.shared_bytes);
    if (out)
        fclose(out);
}

void note_launch(const char *kernel, dim3 block, size_t shared_bytes)
{
    static const bool wanted = getenv("DIM_CUDA_HOST_LAUNCHES") != nullptr;
    if (!wanted)
        return;
    if (launched().empty())
        atexit(report_launches);
    Largest *l = &launched()[kernel];
    l->threads = std::max(l->threads, block.x * block.y * block.z);
    l->shared_bytes = std::max(l->shared_bytes, shared_bytes);
}

} // namespace

/* Every word among the arguments that is an address of the card's, structures' members included. */
static void use_arguments(CudaHostGraph *graph, const CudaHostKernel *bound)
{
    const char *object = reinterpret_cast<const char *>(bound);
    const void *word;
    for (size_t i = 0; i + sizeof word <= bound->bytes; i += sizeof word) {
        memcpy(&word, object + i, sizeof word);
        use(graph, word);
    }
}

void cuda_host_launch(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                      cudaStream_t stream, const std::shared_ptr<CudaHostKernel> &bound)
{
    note_launch(kernel, block, shared_bytes);
    if (!is_launch(grid, block, shared_bytes))
        remember(cudaErrorInvalidConfiguration);
    else if (is_to_fail())
        remember(cudaErrorIllegalAddress);
    else
        cuda_host_enqueue(stream, {},
                          [=] { cuda_host_run(kernel, grid, block, shared_bytes, bound.get()); });
    if (stream->capture)
        use_arguments(stream->capture, bound.get());
}
