/* What an import is to be of: files, name, licence; and what the files were recognised to be.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Signal "changed": a person changed something. */
#ifndef DIM_IMPORT_FORM_H
#define DIM_IMPORT_FORM_H

#include <gtk/gtk.h>

#include "ui/dim-import-job.h"

G_BEGIN_DECLS

#define DIM_TYPE_IMPORT_FORM (dim_import_form_get_type ())
G_DECLARE_FINAL_TYPE (DimImportForm, dim_import_form, DIM, IMPORT_FORM, GtkGrid)

DimImportForm *dim_import_form_new (void);

/* Initialises *request. */
void dim_import_form_read (DimImportForm *form, DimImportRequest *request);

/* Tells what it is; NULL: nothing yet. */
void dim_import_form_show (DimImportForm *form, const DimModelInfo *info);

GtkWidget *dim_import_form_checkpoint (DimImportForm *form); /* the field to begin with */

G_END_DECLS
#endif
