/* dk_linear by oneDNN's matrix product, weights packed once in the library's own layout.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The library promises equal bits for equal primitives only, so each weight has primitives of one
 * number of rows: [ROWS, K] x [K, COLUMNS], and one of the columns that are left. Blocks of rows
 * begin anew at each item of a batch, missing rows are zeros, a primitive runs on one thread, and
 * threads share the blocks: neither their number nor the other items can change a result. That a
 * row's place in its block changes nothing either (a strip's rows lie elsewhere than the whole
 * picture's) is no promise, so it is seen to when a weight is packed. */
#include "kernels/cpu/onednn.h"

#include "kernels/cpu/onednn-product.h"
#include "kernels/cpu/parallel.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = ONEDNN_ROWS,
    COLUMNS = ONEDNN_COLUMNS,
    LEAST = 16, /* narrower weights are not worth the library's padding */
};

/* What a multiply-add takes on one thread, to judge by whether others are worth waking. */
#define PRODUCT_NS 0.0125

/* dev->backend of a device with oneDNN. */
typedef struct {
    DkOps own; /* the tables before ours */
    DkTrainOps own_train;
    OnednnLibrary library;
} Backend;

/* ---- weights --------------------------------------------------------------------------------- */

/* Whether equal rows give equal bits wherever they lie in the block; x is the weight's first
 * column. */
static bool rows_are_alike(DkDevice *dev, const OnednnLibrary *lib, const OnednnProduct *p,
                           dnnl_memory_t packed, OnednnGiven w)
{
    const int64_t k = p->shape.k, columns = p->shape.columns;
    const size_t floats = (size_t)(ROWS * (k + columns));
    unsigned char *room = dk_scratch(dev, p->scratchpad_bytes + floats * sizeof(float));
    if (!room)
        return false;
    float *x = (float *)(room + p->scratchpad_bytes), *y = x + ROWS * k;
    for (int64_t i = 0; i < ROWS * k; i++)
        x[i] = w.data[i % k * w.input];
    const OnednnOperands of = {.x = x, .w = packed, .y = y, .scratchpad = room};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const dnnl_status_t status = dk_onednn_run(p, lib, 0, of);
    omp_set_num_threads(threads);
    for (int64_t r = 1; r < ROWS && !status; r++)
        if (memcmp(y, y + r * columns, (size_t)columns * sizeof *y) != 0)
            return false;
    return !status;
}

/* What DkWeight.packed of oneDNN's weights points to: a memory object for each COLUMNS columns. */
typedef struct {
    int64_t n;
    dnnl_memory_t columns[];
} Packed;

static bool pack_all(DkDevice *dev, const OnednnLibrary *lib, const OnednnProduct *whole,
                     const OnednnProduct *rest, DkWeight *packed, OnednnGiven w)
{
    unsigned char *to = (unsigned char *)packed->data;
    for (int64_t j = 0; j < packed->n; j += COLUMNS) {
        const OnednnProduct *p = packed->n - j < COLUMNS ? rest : whole;
        const bool first_of_its_kind = j == 0 || p == rest;
        const OnednnGiven from = {w.data + j * w.column, w.column, w.input};
        dnnl_memory_t *memory = &((Packed *)packed->packed)->columns[j / COLUMNS];
        if (dk_onednn_pack(p, lib, (float *)to, from, memory) != dnnl_success)
            return false;
        if (first_of_its_kind && !rows_are_alike(dev, lib, p, *memory, from))
            return false;
        to += p->weight_bytes;
    }
    return true;
}

static void forget_columns(Packed *packed)
{
    for (int64_t i = 0; packed && i < packed->n; i++) {
        dnnl_memory_destroy(packed->columns[i]);
        packed->columns[i] = NULL;
    }
}

static void weight_free(DkDevice *dev, DkWeight **w)
{
    const Backend *backend = dev->backend;
    forget_columns((*w)->packed);
    free((*w)->packed);
    backend->own.weight_free(dev, w);
}

static Packed *packed_new(int64_t n)
{
    Packed *packed = calloc(1, sizeof *packed + (size_t)n * sizeof *packed->columns);
    if (packed)
        packed->n = n;
    return packed;
}

