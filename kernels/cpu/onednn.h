/* dk_linear by oneDNN, for processors where its packed kernels are the fastest.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CPU_ONEDNN_H
#define DK_CPU_ONEDNN_H

#include "kernels/dk-ops.h"

/* Whether oneDNN has and uses its AVX-512 kernels here. Without them its products are slower than
 * our own. */
bool dk_cpu_onednn_is_wide(void);

/* Puts oneDNN's product into the slots of dk_linear and its weights; what was there before is kept
 * for the weights that oneDNN does not take. Once for a device. False: the library cannot be used,
 * the table is as it was. */
bool dk_cpu_onednn_init(DkDevice *dev);

#endif
