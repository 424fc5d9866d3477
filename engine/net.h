/* What a backbone family must provide. One NetClass for each of dim, dit, diffussm; dim_net_class
 * finds it by name.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_NET_H
#define DIM_NET_H

#include <jansson.h>

#include "arena.h"
#include "dim.h"

/* Says which tensor a configuration needs: called once a tensor, in a fixed order. FALSE stops the
 * walk. */
typedef gboolean (*DimNeedFn)(const char *name, int rank, const gint64 *sizes, void *data,
                              GError **error);

/* One tensor that a configuration needs, and how a family uses it. */
typedef struct {
    const char *name;
    int rank;
    gint64 sizes[4];
    int use;            /* the family's own enumeration */
    gboolean is_vector; /* kept in DimVectors, `to` is a DkTensor; else weights are packed */
    gpointer to;
    double factor; /* linear weights: what they are multiplied by; 0 where a family has none */
} DimNetEntry;

typedef gboolean (*DimNetVisit)(const DimNetEntry *entry, void *data, GError **error);

gint64 dim_net_entry_count(const DimNetEntry *entry); /* numbers */

/* Facts of a configuration that the rest of the engine asks for. */
typedef struct {
    int in_channels, out_channels, patch;
    int guided_channels; /* guidance acts on the first so many, the others are as with the class; 0:
                            on all */
    int n_labels;        /* K; 0: no label table. Label K is "no class" where has_null_label */
    gboolean has_null_label;
    int width_multiple, height_multiple; /* of the working grid, in latent pixels */
    int first_time; /* what `forward` is given as t at step 1 of the noise schedule */
} DimNetFacts;

typedef struct DimNet DimNet;         /* loaded weights; each family has its own struct behind it */
typedef struct DimNetPlan DimNetPlan; /* activations and tables for one batch and grid */

/* Where a forward (or a load) stands in the whole; counted up inside so that progress moves within
 * it. */
typedef struct {
    DimTask *task;          /* may be NULL */
    double at, per_forward; /* this forward moves task from at to at + per_forward (fractions of the
                               whole) */
} DimNetProgress;

/* A DimNetVisit that only says name and shape on. */
typedef struct {
    DimNeedFn need;
    void *data;
} DimNetNeed;

gboolean dim_net_need(const DimNetEntry *entry, void *need, GError **error);

/* `part` of this forward is done, 0..1. progress may be NULL. */
void dim_net_progress(const DimNetProgress *progress, double part);

typedef struct DimNetClass {
    const char *family;
    /* Checked configuration from model.json's "config" (may be NULL: all defaults); g_free.
     * `origin` names the file in errors. */
    void *(*parse)(const json_t *config, const char *origin, GError **error);
    /* The configuration of a weight file of this family; NULL without an error: it is another's
     * (recognise.h). */
    json_t *(*recognise)(const DimWeights *weights, const json_t *given, GError **error);
    void (*facts)(const void *config, DimNetFacts *facts);
    gboolean (*walk)(const void *config, const DimWeights *weights, DimNeedFn need, void *data,
                     GError **error);
    /* Multiply-adds times 2 of one forward. h, w: latent grid. */
    double (*flop)(const void *config, int batch, int h, int w);

    DimNet *(*load)(DkDevice *dk, const void *config, DimWeights *weights,
                    const DimNetProgress *progress, GError **error);
    void (*free)(DkDevice *dk, DimNet *net);
    /* Takes every activation of a forward from the arena; what it enqueues fails at the next
     * dk_sync. In the dry pass (arena->dk NULL) `net` is NULL and the plan is only good for
     * plan_free. base_h, base_w: the latent grid, as h and w, that the position table is first
     * resized to; 0: the configuration's (upsample guidance, dim.md section 10). */
    DimNetPlan *(*plan)(DimArena *arena, const void *config, DimNet *net, int batch, int h, int w,
                        int base_h, int base_w, GError **error);
    void (*plan_free)(DimNetPlan *plan);
    /* Writes what the next forwards are asked for, t and y [B] of the host, to the plan. */
    void (*ask)(DkDevice *dk, DimNetPlan *plan, const double *t, const gint64 *y);
    /* output [B,Co,h,w] and x [B,C,h,w] on the device. Enqueues, and the same each time
     * (dk_repeat); errors come from dk_sync. */
    void (*forward)(DkDevice *dk, DimNet *net, const DimNetPlan *plan, DkTensor output, DkTensor x,
                    const DimNetProgress *progress);
} DimNetClass;

extern const DimNetClass dim_net_dim, dim_net_dit, dim_net_diffussm;

const DimNetClass *dim_net_class(const char *family); /* NULL: unknown */

#endif
