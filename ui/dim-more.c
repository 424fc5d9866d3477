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
#define N_ROWS 10

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

struct _DimMore
{
  GtkExpander parent;
  GtkWidget  *scroll, *grid;
  DimSpin    *steps, *guidance, *low, *high, *threads;
  GtkWidget  *seamless, *windows, *sampler, *rng, *precision, *device;
  gboolean    is_seamless, in_windows; /* the model's defaults */
  gboolean    showing;                 /* values come from the recipe, not from a person */
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

/* What the two ends of guidance mean, set or not. */
static double
interval_low (DimMore *more)
{
  return MAX (0, dim_spin_get_setting (more->low));
}

static double
interval_high (DimMore *more)
{
  double high = dim_spin_get_setting (more->high);

  return high < 0 ? 1 : high;
}

/* Neither end passes the other. */
static void
on_low (DimMore *more)
{
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (more->high), interval_low (more), 1);
  on_changed (more);
}

static void
on_high (DimMore *more)
{
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (more->low), 0, interval_high (more));
  on_changed (more);
}

static DimSpin *
new_end (DimMore *more, GtkWidget *row, const char *name, const char *title, double fallback,
         GCallback handler)
{
  DimSpin *spin = dim_spin_new (-1, 0, 1, 0.05, 2);

  dim_spin_set_fallback (spin, fallback);
  gtk_entry_set_width_chars (GTK_ENTRY (spin), 4);
  gtk_widget_set_name (GTK_WIDGET (spin), name);
  gtk_box_pack_start (GTK_BOX (row), GTK_WIDGET (spin), FALSE, FALSE, 0);
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (spin)), title);
  g_signal_connect_swapped (spin, "notify::setting", handler, more);
  return spin;
}

static void
add_interval (DimMore *more, int row)
{
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *label;

  more->low
      = new_end (more, box, "guidance-low", _ ("Guided from the time"), 0, G_CALLBACK (on_low));
  gtk_box_pack_start (GTK_BOX (box), gtk_label_new (_ ("to")), FALSE, FALSE, 0);
  more->high
      = new_end (more, box, "guidance-high", _ ("Guided to the time"), 1, G_CALLBACK (on_high));
  add_row (more, row, _ ("Guided at (_0 to 1):"), box, "guidance-interval",
           _ ("The class is insisted on between these times only: 1 is all noise, where a picture "
              "begins, 0 is the finished picture\nEmpty a field for the default"));
  label = gtk_grid_get_child_at (GTK_GRID (more->grid), 0, row);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), GTK_WIDGET (more->low));
}

static const char *
seamless_id (gboolean is_seamless)
{
  return is_seamless ? "auto" : "off";
}

/* What the model does by itself comes first, here and below. */
static void
fill_seamless (DimMore *more)
{
  const char      *ways[] = { _ ("none"), _ ("both where the size allows") };
  g_autofree char *first = g_strdup_printf (_ ("%s (default)"), ways[more->is_seamless]);
  const char      *entries[] = { "",
                                 first,
                                 seamless_id (!more->is_seamless),
                                 ways[!more->is_seamless],
                                 "both",
                                 _ ("both"),
                                 "x",
                                 _ ("left to right"),
                                 "y",
                                 _ ("top to bottom"),
                                 NULL };

  refill (more->seamless, entries);
}

static const char *
windows_id (gboolean on)
{
  return on ? "on" : "off";
}

static void
fill_windows (DimMore *more)
{
  const char      *ways[] = { _ ("in one piece"), _ ("in windows") };
  g_autofree char *first = g_strdup_printf (_ ("%s (default)"), ways[more->in_windows]);
  const char      *entries[]
      = { "", first, windows_id (!more->in_windows), ways[!more->in_windows], NULL };

  refill (more->windows, entries);
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
  more->windows
      = add_combo (more, 1, _ ("Large sizes:"), "windows",
                   _ ("In windows of the model's native size, which move from step to step: grain "
                      "and contrast of a small picture at any size, and little memory; in one "
                      "piece is quicker, and one composition"));
  fill_windows (more);
  more->steps
      = add_spin (more, 2, _ ("Num_ber of steps:"), dim_spin_new (0, 1, DIM_PANEL_STEPS_MAX, 1, 0),
                  "steps", _ ("More steps take longer and follow the model more closely"));
  more->guidance = add_spin (more, 3, _ ("Guida_nce:"),
                             dim_spin_new (0, DBL_MIN, DIM_PANEL_GUIDANCE_MAX, 0.1, 2), "guidance",
                             _ ("How strongly the class is insisted on; 1 is off, and faster"));
  add_interval (more, 4);
  more->sampler
      = add_combo (more, 5, _ ("Sam_pler:"), "sampler", _ ("The method that takes the steps"));
  more->rng = add_combo (more, 6, _ ("_Kind of noise:"), "rng",
                         _ ("What a seed's noise is made with: PyTorch's repeats a published "
                            "program's picture, in the size that it was made in"));
  more->precision = add_combo (more, 7, _ ("Prec_ision:"), "precision",
                               _ ("The numbers that the network computes in"));
  more->device = add_combo (more, 8, _ ("De_vice:"), "device", _ ("What the network computes on"));
  more->threads
      = add_spin (more, 9, _ ("Number o_f threads:"), dim_spin_new (0, 1, 1024, 1, 0), "threads",
                  _ ("How many processor cores are used; the picture does not depend on it"));
  dim_spin_set_unset_text (more->threads, _ ("auto"));
}

