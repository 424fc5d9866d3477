/* What the panels' forms are made of.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_FORM_H
#define DIM_FORM_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

/* A row of a grid of two columns. `title` has a mnemonic for `control`, which is `widget` or in it,
 * and is its accessible name; NULL: for none. */
void dim_form_add_row (GtkGrid *grid, int row, const char *title, GtkWidget *widget,
                       GtkWidget *control);

/* In which Enter presses the window's main button. */
GtkWidget *dim_form_entry (const char *name, const char *tooltip);

/* Text that is told, in lines of its own. */
GtkWidget *dim_form_text (const char *name);

/* What to choose where: patterns NULL-terminated, NULL: a folder. All static. */
typedef struct
{
  const char        *name, *tooltip, *title; /* of the button, and of the window that it opens */
  const char        *filter;
  const char *const *patterns;
} DimFormBrowse;

/* A button that has a file or a folder chosen for the entry. */
GtkWidget *dim_form_browse (GtkWidget *entry, const DimFormBrowse *browse);

/* The path in an entry, also where it was dropped there as an address; "": none. g_free. */
char *dim_form_path (GtkWidget *entry);

/* Some widgets in a row, the one at `wide` having the room that is left; NULL-terminated. */
GtkWidget *dim_form_row (int wide, GtkWidget *first, ...) G_GNUC_NULL_TERMINATED;

G_END_DECLS
#endif
