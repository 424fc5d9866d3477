/* The panel's foot.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-foot.h"

#include "ui/dim-i18n.h"

enum
{
  SIGNAL_GENERATE,
  SIGNAL_STOP,
  SIGNAL_CLOSE,
  SIGNAL_ACCEPTED,
  SIGNAL_USE_SIZE,
  N_SIGNALS
};

struct _DimFoot
{
  GtkBox     parent;
  GtkWidget *message_box, *message_icon, *message, *accept;
  GtkWidget *stack; /* estimate or progress: the window keeps its size */
  GtkWidget *estimate, *use_size, *progress;
  GtkWidget *generate;
  char      *action; /* on it, while nothing runs */
  int        use_width, use_height;
  gboolean   ready, running;
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimFoot, dim_foot, GTK_TYPE_BOX)

static void
on_dismiss (DimFoot *foot)
{
  dim_foot_show_message (foot, NULL);
}

static void
on_accept (DimFoot *foot)
{
  dim_foot_show_message (foot, NULL);
  g_signal_emit (foot, signals[SIGNAL_ACCEPTED], 0);
}

static void
on_generate (DimFoot *foot)
{
  g_signal_emit (foot, signals[foot->running ? SIGNAL_STOP : SIGNAL_GENERATE], 0);
}

static void
on_close (DimFoot *foot)
{
  g_signal_emit (foot, signals[SIGNAL_CLOSE], 0);
}

static void
on_use_size (DimFoot *foot)
{
  g_signal_emit (foot, signals[SIGNAL_USE_SIZE], 0, foot->use_width, foot->use_height);
}

static void
dim_foot_finalize (GObject *object)
{
  g_free (DIM_FOOT (object)->action);
  G_OBJECT_CLASS (dim_foot_parent_class)->finalize (object);
}

static void
dim_foot_class_init (DimFootClass *klass)
{
  static const char *const names[] = { "generate", "stop", "close", "accepted" };

  G_OBJECT_CLASS (klass)->finalize = dim_foot_finalize;
  for (int i = 0; i < SIGNAL_USE_SIZE; i++)
    signals[i] = g_signal_new (names[i], DIM_TYPE_FOOT, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                               G_TYPE_NONE, 0);
  signals[SIGNAL_USE_SIZE] = g_signal_new ("use-size", DIM_TYPE_FOOT, G_SIGNAL_RUN_LAST, 0, NULL,
                                           NULL, NULL, G_TYPE_NONE, 2, G_TYPE_INT, G_TYPE_INT);
}

static GtkWidget *
new_text (const char *name, int max_width_chars)
{
  GtkWidget *label = gtk_label_new (NULL);

  gtk_widget_set_name (label, name);
  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_line_wrap_mode (GTK_LABEL (label), PANGO_WRAP_WORD_CHAR);
  gtk_label_set_width_chars (GTK_LABEL (label), max_width_chars / 2);
  gtk_label_set_max_width_chars (GTK_LABEL (label), max_width_chars);
  return label;
}

static void
add_message (DimFoot *foot)
{
  GtkWidget *dismiss
      = gtk_button_new_from_icon_name ("window-close-symbolic", GTK_ICON_SIZE_BUTTON);

  foot->message_icon = gtk_image_new ();
  foot->message = new_text ("message", 50);
  atk_object_set_role (gtk_widget_get_accessible (foot->message), ATK_ROLE_NOTIFICATION);
  gtk_widget_set_name (dismiss, "message-dismiss");
  gtk_widget_set_tooltip_text (dismiss, _ ("Take the message away"));
  gtk_widget_set_valign (dismiss, GTK_ALIGN_CENTER);
  gtk_button_set_relief (GTK_BUTTON (dismiss), GTK_RELIEF_NONE);
  atk_object_set_name (gtk_widget_get_accessible (dismiss), _ ("Take the message away"));
  g_signal_connect_swapped (dismiss, "clicked", G_CALLBACK (on_dismiss), foot);

  foot->accept = gtk_button_new ();
  gtk_widget_set_name (foot->accept, "message-accept");
  gtk_widget_set_valign (foot->accept, GTK_ALIGN_CENTER);
  g_signal_connect_swapped (foot->accept, "clicked", G_CALLBACK (on_accept), foot);

  foot->message_box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  gtk_box_pack_start (GTK_BOX (foot->message_box), foot->message_icon, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (foot->message_box), foot->message, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (foot->message_box), foot->accept, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (foot->message_box), dismiss, FALSE, FALSE, 0);
  gtk_widget_show_all (foot->message_box);
  gtk_widget_hide (foot->message_box);
  gtk_widget_set_no_show_all (foot->message_box, TRUE);
  gtk_box_pack_start (GTK_BOX (foot), foot->message_box, FALSE, FALSE, 0);
}

