/* The back-end table (private to kernels/). A back end fills every slot; dk.c checks the arguments, then calls it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Slots are typed from the public prototypes, so table and interface cannot drift apart. */
#ifndef DK_OPS_H
#define DK_OPS_H

#include "dk.h"

#define DK_SLOT(op) __typeof__(&dk_##op) op

typedef struct DkOps {
    DK_SLOT(linear);
    DK_SLOT(conv2d);
    DK_SLOT(attention);
    DK_SLOT(conv1d_dw);
    DK_SLOT(selective_scan);
    DK_SLOT(norm_modulate);
    DK_SLOT(gate_add);
    DK_SLOT(add_row);
    DK_SLOT(act);
    DK_SLOT(axpby);
    DK_SLOT(group_stats);
    DK_SLOT(group_apply);
    DK_SLOT(clear);
    DK_SLOT(conv2d_dw);
    DK_SLOT(patchify);
    DK_SLOT(unpatchify);
    DK_SLOT(gather);
    DK_SLOT(resize);
    DK_SLOT(weight_linear);
    DK_SLOT(weight_conv2d);
    DK_SLOT(weight_scan);
    DK_SLOT(weight_free);
    DK_SLOT(buffer_new);
    DK_SLOT(buffer_free);
    DK_SLOT(write);
    DK_SLOT(read);
    DkStatus (*sync)(DkDevice *dev);
    void (*close)(DkDevice *dev); /* frees what the back end put into dev->backend */
} DkOps;

/* Host back ends share these; the CUDA back end has its own buffer type behind the same names. */
struct DkBuffer {
    unsigned char *data;
    size_t bytes;
};

struct DkDevice {
    DkOps ops;
    DkBackend kind;
    int n_threads;
    unsigned isa; /* what is allowed and there */
    DkStatus status;
    const atomic_int *cancel;
    size_t bytes, peak_bytes;
    unsigned char *scratch; /* see dk_scratch */
    size_t scratch_bytes;
    void *backend; /* the back end's own state */
    char description[160];
};

/* The device's scratch block, at least `bytes` long, 64-byte aligned; NULL and a sticky DK_NO_MEMORY where there is none.
 * Valid until the next call. */
void *dk_scratch(DkDevice *dev, size_t bytes);
/* Sticky: the first error stays. */
void dk_fail(DkDevice *dev, DkStatus status);
/* True once a cancel was asked for (and then sticky) or another error sticks: leave the operation. */
bool dk_stopped(DkDevice *dev);
/* Accounting of bytes held, for the back ends' allocations. */
void dk_account(DkDevice *dev, size_t add, size_t remove);

/* First element of a host tensor. */
static inline void *dk_data(DkTensor t)
{
    return t.buffer ? t.buffer->data + t.offset : NULL;
}

/* Every back end has one of these; false: it cannot be opened here. cpu starts from ref's table. */
bool dk_ref_init(DkDevice *dev);
bool dk_cpu_init(DkDevice *dev);
bool dk_cuda_init(DkDevice *dev);

#endif
