/* Width x height in pixels, with a ratio lock and a menu of sizes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Properties "width", "height": int; 0 stands for the canvas's side or, with no canvas, for the
 * native size, and that is what is shown then. Any number is taken as it is; the arrows step by the
 * model's grid. */
#ifndef DIM_SIZE_BOX_H
#define DIM_SIZE_BOX_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_SIZE_BOX (dim_size_box_get_type ())
G_DECLARE_FINAL_TYPE (DimSizeBox, dim_size_box, DIM, SIZE_BOX, GtkBox)

DimSizeBox *dim_size_box_new (int canvas_width, int canvas_height);

/* native_size 0: the model does not say, there is no native entry. grid: pixels. */
void dim_size_box_set_model (DimSizeBox *box, int native_size, int grid);

void dim_size_box_get (DimSizeBox *box, int *width, int *height); /* as set, 0 included */
void dim_size_box_set (DimSizeBox *box, int width, int height); /* the ratio lock has no say here */
void dim_size_box_shown (DimSizeBox *box, int *width, int *height); /* never 0 */

GtkWidget *dim_size_box_width (DimSizeBox *box); /* for a label's mnemonic */

G_END_DECLS
#endif
