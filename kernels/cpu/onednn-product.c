/* Primitives: descriptions, creation, the list of those in use, packing and running.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/onednn-product.h"

#include "kernels/dk.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Rows farther apart are copied: a block's room is ONEDNN_ROWS strides. */
enum { MAX_STRIDE = 16384 };

/* ---- two generations of the interface -------------------------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t Layout;
typedef const_dnnl_memory_desc_t ConstLayout;
#define LAYOUT(layout) (layout)
#define layout_strided dnnl_memory_desc_create_with_strides
#define layout_tagged dnnl_memory_desc_create_with_tag

static void layout_free(Layout *layout)
{
    dnnl_memory_desc_destroy(*layout);
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef);
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0);
}

static dnnl_status_t describe_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, ConstLayout x,
                                     ConstLayout w, ConstLayout bias, ConstLayout y,
                                     const_dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, x, w, bias, y, attr);
}
#else
typedef dnnl_memory_desc_t Layout;
typedef const dnnl_memory_desc_t *ConstLayout;
#define LAYOUT(layout) (&(layout))
#define layout_strided dnnl_memory_desc_init_by_strides
#define layout_tagged dnnl_memory_desc_init_by_tag

static void layout_free(Layout *layout)
{
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1);
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
    return dnnl_post_ops_append_eltwise(ops, 1, kind, alpha, 0);
}

static dnnl_status_t describe_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, ConstLayout x,
                                     ConstLayout w, ConstLayout bias, ConstLayout y,
                                     const_dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t d;
    const dnnl_status_t status = dnnl_matmul_desc_init(&d, x, w, bias, y);
    return status ? status : dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}
#endif

static dnnl_status_t strided(Layout *layout, int64_t rows, int64_t columns, int64_t row_stride,
                             int64_t column_stride)
{
    return layout_strided(layout, 2, (dnnl_dims_t){rows, columns}, dnnl_f32,
                          (dnnl_dims_t){row_stride, column_stride});
}

/* ---- primitives ------------------------------------------------------------------------------ */

static size_t round_up(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static dnnl_status_t append_ops(dnnl_post_ops_t ops, const OnednnShape *s)
{
    static const dnnl_alg_kind_t kinds[] = {[DK_ACT_SILU] = dnnl_eltwise_swish,
                                            [DK_ACT_RELU] = dnnl_eltwise_relu,
                                            [DK_ACT_TANH] = dnnl_eltwise_tanh,
                                            [DK_ACT_GELU] = dnnl_eltwise_gelu_tanh};
    const dnnl_status_t status = s->accumulate ? append_sum(ops) : dnnl_success;
    if (status || s->act == DK_ACT_NONE)
        return status;
    return append_eltwise(ops, kinds[s->act], s->act == DK_ACT_SILU ? 1 : 0);
}

static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attr, const OnednnShape *s)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (!status)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (!status)
        status = dnnl_post_ops_create(&ops);
    if (!status)
        status = append_ops(ops, s);
    if (!status)
        status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

/* weights NULL: the library's choice. */
static dnnl_status_t describe(dnnl_primitive_desc_t *pd, const OnednnLibrary *lib,
                              const OnednnShape *s, ConstLayout weights)
{
    Layout x = {0}, w = {0}, bias = {0}, y = {0};
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = strided(&x, ONEDNN_ROWS, s->k, s->x_stride, 1);
    if (!status)
        status =
            layout_tagged(&w, 2, (dnnl_dims_t){s->k, s->columns}, dnnl_f32, dnnl_format_tag_any);
    if (!status)
        status = strided(&bias, 1, s->columns, s->columns, 1);
    if (!status)
        status = strided(&y, ONEDNN_ROWS, s->columns, s->y_stride, 1);
    if (!status)
        status = make_attributes(&attr, s);
    if (!status)
        status = describe_matmul(pd, lib->engine, LAYOUT(x), weights ? weights : LAYOUT(w),
                                 s->has_bias ? LAYOUT(bias) : NULL, LAYOUT(y), attr);
    dnnl_primitive_attr_destroy(attr);
    layout_free(&y);
    layout_free(&bias);
    layout_free(&w);
    layout_free(&x);
    return status;
}

