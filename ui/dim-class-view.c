/* The searchable list of a model's classes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-class-view.h"

#include <string.h>

#include "engine/dim.h"
#include "ui/dim-i18n.h"

enum
{
  COLUMN_LABEL,
  COLUMN_NAME,
  COLUMN_FOLDED,   /* name and number */
  COLUMN_SYNONYMS, /* with commas between them, or NULL */
  COLUMN_FOLDED_SYNONYMS,
  N_COLUMNS
};

enum
{
  PROP_LABEL = 1
};

struct _DimClassView
{
  GtkBox        parent;
  GtkWidget    *search, *train, *scroll, *tree, *nothing;
  GtkListStore *store;
  GtkTreeModel *hits;   /* the store, filtered by `needle` */
  char         *needle; /* folded */
  int           label;
  gboolean      following; /* the selection follows the label, and not the other way round */
  gboolean      searching; /* the search has changed, and none of its hits was taken yet */
};

G_DEFINE_TYPE (DimClassView, dim_class_view, GTK_TYPE_BOX)

char *
dim_class_view_fold (const char *text)
{
  g_autofree char *apart = g_utf8_normalize (text, -1, G_NORMALIZE_ALL);
  GString         *bare = g_string_new (NULL);
  char            *folded;

  for (const char *p = apart ? apart : ""; *p; p = g_utf8_next_char (p))
    if (!g_unichar_ismark (g_utf8_get_char (p)))
      g_string_append_unichar (bare, g_utf8_get_char (p));
  folded = g_utf8_casefold (bare->str, bare->len);
  g_string_free (bare, TRUE);
  return folded;
}

static GtkTreeSelection *
selection_of (DimClassView *view)
{
  return gtk_tree_view_get_selection (GTK_TREE_VIEW (view->tree));
}

static int
label_at (DimClassView *view, GtkTreeIter *iter)
{
  int label;

  gtk_tree_model_get (view->hits, iter, COLUMN_LABEL, &label, -1);
  return label;
}

static void
select_row (DimClassView *view, GtkTreeIter *iter)
{
  GtkTreePath *path = gtk_tree_model_get_path (view->hits, iter);

  view->searching = view->searching && view->following;
  gtk_tree_view_set_cursor (GTK_TREE_VIEW (view->tree), path, NULL, FALSE);
  gtk_tree_view_scroll_to_cell (GTK_TREE_VIEW (view->tree), path, NULL, FALSE, 0, 0);
  gtk_tree_path_free (path);
}

/* Selects the row of the present label where the search shows it. */
static void
show_label (DimClassView *view)
{
  GtkTreeIter iter;
  gboolean    more;

  view->following = TRUE;
  gtk_tree_selection_unselect_all (selection_of (view));
  for (more = gtk_tree_model_get_iter_first (view->hits, &iter); more;
       more = gtk_tree_model_iter_next (view->hits, &iter))
    if (label_at (view, &iter) == view->label)
      {
        select_row (view, &iter);
        break;
      }
  view->following = FALSE;
}

static void
on_selected (GtkTreeSelection *selection, DimClassView *view)
{
  GtkTreeIter iter;

  if (!view->following && gtk_tree_selection_get_selected (selection, NULL, &iter)
      && label_at (view, &iter) != view->label)
    {
      view->label = label_at (view, &iter);
      g_object_notify (G_OBJECT (view), "label");
    }
}

static gboolean
has (const char *text, const char *needle)
{
  return text && strstr (text, needle);
}

static gboolean
is_hit (GtkTreeModel *store, GtkTreeIter *iter, gpointer data)
{
  DimClassView    *view = data;
  g_autofree char *folded = NULL, *synonyms = NULL;

  gtk_tree_model_get (store, iter, COLUMN_FOLDED, &folded, COLUMN_FOLDED_SYNONYMS, &synonyms, -1);
  return !view->needle || has (folded, view->needle) || has (synonyms, view->needle);
}

/* The first of the synonyms that has the needle in it; g_free. */
static char *
find_synonym (const char *synonyms, const char *needle)
{
  g_auto (GStrv) words = g_strsplit (synonyms ? synonyms : "", ",", -1);

  for (char **word = words; *word; word++)
    {
      g_autofree char *folded = dim_class_view_fold (*word);

      if (has (folded, needle))
        return g_strstrip (g_strdup (*word));
    }
  return NULL;
}

/* A name; where only a synonym is what was searched for, that too. */
static void
show_name (GtkTreeViewColumn *column, GtkCellRenderer *cell, GtkTreeModel *hits, GtkTreeIter *iter,
           gpointer data)
{
  DimClassView    *view = data;
  g_autofree char *name = NULL, *folded = NULL, *synonyms = NULL, *synonym = NULL, *both = NULL;

  gtk_tree_model_get (hits, iter, COLUMN_NAME, &name, COLUMN_FOLDED, &folded, COLUMN_SYNONYMS,
                      &synonyms, -1);
  if (view->needle && !has (folded, view->needle))
    synonym = find_synonym (synonyms, view->needle);
  if (synonym)
    both = g_strdup_printf (_ ("%s (%s)"), name, synonym);
  g_object_set (cell, "text", both ? both : name, NULL);
}

