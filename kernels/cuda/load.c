/* The CUDA back end is a module of its own, loaded when somebody asks for a card.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const DkCudaHost host = {
    .device_bytes = sizeof(DkDevice),
    .fail = dk_fail,
    .stopped = dk_stopped,
    .account = dk_account,
};

/* The file beside the program, as in a folder that was unpacked anywhere; false: there is none. */
static bool beside_program(char *path, size_t size)
{
    static const char name[] = "dim-cuda.so";
    const ssize_t n = readlink("/proc/self/exe", path, size);
    if (n <= 0 || (size_t)n >= size)
        return false;
    path[n] = 0;
    char *end = strrchr(path, '/');
    if (!end || (size_t)(end + 1 - path) + sizeof name > size)
        return false;
    memcpy(end + 1, name, sizeof name);
    return access(path, F_OK) == 0;
}

/* DIM_CUDA_MODULE goes first, then beside the program, then where it is installed. Never closed:
 * CUDA leaves threads behind. */
static void *open_module(DkDevice *dev)
{
    char beside[PATH_MAX];
    const char *file = getenv("DIM_CUDA_MODULE");
    if (!file)
        file = beside_program(beside, sizeof beside) ? beside : DK_CUDA_MODULE;
    if (access(file, F_OK) != 0) {
        snprintf(dev->problem, sizeof dev->problem, "there is no CUDA module (%.200s)", file);
        return NULL;
    }
    void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        snprintf(dev->problem, sizeof dev->problem, "the CUDA module cannot be loaded: %s",
                 dlerror());
    return module;
}

bool dk_cuda_init(DkDevice *dev)
{
    __typeof__(&dk_cuda_module_open) open = NULL;
    void *module = open_module(dev);
    if (!module)
        return false;
    *(void **)&open = dlsym(module, DK_CUDA_MODULE_OPEN);
    if (!open) {
        snprintf(dev->problem, sizeof dev->problem, "the CUDA module is none of ours: %s",
                 dlerror());
        return false;
    }
    return open(dev, &host);
}
