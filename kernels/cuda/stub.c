/* The CUDA back end where it is not built: it cannot be opened.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk-ops.h"

bool dk_cuda_init(DkDevice *dev)
{
    return false;
}
