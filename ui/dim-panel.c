/* The panel that both GIMP hosts show.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-panel-private.h"

#include "ui/dim-form.h"
#include "ui/dim-i18n.h"
#include "ui/dim-presets.h"
#include "ui/dim-upsample-combo.h"

enum
{
  SIGNAL_GENERATE,
  SIGNAL_STOP,
  SIGNAL_CLOSE,
  SIGNAL_TRAIN,
  SIGNAL_IMPORT,
  N_SIGNALS
};

static GParamSpec *props[N_PROPS];
static guint       signals[N_SIGNALS];

G_DEFINE_TYPE (DimPanel, dim_panel, GTK_TYPE_BOX)

/* ---- the recipe's fields ---- */

static gboolean
settle_when_idle (gpointer panel)
{
  g_free (dim_panel_settle (panel));
  return G_SOURCE_REMOVE;
}

void
dim_panel_settle_pending (DimPanel *panel)
{
  if (panel->settling != 0)
    g_free (dim_panel_settle (panel));
}

static void
changed (DimPanel *panel, DimPanelProp prop)
{
  g_object_notify_by_pspec (G_OBJECT (panel), props[prop]);
  if (panel->settling == 0)
    panel->settling = g_idle_add_full (G_PRIORITY_HIGH_IDLE, settle_when_idle, panel, NULL);
}

static char **
text_of (DimPanel *panel, DimPanelProp prop)
{
  switch (prop)
    {
    case PROP_MODEL:
      return &panel->recipe.model;
    case PROP_CLASS:
      return &panel->recipe.class_name;
    case PROP_SAMPLER:
      return &panel->recipe.sampler;
    case PROP_UPSAMPLE:
      return &panel->recipe.upsample;
    case PROP_OPTIONS:
      return &panel->recipe.options;
    case PROP_PRESET:
      return &panel->preset;
    default:
      return NULL;
    }
}

static int *
count_of (DimPanel *panel, DimPanelProp prop)
{
  switch (prop)
    {
    case PROP_WIDTH:
      return &panel->recipe.width;
    case PROP_HEIGHT:
      return &panel->recipe.height;
    case PROP_STEPS:
      return &panel->recipe.steps;
    default:
      return NULL;
    }
}

void
dim_panel_put_text (DimPanel *panel, DimPanelProp prop, const char *text)
{
  char **field = text_of (panel, prop);
  char  *copy = g_strdup (text ? text : "");

  if (g_str_equal (*field, copy))
    {
      g_free (copy);
      return;
    }
  g_free (*field);
  *field = copy;
  changed (panel, prop);
}

void
dim_panel_put_count (DimPanel *panel, DimPanelProp prop, int count)
{
  int *field = count_of (panel, prop);

  if (*field != count)
    {
      *field = count;
      changed (panel, prop);
    }
}

void
dim_panel_put_guidance (DimPanel *panel, double guidance)
{
  if (panel->recipe.guidance != guidance)
    {
      panel->recipe.guidance = guidance;
      changed (panel, PROP_GUIDANCE);
    }
}

void
dim_panel_put_seed (DimPanel *panel, gint64 seed)
{
  if (panel->recipe.seed != seed)
    {
      panel->recipe.seed = seed;
      changed (panel, PROP_SEED);
    }
}

void
dim_panel_put_recipe (DimPanel *panel, const DimRecipe *from)
{
  dim_panel_put_text (panel, PROP_MODEL, from->model);
  dim_panel_put_text (panel, PROP_CLASS, from->class_name);
  dim_panel_put_text (panel, PROP_SAMPLER, from->sampler);
  dim_panel_put_text (panel, PROP_UPSAMPLE, from->upsample);
  dim_panel_put_text (panel, PROP_OPTIONS, from->options);
  dim_panel_put_count (panel, PROP_WIDTH, MIN (from->width, DIM_PANEL_SIDE_MAX));
  dim_panel_put_count (panel, PROP_HEIGHT, MIN (from->height, DIM_PANEL_SIDE_MAX));
  dim_panel_put_count (panel, PROP_STEPS, MIN (from->steps, DIM_PANEL_STEPS_MAX));
  dim_panel_put_guidance (panel, MIN (from->guidance, DIM_PANEL_GUIDANCE_MAX));
  dim_panel_put_seed (panel, from->seed);
  if (!g_str_equal (panel->recipe.unknown, from->unknown))
    {
      g_free (panel->recipe.unknown);
      panel->recipe.unknown = g_strdup (from->unknown);
    }
}

/* ---- properties ---- */

