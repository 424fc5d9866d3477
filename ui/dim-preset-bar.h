/* The presets' row: a combo and a menu to save, rename, delete, import and export.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signals
 *   "picked" (const char *name)    a person chose this preset
 *   "save" (const char *name, gboolean replace)    wants the settings kept: answer with
 * dim_preset_bar_saved "notice" (const char *text)    a sentence for people */
#ifndef DIM_PRESET_BAR_H
#define DIM_PRESET_BAR_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_PRESET_BAR (dim_preset_bar_get_type ())
G_DECLARE_FINAL_TYPE (DimPresetBar, dim_preset_bar, DIM, PRESET_BAR, GtkBox)

DimPresetBar *dim_preset_bar_new (void);

/* The preset that the settings are now, "": none. */
void dim_preset_bar_show (DimPresetBar *bar, const char *name);

/* How "save" went: NULL, or why not. */
void dim_preset_bar_saved (DimPresetBar *bar, const char *name, const GError *error);

/* Takes in a file, as from the menu or dropped on the panel, and picks it. */
void dim_preset_bar_import (DimPresetBar *bar, const char *file);
void dim_preset_bar_export (DimPresetBar *bar, const char *file);

GtkWidget *dim_preset_bar_combo (DimPresetBar *bar); /* for a label's mnemonic */

G_END_DECLS
#endif
