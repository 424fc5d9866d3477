/* Progress and cancel of long calls, shared between two threads.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "task.h"

double dim_task_progress(const DimTask *task)
{
    return g_atomic_int_get(&task->per_million) * 1e-6;
}

void dim_task_cancel(DimTask *task)
{
    g_atomic_int_set(&task->cancel, 1);
}

void dim_task_advance(DimTask *task, double fraction)
{
    if (!task)
        return;
    const int to = (int)(CLAMP(fraction, 0.0, 1.0) * 1e6);
    /* One thread writes, so reading before writing is no race. */
    if (to > g_atomic_int_get(&task->per_million))
        g_atomic_int_set(&task->per_million, to);
}

gboolean dim_task_go_on(const DimTask *task, GError **error)
{
    if (!task || !g_atomic_int_get(&task->cancel))
        return TRUE;
    g_set_error_literal(error, DIM_ERROR, DIM_ERROR_CANCELLED, "cancelled");
    return FALSE;
}
