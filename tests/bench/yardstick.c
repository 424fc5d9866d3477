/* What this machine's products can do, measured now: oneDNN's, weights packed, M = 256, N = K =
 * 1024, f32.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 *     yardstick THREADS [SECONDS]     prints GFLOP/s: the best of the rounds that fit in SECONDS
 * (3)
 *
 * A round is a few milliseconds, shorter than a slice of the scheduler: on a busy machine some
 * round still runs alone. Compare only with what was measured in the same minute. */
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { M = 256, N = 1024, K = 1024 };

static void check(dnnl_status_t status)
{
    if (status != dnnl_success) {
        fprintf(stderr, "yardstick: oneDNN answers %d\n", (int)status);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The C interfaces differ in how descriptors are held. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t Held;

static dnnl_memory_desc_t matrix(int rows, int columns, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d;
    check(dnnl_memory_desc_create_with_tag(&d, 2, (dnnl_dims_t){rows, columns}, dnnl_f32, tag));
    return d;
}

static dnnl_primitive_desc_t matmul(dnnl_engine_t engine)
{
    dnnl_primitive_desc_t pd;
    check(dnnl_matmul_primitive_desc_create(&pd, engine, matrix(M, K, dnnl_ab),
                                            matrix(K, N, dnnl_format_tag_any), NULL,
                                            matrix(M, N, dnnl_ab), NULL));
    return pd;
}
#else
typedef const dnnl_memory_desc_t *Held;

static dnnl_memory_desc_t matrix(int rows, int columns, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d;
    check(dnnl_memory_desc_init_by_tag(&d, 2, (dnnl_dims_t){rows, columns}, dnnl_f32, tag));
    return d;
}

static dnnl_primitive_desc_t matmul(dnnl_engine_t engine)
{
    const dnnl_memory_desc_t x = matrix(M, K, dnnl_ab), w = matrix(K, N, dnnl_format_tag_any),
                             y = matrix(M, N, dnnl_ab);
    dnnl_matmul_desc_t d;
    dnnl_primitive_desc_t pd;
    check(dnnl_matmul_desc_init(&d, &x, &w, NULL, &y));
    check(dnnl_primitive_desc_create(&pd, &d, NULL, engine, NULL));
    return pd;
}
#endif

/* Zeros in the layout that the product likes: its time does not depend on the values. */
static dnnl_exec_arg_t argument(dnnl_engine_t engine, dnnl_primitive_desc_t pd, dnnl_query_t what,
                                int role)
{
    const Held d = dnnl_primitive_desc_query_md(pd, what, 0);
    dnnl_memory_t memory;
    void *data;

    check(dnnl_memory_create(&memory, d, engine, DNNL_MEMORY_ALLOCATE));
    check(dnnl_memory_get_data_handle(memory, &data));
    memset(data, 0, dnnl_memory_desc_get_size(d));
    return (dnnl_exec_arg_t){role, memory};
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 0;
    const double seconds = argc > 2 ? atof(argv[2]) : 3;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t product;
    double best = 0;

    if (threads < 1 || !(seconds > 0)) {
        fprintf(stderr, "usage: yardstick THREADS [SECONDS]\n");
        return 2;
    }
    omp_set_num_threads(threads);
    check(dnnl_engine_create(&engine, dnnl_cpu, 0));
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    const dnnl_primitive_desc_t pd = matmul(engine);
    check(dnnl_primitive_create(&product, pd));
    const dnnl_exec_arg_t arguments[] = {
        argument(engine, pd, dnnl_query_src_md, DNNL_ARG_SRC),
        argument(engine, pd, dnnl_query_weights_md, DNNL_ARG_WEIGHTS),
        argument(engine, pd, dnnl_query_dst_md, DNNL_ARG_DST),
    };
    for (const double end = now() + seconds; now() < end;) {
        const double begin = now();
        check(dnnl_primitive_execute(product, stream, 3, arguments));
        check(dnnl_stream_wait(stream));
        const double rate = 2e-9 * M * N * K / (now() - begin);
        best = rate > best ? rate : best;
    }
    printf("%.1f\n", best);
    return 0;
}
