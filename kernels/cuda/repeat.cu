/* dk_repeat: an evaluation is hundreds of short launches, which one graph takes to the card at
 * once.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The first call runs as it comes: scratch grows to its need, kernels are loaded, products chosen,
 * none of which may happen while a stream is captured. The second is captured, and launched as a
 * graph like all that follow. A graph has the addresses that the operations had. Tensors and
 * weights stay where they are; where scratch has moved, the graph is captured anew. */
#include "kernels/cuda/cuda.h"

#include <stdlib.h>

struct DkRepeat {
    cudaGraphExec_t graph; /* NULL: called once so far */
    const void *scratch;   /* as captured; the block only grows, so one that begins there fits */
};

static void drop(DkRepeat *repeat)
{
    if (repeat->graph)
        cudaGraphExecDestroy(repeat->graph);
    repeat->graph = nullptr;
}

/* What enqueue (data) enqueues, without running it; NULL: an error or a cancel sticks. */
static cudaGraph_t record(DkDevice *dev, void (*enqueue)(void *data), void *data)
{
    DkCuda *cuda = dk_cuda(dev);
    cudaGraph_t graph = nullptr;
    if (!dk_cuda_check(dev, cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal),
                       "capturing"))
        return nullptr;
    cuda->is_capturing = true;
    enqueue(data);
    cuda->is_capturing = false;
    const cudaError_t error = cudaStreamEndCapture(cuda->stream, &graph);
    if (dk_cuda_check(dev, error, "capturing") && !dk_cuda_stopped(dev))
        return graph;
    if (graph)
        cudaGraphDestroy(graph);
    return nullptr;
}

static bool capture(DkDevice *dev, DkRepeat *repeat, void (*enqueue)(void *data), void *data)
{
    cudaGraph_t graph = record(dev, enqueue, data);
    if (!graph)
        return false;
    const cudaError_t error = cudaGraphInstantiateWithFlags(&repeat->graph, graph, 0);
    cudaGraphDestroy(graph);
    repeat->scratch = dk_cuda(dev)->scratch;
    return dk_cuda_check(dev, error, "making a graph");
}

void dk_cuda_repeat(DkDevice *dev, DkRepeat **kept, void (*enqueue)(void *data), void *data)
{
    DkRepeat *repeat = *kept;
    if (!repeat) {
        enqueue(data);
        if (!dk_cuda_stopped(dev)) /* else it has not been whole */
            *kept = static_cast<DkRepeat *>(calloc(1, sizeof *repeat));
        return;
    }
    if (repeat->scratch != dk_cuda(dev)->scratch)
        drop(repeat);
    if (!repeat->graph && !capture(dev, repeat, enqueue, data))
        return;
    dk_cuda_check(dev, cudaGraphLaunch(repeat->graph, dk_cuda(dev)->stream), "a graph");
    dk_cuda_enqueued(dev, DK_CUDA_QUEUE);
}

void dk_cuda_repeat_free(DkDevice *dev, DkRepeat **kept)
{
    drop(*kept);
    free(*kept);
}
