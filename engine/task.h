/* Inside the engine: the working side of a DimTask.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TASK_H
#define DIM_TASK_H

#include "dim.h"

/* Moves the progress up to a fraction of the whole; less than what is there changes nothing. task
 * may be NULL. */
void dim_task_advance(DimTask *task, double fraction);
/* TRUE while nobody asked to stop; else DIM_ERROR_CANCELLED. task may be NULL. */
gboolean dim_task_go_on(const DimTask *task, GError **error);

#endif