static void
on_search_changed (DimClassView *view)
{
  g_autofree char *text = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (view->search))));
  GtkTreeIter      iter;

  g_free (view->needle);
  view->needle = *text ? dim_class_view_fold (text) : NULL;
  view->searching = view->needle != NULL;
  view->following = TRUE;
  gtk_tree_model_filter_refilter (GTK_TREE_MODEL_FILTER (view->hits));
  view->following = FALSE;
  gtk_widget_set_visible (view->nothing, !gtk_tree_model_get_iter_first (view->hits, &iter));
  show_label (view);
}

static void
activate_default (DimClassView *view)
{
  GtkWidget *window = gtk_widget_get_toplevel (GTK_WIDGET (view));

  if (GTK_IS_WINDOW (window))
    gtk_window_activate_default (GTK_WINDOW (window));
}

static void
on_search_activate (DimClassView *view)
{
  GtkTreeIter iter;

  if (!view->searching)
    activate_default (view);
  else if (gtk_tree_model_get_iter_first (view->hits, &iter))
    select_row (view, &iter);
}

/* Up and Down in the search field walk the hits; from a class that is not among them to the first
 * one. */
static gboolean
on_search_key (GtkWidget *search, GdkEventKey *event, DimClassView *view)
{
  GtkTreeIter iter;
  gboolean    found;

  if (event->keyval != GDK_KEY_Down && event->keyval != GDK_KEY_Up)
    return GDK_EVENT_PROPAGATE;
  if (!gtk_tree_selection_get_selected (selection_of (view), NULL, &iter))
    found = gtk_tree_model_get_iter_first (view->hits, &iter);
  else if (event->keyval == GDK_KEY_Down)
    found = gtk_tree_model_iter_next (view->hits, &iter);
  else
    found = gtk_tree_model_iter_previous (view->hits, &iter);
  if (found)
    select_row (view, &iter);
  return GDK_EVENT_STOP;
}

