/* The backbone families.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net.h"

#include "task.h"

#include <string.h>

const DimNetClass *dim_net_class(const char *family)
{
    static const DimNetClass *const classes[] = {&dim_net_dim, &dim_net_dit, &dim_net_diffussm};

    for (gsize i = 0; i < G_N_ELEMENTS(classes); i++)
        if (!strcmp(classes[i]->family, family))
            return classes[i];
    return NULL;
}

void dim_net_progress(const DimNetProgress *progress, double part)
{
    if (progress)
        dim_task_advance(progress->task, progress->at + progress->per_forward * part);
}
