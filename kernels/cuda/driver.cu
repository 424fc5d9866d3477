/* The real driver, through the few functions of libcuda.so.1 that never changed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/driver.h"

#include <dlfcn.h>
#include <stdio.h>

enum { CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76 }; /* CUdevice_attribute */

typedef struct {
    int (*init)(unsigned flags);
    int (*version)(int *version);
    int (*count)(int *count);
    int (*attribute)(int *value, int attribute, int device);
    int (*error_name)(int error, const char **name);
} Driver;

static bool find(void *library, Driver *d)
{
    *(void **)&d->init = dlsym(library, "cuInit");
    *(void **)&d->version = dlsym(library, "cuDriverGetVersion");
    *(void **)&d->count = dlsym(library, "cuDeviceGetCount");
    *(void **)&d->attribute = dlsym(library, "cuDeviceGetAttribute");
    *(void **)&d->error_name = dlsym(library, "cuGetErrorName");
    return d->init && d->version && d->count && d->attribute;
}

static int ask(const Driver *d, DkCudaDriver *found)
{
    int error = d->version(&found->version);
    error = error ? error : d->init(0);
    error = error ? error : d->count(&found->n_cards);
    if (error || found->n_cards == 0)
        return error;
    error = d->attribute(&found->major, CAPABILITY_MAJOR, 0);
    return error ? error : d->attribute(&found->minor, CAPABILITY_MINOR, 0);
}

DkCudaDriver dk_cuda_driver_look(void)
{
    DkCudaDriver found = {};
    Driver d;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library || !find(library, &d)) {
        const char *why = dlerror();
        snprintf(found.text, sizeof found.text, "%s", why ? why : "libcuda.so.1");
        return found;
    }
    found.there = true;
    found.error = ask(&d, &found);
    const char *name = nullptr;
    if (found.error && d.error_name && d.error_name(found.error, &name) == 0 && name)
        snprintf(found.text, sizeof found.text, "%s", name);
    else if (found.error)
        snprintf(found.text, sizeof found.text, "error %d", found.error);
    return found;
}