/* What oneDNN packed; NULL: it does not take this weight. */
static DkWeight *pack(DkDevice *dev, OnednnLibrary *lib, const float *w, int64_t n, int64_t k)
{
    const OnednnProduct *whole, *rest;
    const OnednnShape shape = {.k = k, .x_stride = k, .y_stride = INT64_MAX}; /* bare */
    if (n < LEAST || k < LEAST || dk_onednn_products(lib, shape, n, &whole, &rest) != dnnl_success)
        return NULL;
    const size_t bytes =
        (whole ? (size_t)(n / COLUMNS) * whole->weight_bytes : 0) + (rest ? rest->weight_bytes : 0);
    DkWeight *packed = dk_weight_alloc(dev, DK_WEIGHT_LINEAR, n, k, 1, 1, bytes / sizeof(float));
    if (!packed)
        return NULL;
    packed->packed = packed_new((n + COLUMNS - 1) / COLUMNS);
    if (packed->packed && pack_all(dev, lib, whole, rest, packed, (OnednnGiven){w, k, 1}))
        return packed;
    weight_free(dev, &packed);
    return NULL;
}

static DkWeight *weight_linear(DkDevice *dev, const float *w, int64_t n, int64_t k)
{
    Backend *backend = dev->backend;
    const bool ours = dev->products != DK_PRODUCTS_F32; /* the library would not round x */
    DkWeight *packed = ours ? NULL : pack(dev, &backend->library, w, n, k);
    return packed ? packed : backend->own.weight_linear(dev, w, n, k);
}

static bool repack(DkDevice *dev, OnednnLibrary *lib, DkWeight *weight, OnednnGiven w)
{
    const OnednnProduct *whole, *rest;
    const OnednnShape shape = {.k = weight->k, .x_stride = weight->k, .y_stride = INT64_MAX};
    forget_columns(weight->packed);
    return dk_onednn_products(lib, shape, weight->n, &whole, &rest) == dnnl_success &&
           pack_all(dev, lib, whole, rest, weight, w);
}

/* Where oneDNN takes the weight no longer, it becomes one of our own. */
static void replace_by_own(DkDevice *dev, DkWeight *weight, OnednnGiven w)
{
    const Backend *backend = dev->backend;
    float *rows = dk_scratch(dev, (size_t)(weight->n * weight->k) * sizeof *rows);
    for (int64_t i = 0; rows && i < weight->n * weight->k; i++)
        rows[i] = w.data[i / weight->k * w.column + i % weight->k * w.input];
    DkWeight *own = rows ? backend->own.weight_linear(dev, rows, weight->n, weight->k) : NULL;
    if (!own) {
        dk_fail(dev, DK_NO_MEMORY);
        return;
    }
    const DkWeight old = *weight;
    *weight = *own;
    *own = old;
    weight_free(dev, &own);
}

static void weight_set(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed)
{
    Backend *backend = dev->backend;
    const OnednnGiven given = {dk_data(w), transposed ? 1 : w.row_stride,
                               transposed ? w.row_stride : 1};
    if (!weight->packed)
        backend->own_train.weight_set(dev, weight, w, transposed);
    else if (!repack(dev, &backend->library, weight, given))
        replace_by_own(dev, weight, given);
}

/* ---- the whole product ----------------------------------------------------------------------- */

/* Unit i: block i % blocks of rows, columns from i / blocks * COLUMNS on. */
typedef struct {
    DkDevice *dev;
    const OnednnLibrary *lib;
    const OnednnProduct *whole, *rest;
    DkTensor y, x, b;
    const DkWeight *w;
    int64_t item_rows, item_blocks, blocks;
    unsigned char *room; /* each thread's scratchpad, block of x, block of y */
    size_t room_bytes, x_at, y_at;
} Call;

static void copy_rows(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                      int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(to + r * to_stride, from + r * from_stride, (size_t)columns * sizeof *to);
}

static void clear_rows(float *to, int64_t stride, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++)
        memset(to + r * stride, 0, (size_t)columns * sizeof *to);
}

/* Blocks that are not whole, or whose rows lie too far apart, are copied: one and the same
 * primitive for all. */
static dnnl_status_t unit(const Call *c, int64_t i, int thread)
{
    const int64_t block = i % c->blocks, column = i / c->blocks * COLUMNS;
    const int64_t at = block % c->item_blocks * ROWS, left = c->item_rows - at;
    const int64_t first = block / c->item_blocks * c->item_rows + at;
    const int64_t rows = left < ROWS ? left : ROWS;
    const OnednnProduct *p = c->w->n - column < COLUMNS ? c->rest : c->whole;
    const OnednnShape *s = &p->shape;
    unsigned char *room = c->room + (size_t)thread * c->room_bytes;
    float *x = dk_row(c->x, first), *y = dk_row(c->y, first) + column, *out = y;
    if (rows < ROWS || s->x_stride != c->x.row_stride) {
        float *copy = (float *)(room + c->x_at);
        copy_rows(copy, s->x_stride, x, c->x.row_stride, rows, s->k);
        clear_rows(copy + rows * s->x_stride, s->x_stride, ROWS - rows, s->k);
        x = copy;
    }
    if (rows < ROWS || s->y_stride != c->y.row_stride) {
        out = (float *)(room + c->y_at);
        if (s->accumulate)
            copy_rows(out, s->y_stride, y, c->y.row_stride, rows, s->columns);
        clear_rows(out + rows * s->y_stride, s->y_stride, ROWS - rows, s->columns);
    }
    const dnnl_status_t status = dk_onednn_run(
        p, c->lib, thread,
        (OnednnOperands){.x = x,
                         .w = ((const Packed *)c->w->packed)->columns[column / COLUMNS],
                         .bias = s->has_bias ? dk_row(c->b, 0) + column : NULL,
                         .y = out,
                         .scratchpad = room});
    if (out != y)
        copy_rows(y, c->y.row_stride, out, s->y_stride, rows, s->columns);
    return status;
}

