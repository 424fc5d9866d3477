/* Runs the tests of operations: each shape with each kind of input, a back end against ref.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * usage: kern [--backend cpu|cuda] [--isa portable|portable16|avx2|avx512|onednn] [--threads N]
 * [--seed N] [--bench] [--model] [--sizes N,N,...] [--work] [OPERATION...] Exit status: 0 all good,
 * 1 a failure, 2 usage, 77 the back end or the instruction set is not here. portable16: plain C
 * with AVX-512's lanes. onednn: AVX2, but the products are oneDNN's, whatever kernels it has for
 * this processor. --model: only the real model's shape; --sizes: in place of that shape; --work: at
 * the end what was asked of the back end. */
#include "kern.h"

#include "kernels/cpu/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERN_OP(op) extern const KernOp kern_##op;
#include "ops.h"
#undef KERN_OP

#define KERN_OP(op) &kern_##op,
static const KernOp *const ops[] = {
#include "ops.h"
};
#undef KERN_OP

enum { N_OPS = sizeof ops / sizeof *ops, N_RANDOM_SHAPES = 6 };

static const char *const fill_names[KERN_N_FILLS] = {"normal", "equal", "huge", "tiny", "zeros"};

static void run_case(Kern *k, const KernOp *op, const int64_t *shape, uint64_t seed)
{
    k->text[0] = 0;
    kern_note(k, "%s", op->name);
    for (int i = 0; i < KERN_MAX_SIZES && op->sizes[i]; i++)
        kern_note(k, " %s=%lld", op->sizes[i], (long long)shape[i]);
    kern_note(k, " %s", fill_names[k->fill]);
    kern_begin(k, seed);
    k->aligned = k->n_cases % 2;
    k->state += (uint64_t)k->n_cases++ << 32;
    op->check(k, shape);
    kern_end(k);
}

static void run_fills(Kern *k, const KernOp *op, const int64_t *shape, uint64_t seed)
{
    for (k->fill = 0; k->fill < KERN_N_FILLS; k->fill++)
        run_case(k, op, shape, seed);
}

static void run_one(Kern *k, const KernOp *op, const int64_t *shape, uint64_t seed)
{
    k->fill = KERN_NORMAL;
    run_case(k, op, shape, seed);
}

static void run_op(Kern *k, const KernOp *op, uint64_t seed)
{
    k->n_cases = 0;
    for (int i = 0; i < KERN_MAX_SHAPES && op->shapes[i][0]; i++)
        run_fills(k, op, op->shapes[i], seed);
    for (int i = 0; i < N_RANDOM_SHAPES; i++) {
        int64_t shape[KERN_MAX_SIZES] = {0};
        k->state = seed + 1000003 * (uint64_t)(i + 1);
        for (int j = 0; j < KERN_MAX_SIZES && op->sizes[j]; j++)
            shape[j] = 1 + (int64_t)(kern_bits(k) % (uint64_t)op->limits[j]);
        run_fills(k, op, shape, seed);
    }
    run_one(k, op, op->model, seed);
}

static void print_times(const Kern *k)
{
    const double ref = k->seconds[0] / (double)k->runs[0], got = k->seconds[1] / (double)k->runs[1];
    printf("%-60s ref %10.3f ms   new %10.3f ms   ratio %7.1f\n", k->text, ref * 1e3, got * 1e3,
           ref / got);
}

/* Slot, calls and textbook flop of everything that the back end was asked for. */
static void print_work(const Kern *k)
{
    DkProfile entries[DK_N_SLOTS];
    const int n = dk_profile_read(k->dev[1], entries, DK_N_SLOTS);
    printf("%s\n", k->text);
    for (int i = 0; i < n; i++)
        printf("%s\t%lld\t%.0f\n", entries[i].op, (long long)entries[i].calls, entries[i].flop);
}

/* ---- command line ---------------------------------------------------------------------------- */

typedef struct {
    DkBackend backend;
    unsigned isa;
    int n_threads;
    uint64_t seed;
    bool bench, model, work;
    int64_t sizes[KERN_MAX_SIZES];  /* 0: not given */
    bool (*replace)(DkDevice *dev); /* puts what is under test into the table; NULL: it is there */
    const char *only[N_OPS];
    int n_only;
} Options;

void dk_portable16_fill(DkDevice *dev);