/* A weight's layout is the one that the bare product of its size likes best: it is packed before
 * anyone knows what else will be asked for. */
static OnednnShape bare(int64_t k, int64_t columns)
{
    return (OnednnShape){.k = k, .columns = columns, .x_stride = k, .y_stride = columns};
}

static dnnl_status_t make_arguments(OnednnProduct *p, const OnednnLibrary *lib,
                                    dnnl_primitive_desc_t pd)
{
    static const struct {
        dnnl_query_t query;
        int index, role;
    } operands[ONEDNN_N_HANDLES] = {
        [ONEDNN_X] = {dnnl_query_src_md, 0, DNNL_ARG_SRC},
        [ONEDNN_Y] = {dnnl_query_dst_md, 0, DNNL_ARG_DST},
        [ONEDNN_SCRATCHPAD] = {dnnl_query_scratchpad_md, 0, DNNL_ARG_SCRATCHPAD},
        [ONEDNN_BIAS] = {dnnl_query_weights_md, 1, DNNL_ARG_BIAS},
    };
    dnnl_status_t status = dnnl_success;
    p->arguments = calloc((size_t)lib->n_threads, sizeof *p->arguments);
    if (!p->arguments)
        return dnnl_out_of_memory;
    for (int t = 0; t < lib->n_threads; t++)
        for (int i = 0; i < ONEDNN_N_HANDLES - !p->shape.has_bias && !status; i++) {
            const ConstLayout layout =
                dnnl_primitive_desc_query_md(pd, operands[i].query, operands[i].index);
            p->arguments[t][i].arg = operands[i].role;
            status = dnnl_memory_create(&p->arguments[t][i].memory, layout, lib->engine,
                                        DNNL_MEMORY_NONE);
        }
    p->weight_bytes = round_up(
        dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0)));
    p->scratchpad_bytes = round_up(
        dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0)));
    return status;
}

static void product_clear(OnednnProduct *p, const OnednnLibrary *lib)
{
    for (int t = 0; p->arguments && t < lib->n_threads; t++)
        for (int i = 0; i < ONEDNN_N_HANDLES; i++)
            dnnl_memory_destroy(p->arguments[t][i].memory);
    free(p->arguments);
    dnnl_primitive_destroy(p->primitive);
    *p = (OnednnProduct){.arguments = NULL};
}

static dnnl_status_t product_make(OnednnProduct *p, const OnednnLibrary *lib,
                                  const OnednnShape *shape)
{
    const OnednnShape plain = bare(shape->k, shape->columns);
    const int threads = omp_get_max_threads();
    dnnl_primitive_desc_t liked = NULL, pd = NULL;
    *p = (OnednnProduct){.shape = *shape};
    omp_set_num_threads(1); /* the library splits the work when it creates, not when it runs */
    dnnl_status_t status = describe(&liked, lib, &plain, NULL);
    if (!status)
        status = describe(&pd, lib, shape,
                          dnnl_primitive_desc_query_md(liked, dnnl_query_weights_md, 0));
    if (!status)
        status = dnnl_primitive_create(&p->primitive, pd);
    if (!status)
        status = make_arguments(p, lib, pd);
    omp_set_num_threads(threads);
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_desc_destroy(liked);
    if (status)
        product_clear(p, lib);
    return status;
}

int64_t dk_onednn_stride(int64_t stride, int64_t columns)
{
    return stride <= MAX_STRIDE ? stride : columns;
}

static void forget_products(OnednnLibrary *lib)
{
    while (lib->n_products > 0)
        product_clear(&lib->products[--lib->n_products], lib);
}

/* Made on first use, shared by all weights of the size. Room for it is made beforehand, where no
 * other product is in use. */
static dnnl_status_t find_product(const OnednnProduct **found, OnednnLibrary *lib,
                                  const OnednnShape *shape)
{
    for (int i = 0; i < lib->n_products; i++)
        if (memcmp(&lib->products[i].shape, shape, sizeof *shape) == 0) {
            *found = &lib->products[i];
            return dnnl_success;
        }
    OnednnProduct *p = &lib->products[lib->n_products];
    const dnnl_status_t status = product_make(p, lib, shape);
    lib->n_products += !status;
    *found = p;
    return status;
}

