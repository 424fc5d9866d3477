/* Wrong kernels and captures: what executing them on the host must find, and right ones, in which
 * it must not.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 64 };

/* ---- right ----------------------------------------------------------------------------------- */

/* x in reverse, through shared memory. */
static __global__ void reverse(float *y, const float *x)
{
    DK_SHARED(float, tile, [N]);
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[N - 1 - threadIdx.x];
}

static __global__ void warp_sum(float *y, const float *x)
{
    float sum = x[threadIdx.x];
    for (int far = 16; far > 0; far /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, far);
    y[threadIdx.x] = sum;
}

/* The odd lanes of each warp among themselves; the even ones have gone. */
static __global__ void odd_lanes(float *y, const float *x)
{
    y[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x % 2 == 0)
        return;
    y[threadIdx.x] = __shfl_sync(0xaaaaaaaau, x[threadIdx.x], 3);
}

static __global__ void count(float *y, int *counter)
{
    y[threadIdx.x] = (float)atomicAdd(counter, 1);
}

/* ---- wrong ----------------------------------------------------------------------------------- */

static __global__ void no_barrier(float *y, const float *x)
{
    DK_SHARED(float, tile, [N]);
    tile[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = tile[N - 1 - threadIdx.x];
}

static __global__ void two_barriers(float *y, const float *x)
{
    if (threadIdx.x < 32) {
        __syncthreads();
    } else
        __syncthreads();
    y[threadIdx.x] = x[threadIdx.x];
}

static __global__ void some_lanes(float *y, const float *x)
{
    y[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x % 2)
        y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x[threadIdx.x], 1);
}

static __global__ void reads_behind(float *y, const float *x)
{
    y[threadIdx.x] = x[threadIdx.x + 1];
}

static __global__ void writes_ahead(float *y, const float *x)
{
    y[(int)threadIdx.x - 1] = x[threadIdx.x];
}

static __global__ void beyond_tile(float *y, const float *x)
{
    DK_SHARED(float, tile, [N]);
    tile[threadIdx.x + 1] = x[threadIdx.x];
    y[threadIdx.x] = 0;
}

static __global__ void beyond_dynamic(float *y, const float *x)
{
    DK_SHARED_DYNAMIC(float, tile);
    tile[threadIdx.x + 1] = x[threadIdx.x];
    y[threadIdx.x] = 0;
}

static __global__ void same_place(float *y, const float *x)
{
    y[0] = x[threadIdx.x];
}

static __global__ void other_block(float *y, const float *x)
{
    const int i = (int)threadIdx.x;
    if (blockIdx.x == 0)
        y[i] = x[i];
    else
        y[i] += 1;
}

static __global__ void from_host(float *y, const float *host)
{
    y[threadIdx.x] = host[threadIdx.x];
}

/* ---- running --------------------------------------------------------------------------------- */

struct Data {
    cudaStream_t stream;
    float *x, *y, host[N];
};

/* ---- captures -------------------------------------------------------------------------------- */

static void must(cudaError_t error)
{
    if (!error)
        return;
    fprintf(stderr, "%s\n", cudaGetErrorString(error));
    abort();
}

static void begin_capture(Data *d)
{
    must(cudaStreamBeginCapture(d->stream, cudaStreamCaptureModeThreadLocal));
}

static cudaGraphExec_t end_capture(Data *d)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    must(cudaStreamEndCapture(d->stream, &graph));
    must(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    cudaGraphDestroy(graph);
    return exec;
}

static void *take(Data *d)
{
    void *data;
    must(cudaMallocAsync(&data, N * sizeof(float), d->stream));
    return data;
}

/* Captured, and run twice: the number that the kernel counts shows how often. */
static void graph_counts(Data *d)
{
    int n;
    begin_capture(d);
    DK_PORT_LAUNCH(count, 1, N, 0, d->stream, d->y, reinterpret_cast<int *>(d->x));
    cudaGraphExec_t exec = end_capture(d);
    must(cudaGraphLaunch(exec, d->stream));
    must(cudaGraphLaunch(exec, d->stream));
    must(cudaGraphExecDestroy(exec));
    must(cudaMemcpyAsync(&n, d->x, sizeof n, cudaMemcpyDeviceToHost, d->stream));
    if (n != 2 * N)
        abort();
}

static void capture_takes(Data *d)
{
    void *data;
    begin_capture(d);
    cudaMallocAsync(&data, N, d->stream);
    end_capture(d);
}

static void capture_gives_back(Data *d)
{
    void *data = take(d);
    begin_capture(d);
    cudaFreeAsync(data, d->stream);
    end_capture(d);
}

static void capture_waits(Data *d)
{
    begin_capture(d);
    cudaStreamSynchronize(d->stream);
    end_capture(d);
}

