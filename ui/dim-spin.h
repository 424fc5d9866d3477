/* A number that may be left to the model: a spin button with one value that means "not set".
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * While it is not set it shows the fallback, and follows it; emptying the field unsets it again.
 * What a person types counts at each key; a text that is no number in range is put back to the last
 * good one when the field is left.
 *
 * Property "setting": double, what is set. The spin button's own value is the number shown. */
#ifndef DIM_SPIN_H
#define DIM_SPIN_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_SPIN (dim_spin_get_type ())
G_DECLARE_FINAL_TYPE (DimSpin, dim_spin, DIM, SPIN, GtkSpinButton)

/* `unset` is the setting that means "not set"; it lies outside lower..upper. At most `digits`
 * decimals are shown. */
DimSpin *dim_spin_new (double unset, double lower, double upper, double step, int digits);

double dim_spin_get_setting (DimSpin *spin);
void   dim_spin_set_setting (DimSpin *spin, double setting); /* notifies when it changes */
void   dim_spin_set_fallback (DimSpin *spin, double fallback);

/* Shown in place of the fallback while not set; NULL: the fallback itself. */
void dim_spin_set_unset_text (DimSpin *spin, const char *text);

G_END_DECLS
#endif