static void
dim_panel_get_property (GObject *object, guint prop, GValue *value, GParamSpec *pspec)
{
  DimPanel *panel = DIM_PANEL (object);

  if (text_of (panel, prop))
    g_value_set_string (value, *text_of (panel, prop));
  else if (count_of (panel, prop))
    g_value_set_int (value, *count_of (panel, prop));
  else if (prop == PROP_GUIDANCE)
    g_value_set_double (value, panel->recipe.guidance);
  else if (prop == PROP_SEED)
    g_value_set_double (value, panel->recipe.seed);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop, pspec);
}

static void
dim_panel_set_property (GObject *object, guint prop, const GValue *value, GParamSpec *pspec)
{
  DimPanel *panel = DIM_PANEL (object);

  if (prop == PROP_PRESET && g_strcmp0 (panel->preset, g_value_get_string (value)) != 0)
    panel->preset_pending = TRUE;
  if (text_of (panel, prop))
    dim_panel_put_text (panel, prop, g_value_get_string (value));
  else if (count_of (panel, prop))
    dim_panel_put_count (panel, prop, g_value_get_int (value));
  else if (prop == PROP_GUIDANCE)
    dim_panel_put_guidance (panel, g_value_get_double (value));
  else if (prop == PROP_SEED)
    dim_panel_put_seed (panel, (gint64)g_value_get_double (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop, pspec);
}

static void
install_properties (GObjectClass *object)
{
  static const char *const texts[]
      = { "model", "class", "sampler", "upsample", "preset", "options" };
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    props[PROP_MODEL + i] = g_param_spec_string (texts[i], NULL, NULL, "", flags);
  props[PROP_WIDTH] = g_param_spec_int ("width", NULL, NULL, 0, DIM_PANEL_SIDE_MAX, 0, flags);
  props[PROP_HEIGHT] = g_param_spec_int ("height", NULL, NULL, 0, DIM_PANEL_SIDE_MAX, 0, flags);
  props[PROP_STEPS] = g_param_spec_int ("steps", NULL, NULL, 0, DIM_PANEL_STEPS_MAX, 0, flags);
  props[PROP_GUIDANCE]
      = g_param_spec_double ("guidance", NULL, NULL, 0, DIM_PANEL_GUIDANCE_MAX, 0, flags);
  props[PROP_SEED] = g_param_spec_double ("seed", NULL, NULL, -1, DIM_SEED_MAX, -1, flags);
  g_object_class_install_properties (object, N_PROPS, props);
}

/* ---- the object ---- */

static void
dim_panel_map (GtkWidget *widget)
{
  DimPanel  *panel = DIM_PANEL (widget);
  GtkWidget *search = dim_class_view_search (panel->class_view);

  GTK_WIDGET_CLASS (dim_panel_parent_class)->map (widget);
  gtk_widget_grab_default (dim_foot_generate (panel->foot));
  dim_panel_settle_pending (panel);
  if (gtk_widget_get_mapped (search))
    gtk_widget_grab_focus (search);
  dim_panel_watch_news (panel);
}

static void
dim_panel_dispose (GObject *object)
{
  DimPanel *panel = DIM_PANEL (object);

  g_clear_handle_id (&panel->settling, g_source_remove);
  g_clear_handle_id (&panel->news_timer, g_source_remove);
  panel->showing = TRUE; /* widgets that go away ask for nothing any more */
  G_OBJECT_CLASS (dim_panel_parent_class)->dispose (object);
}

static void
dim_panel_finalize (GObject *object)
{
  DimPanel *panel = DIM_PANEL (object);

  dim_recipe_clear (&panel->recipe);
  dim_recipe_clear (&panel->preset_recipe);
  dim_models_free (panel->models);
  g_free (panel->model_name);
  g_free (panel->preset);
  g_free (panel->news);
  G_OBJECT_CLASS (dim_panel_parent_class)->finalize (object);
}

static void
dim_panel_class_init (DimPanelClass *klass)
{
  static const char *const names[N_SIGNALS] = { "generate", "stop", "close", "train", "import" };
  GObjectClass            *object = G_OBJECT_CLASS (klass);

  object->get_property = dim_panel_get_property;
  object->set_property = dim_panel_set_property;
  object->dispose = dim_panel_dispose;
  object->finalize = dim_panel_finalize;
  GTK_WIDGET_CLASS (klass)->map = dim_panel_map;
  install_properties (object);
  for (int i = 0; i < N_SIGNALS; i++)
    signals[i] = g_signal_new (names[i], DIM_TYPE_PANEL, G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, 0,
                               NULL, NULL, NULL, G_TYPE_NONE, 0);
  gtk_binding_entry_add_signal (gtk_binding_set_by_class (klass), GDK_KEY_Escape, 0, "close", 0);
}

static void
dim_panel_init (DimPanel *panel)
{
  gtk_orientable_set_orientation (GTK_ORIENTABLE (panel), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (panel), 12);
  gtk_container_set_border_width (GTK_CONTAINER (panel), 12);
  dim_recipe_init (&panel->recipe);
  dim_recipe_init (&panel->preset_recipe);
  panel->preset = g_strdup ("");
  panel->models = dim_models_new ();
  panel->model = -1;
}

/* ---- what a person sees ---- */

static void
add_row (GtkWidget *grid, GtkSizeGroup *labels, int row, const char *title, GtkWidget *widget,
         GtkWidget *mnemonic)
{
  GtkWidget *label = gtk_label_new_with_mnemonic (title);

  gtk_label_set_xalign (GTK_LABEL (label), 1);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), mnemonic);
  gtk_size_group_add_widget (labels, label);
  gtk_grid_attach (GTK_GRID (grid), label, 0, row, 1, 1);
  gtk_grid_attach (GTK_GRID (grid), widget, 1, row, 1, 1);
}