dnnl_status_t dk_onednn_products(OnednnLibrary *lib, OnednnShape shape, int64_t n,
                                 const OnednnProduct **whole, const OnednnProduct **rest)
{
    const int64_t left = n % ONEDNN_COLUMNS, y_stride = shape.y_stride;
    dnnl_status_t status = dnnl_success;
    *whole = *rest = NULL;
    if (lib->n_products + 2 > ONEDNN_MAX_PRODUCTS)
        forget_products(lib);
    shape.columns = ONEDNN_COLUMNS;
    shape.y_stride = dk_onednn_stride(y_stride, ONEDNN_COLUMNS);
    if (n >= ONEDNN_COLUMNS)
        status = find_product(whole, lib, &shape);
    shape.columns = left;
    shape.y_stride = dk_onednn_stride(y_stride, left);
    if (left > 0 && !status)
        status = find_product(rest, lib, &shape);
    return status;
}

/* ---- packing and running --------------------------------------------------------------------- */

static ConstLayout weight_layout(const OnednnProduct *p)
{
    const_dnnl_primitive_desc_t pd;
    return dnnl_primitive_get_primitive_desc(p->primitive, &pd)
               ? NULL
               : dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
}

dnnl_status_t dk_onednn_pack(const OnednnProduct *p, const OnednnLibrary *lib, float *packed,
                             OnednnGiven w, dnnl_memory_t *memory)
{
    Layout given = {0};
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    const ConstLayout wanted = weight_layout(p);
    dnnl_status_t status = strided(&given, p->shape.k, p->shape.columns, w.input, w.column);
    *memory = NULL;
    if (!status)
        status = dnnl_memory_create(&from, LAYOUT(given), lib->engine, (void *)w.data);
    if (!status)
        status = dnnl_memory_create(memory, wanted, lib->engine, packed);
    if (!status)
        status = dnnl_reorder_primitive_desc_create(&pd, LAYOUT(given), lib->engine, wanted,
                                                    lib->engine, NULL);
    if (!status)
        status = dnnl_primitive_create(&reorder, pd);
    if (!status)
        status = dnnl_primitive_execute(
            reorder, lib->streams[0], 2,
            (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, *memory}});
    if (!status)
        status = dnnl_stream_wait(lib->streams[0]);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(from);
    layout_free(&given);
    return status;
}

dnnl_status_t dk_onednn_run(const OnednnProduct *p, const OnednnLibrary *lib, int thread,
                            OnednnOperands of)
{
    void *const handles[ONEDNN_N_HANDLES] = {[ONEDNN_X] = (void *)of.x,
                                             [ONEDNN_Y] = of.y,
                                             [ONEDNN_SCRATCHPAD] = of.scratchpad,
                                             [ONEDNN_BIAS] = (void *)of.bias};
    const int n = ONEDNN_N_HANDLES - !p->shape.has_bias;
    dnnl_exec_arg_t arguments[ONEDNN_N_HANDLES + 1];
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < n && !status; i++) {
        arguments[i] = p->arguments[thread][i];
        status = dnnl_memory_set_data_handle(arguments[i].memory, handles[i]);
    }
    arguments[n] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, of.w};
    if (!status)
        status = dnnl_primitive_execute(p->primitive, lib->streams[thread], n + 1, arguments);
    return status ? status : dnnl_stream_wait(lib->streams[thread]);
}

/* ---- opening and closing --------------------------------------------------------------------- */

bool dk_onednn_open(OnednnLibrary *lib, int n_threads)
{
    lib->n_threads = n_threads;
    dnnl_status_t status = dnnl_engine_create(&lib->engine, dnnl_cpu, 0);
    lib->streams = calloc((size_t)lib->n_threads, sizeof *lib->streams);
    for (int t = 0; lib->streams && t < lib->n_threads && !status; t++)
        status = dnnl_stream_create(&lib->streams[t], lib->engine, dnnl_stream_default_flags);
    return lib->streams && !status;
}

void dk_onednn_close(OnednnLibrary *lib)
{
    forget_products(lib);
    for (int t = 0; lib->streams && t < lib->n_threads; t++)
        dnnl_stream_destroy(lib->streams[t]);
    free(lib->streams);
    dnnl_engine_destroy(lib->engine);
}
