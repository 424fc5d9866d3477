/* Devices: opening, threads, instruction sets, status, scratch, accounting, profile.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk-check.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* ---- what the machine has -------------------------------------------------------------------- */

/* __builtin_cpu_supports also asks the operating system whether it saves the registers. */
static unsigned isa_present(void)
{
    unsigned isa = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        isa |= DK_ISA_AVX2;
    if ((isa & DK_ISA_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        isa |= DK_ISA_AVX512;
#endif
    return isa;
}

static long topology(int cpu, const char *what)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    FILE *file = fopen(path, "re");
    long value = -1;
    if (file) {
        if (fscanf(file, "%ld", &value) != 1)
            value = -1;
        fclose(file);
    }
    return value;
}

/* Physical cores among the processors this process may run on; a processor of unknown topology
 * counts as a core. */
static int physical_cores(void)
{
    cpu_set_t allowed;
    long core[CPU_SETSIZE], package[CPU_SETSIZE];
    int n = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        const long c = topology(cpu, "core_id"), p = topology(cpu, "physical_package_id");
        int i = 0;
        while (i < n && (c < 0 || core[i] != c || package[i] != p))
            i++;
        if (i == n) {
            core[n] = c;
            package[n++] = p;
        }
    }
    return n > 0 ? n : 1;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool init_backend(DkDevice *dev)
{
    switch (dev->kind) {
    case DK_BACKEND_REF:
        return dk_ref_init(dev);
    case DK_BACKEND_CPU:
        return dk_cpu_init(dev);
    case DK_BACKEND_CUDA:
        return dk_cuda_init(dev);
    }
    return false;
}

DkDevice *dk_device_try(DkBackend backend, int n_threads, unsigned isa,
                        char problem[DK_PROBLEM_BYTES])
{
    DkDevice *dev = calloc(1, sizeof *dev);
    strcpy(problem, dk_status_text(DK_NO_MEMORY));
    if (!dev)
        return NULL;
    dev->kind = backend;
    dev->n_threads = n_threads > 0 ? n_threads : physical_cores();
    dev->isa = isa & isa_present();
    if (!init_backend(dev)) {
        if (dev->problem[0])
            memcpy(problem, dev->problem, sizeof dev->problem);
        free(dev);
        return NULL;
    }
    return dev;
}

DkDevice *dk_device_open(DkBackend backend, int n_threads, unsigned isa)
{
    char problem[DK_PROBLEM_BYTES];
    return dk_device_try(backend, n_threads, isa, problem);
}

void dk_device_close(DkDevice **dev)
{
    if (!*dev)
        return;
    dk_host_free(*dev, (*dev)->scratch, (*dev)->scratch_bytes);
    if ((*dev)->ops.close)
        (*dev)->ops.close(*dev);
    free(*dev);
    *dev = NULL;
}

const char *dk_device_describe(const DkDevice *dev)
{
    return dev->description;
}

const char *dk_device_problem(const DkDevice *dev)
{
    return dev->problem;
}

int dk_device_threads(const DkDevice *dev)
{
    return dev->n_threads;
}

void dk_device_set_products(DkDevice *dev, DkProducts products)
{
    dev->products = products;
}

bool dk_device_has_fast_bf16(const DkDevice *dev)
{
    return dev->fast_bf16;
}

/* ---- memory ---------------------------------------------------------------------------------- */

size_t dk_device_bytes(const DkDevice *dev)
{
    return dev->bytes;
}

size_t dk_device_peak_bytes(const DkDevice *dev)
{
    return dev->peak_bytes;
}

int64_t dk_device_free_bytes(const DkDevice *dev)
{
    return dev->ops.free_bytes ? dev->ops.free_bytes(dev) : INT64_MAX;
}

void dk_account(DkDevice *dev, size_t add, size_t remove)
{
    dev->bytes += add;
    dev->bytes -= remove;
    if (dev->bytes > dev->peak_bytes)
        dev->peak_bytes = dev->bytes;
}

/* A wish, for the whole pages inside: blocks that all began on such a page would share few lines of
 * the caches. */
static void ask_for_huge_pages(void *data, size_t bytes)
{
    enum { HUGE_PAGE = 2 << 20 };
    const uintptr_t first = ((uintptr_t)data + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const uintptr_t end = ((uintptr_t)data + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (end > first)
        madvise((char *)data + (first - (uintptr_t)data), end - first, MADV_HUGEPAGE);
}

void *dk_host_alloc(DkDevice *dev, size_t bytes)
{
    enum { LINE = 64 };
    void *data = NULL;
    if (bytes == 0 || bytes > SIZE_MAX - LINE ||
        posix_memalign(&data, LINE, (bytes + LINE - 1) / LINE * LINE) != 0)
        return NULL;
    ask_for_huge_pages(data, bytes);
    dk_account(dev, bytes, 0);
    return data;
}

void dk_host_free(DkDevice *dev, void *data, size_t bytes)
{
    if (!data)
        return;
    free(data);
    dk_account(dev, 0, bytes);
}

void *dk_scratch(DkDevice *dev, size_t bytes)
{
    if (bytes <= dev->scratch_bytes)
        return dev->scratch;
    dk_host_free(dev, dev->scratch, dev->scratch_bytes);
    dev->scratch = dk_host_alloc(dev, bytes);
    dev->scratch_bytes = dev->scratch ? bytes : 0;
    if (!dev->scratch)
        dk_fail(dev, DK_NO_MEMORY);
    return dev->scratch;
}

/* ---- status and cancel ----------------------------------------------------------------------- */

void dk_fail(DkDevice *dev, DkStatus status)
{
    int expected = DK_OK;
    atomic_compare_exchange_strong(&dev->status, &expected, status);
}

bool dk_stopped(DkDevice *dev)
{
    if (dev->cancel && atomic_load_explicit(dev->cancel, memory_order_relaxed))
        dk_fail(dev, DK_CANCELLED);
    return atomic_load_explicit(&dev->status, memory_order_relaxed) != DK_OK;
}

void dk_device_set_cancel(DkDevice *dev, const atomic_int *flag)
{
    dev->cancel = flag;
}

DkStatus dk_sync(DkDevice *dev)
{
    DK_REQUIRE(!dev->repeating);
    if (dev->ops.sync) {
        const DkStatus status = dev->ops.sync(dev);
        if (status != DK_OK)
            dk_fail(dev, status);
    }
    if (dev->cancel && atomic_load(dev->cancel))
        dk_fail(dev, DK_CANCELLED);
    return (DkStatus)atomic_exchange(&dev->status, DK_OK);
}

const char *dk_status_text(DkStatus status)
{
    switch (status) {
    case DK_OK:
        return "no error";
    case DK_NO_MEMORY:
        return "there is no memory";
    case DK_CANCELLED:
        return "cancelled";
    case DK_DEVICE_FAILED:
        return "the device failed";
    }
    return "unknown status";
}

/* ---- profile --------------------------------------------------------------------------------- */

double dk_profile_begin(const DkDevice *dev)
{
    struct timespec now;
    if (!dev->profiling)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void dk_profile_end(DkDevice *dev, size_t slot, const char *op, double begin, double flop)
{
    if (!dev->profiling)
        return;
    if (dev->ops.sync)
        dev->ops.sync(dev);
    DkProfile *entry = &dev->profile[slot];
    entry->op = op;
    entry->seconds += dk_profile_begin(dev) - begin;
    entry->flop += flop;
    entry->calls++;
}

void dk_profile_enable(DkDevice *dev, bool on)
{
    if (on)
        memset(dev->profile, 0, sizeof dev->profile);
    dev->profiling = on;
}

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const DkProfile *)a)->seconds, y = ((const DkProfile *)b)->seconds;
    return (x < y) - (x > y);
}

int dk_profile_read(const DkDevice *dev, DkProfile *entries, int n_max)
{
    DkProfile all[DK_N_SLOTS];
    int n = 0;
    for (int i = 0; i < DK_N_SLOTS; i++)
        if (dev->profile[i].calls)
            all[n++] = dev->profile[i];
    qsort(all, (size_t)n, sizeof *all, by_seconds);
    n = n < n_max ? n : n_max;
    if (n > 0)
        memcpy(entries, all, (size_t)n * sizeof *all);
    return n > 0 ? n : 0;
}