static GtkWidget *
new_no_model (DimPanel *panel)
{
  GtkWidget       *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);
  g_autofree char *folder = dim_models_folder ();
  g_autofree char *text = g_strdup_printf (
      _ ("No model is installed. Import a published checkpoint, or put a folder with a file "
         "model.json into %s and open this window again."),
      folder);
  GtkWidget *label = gtk_label_new (text);

  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_line_wrap_mode (GTK_LABEL (label), PANGO_WRAP_WORD_CHAR);
  gtk_label_set_max_width_chars (GTK_LABEL (label), 50);
  panel->import_first = gtk_button_new_with_label (_ ("Import a checkpoint"));
  gtk_widget_set_name (panel->import_first, "import-first");
  gtk_widget_set_halign (panel->import_first, GTK_ALIGN_START);
  panel->open_models = gtk_button_new_with_mnemonic (_ ("Open m_y models folder"));
  gtk_widget_set_name (panel->open_models, "open-models");
  gtk_widget_set_halign (panel->open_models, GTK_ALIGN_START);
  gtk_container_add (GTK_CONTAINER (box), label);
  gtk_container_add (GTK_CONTAINER (box), panel->import_first);
  gtk_container_add (GTK_CONTAINER (box), panel->open_models);
  return box;
}

/* Beside the models, as the class of one's own is beside the classes: as a row of the list a turn
 * of the wheel would choose it. */
static GtkWidget *
new_model_row (DimPanel *panel)
{
  panel->import = gtk_button_new_from_icon_name ("list-add-symbolic", GTK_ICON_SIZE_BUTTON);
  gtk_widget_set_name (panel->import, "model-import");
  gtk_widget_set_tooltip_text (panel->import,
                               _ ("Import a model from its authors' checkpoint file"));
  atk_object_set_name (gtk_widget_get_accessible (panel->import), _ ("Import a model"));
  return dim_form_row (0, GTK_WIDGET (panel->model_box), panel->import, NULL);
}

static GtkWidget *
new_class_stack (DimPanel *panel)
{
  GtkWidget *stack = gtk_stack_new ();
  GtkWidget *none = gtk_label_new (_ ("This model has no classes."));

  gtk_widget_set_halign (none, GTK_ALIGN_START);
  gtk_widget_set_valign (none, GTK_ALIGN_START);
  gtk_stack_set_vhomogeneous (GTK_STACK (stack), FALSE);
  gtk_stack_add_named (GTK_STACK (stack), GTK_WIDGET (panel->class_view), "classes");
  gtk_stack_add_named (GTK_STACK (stack), none, "no-classes");
  gtk_stack_add_named (GTK_STACK (stack), new_no_model (panel), "no-model");
  gtk_widget_set_vexpand (stack, TRUE);
  return stack;
}

static GtkWidget *
new_grid (DimPanel *panel, GtkSizeGroup *labels)
{
  GtkWidget *grid = gtk_grid_new ();

  gtk_grid_set_row_spacing (GTK_GRID (grid), 6);
  gtk_grid_set_column_spacing (GTK_GRID (grid), 6);
  add_row (grid, labels, 0, _ ("Prese_t:"), GTK_WIDGET (panel->preset_bar),
           dim_preset_bar_combo (panel->preset_bar));
  add_row (grid, labels, 1, _ ("_Model:"), new_model_row (panel),
           dim_model_box_combo (panel->model_box));
  add_row (grid, labels, 2, _ ("Cl_ass:"), panel->class_stack,
           dim_class_view_search (panel->class_view));
  add_row (grid, labels, 3, _ ("Si_ze:"), GTK_WIDGET (panel->size_box),
           dim_size_box_width (panel->size_box));
  add_row (grid, labels, 4, _ ("_Upsample:"), panel->upsample, panel->upsample);
  add_row (grid, labels, 5, _ ("See_d:"), GTK_WIDGET (panel->seed_box),
           dim_seed_box_entry (panel->seed_box));
  gtk_widget_set_valign (gtk_grid_get_child_at (GTK_GRID (grid), 0, 2), GTK_ALIGN_START);
  gtk_widget_set_margin_top (gtk_grid_get_child_at (GTK_GRID (grid), 0, 2), 6);
  gtk_widget_set_hexpand (panel->class_stack, TRUE);
  return grid;
}

