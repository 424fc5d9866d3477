/* What stands behind "More".
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-more.h"

#include <float.h>

#include "ui/dim-i18n.h"
#include "ui/dim-options.h"
#include "ui/dim-panel.h"
#include "ui/dim-spin.h"

#define ROWS_SEEN_LEAST 80 /* pixels */
#define RESERVE 90         /* a title bar, and a message that may come */

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

struct _DimMore
{
  GtkExpander parent;
  GtkWidget  *scroll, *grid;
  DimSpin    *steps, *guidance, *threads;
  GtkWidget  *seamless, *sampler, *precision, *device;
  gboolean    showing; /* values come from the recipe, not from a person */
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimMore, dim_more, GTK_TYPE_EXPANDER)

static void
on_changed (DimMore *more)
{
  if (!more->showing)
    g_signal_emit (more, signals[SIGNAL_CHANGED], 0);
}

static void
dim_more_class_init (DimMoreClass *klass)
{
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", DIM_TYPE_MORE, G_SIGNAL_RUN_LAST, 0, NULL,
                                          NULL, NULL, G_TYPE_NONE, 0);
}

static void
add_row (DimMore *more, int row, const char *title, GtkWidget *widget, const char *name,
         const char *tooltip)
{
  GtkWidget *label = gtk_label_new_with_mnemonic (title);

  gtk_label_set_xalign (GTK_LABEL (label), 1);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), widget);
  gtk_widget_set_name (widget, name);
  gtk_widget_set_tooltip_text (widget, tooltip);
  gtk_widget_set_halign (widget, GTK_ALIGN_START);
  atk_object_set_name (gtk_widget_get_accessible (widget), gtk_label_get_text (GTK_LABEL (label)));
  gtk_grid_attach (GTK_GRID (more->grid), label, 0, row, 1, 1);
  gtk_grid_attach (GTK_GRID (more->grid), widget, 1, row, 1, 1);
}

static DimSpin *
add_spin (DimMore *more, int row, const char *title, DimSpin *spin, const char *name,
          const char *tooltip)
{
  g_autofree char *full
      = g_strdup_printf ("%s\n%s", tooltip, _ ("Empty the field for the default"));

  gtk_entry_set_width_chars (GTK_ENTRY (spin), 6);
  add_row (more, row, title, GTK_WIDGET (spin), name, full);
  g_signal_connect_swapped (spin, "notify::setting", G_CALLBACK (on_changed), more);
  return spin;
}

static GtkWidget *
add_combo (DimMore *more, int row, const char *title, const char *name, const char *tooltip)
{
  GtkWidget *combo = gtk_combo_box_text_new ();

  add_row (more, row, title, combo, name, tooltip);
  g_signal_connect_swapped (combo, "changed", G_CALLBACK (on_changed), more);
  return combo;
}

static void
refill (GtkWidget *combo, const char *const *entries)
{
  gtk_combo_box_text_remove_all (GTK_COMBO_BOX_TEXT (combo));
  for (; entries[0]; entries += 2)
    gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), entries[0], entries[1]);
}

static void
fill_seamless (DimMore *more)
{
  const char *sides[] = { "",     _ ("none"), "x", _ ("left to right"), "y", _ ("top to bottom"),
                          "both", _ ("both"), NULL };

  refill (more->seamless, sides);
}

/* All of it is seen where the screen has room for that and for the rest of the window, which the
 * class list makes small first; else it scrolls. */
static void
on_expanded (DimMore *more)
{
  GdkWindow   *window = gtk_widget_get_window (GTK_WIDGET (more));
  GtkWidget   *top = gtk_widget_get_toplevel (GTK_WIDGET (more));
  GdkRectangle screen;
  int          rest, wanted, room;

  if (!window || !gtk_expander_get_expanded (GTK_EXPANDER (more)))
    return;
  gtk_scrolled_window_set_min_content_height (GTK_SCROLLED_WINDOW (more->scroll), ROWS_SEEN_LEAST);
  gtk_widget_get_preferred_height (top, &rest, NULL);
  gtk_widget_get_preferred_height (more->grid, NULL, &wanted);
  gdk_monitor_get_workarea (
      gdk_display_get_monitor_at_window (gdk_window_get_display (window), window), &screen);
  room = screen.height - RESERVE - rest + ROWS_SEEN_LEAST;
  gtk_scrolled_window_set_min_content_height (GTK_SCROLLED_WINDOW (more->scroll),
                                              CLAMP (room, ROWS_SEEN_LEAST, wanted));
}