DimMore *
dim_more_new (GtkSizeGroup *labels)
{
  DimMore *more
      = g_object_new (DIM_TYPE_MORE, "label", _ ("More: tileable, _quality, device, threads"),
                      "use-underline", TRUE, "spacing", 6, NULL);

  for (int row = 0; row < N_ROWS; row++)
    gtk_size_group_add_widget (labels, gtk_grid_get_child_at (GTK_GRID (more->grid), 0, row));
  return more;
}

static const char *
active_id (GtkWidget *combo)
{
  const char *id = gtk_combo_box_get_active_id (GTK_COMBO_BOX (combo));

  return id ? id : "";
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

/* NVIDIA's driver is there, so a card is offered; a recipe may ask for one anywhere. */
static gboolean
has_card (void)
{
  return g_file_test ("/proc/driver/nvidia/version", G_FILE_TEST_EXISTS);
}

void
dim_more_set_model (DimMore *more, const DimModelInfo *info)
{
  const char *precisions[]
      = { "",    _ ("automatic"),      "f32", _ ("32 bits, exact"), "bf16", _ ("16 bits"),
          "f16", _ ("16 bits, finer"), NULL };
  const char *devices[]
      = { "", _ ("automatic"), "cpu", _ ("processor"), "cuda", _ ("graphics card"), NULL };
  const char *kinds[] = { "", _ ("by place (Philox)"), "torch", _ ("PyTorch's"), NULL };

  if (!has_card ())
    devices[4] = NULL;
  more->showing = TRUE;
  dim_spin_set_fallback (more->steps, info->defaults.steps);
  dim_spin_set_fallback (more->guidance,
                         info->unconditional_class < 0 ? 1 : info->defaults.guidance);
  more->is_seamless = info->defaults.seamless;
  more->in_windows = info->defaults.windows;
  fill_seamless (more);
  fill_windows (more);
  fill_samplers (more, info);
  refill (more->rng, kinds);
  refill (more->precision, precisions);
  refill (more->device, devices);
  more->showing = FALSE;
}

/* What holds without the option, `usual`, is the first entry, said or not. */
static void
show_option (GtkWidget *combo, const DimRecipe *recipe, const char *name, const char *usual)
{
  g_autofree char *value = dim_options_get (recipe->options, name);

  activate (combo, g_str_equal (value, usual) ? "" : value);
}

/* Ends at their defaults are not set. The ranges first, so that none stands in the way. */
static void
show_interval (DimMore *more, const DimRecipe *recipe)
{
  g_autofree char *value = dim_options_get (recipe->options, "guidance-interval");
  double           low = 0, high = 1;

  dim_interval_parse (value, &low, &high);
  if (low == interval_low (more) && high == interval_high (more)) /* it may be typed just now */
    return;
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (more->low), 0, 1);
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (more->high), 0, 1);
  dim_spin_set_setting (more->low, low > 0 ? low : -1);
  dim_spin_set_setting (more->high, high < 1 ? high : -1);
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (more->low), 0, high);
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (more->high), low, 1);
}

void
dim_more_show (DimMore *more, const DimRecipe *recipe)
{
  g_autofree char *threads = dim_options_get (recipe->options, "threads");

  more->showing = TRUE;
  dim_spin_set_setting (more->steps, recipe->steps);
  dim_spin_set_setting (more->guidance, recipe->guidance);
  activate (more->sampler, recipe->sampler);
  show_interval (more, recipe);
  show_option (more->seamless, recipe, "seamless", seamless_id (more->is_seamless));
  show_option (more->windows, recipe, "windows", windows_id (more->in_windows));
  show_option (more->rng, recipe, "rng", "philox");
  show_option (more->precision, recipe, "precision", "auto");
  show_option (more->device, recipe, "device", "auto");
  dim_spin_set_setting (more->threads, g_ascii_strtoull (threads, NULL, 10));
  more->showing = FALSE;
}

static void
set_option (DimRecipe *recipe, const char *name, const char *value)
{
  char *options = dim_options_set (recipe->options, name, value);

  g_free (recipe->options);
  recipe->options = options;
}

/* What holds without the option, `usual`, stays said where the recipe says it in words. */
static void
read_option (DimRecipe *recipe, const char *name, const char *value, const char *usual)
{
  g_autofree char *old = dim_options_get (recipe->options, name);

  if (!g_str_equal (old, value) && (*value || !g_str_equal (old, usual)))
    set_option (recipe, name, value);
}

static void
read_interval (DimMore *more, DimRecipe *recipe)
{
  g_autofree char *old = dim_options_get (recipe->options, "guidance-interval");
  double           low = interval_low (more), high = interval_high (more), is_low = 0, is_high = 1;
  char             from[G_ASCII_DTOSTR_BUF_SIZE], to[G_ASCII_DTOSTR_BUF_SIZE];
  g_autofree char *value = NULL;

  dim_interval_parse (old, &is_low, &is_high);
  if (low == is_low && high == is_high)
    return;
  g_ascii_formatd (from, sizeof from, "%.15g", low);
  g_ascii_formatd (to, sizeof to, "%.15g", high);
  value = low > 0 || high < 1 ? g_strdup_printf ("%s,%s", from, to) : g_strdup ("");
  read_option (recipe, "guidance-interval", value, "");
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
  read_interval (more, recipe);
  read_option (recipe, "seamless", active_id (more->seamless), seamless_id (more->is_seamless));
  read_option (recipe, "windows", active_id (more->windows), windows_id (more->in_windows));
  read_option (recipe, "rng", active_id (more->rng), "philox");
  read_option (recipe, "precision", active_id (more->precision), "auto");
  read_option (recipe, "device", active_id (more->device), "auto");
  read_option (recipe, "threads", threads, "0");
}
