/* The CUDA back end: its state, the slots of each file, and what launching a kernel takes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_CUDA_H
#define DK_CUDA_CUDA_H

#include "kernels/cuda/module.h"
#include "kernels/cuda/port.h"

struct DkCudaProducts; /* products.h */

struct DkCuda {
    const DkCudaHost *host;
    cudaStream_t stream; /* the only one: what is enqueued runs in order */
    void *scratch;       /* see dk_cuda_scratch */
    size_t scratch_bytes;
    int n_processors;
    bool is_capturing; /* repeat.cu */
    /* Of dk_cuda_enqueued: recorded by turns, launches since the last, how many there were. */
    cudaEvent_t marks[2];
    int n_unmarked;
    int64_t n_marks;
    DkCudaProducts *products;
};

static inline DkCuda *dk_cuda(const DkDevice *dev)
{
    return static_cast<DkCuda *>(dev->backend);
}

/* False: an error, which sticks to the device; `what` failed. */
bool dk_cuda_check(DkDevice *dev, cudaError_t error, const char *what);
/* Between the launches of a long operation: true where a cancel or an error says to leave it. */
bool dk_cuda_stopped(DkDevice *dev);

/* ---- memory of the card ---------------------------------------------------------------------- */

/* 256-byte aligned and accounted; NULL: none. Contents undefined. The free takes what this gave,
 * or NULL. */
void *dk_cuda_alloc(DkDevice *dev, size_t bytes);
void dk_cuda_free(DkDevice *dev, void *data, size_t bytes);
/* The device's scratch block on the card, at least `bytes` long; NULL and a sticky DK_NO_MEMORY
 * where there is none. Valid until the next call: an operation asks once for all that it needs. */
void *dk_cuda_scratch(DkDevice *dev, size_t bytes);
/* A weight with `bytes` of undefined data on the card; NULL: no memory. dk_cuda_weight_free takes
 * it. */
DkWeight *dk_cuda_weight_new(DkDevice *dev, DkWeightKind kind, int64_t n, int64_t k, int kh, int kw,
                             size_t bytes);
/* Fills it (may be NULL) from host memory, which may go afterwards; frees the weight and answers
 * NULL where that fails. */
DkWeight *dk_cuda_weight_fill(DkDevice *dev, DkWeight *w, const void *host);

/* ---- launches -------------------------------------------------------------------------------- */

/* Called after each launch: the program is never more than 2 DK_CUDA_QUEUE launches ahead of the
 * card, which is what still runs after a cancel. A graph counts as DK_CUDA_QUEUE of them. */
enum { DK_CUDA_QUEUE = 32 };
void dk_cuda_enqueued(DkDevice *dev, int n_launches);

