/* The frame of our windows in either host: GTK 3 without libgimp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_WINDOW_H
#define DIM_WINDOW_H

#include <gtk/gtk.h>

G_BEGIN_DECLS

/* A dialog's window round `content`. Closing it emits "close" on the content. */
GtkWidget *dim_window_new (const char *title, GtkWidget *content);

/* The same above another window of ours, which waits until it is gone. */
GtkWidget *dim_window_new_above (GtkWindow *parent, const char *title, GtkWidget *content);

/* It is off the screen before GIMP goes on. */
void dim_window_destroy (GtkWidget *window);

G_END_DECLS
#endif