static void
dim_more_init (DimMore *more)
{
  gtk_widget_set_name (GTK_WIDGET (more), "more");
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (more)),
                       _ ("More: tileable, quality, device, threads"));

  more->grid = gtk_grid_new ();
  gtk_grid_set_row_spacing (GTK_GRID (more->grid), 6);
  gtk_grid_set_column_spacing (GTK_GRID (more->grid), 6);
  more->scroll = gtk_scrolled_window_new (NULL, NULL);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (more->scroll), GTK_POLICY_NEVER,
                                  GTK_POLICY_AUTOMATIC);
  gtk_container_add (GTK_CONTAINER (more->scroll), more->grid);
  gtk_container_add (GTK_CONTAINER (more), more->scroll);
  g_signal_connect (more, "notify::expanded", G_CALLBACK (on_expanded), NULL);

  more->seamless
      = add_combo (more, 0, _ ("Wrap around:"), "seamless",
                   _ ("Tileable: which sides fit together when the picture is repeated; such a "
                      "side is a multiple of the model's grid"));
  fill_seamless (more);
  more->steps
      = add_spin (more, 1, _ ("Num_ber of steps:"), dim_spin_new (0, 1, DIM_PANEL_STEPS_MAX, 1, 0),
                  "steps", _ ("More steps take longer and follow the model more closely"));
  more->guidance = add_spin (more, 2, _ ("Guida_nce:"),
                             dim_spin_new (0, DBL_MIN, DIM_PANEL_GUIDANCE_MAX, 0.1, 2), "guidance",
                             _ ("How strongly the class is insisted on; 1 is off, and faster"));
  more->sampler
      = add_combo (more, 3, _ ("Sam_pler:"), "sampler", _ ("The method that takes the steps"));
  more->precision = add_combo (more, 4, _ ("Prec_ision:"), "precision",
                               _ ("The numbers that the network computes in"));
  more->device = add_combo (more, 5, _ ("De_vice:"), "device", _ ("What the network computes on"));
  more->threads
      = add_spin (more, 6, _ ("Number o_f threads:"), dim_spin_new (0, 1, 1024, 1, 0), "threads",
                  _ ("How many processor cores are used; the picture does not depend on it"));
  dim_spin_set_unset_text (more->threads, _ ("auto"));
}

DimMore *
dim_more_new (GtkSizeGroup *labels)
{
  DimMore *more
      = g_object_new (DIM_TYPE_MORE, "label", _ ("More: tileable, _quality, device, threads"),
                      "use-underline", TRUE, "spacing", 6, NULL);

  for (int row = 0; row < 7; row++)
    gtk_size_group_add_widget (labels, gtk_grid_get_child_at (GTK_GRID (more->grid), 0, row));
  return more;
}

/* Makes `id` the active entry; one that is not in the list is added, so that it is seen. */
static void
activate (GtkWidget *combo, const char *id)
{
  if (!gtk_combo_box_set_active_id (GTK_COMBO_BOX (combo), id))
    {
      gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), id, id);
      gtk_combo_box_set_active_id (GTK_COMBO_BOX (combo), id);
    }
}

static void
fill_samplers (DimMore *more, const DimModelInfo *info)
{
  GtkComboBoxText *combo = GTK_COMBO_BOX_TEXT (more->sampler);
  g_autofree char *first = g_strdup_printf (_ ("%s (default)"), info->defaults.sampler);

  gtk_combo_box_text_remove_all (combo);
  gtk_combo_box_text_append (combo, "", first);
  for (const char *const *name = dim_sampler_names (); *name; name++)
    gtk_combo_box_text_append (combo, *name, *name);
}

void
dim_more_set_model (DimMore *more, const DimModelInfo *info)
{
  const char *precisions[] = { "", _ ("automatic"), "f32", _ ("32 bits, exact"), NULL };
  const char *devices[] = { "", _ ("automatic"), "cpu", _ ("processor"), NULL };

  more->showing = TRUE;
  dim_spin_set_fallback (more->steps, info->defaults.steps);
  dim_spin_set_fallback (more->guidance,
                         info->unconditional_class < 0 ? 1 : info->defaults.guidance);
  fill_samplers (more, info);
  refill (more->precision, precisions);
  refill (more->device, devices);
  more->showing = FALSE;
}

/* Words for what holds without the option, too. */
static gboolean
is_default (const char *value)
{
  return g_str_equal (value, "auto") || g_str_equal (value, "off") || g_str_equal (value, "0");
}

static void
show_option (GtkWidget *combo, const DimRecipe *recipe, const char *name)
{
  g_autofree char *value = dim_options_get (recipe->options, name);

  activate (combo, is_default (value) ? "" : value);
}

void
dim_more_show (DimMore *more, const DimRecipe *recipe)
{
  g_autofree char *threads = dim_options_get (recipe->options, "threads");

  more->showing = TRUE;
  dim_spin_set_setting (more->steps, recipe->steps);
  dim_spin_set_setting (more->guidance, recipe->guidance);
  activate (more->sampler, recipe->sampler);
  show_option (more->seamless, recipe, "seamless");
  show_option (more->precision, recipe, "precision");
  show_option (more->device, recipe, "device");
  dim_spin_set_setting (more->threads, g_ascii_strtoull (threads, NULL, 10));
  more->showing = FALSE;
}

/* Sets the option, unless it stands there in other words for the same. */
static void
read_option (DimRecipe *recipe, const char *name, const char *value)
{
  g_autofree char *old = dim_options_get (recipe->options, name);
  char            *options;

  if (g_strcmp0 (old, value) == 0 || (!*value && is_default (old)))
    return;
  options = dim_options_set (recipe->options, name, value);
  g_free (recipe->options);
  recipe->options = options;
}

static const char *
active_id (GtkWidget *combo)
{
  const char *id = gtk_combo_box_get_active_id (GTK_COMBO_BOX (combo));

  return id ? id : "";
}

void
dim_more_read (DimMore *more, DimRecipe *recipe)
{
  int              n_threads = (int)dim_spin_get_setting (more->threads);
  g_autofree char *threads = n_threads ? g_strdup_printf ("%d", n_threads) : g_strdup ("");

  recipe->steps = (int)dim_spin_get_setting (more->steps);
  recipe->guidance = dim_spin_get_setting (more->guidance);
  g_free (recipe->sampler);
  recipe->sampler = g_strdup (active_id (more->sampler));
  read_option (recipe, "seamless", active_id (more->seamless));
  read_option (recipe, "precision", active_id (more->precision));
  read_option (recipe, "device", active_id (more->device));
  read_option (recipe, "threads", threads);
}
