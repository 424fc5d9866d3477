/* The driver and card of kernels on the host: a good one, or what DIM_CUDA_HOST_DRIVER names.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cuda/driver.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    DkCudaDriver driver;
} drivers[] = {
    {"", {true, 0, "", 12000, 1, 8, 0}},
    {"absent", {false, 0, "libcuda.so.1: cannot open shared object file", 0, 0, 0, 0}},
    {"fails", {true, 3, "CUDA_ERROR_NOT_INITIALIZED", 12000, 0, 0, 0}},
    {"old", {true, 0, "", 11040, 1, 8, 0}},
    {"no-card", {true, 100, "CUDA_ERROR_NO_DEVICE", 12000, 0, 0, 0}},
    {"old-card", {true, 0, "", 12000, 1, 5, 0}},
};

DkCudaDriver dk_cuda_driver_look(void)
{
    const char *name = getenv("DIM_CUDA_HOST_DRIVER");
    for (const auto &d : drivers)
        if (strcmp(d.name, name ? name : "") == 0)
            return d.driver;
    abort();
}
