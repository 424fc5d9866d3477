/* The values of a backbone's tensors on their way to the device.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-load.h"

#include "error.h"
#include "task.h"
#include "weights.h"

/* What is there, and so how much room it needs. */
static gboolean count_room(const DimNetEntry *e, void *data, GError **error)
{
    DimNetLoad *load = data;
    const gint64 count = dim_net_entry_count(e);

    if (!dim_weights_need(load->weights, e->name, e->rank, e->sizes, error))
        return FALSE;
    if (e->is_vector)
        dim_vectors_room(load->vectors, count);
    load->largest = MAX(load->largest, count);
    load->total += count;
    return TRUE;
}

static gboolean load_entry(const DimNetEntry *e, void *data, GError **error)
{
    DimNetLoad *load = data;
    const DimTensor *tensor = dim_weights_find(load->weights, e->name);

    if ((load->progress && !dim_task_go_on(load->progress->task, error)) ||
        !dim_weights_read_f32(load->weights, tensor, load->values, error) ||
        !load->put(load, e, error))
        return FALSE;
    load->done += dim_net_entry_count(e);
    dim_net_progress(load->progress, (double)load->done / (double)load->total);
    return TRUE;
}

gboolean dim_net_load(DimNetLoad *load, GError **error)
{
    if (!load->walk(load->net, count_room, load, error) ||
        !dim_vectors_begin(load->vectors, load->dk, error))
        return FALSE;
    if (!(load->values = g_try_new(float, load->largest)))
        return dim_fail_memory(error, load->weights->origin,
                               (guint64)load->largest * sizeof *load->values);
    const gboolean loaded = load->walk(load->net, load_entry, load, error);
    g_clear_pointer(&load->values, g_free);
    return loaded;
}
