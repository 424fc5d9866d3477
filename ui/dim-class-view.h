/* The searchable list of a model's classes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Search matches anywhere in a name (or its number) or in a synonym, which is then shown beside the
 * name, and ignores case and accents. In the search
 * field Up and Down walk the hits, Enter takes the first one; Enter on a class that is selected
 * already activates the window's default.
 *
 * Property "label": int, the class that is selected, -1: none. */
#ifndef DIM_CLASS_VIEW_H
#define DIM_CLASS_VIEW_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

#define DIM_TYPE_CLASS_VIEW (dim_class_view_get_type ())
G_DECLARE_FINAL_TYPE (DimClassView, dim_class_view, DIM, CLASS_VIEW, GtkBox)

DimClassView *dim_class_view_new (void);

/* Replaces the list; nothing is selected then. Labels from n_names on show as their number.
 * `synonyms`: of each name further ones with commas between them, or NULL; NULL: there are none. */
void dim_class_view_set_names (DimClassView *view, char **names, char **synonyms, int n_names,
                               int n_labels);

int  dim_class_view_get_label (DimClassView *view);
void dim_class_view_set_label (DimClassView *view, int label);

GtkWidget *dim_class_view_search (DimClassView *view); /* for a label's mnemonic */
GtkWidget *dim_class_view_train (DimClassView *view);  /* the button that trains a class */

/* `text` as the search compares it: without case and accents; g_free. */
char *dim_class_view_fold (const char *text);

G_END_DECLS
#endif
