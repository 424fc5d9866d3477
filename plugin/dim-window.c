/* The frame of our windows.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-window.h"

static gboolean
on_delete (GtkWidget *window, GdkEvent *event, GtkWidget *content)
{
  g_signal_emit_by_name (content, "close");
  return GDK_EVENT_STOP;
}

GtkWidget *
dim_window_new (const char *title, GtkWidget *content)
{
  GtkWidget *window = gtk_window_new (GTK_WINDOW_TOPLEVEL);

  gtk_window_set_title (GTK_WINDOW (window), title);
  gtk_window_set_role (GTK_WINDOW (window), "gimp-dim");
  gtk_window_set_type_hint (GTK_WINDOW (window), GDK_WINDOW_TYPE_HINT_DIALOG);
  gtk_window_set_position (GTK_WINDOW (window), GTK_WIN_POS_CENTER);
  gtk_container_add (GTK_CONTAINER (window), content);
  g_signal_connect (window, "delete-event", G_CALLBACK (on_delete), content);
  return window;
}

GtkWidget *
dim_window_new_above (GtkWindow *parent, const char *title, GtkWidget *content)
{
  GtkWidget *window = dim_window_new (title, content);

  gtk_window_set_transient_for (GTK_WINDOW (window), parent);
  gtk_window_set_destroy_with_parent (GTK_WINDOW (window), TRUE);
  gtk_window_set_modal (GTK_WINDOW (window), TRUE);
  return window;
}

void
dim_window_destroy (GtkWidget *window)
{
  gtk_widget_destroy (window);
  while (gtk_events_pending ())
    gtk_main_iteration ();
  gdk_display_flush (gdk_display_get_default ());
}
