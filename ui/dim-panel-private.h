/* The panel's state, as its own files share it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The recipe is the state. A property (dim-panel.c) or a control (dim-panel-events.c) that changes
 * writes one field of it and asks for a settling, which runs when the main loop is idle
 * (dim-panel-settle.c): it looks up what the names mean, shows the recipe in the controls, and
 * estimates. */
#ifndef DIM_PANEL_PRIVATE_H
#define DIM_PANEL_PRIVATE_H

#include "ui/dim-panel.h"

#include "ui/dim-class-view.h"
#include "ui/dim-foot.h"
#include "ui/dim-model-box.h"
#include "ui/dim-more.h"
#include "ui/dim-preset-bar.h"
#include "ui/dim-seed-box.h"
#include "ui/dim-size-box.h"

G_BEGIN_DECLS

typedef enum
{
  PROP_MODEL = 1,
  PROP_CLASS,
  PROP_SAMPLER,
  PROP_UPSAMPLE,
  PROP_PRESET,
  PROP_OPTIONS,
  PROP_WIDTH,
  PROP_HEIGHT,
  PROP_STEPS,
  PROP_GUIDANCE,
  PROP_SEED,
  N_PROPS
} DimPanelProp;

struct _DimPanel
{
  GtkBox     parent;
  DimRecipe  recipe;
  char      *preset;         /* the argument */
  DimRecipe  preset_recipe;  /* what the preset says, to see whether the settings are still it */
  gboolean   preset_pending; /* the argument was set and is to be merged in */
  DimModels *models;
  char      *model_name; /* the argument that `model` was looked up by; NULL: none was yet */
  int        model;      /* index of the one whose classes and defaults are shown, -1: none */
  guint      settling;
  gboolean   showing; /* the controls follow the recipe, and not the other way round */
  gboolean   running;
  guint      news_timer;
  char      *news; /* folder of the training that was told of last, or NULL */

  GtkWidget    *settings, *class_stack, *import, *import_first, *open_models;
  DimPresetBar *preset_bar;
  DimModelBox  *model_box;
  DimClassView *class_view;
  DimSizeBox   *size_box;
  DimSeedBox   *seed_box;
  DimMore      *more;
  GtkWidget    *upsample;
  DimFoot      *foot;
};

/* Each writes one field of the recipe, tells so and asks for a settling, if it is a change. */
void dim_panel_put_text (DimPanel *panel, DimPanelProp prop, const char *text);
void dim_panel_put_count (DimPanel *panel, DimPanelProp prop, int count);
void dim_panel_put_guidance (DimPanel *panel, double guidance);
void dim_panel_put_seed (DimPanel *panel, gint64 seed);

/* Every setting; the preset is another matter. */
void dim_panel_put_recipe (DimPanel *panel, const DimRecipe *from);

/* Settles at once. Returns what could not be taken over, or NULL; g_free. */
char *dim_panel_settle (DimPanel *panel);
void  dim_panel_settle_pending (DimPanel *panel); /* if it was asked for */

/* The preset's settings are those that the panel has, until one is changed. */
void dim_panel_keep_preset (DimPanel *panel, const char *name, const DimRecipe *from);

/* Has the controls act. */
void dim_panel_connect (DimPanel *panel);

/* Tells of trainings that have ended, from now on. */
void dim_panel_watch_news (DimPanel *panel);
/* What the message about one offers. */
void dim_panel_take_news (DimPanel *panel);

const DimModelInfo *dim_panel_model (DimPanel *panel); /* NULL: none is installed */

G_END_DECLS
#endif
