/* What stands behind "More": tileable sides, steps, guidance and when, sampler, noise, precision,
 * device, threads.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signal "changed": a person changed something. */
#ifndef DIM_MORE_H
#define DIM_MORE_H

#include <gtk/gtk.h>

#include "engine/dim.h"

G_BEGIN_DECLS

#define DIM_TYPE_MORE (dim_more_get_type ())
G_DECLARE_FINAL_TYPE (DimMore, dim_more, DIM, MORE, GtkExpander)

DimMore *dim_more_new (GtkSizeGroup *labels); /* whose widths are to agree */

/* The defaults that untouched controls show. */
void dim_more_set_model (DimMore *more, const DimModelInfo *info);

/* steps, guidance, sampler and options of the recipe, shown and read. */
void dim_more_show (DimMore *more, const DimRecipe *recipe);
void dim_more_read (DimMore *more, DimRecipe *recipe);

G_END_DECLS
#endif
