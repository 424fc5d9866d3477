/* The back-end table (private to kernels/). A back end fills every slot; dk.c checks the arguments,
 * then calls it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Slots are typed from the public prototypes, so table and interface cannot drift apart. */
#ifndef DK_OPS_H
#define DK_OPS_H

#include "dk-train.h"
#include "dk.h"

#include <math.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DK_SLOT(op) __typeof__(&dk_##op) op

typedef struct DkOps {
    DK_SLOT(linear);
    DK_SLOT(conv2d);
    DK_SLOT(attention);
    DK_SLOT(conv1d_dw);
    DK_SLOT(selective_scan);
    DK_SLOT(s4d_scan);
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
    DK_SLOT(weight_s4d);
    DK_SLOT(weight_free);
    DK_SLOT(buffer_new);
    DK_SLOT(buffer_free);
    DK_SLOT(write);
    DK_SLOT(read);
    DK_SLOT(repeat);
    DK_SLOT(repeat_free);
    int64_t (*free_bytes)(const DkDevice *dev); /* NULL: memory is the machine's */
    DkStatus (*sync)(DkDevice *dev);
    void (*close)(DkDevice *dev); /* frees what the back end put into dev->backend */
} DkOps;

/* The second table: what training adds. */
typedef struct DkTrainOps {
    DK_SLOT(weight_set);
    DK_SLOT(weight_set_s4d);
    DK_SLOT(linear_backward_weight);
    DK_SLOT(conv2d_backward_weight);
    DK_SLOT(sum_rows);
    DK_SLOT(attention_backward);
    DK_SLOT(conv1d_dw_backward);
    DK_SLOT(selective_scan_backward);
    DK_SLOT(s4d_scan_backward);
    DK_SLOT(s4d_hold);
    DK_SLOT(s4d_hold_backward);
    DK_SLOT(neg_exp);
    DK_SLOT(neg_exp_backward);
    DK_SLOT(norm_modulate_backward);
    DK_SLOT(gate_add_backward);
    DK_SLOT(act_backward);
    DK_SLOT(conv2d_dw_backward);
    DK_SLOT(gather_backward);
    DK_SLOT(unpatchify_backward);
    DK_SLOT(squared_error);
    DK_SLOT(bound_error);
    DK_SLOT(sum_squares);
    DK_SLOT(adamw);
} DkTrainOps;

/* The CUDA back end's data lies on the card. */
struct DkBuffer {
    unsigned char *data;
    size_t bytes;
};

typedef enum { DK_WEIGHT_LINEAR, DK_WEIGHT_CONV2D, DK_WEIGHT_SCAN, DK_WEIGHT_S4D } DkWeightKind;

/* The shape is what dk.c checks arguments with; the rest is the back end's. */
struct DkWeight {
    DkWeightKind kind;
    int64_t n, k; /* outputs and inputs; of scans: channels and states */
    int kh, kw;   /* 1 but for convolutions */
    DkProducts products;
    float *data;  /* 64-byte aligned; ref: as given */
    size_t bytes; /* of data, as accounted */
    void *packed; /* a library's own objects, freed by the back end's weight_free */
};

enum {
    DK_N_OPS = sizeof(DkOps) / sizeof(void (*)(void)),
    DK_N_SLOTS = DK_N_OPS + sizeof(DkTrainOps) / sizeof(void (*)(void))
};

struct DkDevice {
    DkOps ops;
    DkTrainOps train;
    DkBackend kind;
    int n_threads;
    unsigned isa;      /* what is allowed and there */
    atomic_int status; /* a DkStatus; workers may set it through dk_stopped */
    const atomic_int *cancel;
    DkProducts products; /* of linear weights made from now on */
    bool fast_bf16;
    size_t bytes, peak_bytes;
    unsigned char *scratch; /* see dk_scratch */
    size_t scratch_bytes;
    bool repeating; /* inside of dk_repeat */
    bool profiling;
    DkProfile profile[DK_N_SLOTS]; /* by slot of the table */
    void *backend;                 /* the back end's own state */
    char description[160];
    char problem[DK_PROBLEM_BYTES]; /* why the back end did not open, or what failed last */
};

/* The device's scratch block, at least `bytes` long, 64-byte aligned; NULL and a sticky
 * DK_NO_MEMORY where there is none. Valid until the next call. */
void *dk_scratch(DkDevice *dev, size_t bytes);
/* Sticky: the first error stays. */
void dk_fail(DkDevice *dev, DkStatus status);
/* True once a cancel was asked for (and then sticky) or another error sticks: leave the operation.
 * Any thread. */
bool dk_stopped(DkDevice *dev);
/* Accounting of bytes held, for the back ends' allocations. */
void dk_account(DkDevice *dev, size_t add, size_t remove);
/* Host memory, 64-byte aligned and accounted; NULL: none. Contents undefined. */
void *dk_host_alloc(DkDevice *dev, size_t bytes);
void dk_host_free(DkDevice *dev, void *data, size_t bytes);
/* A weight with `floats` numbers of undefined data on the host; NULL: no memory. The free takes
 * what this made. */
DkWeight *dk_weight_alloc(DkDevice *dev, DkWeightKind kind, int64_t n, int64_t k, int kh, int kw,
                          size_t floats);
void dk_weight_release(DkDevice *dev, DkWeight *w);

/* x rounded to bf16, ties to even; a NaN stays one. */
static inline float dk_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return x;
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x rounded to f16, ties to even; what is finite stays so, Inf and NaN stay. Below 2^-14 the steps
 * are those of the floats about a half. */
static inline float dk_f16(float x)
{
    const float size = fabsf(x), within = size < 65504 ? size : 65504;
    uint32_t bits;
    if (!(size < INFINITY))
        return x;
    memcpy(&bits, &within, sizeof bits);
    bits = (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return copysignf(within < 0x1p-14f ? within + 0.5f - 0.5f : rounded, x);
}

/* What a product takes of a number. */
static inline float dk_operand(float x, DkProducts products)
{
    return products == DK_PRODUCTS_BF16 ? dk_bf16(x) : products == DK_PRODUCTS_F16 ? dk_f16(x) : x;
}

/* First element of a host tensor. */
static inline void *dk_data(DkTensor t)
{
    return t.buffer ? t.buffer->data + t.offset : NULL;
}

/* Length of the last axis, and how many runs of it there are. */
static inline int64_t dk_columns(DkTensor t)
{
    return t.sizes[t.rank - 1];
}

static inline int64_t dk_rows(DkTensor t)
{
    int64_t rows = 1;
    for (int i = 0; i + 1 < t.rank; i++)
        rows *= t.sizes[i];
    return rows;
}

/* Start of row i of an f32 host tensor. */
static inline float *dk_row(DkTensor t, int64_t i)
{
    return (float *)dk_data(t) + i * t.row_stride;
}

/* Every back end has one of these; false: it cannot be opened here, and dev->problem says why. cpu
 * starts from ref's table. */
bool dk_ref_init(DkDevice *dev);
bool dk_cpu_init(DkDevice *dev);
bool dk_cuda_init(DkDevice *dev);

#ifdef __cplusplus
}
#endif
#endif