static void capture_reads(Data *d)
{
    begin_capture(d);
    cudaMemcpyAsync(d->host, d->x, sizeof d->host, cudaMemcpyDeviceToHost, d->stream);
    end_capture(d);
}

/* The new memory may well lie where the old lay. */
static void graph_is_stale(Data *d)
{
    float *y = static_cast<float *>(take(d));
    begin_capture(d);
    DK_PORT_LAUNCH(warp_sum, 1, N, 0, d->stream, y, d->x);
    cudaGraphExec_t exec = end_capture(d);
    must(cudaGraphLaunch(exec, d->stream));
    must(cudaFreeAsync(y, d->stream));
    take(d);
    must(cudaGraphLaunch(exec, d->stream));
}

static void run(const char *name, Data *d)
{
#define CAPTURE(function)                                                                          \
    if (strcmp(name, #function) == 0)                                                              \
        function(d);
    CAPTURE(graph_counts)
    CAPTURE(capture_takes)
    CAPTURE(capture_gives_back)
    CAPTURE(capture_waits)
    CAPTURE(capture_reads)
    CAPTURE(graph_is_stale)
#define CASE(kernel, blocks, shared, ...)                                                          \
    if (strcmp(name, #kernel) == 0)                                                                \
        DK_PORT_LAUNCH(kernel, blocks, N, shared, d->stream, d->y, __VA_ARGS__);
    CASE(reverse, 1, 0, d->x)
    CASE(warp_sum, 1, 0, d->x)
    CASE(odd_lanes, 1, 0, d->x)
    CASE(count, 1, 0, reinterpret_cast<int *>(d->x))
    CASE(no_barrier, 1, 0, d->x)
    CASE(two_barriers, 1, 0, d->x)
    CASE(some_lanes, 1, 0, d->x)
    CASE(reads_behind, 1, 0, d->x)
    CASE(writes_ahead, 1, 0, d->x)
    CASE(beyond_tile, 1, 0, d->x)
    CASE(beyond_dynamic, 1, N * sizeof(float), d->x)
    CASE(same_place, 1, 0, d->x)
    CASE(other_block, 2, 0, d->x)
    CASE(from_host, 1, 0, d->host)
}

/* What the child said; *died: by a signal. */
static void in_child(const char *name, Data *d, char *said, size_t size, bool *died)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        exit(99);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        run(name, d);
        _exit(cudaGetLastError() != cudaSuccess);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(ends[0], said + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    said[used] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    *died = WIFSIGNALED(status);
}

/* `expected`: words of the fault; NULL: none. */
static int check(Data *d, const char *name, const char *expected)
{
    char said[512];
    bool died;
    in_child(name, d, said, sizeof said, &died);
    if (died == (expected != nullptr) && strstr(said, expected ? expected : ""))
        return 0;
    fprintf(stderr, "FAIL %s: expected \"%s\", got \"%s\"\n", name, expected ? expected : "", said);
    return 1;
}

int main()
{
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"reverse", nullptr},
        {"warp_sum", nullptr},
        {"odd_lanes", nullptr},
        {"count", nullptr},
        {"no_barrier", "a race"},
        {"two_barriers", "waits at"},
        {"some_lanes", "0xffffffff"},
        {"reads_behind", "no memory of the card"},
        {"writes_ahead", "no memory of the card"},
        {"beyond_tile", "index 64 of shared memory"},
        {"beyond_dynamic", "beside its arrays"},
        {"same_place", "a race"},
        {"other_block", "a race"},
        {"from_host", "no memory of the card"},
        {"graph_counts", nullptr},
        {"capture_takes", "previous error during capture"},
        {"capture_gives_back", "previous error during capture"},
        {"capture_waits", "previous error during capture"},
        {"capture_reads", "previous error during capture"},
        {"graph_is_stale", "memory that was freed"},
    };
    Data d = {};
    int n_failures = 0;
    cudaStreamCreateWithFlags(&d.stream, 0);
    void *x, *y;
    cudaMallocAsync(&x, N * sizeof(float), d.stream);
    cudaMallocAsync(&y, N * sizeof(float), d.stream);
    cudaMemset2DAsync(x, N * sizeof(float), 0, N * sizeof(float), 1, d.stream);
    d.x = static_cast<float *>(x);
    d.y = static_cast<float *>(y);
    for (const auto &c : cases)
        n_failures += check(&d, c.name, c.expected);
    cudaFreeAsync(x, d.stream);
    cudaFreeAsync(y, d.stream);
    cudaStreamDestroy(d.stream);
    printf("%zu cases, %d failures\n", sizeof cases / sizeof *cases, n_failures);
    return n_failures > 0;
}
