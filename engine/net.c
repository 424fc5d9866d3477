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

gint64 dim_net_entry_count(const DimNetEntry *entry)
{
    gint64 count = 1;

    for (int i = 0; i < entry->rank; i++)
        count *= entry->sizes[i];
    return count;
}

gboolean dim_net_need(const DimNetEntry *entry, void *data, GError **error)
{
    const DimNetNeed *need = data;
    return need->need(entry->name, entry->rank, entry->sizes, need->data, error);
}