DimPanel *
dim_panel_new (int canvas_width, int canvas_height)
{
  DimPanel *panel = g_object_new (DIM_TYPE_PANEL, NULL);
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);

  panel->preset_bar = dim_preset_bar_new ();
  panel->model_box = dim_model_box_new ();
  panel->class_view = dim_class_view_new ();
  panel->class_stack = new_class_stack (panel);
  panel->size_box = dim_size_box_new (canvas_width, canvas_height);
  panel->upsample = dim_upsample_combo_new ();
  panel->seed_box = dim_seed_box_new ();
  panel->more = dim_more_new (labels);
  panel->foot = dim_foot_new ();

  panel->settings = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);
  gtk_box_pack_start (GTK_BOX (panel->settings), new_grid (panel, labels), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (panel->settings), GTK_WIDGET (panel->more), FALSE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (panel), panel->settings, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (panel), GTK_WIDGET (panel->foot), FALSE, FALSE, 0);

  gtk_drag_dest_set (GTK_WIDGET (panel), GTK_DEST_DEFAULT_ALL, NULL, 0, GDK_ACTION_COPY);
  gtk_drag_dest_add_uri_targets (GTK_WIDGET (panel));
  dim_panel_connect (panel);
  gtk_widget_show_all (GTK_WIDGET (panel));
  g_free (dim_panel_settle (panel));
  return panel;
}

/* ---- the host ---- */

void
dim_panel_get_recipe (DimPanel *panel, DimRecipe *recipe)
{
  dim_panel_settle_pending (panel);
  dim_recipe_copy (recipe, &panel->recipe);
  dim_size_box_shown (panel->size_box, &recipe->width, &recipe->height);
}

void
dim_panel_set_recipe (DimPanel *panel, const DimRecipe *recipe, char **notice)
{
  g_autofree char *told = NULL;

  dim_panel_put_recipe (panel, recipe);
  told = dim_panel_settle (panel);
  if (notice)
    *notice = g_steal_pointer (&told);
}

void
dim_panel_refresh_models (DimPanel *panel)
{
  gboolean before = panel->showing;

  dim_models_refresh (panel->models);
  panel->showing = TRUE;
  dim_model_box_show (panel->model_box, panel->models, panel->model);
  panel->showing = before;
}

void
dim_panel_choose (DimPanel *panel, const char *folder, const char *class_name)
{
  int index;

  dim_panel_refresh_models (panel);
  index = dim_models_find (panel->models, folder, NULL);
  if (index < 0)
    return;
  dim_panel_put_text (panel, PROP_MODEL, dim_models_name (panel->models, index));
  dim_panel_put_text (panel, PROP_CLASS, class_name);
  dim_panel_settle_pending (panel);
}

void
dim_panel_set_running (DimPanel *panel, gboolean running)
{
  if (running == panel->running)
    return;
  panel->running = running;
  gtk_widget_set_sensitive (panel->settings, !running);
  dim_foot_set_running (panel->foot, running);
  if (running) /* Enter is Stop; without the focus there it would be Close */
    gtk_widget_grab_focus (dim_foot_generate (panel->foot));
  else if (gtk_widget_get_mapped (dim_class_view_search (panel->class_view)))
    gtk_widget_grab_focus (dim_class_view_search (panel->class_view));
}

gboolean
dim_panel_get_running (DimPanel *panel)
{
  return panel->running;
}

void
dim_panel_set_progress (DimPanel *panel, double fraction, const char *text)
{
  dim_foot_set_progress (panel->foot, fraction, text);
}

void
dim_panel_show_message (DimPanel *panel, const char *text)
{
  dim_foot_show_message (panel->foot, text);
}

void
dim_panel_show_news (DimPanel *panel, const char *text)
{
  dim_foot_show_news (panel->foot, text);
}

GtkWidget *
dim_panel_default_button (DimPanel *panel)
{
  return dim_foot_generate (panel->foot);
}