static void fail(DkDevice *dev, dnnl_status_t status)
{
    if (status)
        dk_fail(dev, status == dnnl_out_of_memory ? DK_NO_MEMORY : DK_DEVICE_FAILED);
}

static void part(const void *op, int64_t first, int64_t last, int thread)
{
    const Call *c = op;
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* where this thread works alone, the library would wake others */
    for (int64_t i = first; i < last; i++)
        fail(c->dev, unit(c, i, thread));
    omp_set_num_threads(threads);
}

/* Room for one thread's unit, whichever product does it. */
static void plan_room(Call *c)
{
    const OnednnProduct *p[] = {c->whole, c->rest};
    int64_t x = 0, y = 0;
    for (int i = 0; i < 2; i++)
        if (p[i]) {
            c->x_at = c->x_at > p[i]->scratchpad_bytes ? c->x_at : p[i]->scratchpad_bytes;
            x = p[i]->shape.x_stride;
            y = y > p[i]->shape.y_stride ? y : p[i]->shape.y_stride;
        }
    c->y_at = c->x_at + (size_t)(ROWS * x) * sizeof(float);
    c->room_bytes = c->y_at + (size_t)(ROWS * y) * sizeof(float);
}

static void linear(DkDevice *dev, DkTensor y, DkTensor x, const DkWeight *w, DkTensor b, DkAct act,
                   bool accumulate)
{
    Backend *backend = dev->backend;
    OnednnLibrary *lib = &backend->library;
    if (!w->packed) {
        backend->own.linear(dev, y, x, w, b, act, accumulate);
        return;
    }
    const int64_t rows = dk_rows(x), items = x.rank > 2 ? x.sizes[0] : 1;
    const OnednnShape shape = {.k = w->k,
                               .x_stride = dk_onednn_stride(x.row_stride, w->k),
                               .y_stride = y.row_stride,
                               .has_bias = b.buffer != NULL,
                               .accumulate = accumulate,
                               .act = act};
    Call c = {.dev = dev, .lib = lib, .y = y, .x = x, .b = b, .w = w, .item_rows = rows / items};
    const dnnl_status_t status = dk_onednn_products(lib, shape, w->n, &c.whole, &c.rest);
    if (status) {
        fail(dev, status);
        return;
    }
    c.item_blocks = (c.item_rows + ROWS - 1) / ROWS;
    c.blocks = items * c.item_blocks;
    plan_room(&c);
    c.room = dk_scratch(dev, (size_t)lib->n_threads * c.room_bytes);
    if (!c.room)
        return;
    const int64_t wide = w->n < COLUMNS ? w->n : COLUMNS, chunks = (w->n + COLUMNS - 1) / COLUMNS;
    dk_cpu_parallel(dev, c.blocks * chunks, PRODUCT_NS * (double)(ROWS * wide) * (double)w->k, part,
                    &c);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void close_device(DkDevice *dev)
{
    Backend *backend = dev->backend;
    dev->ops = backend->own;
    dev->train = backend->own_train;
    dev->backend = NULL;
    dk_onednn_close(&backend->library);
    free(backend);
    if (dev->ops.close)
        dev->ops.close(dev);
}

bool dk_cpu_onednn_is_wide(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

bool dk_cpu_onednn_init(DkDevice *dev)
{
    Backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        return false;
    backend->own = dev->ops;
    backend->own_train = dev->train;
    if (!dk_onednn_open(&backend->library, dev->n_threads)) {
        dk_onednn_close(&backend->library);
        free(backend);
        return false;
    }
    dev->backend = backend;
    dev->ops.weight_linear = weight_linear;
    dev->ops.weight_free = weight_free;
    dev->ops.linear = linear;
    dev->ops.close = close_device;
    dev->train.weight_set = weight_set;
    return true;
}
