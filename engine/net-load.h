/* The values of a backbone's tensors on their way to the device, one at a time: what the families'
 * loaders share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_NET_LOAD_H
#define DIM_NET_LOAD_H

#include "net.h"
#include "weights-upload.h"

typedef struct DimNetLoad DimNetLoad;
struct DimNetLoad {
    DkDevice *dk;
    void *net; /* the family's own, its vectors still empty */
    DimVectors *vectors;
    DimWeights *weights;
    const DimNetProgress *progress; /* may be NULL */
    /* Every tensor of the net, in the same order each time. */
    gboolean (*walk)(void *net, DimNetVisit visit, void *data, GError **error);
    /* Takes load->values, which it may spoil, to entry->to. */
    gboolean (*put)(DimNetLoad *load, const DimNetEntry *entry, GError **error);
    void *more; /* what `put` keeps from one entry to the next */

    float *values;               /* room for the largest tensor */
    gint64 largest, done, total; /* numbers */
};

/* Checks names, shapes and types of all tensors, then loads one after the other. */
gboolean dim_net_load(DimNetLoad *load, GError **error);

#endif