/* Enqueues kernel<<<grid, block, shared_bytes>>>(...); what goes wrong sticks to the device. */
#define DK_LAUNCH(dev, kernel, grid, block, shared_bytes, ...)                                     \
    do {                                                                                           \
        DK_PORT_LAUNCH(kernel, grid, block, shared_bytes, dk_cuda(dev)->stream, __VA_ARGS__);      \
        dk_cuda_check(dev, cudaGetLastError(), #kernel);                                           \
        dk_cuda_enqueued(dev, 1);                                                                  \
    } while (0)
/* Before a launch with more than 48 KiB of dynamic shared memory; every card that we take has 64.
 * False: an error sticks. */
#define DK_ALLOW_SHARED(dev, kernel, bytes)                                                        \
    dk_cuda_check(dev, DK_PORT_ALLOW_SHARED(kernel, bytes), #kernel)

static inline int64_t dk_cuda_ceil(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

/* A tensor as kernels take it: first element (NULL: empty), elements from row to row. */
struct DkCudaRows {
    float *at;
    int64_t stride;
};

static inline DkCudaRows dk_cuda_rows(DkTensor t)
{
    return {static_cast<float *>(dk_data(t)), t.row_stride};
}

/* Whether every row begins at a multiple of 16 bytes and holds whole float4s; so does an empty
 * tensor's. */
static inline bool dk_cuda_is_vector(DkTensor t)
{
    return !t.buffer || (reinterpret_cast<uintptr_t>(dk_data(t)) % 16 == 0 &&
                         dk_columns(t) % 4 == 0 && (t.row_stride % 4 == 0 || dk_rows(t) == 1));
}

/* to[rows, columns] without gaps, x's numbers rounded to the 16 bits that products takes. */
void dk_cuda_round_rows(DkDevice *dev, void *to, DkTensor x, DkProducts products);

/* Whether the code at hand is for cards with tensor cores for bf16. */
bool dk_cuda_attention_has_mma();
/* dk_attention with products of 16-bit numbers. */
void dk_cuda_attention_16(DkDevice *dev, DkTensor y, DkTensor q, DkTensor k, DkTensor v,
                          int n_heads, DkProducts products);

/* The scan's part of dk_weight_set: a[E, N] packed anew. */
void dk_cuda_scan_set(DkDevice *dev, DkWeight *weight, DkTensor a);

/* ---- the slots ------------------------------------------------------------------------------- */

__typeof__(dk_device_free_bytes) dk_cuda_free_bytes;
__typeof__(dk_buffer_new) dk_cuda_buffer_new;
__typeof__(dk_buffer_free) dk_cuda_buffer_free;
__typeof__(dk_write) dk_cuda_write;
__typeof__(dk_read) dk_cuda_read;
__typeof__(dk_repeat) dk_cuda_repeat;
__typeof__(dk_repeat_free) dk_cuda_repeat_free;
__typeof__(dk_clear) dk_cuda_clear;
__typeof__(dk_weight_free) dk_cuda_weight_free;

__typeof__(dk_linear) dk_cuda_linear;
__typeof__(dk_weight_linear) dk_cuda_weight_linear;
__typeof__(dk_axpby) dk_cuda_axpby;
__typeof__(dk_act) dk_cuda_act;
__typeof__(dk_add_row) dk_cuda_add_row;
__typeof__(dk_gate_add) dk_cuda_gate_add;
__typeof__(dk_norm_modulate) dk_cuda_norm_modulate;
__typeof__(dk_group_stats) dk_cuda_group_stats;
__typeof__(dk_group_apply) dk_cuda_group_apply;
__typeof__(dk_conv2d_dw) dk_cuda_conv2d_dw;
__typeof__(dk_patchify) dk_cuda_patchify;
__typeof__(dk_unpatchify) dk_cuda_unpatchify;
__typeof__(dk_gather) dk_cuda_gather;
__typeof__(dk_resize) dk_cuda_resize;
__typeof__(dk_conv1d_dw) dk_cuda_conv1d_dw;
__typeof__(dk_selective_scan) dk_cuda_selective_scan;
__typeof__(dk_weight_scan) dk_cuda_weight_scan;
__typeof__(dk_s4d_scan) dk_cuda_s4d_scan;
__typeof__(dk_weight_s4d) dk_cuda_weight_s4d;
__typeof__(dk_attention) dk_cuda_attention;
__typeof__(dk_conv2d) dk_cuda_conv2d;
__typeof__(dk_weight_conv2d) dk_cuda_weight_conv2d;

__typeof__(dk_weight_set) dk_cuda_weight_set;
__typeof__(dk_linear_backward_weight) dk_cuda_linear_backward_weight;
__typeof__(dk_sum_rows) dk_cuda_sum_rows;
__typeof__(dk_conv2d_backward_weight) dk_cuda_conv2d_backward_weight;
__typeof__(dk_norm_modulate_backward) dk_cuda_norm_modulate_backward;
__typeof__(dk_gate_add_backward) dk_cuda_gate_add_backward;
__typeof__(dk_act_backward) dk_cuda_act_backward;
__typeof__(dk_conv2d_dw_backward) dk_cuda_conv2d_dw_backward;
__typeof__(dk_gather_backward) dk_cuda_gather_backward;
__typeof__(dk_unpatchify_backward) dk_cuda_unpatchify_backward;
__typeof__(dk_squared_error) dk_cuda_squared_error;
__typeof__(dk_sum_squares) dk_cuda_sum_squares;
__typeof__(dk_adamw) dk_cuda_adamw;

__typeof__(dk_conv1d_dw_backward) dk_cuda_conv1d_dw_backward;
__typeof__(dk_selective_scan_backward) dk_cuda_selective_scan_backward;
__typeof__(dk_weight_set_s4d) dk_cuda_weight_set_s4d;
__typeof__(dk_s4d_scan_backward) dk_cuda_s4d_scan_backward;
__typeof__(dk_s4d_hold) dk_cuda_s4d_hold;
__typeof__(dk_s4d_hold_backward) dk_cuda_s4d_hold_backward;
__typeof__(dk_neg_exp) dk_cuda_neg_exp;
__typeof__(dk_neg_exp_backward) dk_cuda_neg_exp_backward;

__typeof__(dk_attention_backward) dk_cuda_attention_backward;
__typeof__(dk_bound_error) dk_cuda_bound_error;

#endif
