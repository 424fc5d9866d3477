/* Opening a card, the back end's table, errors.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * How an operation gets its kernel:
 *   1. kernels/cuda/NAME.cu, named after the file in ref/ that defines it: the kernels, then the
 *      function of the slot, dk_cuda_NAME, which picks grid and block and launches. It includes
 *      cuda.h and nothing of CUDA's. Its head has the formula, the layout and the launch's shape.
 *      Arguments are checked already (dk.c), an error that sticks is, too.
 *   2. Its prototype in cuda.h, its line in fill_ops or fill_train below, its name in meson.build.
 *      No slot stays open.
 *   3. tests/kern compares it with ref/, the kernels executed on the host in several orders of
 *      threads: `meson test --suite cuda`. tests/cuda-host/cuda-on-host.h says what that finds.
 * Activations are f32 and token-major; neighbouring threads take neighbouring channels, four at a
 * time where rows allow it (elementwise.cu is the pattern). Sums have a fixed order: no float
 * atomics, and no split that depends on the card or on other items of the batch. Scratch is
 * dk_cuda_scratch, asked for once an operation. */
#include "kernels/cuda/driver.h"
#include "kernels/cuda/products.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---------------------------------------------------------------------------------- */

static DkStatus status_of(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? DK_NO_MEMORY : DK_DEVICE_FAILED;
}

static void explain(DkDevice *dev, cudaError_t error, const char *what)
{
    snprintf(dev->problem, sizeof dev->problem, "CUDA: %s: %s", what, cudaGetErrorString(error));
}

bool dk_cuda_check(DkDevice *dev, cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return true;
    explain(dev, error, what);
    dk_cuda(dev)->host->fail(dev, status_of(error));
    return false;
}

bool dk_cuda_stopped(DkDevice *dev)
{
    return dk_cuda(dev)->host->stopped(dev);
}

static DkStatus sync(DkDevice *dev)
{
    const cudaError_t error = cudaStreamSynchronize(dk_cuda(dev)->stream);
    if (error == cudaSuccess)
        return DK_OK;
    explain(dev, error, "waiting");
    return status_of(error);
}

/* An event is recorded after every DK_CUDA_QUEUE-th launch, and the program waits for the one
 * before (one that was never recorded is over). The card meanwhile has DK_CUDA_QUEUE launches to
 * do, so it does not wait for the program; the price is two calls for each DK_CUDA_QUEUE launches.
 */
void dk_cuda_enqueued(DkDevice *dev, int n_launches)
{
    DkCuda *cuda = dk_cuda(dev);
    if (cuda->is_capturing)
        return;
    cuda->n_unmarked += n_launches;
    if (cuda->n_unmarked < DK_CUDA_QUEUE)
        return;
    const int at = (int)(cuda->n_marks++ % 2);
    cuda->n_unmarked = 0;
    if (dk_cuda_check(dev, cudaEventRecord(cuda->marks[at], cuda->stream), "marking the queue"))
        dk_cuda_check(dev, cudaEventSynchronize(cuda->marks[1 - at]), "waiting");
}

/* ---- the table ------------------------------------------------------------------------------- */

static void fill_ops(DkOps *ops)
{
    ops->buffer_new = dk_cuda_buffer_new;
    ops->buffer_free = dk_cuda_buffer_free;
    ops->write = dk_cuda_write;
    ops->read = dk_cuda_read;
    ops->repeat = dk_cuda_repeat;
    ops->repeat_free = dk_cuda_repeat_free;
    ops->clear = dk_cuda_clear;
    ops->weight_free = dk_cuda_weight_free;
    ops->linear = dk_cuda_linear;
    ops->weight_linear = dk_cuda_weight_linear;
    ops->axpby = dk_cuda_axpby;
    ops->act = dk_cuda_act;
    ops->add_row = dk_cuda_add_row;
    ops->gate_add = dk_cuda_gate_add;
    ops->norm_modulate = dk_cuda_norm_modulate;
    ops->group_stats = dk_cuda_group_stats;
    ops->group_apply = dk_cuda_group_apply;
    ops->conv2d_dw = dk_cuda_conv2d_dw;
    ops->patchify = dk_cuda_patchify;
    ops->unpatchify = dk_cuda_unpatchify;
    ops->gather = dk_cuda_gather;
    ops->resize = dk_cuda_resize;
    ops->conv1d_dw = dk_cuda_conv1d_dw;
    ops->selective_scan = dk_cuda_selective_scan;
    ops->weight_scan = dk_cuda_weight_scan;
    ops->s4d_scan = dk_cuda_s4d_scan;
    ops->weight_s4d = dk_cuda_weight_s4d;
    ops->attention = dk_cuda_attention;
    ops->conv2d = dk_cuda_conv2d;
    ops->weight_conv2d = dk_cuda_weight_conv2d;
}

static void fill_train(DkTrainOps *ops)
{
    ops->weight_set = dk_cuda_weight_set;
    ops->linear_backward_weight = dk_cuda_linear_backward_weight;
    ops->sum_rows = dk_cuda_sum_rows;
    ops->conv2d_backward_weight = dk_cuda_conv2d_backward_weight;
    ops->norm_modulate_backward = dk_cuda_norm_modulate_backward;
    ops->gate_add_backward = dk_cuda_gate_add_backward;
    ops->act_backward = dk_cuda_act_backward;
    ops->conv2d_dw_backward = dk_cuda_conv2d_dw_backward;
    ops->gather_backward = dk_cuda_gather_backward;
    ops->unpatchify_backward = dk_cuda_unpatchify_backward;
    ops->squared_error = dk_cuda_squared_error;
    ops->sum_squares = dk_cuda_sum_squares;
    ops->adamw = dk_cuda_adamw;
    ops->conv1d_dw_backward = dk_cuda_conv1d_dw_backward;
    ops->selective_scan_backward = dk_cuda_selective_scan_backward;
    ops->weight_set_s4d = dk_cuda_weight_set_s4d;
    ops->s4d_scan_backward = dk_cuda_s4d_scan_backward;
    ops->s4d_hold = dk_cuda_s4d_hold;
    ops->s4d_hold_backward = dk_cuda_s4d_hold_backward;
    ops->neg_exp = dk_cuda_neg_exp;
    ops->neg_exp_backward = dk_cuda_neg_exp_backward;
    ops->attention_backward = dk_cuda_attention_backward;
    ops->bound_error = dk_cuda_bound_error;
}

