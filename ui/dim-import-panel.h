/* What the window *Import a Checkpoint* shows in both GIMP hosts: GTK 3, no libgimp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The form, what its files were recognised to be, and a foot as DimPanel's. Nothing is written
 * before Import is pressed; then a thread makes the model among the person's own, and one that is
 * stopped, or whose window is closed, leaves nothing.
 *
 * Signals: "close"; "imported" (const char *folder, const char *news): the model is there, with a
 * sentence about it.
 *
 * Widget names, by which tests find the controls, in reading order: import-checkpoint
 * import-checkpoint-browse, import-facts, import-autoencoder import-autoencoder-browse,
 * import-classes import-classes-browse, import-name, import-license; and the foot's: message
 * message-dismiss, estimate, progress, close generate (Import, or Stop). */
#ifndef DIM_IMPORT_PANEL_H
#define DIM_IMPORT_PANEL_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_IMPORT_PANEL (dim_import_panel_get_type ())
G_DECLARE_FINAL_TYPE (DimImportPanel, dim_import_panel, DIM, IMPORT_PANEL, GtkBox)

DimImportPanel *dim_import_panel_new (void);

G_END_DECLS
#endif