static bool replace_by_portable16(DkDevice *dev)
{
    dk_portable16_fill(dev);
    return true;
}

static bool parse_isa(const char *name, Options *o)
{
    static const struct {
        const char *name;
        unsigned isa;
        bool (*replace)(DkDevice *dev);
    } sets[] = {{"portable", 0, NULL},
                {"portable16", 0, replace_by_portable16},
                {"avx2", DK_ISA_AVX2, NULL},
                {"avx512", DK_ISA_AVX2 | DK_ISA_AVX512, NULL},
                {"onednn", DK_ISA_AVX2, dk_cpu_onednn_init}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (strcmp(name, sets[i].name) == 0) {
            o->isa = sets[i].isa;
            o->replace = sets[i].replace;
            return true;
        }
    return false;
}

static bool parse_sizes(const char *text, int64_t sizes[KERN_MAX_SIZES])
{
    for (int i = 0; i < KERN_MAX_SIZES; i++) {
        char *end;
        sizes[i] = strtoll(text, &end, 10);
        if (end == text || sizes[i] < 1 || (*end && *end != ','))
            return false;
        if (!*end)
            return true;
        text = end + 1;
    }
    return false;
}

static bool parse(int argc, char **argv, Options *o)
{
    *o = (Options){.backend = DK_BACKEND_CPU, .isa = DK_ISA_ALL, .n_threads = 2, .seed = 1};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--bench") == 0)
            o->bench = true;
        else if (strcmp(argv[i], "--model") == 0)
            o->model = true;
        else if (strcmp(argv[i], "--work") == 0)
            o->work = true;
        else if (argv[i][0] != '-' && o->n_only < N_OPS)
            o->only[o->n_only++] = argv[i];
        else if (strcmp(argv[i], "--backend") == 0 && ++i)
            o->backend = strcmp(value, "cuda") == 0 ? DK_BACKEND_CUDA : DK_BACKEND_CPU;
        else if (strcmp(argv[i], "--isa") == 0 && ++i && parse_isa(value, o))
            continue;
        else if (strcmp(argv[i], "--threads") == 0 && ++i)
            o->n_threads = atoi(value);
        else if (strcmp(argv[i], "--seed") == 0 && ++i)
            o->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--sizes") == 0 && ++i && parse_sizes(value, o->sizes))
            continue;
        else
            return false;
    }
    return true;
}

static void run(Kern *k, const KernOp *op, const Options *o)
{
    if (o->bench || o->model)
        run_one(k, op, o->sizes[0] ? o->sizes : op->model, o->seed);
    else
        run_op(k, op, o->seed);
    if (o->bench)
        print_times(k);
}

static bool wanted(const Options *o, const KernOp *op)
{
    for (int i = 0; i < o->n_only; i++)
        if (strcmp(o->only[i], op->name) == 0)
            return true;
    return o->n_only == 0;
}

int main(int argc, char **argv)
{
    Options o;
    Kern k = {0};
    char problem[DK_PROBLEM_BYTES] = "";
    int n_run = 0;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: kern [--backend cpu|cuda] [--isa portable|portable16|avx2|avx512|"
                        "onednn] [--threads N] [--seed N] [--bench] [--model] [--sizes N,N,...] "
                        "[--work] [OPERATION...]\n");
        return 2;
    }
    k.bench = o.bench;
    k.dev[0] = dk_device_open(DK_BACKEND_REF, 1, 0);
    k.dev[1] = dk_device_try(o.backend, o.n_threads, o.isa, problem);
    const bool here = k.dev[1] && (o.isa == DK_ISA_ALL || k.dev[1]->isa == o.isa) &&
                      (!o.replace || o.replace(k.dev[1]));
    if (here)
        dk_profile_enable(k.dev[1], o.work);
    for (int i = 0; here && i < N_OPS; i++)
        if (wanted(&o, ops[i])) {
            run(&k, ops[i], &o);
            n_run++;
        }
    if (here && o.work)
        print_work(&k);
    dk_device_close(&k.dev[0]);
    dk_device_close(&k.dev[1]);
    if (!here) {
        fprintf(stderr, "kern: this back end or instruction set is not here: %s\n", problem);
        return 77;
    }
    if (n_run < o.n_only)
        fprintf(stderr, "kern: no such operation\n");
    return n_run < o.n_only ? 2 : k.n_failures > 0;
}
