/* The argument `upsample` as a combo: automatic, off, or a factor.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Its active id (GtkComboBox) is the argument, "" for automatic. */
#ifndef DIM_UPSAMPLE_COMBO_H
#define DIM_UPSAMPLE_COMBO_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

GtkWidget *dim_upsample_combo_new (void);

/* Shows the argument; one that is not in the list is added, so that it is seen. */
void dim_upsample_combo_show (GtkWidget *combo, const char *upsample);

/* What "automatic" means for the present size: a factor, 1 being none; 0: unknown. */
void dim_upsample_combo_set_auto (GtkWidget *combo, int factor);

G_END_DECLS
#endif
