/* The panel that both GIMP hosts show: GTK 3, no libgimp.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A vertical box that fills a window: settings, message, estimate or progress, and its own row of
 * buttons at the bottom right (Close, Generate; Generate becomes Stop while a run goes on). The
 * host gives it a window and answers its signals.
 *
 * Properties, all readable and writable, named and meant exactly as the procedures' arguments:
 *
 *   model, class, sampler, upsample, preset, options   string, ""
 *   width, height                                      int, 0 .. DIM_PANEL_SIDE_MAX, 0
 *   steps                                              int, 0 .. DIM_PANEL_STEPS_MAX, 0
 *   guidance                                           double, 0 .. DIM_PANEL_GUIDANCE_MAX, 0
 *   seed                                               double, -1 .. DIM_SEED_MAX, -1
 *
 * "", 0 and -1 keep the argument's meaning (the model's default, the canvas's or the native size, a
 * fresh seed): the control shows the value that this means now, and follows the model until a
 * person changes it. Properties may be set in any order; names that are not there (a model, a
 * class, a preset that is gone) are looked up when the main loop is next idle, or by
 * dim_panel_get_recipe: then the property falls back to "", and the panel says so.
 *
 * It tells of a training that has ended while no window watched it, once, and offers to use what it
 * has learnt, or to show it.
 *
 * Signals, without arguments: "generate", "stop", "close", "train" for a class of one's own, and
 * "import" for a model of somebody else's.
 * Escape, too, emits "close" (in a GtkDialog the dialog takes it first).
 *
 * Widget names (gtk_widget_set_name), by which tests find the controls, in reading order:
 *
 *   - preset preset-menu
 *   - model model-info model-import
 *   - class-search class-train class-list (import-first open-models where there is no model)
 *   - width height size-lock size-menu
 *   - upsample
 *   - seed seed-dice seed-fresh
 *   - more: seamless windows steps guidance guidance-low guidance-high sampler rng precision device
 *     threads
 *   - message message-accept message-dismiss, estimate use-size, progress
 *   - close generate
 *
 * Below preset-menu: preset-save preset-rename preset-delete preset-import preset-export, and what
 * they ask: preset-name preset-hint preset-confirm. */
#ifndef DIM_PANEL_H
#define DIM_PANEL_H

#include <gtk/gtk.h>

#include "engine/dim.h"

G_BEGIN_DECLS

#define DIM_PANEL_SIDE_MAX 262144
#define DIM_PANEL_STEPS_MAX 1000
#define DIM_PANEL_GUIDANCE_MAX 100.0

#define DIM_TYPE_PANEL (dim_panel_get_type ())
G_DECLARE_FINAL_TYPE (DimPanel, dim_panel, DIM, PANEL, GtkBox)

/* The size of the image that is open, which a width and height of 0 then stand for; 0, 0: no image,
 * they stand for the model's native size. Returns a floating reference, as widgets do. */
DimPanel *dim_panel_new (int canvas_width, int canvas_height);

/* What Generate asks for: as the properties, but width and height are the numbers shown, never 0.
 * *recipe is initialised here and the caller's to clear. */
void dim_panel_get_recipe (DimPanel *panel, DimRecipe *recipe);

/* Takes over a whole recipe. *notice (may be NULL) gets what could not be taken over and what
 * stands in for it, one sentence or more to g_free, or NULL; the panel shows it, too. */
void dim_panel_set_recipe (DimPanel *panel, const DimRecipe *recipe, char **notice);

/* Looks for models that have come since, as when a training is done. */
void dim_panel_refresh_models (DimPanel *panel);
/* Chooses the model in `folder`, and a class of it; "": its first. */
void dim_panel_choose (DimPanel *panel, const char *folder, const char *class_name);

/* In a run the settings are insensitive, the progress bar is shown, and Generate is Stop. */
void     dim_panel_set_running (DimPanel *panel, gboolean running);
gboolean dim_panel_get_running (DimPanel *panel);

/* fraction 0..1; text as "step 11 of 20, 4 s left". */
void dim_panel_set_progress (DimPanel *panel, double fraction, const char *text);

/* A sentence above the buttons, as after a run that failed; NULL takes it away. */
void dim_panel_show_message (DimPanel *panel, const char *text);
/* The same of what went well. */
void dim_panel_show_news (DimPanel *panel, const char *text);

/* Generate / Stop, for gtk_window_set_default; the panel already makes it the default when it is
 * mapped. */
GtkWidget *dim_panel_default_button (DimPanel *panel);

G_END_DECLS
#endif
