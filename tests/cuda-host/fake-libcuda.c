/* A CUDA driver that is of no use, in the way that FAKE_CUDA names; for fallback.py.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

enum { CAPABILITY_MAJOR = 75, NO_DEVICE = 100, NOT_PERMITTED = 800 };

static int is(const char *name)
{
    const char *way = getenv("FAKE_CUDA");
    return way && strcmp(way, name) == 0;
}

int cuDriverGetVersion(int *version)
{
    *version = is("old") ? 9010 : 99000;
    return 0;
}

int cuInit(unsigned flags)
{
    return is("fails") ? NOT_PERMITTED : is("no-card") ? NO_DEVICE : 0;
}

int cuDeviceGetCount(int *count)
{
    *count = 1;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    *value = attribute == CAPABILITY_MAJOR ? 5 : 0;
    return 0;
}

int cuGetErrorName(int error, const char **name)
{
    *name = error == NOT_PERMITTED ? "CUDA_ERROR_NOT_PERMITTED" : "CUDA_ERROR_NO_DEVICE";
    return 0;
}
