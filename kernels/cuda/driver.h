/* What the CUDA driver says, asked without the CUDA runtime (which does not tell a missing driver
 * from an old one).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CUDA_DRIVER_H
#define DK_CUDA_DRIVER_H

#include <stdbool.h>

typedef struct {
    bool there;       /* libcuda.so.1 could be loaded */
    int error;        /* of cuInit or a question after it; 0: none */
    char text[120];   /* the loader's or the driver's words on it */
    int version;      /* 12040: CUDA 12.4 */
    int n_cards;      /* the rest is of the first */
    int major, minor; /* compute capability */
} DkCudaDriver;

enum { DK_CUDA_NO_DEVICE = 100 }; /* CUDA_ERROR_NO_DEVICE */

DkCudaDriver dk_cuda_driver_look(void);

#endif
