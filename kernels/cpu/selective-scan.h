/* What the scan and its backward share: how A is packed, and rows of memory.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CPU_SELECTIVE_SCAN_H
#define DK_CPU_SELECTIVE_SCAN_H

#include "kernels/dk-ops.h"

enum { SCAN_FEW = 4 }; /* states at a time, at least: A is padded with zeros to a multiple of it */

/* Keeps δ A finite: no exponential differs for it. */
#define SCAN_HUGE_FACTOR 1e19f

typedef struct {
    float *data; /* NULL: an empty tensor */
    int64_t stride;
} ScanRows;

static inline ScanRows scan_rows(DkTensor t)
{
    return (ScanRows){dk_data(t), t.row_stride};
}

static inline float *scan_at(ScanRows rows, int64_t row, int64_t column)
{
    return rows.data + row * rows.stride + column;
}

static inline int64_t scan_padded(int64_t n_states)
{
    return (n_states + SCAN_FEW - 1) / SCAN_FEW * SCAN_FEW;
}

#endif
