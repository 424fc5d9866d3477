/* Evaluations of a network of any family, for tests.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef NET_RUN_H
#define NET_RUN_H

#include "engine/net.h"

/* What was loaded, and where; all borrowed. */
typedef struct {
    const DimNetClass *class;
    const void *config;
    DkDevice *dk;
    DimNet *net;
} NetRun;

typedef struct {
    NetRun run;
    DimArena arena;
    DimNetPlan *plan;
    DkTensor x, output;
} NetEvaluation;

/* Plans, in both passes, which must ask for the same. `base`: the side that the grid is a larger
 * one of, 0: itself. */
void net_begin(NetEvaluation *e, NetRun run, int batch, int h, int w, int base);
void net_evaluate(NetEvaluation *e, const float *x, const double *t, const gint64 *y, float *out);
void net_end(NetEvaluation *e);

/* Numbers of a picture that depend on nothing but its seed; g_free. */
float *net_picture(gint64 count, guint32 seed);
/* A batch of two pictures of h x w from `first` on, or of one of the two, each with its own time
 * and label; g_free. */
float *net_output(NetRun run, int h, int w, int first, int batch, int base);
/* Root mean square of the difference over that of b. */
double net_distance(const float *a, const float *b, gint64 n);

#endif
