/* A seed: the number, a dice, and "new each time".
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Property "seed": double, 0..DIM_SEED_MAX, or -1: a fresh one each time. */
#ifndef DIM_SEED_BOX_H
#define DIM_SEED_BOX_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_SEED_BOX (dim_seed_box_get_type ())
G_DECLARE_FINAL_TYPE (DimSeedBox, dim_seed_box, DIM, SEED_BOX, GtkBox)

DimSeedBox *dim_seed_box_new (void);

gint64 dim_seed_box_get (DimSeedBox *box);
void   dim_seed_box_set (DimSeedBox *box, gint64 seed);

GtkWidget *dim_seed_box_entry (DimSeedBox *box); /* for a label's mnemonic */

G_END_DECLS
#endif
