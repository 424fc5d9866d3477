/* One evaluation of the backbone on one grid, guided.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_PASS_H
#define DIM_PASS_H

#include "model.h"

typedef struct {
    const DimModelSpec *spec;
    DimNetPlan *plan;
    int guided, first_time; /* of the backbone's facts */
    int batch;              /* 2: with and without the class, evaluated together; 1: with it only */
    DkTensor input;         /* [2, C, h, w]; empty with a batch of 1 */
    DkTensor output;        /* [batch, Co, h, w] */
    DkDevice *dk;
    DkRepeat *kept;  /* its evaluation, of the last x at the last guidance */
    DkTensor x;      /* [1, C, h, w] */
    double guidance; /* used with a batch of 2 */
} DimPass;

/* What is asked of the model: its labels, with the class and without, and the guidance w. */
typedef struct {
    gint64 labels[2];
    double guidance; /* used with a batch of 2 */
} DimPrompt;

/* Takes all that a pass needs from the arena; `net` is NULL in the dry pass. base_h and base_w as
 * in net.h. */
gboolean dim_pass_plan(DimPass *pass, DimArena *arena, const DimModelSpec *spec, DimNet *net,
                       int batch, int h, int w, int base_h, int base_w, GError **error);
void dim_pass_clear(DimPass *pass); /* takes one that was never planned */

/* What the model predicts (eps or v) at x [1, C, h, w] and step n, guided: [1, C, h, w], the pass'
 * own until its next run. n may be fractional. Enqueues; fastest where x is the same tensor each
 * time, and the guidance the same. */
DkTensor dim_pass_run(DimPass *pass, DimNet *net, DkTensor x, double n, const DimPrompt *prompt,
                      const DimNetProgress *progress);

#endif