/* ---- the card -------------------------------------------------------------------------------- */

enum { CAPABILITY = 75 }; /* the oldest that kernels are built for */

/* The driver's state in one line; false where it is of no use. */
static bool judge_driver(const DkCudaDriver *d, char *problem, size_t size)
{
    const int runtime = CUDART_VERSION / 1000;
    if (!d->there)
        snprintf(problem, size, "there is no CUDA driver: %s", d->text);
    else if (d->version / 1000 < runtime)
        snprintf(problem, size, "the CUDA driver is too old: it is for CUDA %d.%d; expected %d.0",
                 d->version / 1000, d->version % 1000 / 10, runtime);
    else if (d->error && d->error != DK_CUDA_NO_DEVICE)
        snprintf(problem, size, "the CUDA driver fails: %s", d->text);
    else if (d->error || d->n_cards == 0)
        snprintf(problem, size, "the CUDA driver finds no card");
    else if (d->major * 10 + d->minor < CAPABILITY)
        snprintf(problem, size,
                 "the card is too old: its compute capability is %d.%d; expected %d.%d or more",
                 d->major, d->minor, CAPABILITY / 10, CAPABILITY % 10);
    else
        return true;
    return false;
}

/* The default pool keeps what is freed: allocations after the first of their size cost nothing. */
static cudaError_t keep_pool(void)
{
    cudaMemPool_t pool;
    uint64_t all = UINT64_MAX;
    const cudaError_t error = cudaDeviceGetDefaultMemPool(&pool, 0);
    return error ? error : cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all);
}

static cudaError_t open_card(DkDevice *dev, DkCuda *cuda)
{
    cudaDeviceProp properties;
    cudaError_t error = cudaSetDevice(0);
    error = error ? error : cudaGetDeviceProperties(&properties, 0);
    error = error ? error : keep_pool();
    error = error ? error : cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);
    for (cudaEvent_t &mark : cuda->marks)
        error = error ? error : cudaEventCreateWithFlags(&mark, cudaEventDisableTiming);
    if (error)
        return error;
    cuda->n_processors = properties.multiProcessorCount;
    dev->fast_bf16 = properties.major >= 8 && dk_cuda_attention_has_mma();
    snprintf(dev->description, sizeof dev->description, "cuda: %.80s, %d.%d, %.1f GB",
             properties.name, properties.major, properties.minor,
             (double)properties.totalGlobalMem * 1e-9);
    return cudaSuccess;
}

static void close_cuda(DkDevice *dev)
{
    DkCuda *cuda = dk_cuda(dev);
    dk_cuda_free(dev, cuda->scratch, cuda->scratch_bytes);
    if (cuda->products)
        dk_cuda_products_close(dev, cuda->products);
    for (cudaEvent_t mark : cuda->marks)
        if (mark)
            cudaEventDestroy(mark);
    if (cuda->stream) {
        cudaStreamSynchronize(cuda->stream);
        cudaStreamDestroy(cuda->stream);
    }
    free(cuda);
    dev->backend = nullptr;
}

/* Whether each of a table's slots has its function. */
static bool is_full(const void *table, size_t bytes)
{
    void *slot;
    for (size_t i = 0; i < bytes; i += sizeof slot) {
        memcpy(&slot, static_cast<const char *>(table) + i, sizeof slot);
        if (!slot)
            return false;
    }
    return true;
}

static void fill_tables(DkDevice *dev)
{
    fill_ops(&dev->ops);
    fill_train(&dev->train);
    dev->ops.free_bytes = dk_cuda_free_bytes;
    dev->ops.sync = sync;
    dev->ops.close = close_cuda;
    assert(is_full(&dev->ops, sizeof dev->ops) && is_full(&dev->train, sizeof dev->train));
}

static bool open_device(DkDevice *dev, const DkCudaHost *host)
{
    DkCuda *cuda = static_cast<DkCuda *>(calloc(1, sizeof *cuda));
    if (!cuda)
        return false;
    cuda->host = host;
    dev->backend = cuda;
    dev->n_threads = 1;
    const cudaError_t error = open_card(dev, cuda);
    if (error)
        explain(dev, error, "opening the card");
    else
        cuda->products = dk_cuda_products_open(dev);
    if (cuda->products)
        return true;
    close_cuda(dev);
    return false;
}

extern "C" __attribute__((visibility("default"))) bool dk_cuda_module_open(DkDevice *dev,
                                                                           const DkCudaHost *host)
{
    if (host->device_bytes != sizeof(DkDevice)) {
        snprintf(dev->problem, sizeof dev->problem, "the CUDA module is another version's");
        return false;
    }
    const DkCudaDriver driver = dk_cuda_driver_look();
    if (!judge_driver(&driver, dev->problem, sizeof dev->problem))
        return false;
    fill_tables(dev);
    return open_device(dev, host);
}
