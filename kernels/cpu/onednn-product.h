/* One block of a matrix product by oneDNN, [ROWS, K] x [K, columns], and its packed weights.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CPU_ONEDNN_PRODUCT_H
#define DK_CPU_ONEDNN_PRODUCT_H

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ONEDNN_ROWS = 64,
    ONEDNN_COLUMNS = 512,
    ONEDNN_MAX_PRODUCTS = 128, /* a network has about twenty */
};

/* What tells one primitive from another; all of one type, to be compared as bytes. */
typedef struct {
    int64_t k, columns, x_stride, y_stride, has_bias, accumulate, act;
} OnednnShape;

/* Indices of the operands that change from run to run. */
enum { ONEDNN_X, ONEDNN_Y, ONEDNN_SCRATCHPAD, ONEDNN_BIAS, ONEDNN_N_HANDLES };

/* A primitive, and each thread's objects for its operands, so that a run creates nothing. */
typedef struct {
    OnednnShape shape;
    dnnl_primitive_t primitive;
    size_t weight_bytes, scratchpad_bytes; /* multiples of 64 */
    dnnl_exec_arg_t (*arguments)[ONEDNN_N_HANDLES];
} OnednnProduct;

typedef struct {
    dnnl_engine_t engine;
    int n_threads;
    dnnl_stream_t *streams; /* one for each thread */
    OnednnProduct products[ONEDNN_MAX_PRODUCTS];
    int n_products;
} OnednnLibrary;

/* False: the library cannot be used; close it all the same. */
bool dk_onednn_open(OnednnLibrary *lib, int n_threads);
void dk_onednn_close(OnednnLibrary *lib);

/* The products that make up one with n columns: of ONEDNN_COLUMNS columns each, and of those that
 * are left; NULL where none are needed. `columns` of the shape is ignored, and a y_stride of
 * INT64_MAX stands for rows without gaps. Made on first use, and valid until the next call. */
dnnl_status_t dk_onednn_products(OnednnLibrary *lib, OnednnShape shape, int64_t n,
                                 const OnednnProduct **whole, const OnednnProduct **rest);

/* The distance of rows in a block: the tensor's own, or none where they are so far apart that the
 * block is a copy. */
int64_t dk_onednn_stride(int64_t stride, int64_t columns);

/* A weight as given: input i of column j is at data[j * column + i * input]. */
typedef struct {
    const float *data;
    int64_t column, input;
} OnednnGiven;

/* w to the layout that all products of this k and columns share, p->weight_bytes at `packed`. The
 * memory object is the caller's, to be destroyed, also after an error. */
dnnl_status_t dk_onednn_pack(const OnednnProduct *p, const OnednnLibrary *lib, float *packed,
                             OnednnGiven w, dnnl_memory_t *memory);

typedef struct {
    const float *x, *bias;
    dnnl_memory_t w; /* shared by threads: giving an object new data writes its padding */
    float *y;
    unsigned char *scratchpad;
} OnednnOperands;

/* One block on the calling thread, number `thread` of the library's. */
dnnl_status_t dk_onednn_run(const OnednnProduct *p, const OnednnLibrary *lib, int thread,
                            OnednnOperands operands);

#endif
