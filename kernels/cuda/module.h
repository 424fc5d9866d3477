/* What the program and its CUDA module know of each other.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The module is a shared object that only the loader (load.c) opens, so that the program starts
 * without any CUDA library. It calls back through DkCudaHost and is bound to nothing else of the
 * program's. */
#ifndef DK_CUDA_MODULE_H
#define DK_CUDA_MODULE_H

#include "kernels/dk-ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The program's functions, as dk-ops.h has them. */
typedef struct {
    size_t device_bytes; /* of its DkDevice: another build's module is refused by it */
    void (*fail)(DkDevice *dev, DkStatus status);
    bool (*stopped)(DkDevice *dev);
    void (*account)(DkDevice *dev, size_t add, size_t remove);
} DkCudaHost;

/* The module's only symbol. Fills the device's tables; false: no card can be used, and dev->problem
 * says why. `host` is kept. */
bool dk_cuda_module_open(DkDevice *dev, const DkCudaHost *host);
#define DK_CUDA_MODULE_OPEN "dk_cuda_module_open"

#ifdef __cplusplus
}
#endif
#endif