static void
dim_class_view_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  if (id == PROP_LABEL)
    g_value_set_int (value, DIM_CLASS_VIEW (object)->label);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_class_view_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  if (id == PROP_LABEL)
    dim_class_view_set_label (DIM_CLASS_VIEW (object), g_value_get_int (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_class_view_finalize (GObject *object)
{
  DimClassView *view = DIM_CLASS_VIEW (object);

  g_free (view->needle);
  g_object_unref (view->hits);
  g_object_unref (view->store);
  G_OBJECT_CLASS (dim_class_view_parent_class)->finalize (object);
}

static void
dim_class_view_class_init (DimClassViewClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);

  object->get_property = dim_class_view_get_property;
  object->set_property = dim_class_view_set_property;
  object->finalize = dim_class_view_finalize;
  g_object_class_install_property (
      object, PROP_LABEL,
      g_param_spec_int ("label", NULL, NULL, -1, G_MAXINT, -1,
                        G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS));
}

static GtkWidget *
new_search (DimClassView *view)
{
  GtkWidget *search = gtk_search_entry_new ();

  gtk_widget_set_name (search, "class-search");
  gtk_entry_set_placeholder_text (GTK_ENTRY (search), _ ("Search"));
  gtk_widget_set_tooltip_text (
      search, _ ("Part of a class's name or of a synonym; Enter takes the first hit"));
  atk_object_set_name (gtk_widget_get_accessible (search), _ ("Search a class"));
  g_signal_connect_swapped (search, "changed", G_CALLBACK (on_search_changed), view);
  g_signal_connect_swapped (search, "activate", G_CALLBACK (on_search_activate), view);
  g_signal_connect (search, "key-press-event", G_CALLBACK (on_search_key), view);
  return search;
}

static GtkWidget *
new_train (void)
{
  GtkWidget *train = gtk_button_new_from_icon_name ("list-add-symbolic", GTK_ICON_SIZE_BUTTON);

  gtk_widget_set_name (train, "class-train");
  gtk_widget_set_tooltip_text (train, _ ("Train a class of your own, from pictures"));
  atk_object_set_name (gtk_widget_get_accessible (train), _ ("Train a class"));
  return train;
}

static GtkWidget *
new_tree (DimClassView *view)
{
  GtkWidget       *tree = gtk_tree_view_new_with_model (view->hits);
  GtkCellRenderer *cell = gtk_cell_renderer_text_new ();

  gtk_widget_set_name (tree, "class-list");
  atk_object_set_name (gtk_widget_get_accessible (tree), _ ("Classes"));
  gtk_tree_view_set_headers_visible (GTK_TREE_VIEW (tree), FALSE);
  gtk_tree_view_set_enable_search (GTK_TREE_VIEW (tree), FALSE);
  gtk_tree_view_insert_column_with_data_func (GTK_TREE_VIEW (tree), -1, _ ("Class"), cell,
                                              show_name, view, NULL);
  g_object_set (cell, "ellipsize", PANGO_ELLIPSIZE_END, NULL);
  gtk_tree_selection_set_mode (gtk_tree_view_get_selection (GTK_TREE_VIEW (tree)),
                               GTK_SELECTION_BROWSE);
  return tree;
}

static void
dim_class_view_init (DimClassView *view)
{
  GtkWidget *overlay = gtk_overlay_new (), *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);

  gtk_orientable_set_orientation (GTK_ORIENTABLE (view), GTK_ORIENTATION_VERTICAL);
  gtk_box_set_spacing (GTK_BOX (view), 6);

  view->label = -1;
  view->store = gtk_list_store_new (N_COLUMNS, G_TYPE_INT, G_TYPE_STRING, G_TYPE_STRING,
                                    G_TYPE_STRING, G_TYPE_STRING);
  view->hits = gtk_tree_model_filter_new (GTK_TREE_MODEL (view->store), NULL);
  gtk_tree_model_filter_set_visible_func (GTK_TREE_MODEL_FILTER (view->hits), is_hit, view, NULL);

  view->search = new_search (view);
  view->train = new_train ();
  gtk_box_pack_start (GTK_BOX (row), view->search, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (row), view->train, FALSE, FALSE, 0);
  view->tree = new_tree (view);
  g_signal_connect (selection_of (view), "changed", G_CALLBACK (on_selected), view);
  g_signal_connect_swapped (view->tree, "row-activated", G_CALLBACK (activate_default), view);

  view->scroll = gtk_scrolled_window_new (NULL, NULL);
  gtk_scrolled_window_set_shadow_type (GTK_SCROLLED_WINDOW (view->scroll), GTK_SHADOW_IN);
  gtk_scrolled_window_set_policy (GTK_SCROLLED_WINDOW (view->scroll), GTK_POLICY_NEVER,
                                  GTK_POLICY_AUTOMATIC);
  gtk_scrolled_window_set_min_content_height (GTK_SCROLLED_WINDOW (view->scroll), 74);
  gtk_scrolled_window_set_max_content_height (GTK_SCROLLED_WINDOW (view->scroll), 190);
  gtk_scrolled_window_set_propagate_natural_height (GTK_SCROLLED_WINDOW (view->scroll), TRUE);
  gtk_container_add (GTK_CONTAINER (view->scroll), view->tree);
  gtk_container_add (GTK_CONTAINER (overlay), view->scroll);

  view->nothing = gtk_label_new (_ ("No class has this in its name."));
  gtk_widget_set_no_show_all (view->nothing, TRUE);
  gtk_overlay_add_overlay (GTK_OVERLAY (overlay), view->nothing);
  gtk_overlay_set_overlay_pass_through (GTK_OVERLAY (overlay), view->nothing, TRUE);

  gtk_box_pack_start (GTK_BOX (view), row, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (view), overlay, TRUE, TRUE, 0);
}

DimClassView *
dim_class_view_new (void)
{
  return g_object_new (DIM_TYPE_CLASS_VIEW, NULL);
}

void
dim_class_view_set_names (DimClassView *view, char **names, char **synonyms, int n_names,
                          int n_labels)
{
  view->following = TRUE;
  view->label = -1;
  gtk_list_store_clear (view->store);
  for (int label = 0; label < n_labels; label++)
    {
      g_autofree char *name
          = label < n_names ? dim_text_clean (names[label]) : g_strdup_printf ("%d", label);
      g_autofree char *both = g_strdup_printf ("%s %d", name, label);
      g_autofree char *folded = dim_class_view_fold (both);
      g_autofree char *others = synonyms && label < n_names && synonyms[label]
                                    ? dim_text_clean (synonyms[label])
                                    : NULL;
      g_autofree char *folded_others = others ? dim_class_view_fold (others) : NULL;

      gtk_list_store_insert_with_values (view->store, NULL, -1, COLUMN_LABEL, label, COLUMN_NAME,
                                         name, COLUMN_FOLDED, folded, COLUMN_SYNONYMS, others,
                                         COLUMN_FOLDED_SYNONYMS, folded_others, -1);
    }
  view->following = FALSE;
  gtk_entry_set_text (GTK_ENTRY (view->search), "");
}

int
dim_class_view_get_label (DimClassView *view)
{
  return view->label;
}

void
dim_class_view_set_label (DimClassView *view, int label)
{
  if (label == view->label)
    return;
  view->label = label;
  show_label (view);
  g_object_notify (G_OBJECT (view), "label");
}

GtkWidget *
dim_class_view_search (DimClassView *view)
{
  return view->search;
}

GtkWidget *
dim_class_view_train (DimClassView *view)
{
  return view->train;
}