static void
add_stack (DimFoot *foot)
{
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  foot->estimate = new_text ("estimate", 60);
  foot->use_size = gtk_button_new ();
  gtk_widget_set_name (foot->use_size, "use-size");
  gtk_widget_set_no_show_all (foot->use_size, TRUE);
  gtk_widget_set_valign (foot->use_size, GTK_ALIGN_CENTER);
  gtk_button_set_use_underline (GTK_BUTTON (foot->use_size), TRUE);
  g_signal_connect_swapped (foot->use_size, "clicked", G_CALLBACK (on_use_size), foot);
  gtk_box_pack_start (GTK_BOX (row), foot->estimate, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (row), foot->use_size, FALSE, FALSE, 0);

  foot->progress = gtk_progress_bar_new ();
  gtk_widget_set_name (foot->progress, "progress");
  gtk_widget_set_valign (foot->progress, GTK_ALIGN_CENTER);
  gtk_progress_bar_set_show_text (GTK_PROGRESS_BAR (foot->progress), TRUE);
  atk_object_set_name (gtk_widget_get_accessible (foot->progress), _ ("Progress"));

  foot->stack = gtk_stack_new ();
  gtk_stack_add_named (GTK_STACK (foot->stack), row, "estimate");
  gtk_stack_add_named (GTK_STACK (foot->stack), foot->progress, "progress");
  gtk_box_pack_start (GTK_BOX (foot), foot->stack, FALSE, FALSE, 0);
}

static GtkWidget *
new_button (const char *text, const char *name)
{
  GtkWidget *button = gtk_button_new_with_mnemonic (text);

  gtk_widget_set_name (button, name);
  return button;
}

static void
add_buttons (DimFoot *foot)
{
  GtkWidget *row = gtk_button_box_new (GTK_ORIENTATION_HORIZONTAL);
  GtkWidget *close = new_button (_ ("Clos_e"), "close");

  foot->generate = new_button ("", "generate");
  gtk_widget_set_can_default (foot->generate, TRUE);
  g_signal_connect_swapped (close, "clicked", G_CALLBACK (on_close), foot);
  g_signal_connect_swapped (foot->generate, "clicked", G_CALLBACK (on_generate), foot);

  gtk_button_box_set_layout (GTK_BUTTON_BOX (row), GTK_BUTTONBOX_END);
  gtk_box_set_spacing (GTK_BOX (row), 6);
  gtk_container_add (GTK_CONTAINER (row), close);
  gtk_container_add (GTK_CONTAINER (row), foot->generate);
  gtk_box_pack_start (GTK_BOX (foot), row, FALSE, FALSE, 0);
}

static void
dim_foot_init (DimFoot *foot)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (foot), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (foot), 12);
  foot->action = g_strdup (_ ("_Generate"));
  add_message (foot);
  add_stack (foot);
  add_buttons (foot);
  dim_foot_set_running (foot, FALSE);
}

DimFoot *
dim_foot_new (void)
{
  return g_object_new (DIM_TYPE_FOOT, NULL);
}

/* label NULL: nothing is offered */
static void
show_message (DimFoot *foot, const char *text, const char *icon, const char *label)
{
  gtk_image_set_from_icon_name (GTK_IMAGE (foot->message_icon), icon, GTK_ICON_SIZE_BUTTON);
  gtk_label_set_text (GTK_LABEL (foot->message), text ? text : "");
  gtk_button_set_label (GTK_BUTTON (foot->accept), label ? label : "");
  gtk_widget_set_visible (foot->accept, label != NULL);
  gtk_widget_set_visible (foot->message_box, text != NULL);
}

void
dim_foot_show_message (DimFoot *foot, const char *text)
{
  show_message (foot, text, "dialog-warning-symbolic", NULL);
}

void
dim_foot_show_news (DimFoot *foot, const char *text)
{
  show_message (foot, text, "emblem-ok-symbolic", NULL);
}

void
dim_foot_show_offer (DimFoot *foot, const char *text, gboolean good, const char *label)
{
  show_message (foot, text, good ? "emblem-ok-symbolic" : "dialog-warning-symbolic", label);
}

gboolean
dim_foot_has_message (DimFoot *foot)
{
  return gtk_widget_get_visible (foot->message_box);
}

static void
show_generate (DimFoot *foot)
{
  gtk_button_set_use_underline (GTK_BUTTON (foot->generate), TRUE);
  gtk_button_set_label (GTK_BUTTON (foot->generate), foot->running ? _ ("S_top") : foot->action);
  gtk_widget_set_sensitive (foot->generate, foot->running || foot->ready);
}

void
dim_foot_set_action (DimFoot *foot, const char *label)
{
  g_free (foot->action);
  foot->action = g_strdup (label);
  show_generate (foot);
}

void
dim_foot_show_estimate (DimFoot *foot, const char *text, gboolean ready, int use_width,
                        int use_height)
{
  /* Translators: the mnemonic is on the cross between the numbers. */
  g_autofree char *use = g_strdup_printf (_ ("Use %d _x %d"), use_width, use_height);

  foot->use_width = use_width;
  foot->use_height = use_height;
  foot->ready = ready;
  gtk_label_set_text (GTK_LABEL (foot->estimate), text);
  gtk_button_set_label (GTK_BUTTON (foot->use_size), use);
  gtk_widget_set_visible (foot->use_size, use_width > 0);
  show_generate (foot);
}

void
dim_foot_set_running (DimFoot *foot, gboolean running)
{
  foot->running = running;
  gtk_stack_set_visible_child_name (GTK_STACK (foot->stack), running ? "progress" : "estimate");
  if (running)
    dim_foot_set_progress (foot, 0, NULL);
  show_generate (foot);
}

void
dim_foot_set_progress (DimFoot *foot, double fraction, const char *text)
{
  gtk_progress_bar_set_fraction (GTK_PROGRESS_BAR (foot->progress), CLAMP (fraction, 0, 1));
  gtk_progress_bar_set_text (GTK_PROGRESS_BAR (foot->progress), text ? text : "");
}

GtkWidget *
dim_foot_generate (DimFoot *foot)
{
  return foot->generate;
}
