/* Width x height in pixels, with a ratio lock and a menu of sizes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-size-box.h"

#include "ui/dim-i18n.h"
#include "ui/dim-panel.h"
#include "ui/dim-spin.h"

#define FALLBACK_SIDE 256 /* shown when there is neither a canvas nor a native size */

enum
{
  PROP_WIDTH = 1,
  PROP_HEIGHT
};

struct _DimSizeBox
{
  GtkBox     parent;
  DimSpin   *width, *height;
  GtkWidget *lock, *menu_button;
  int        canvas_width, canvas_height, native_size;
  double     ratio;     /* width / height while the lock is on */
  gboolean   following; /* one side is being set from the other, or both from outside */
};

G_DEFINE_TYPE (DimSizeBox, dim_size_box, GTK_TYPE_BOX)

static int
shown (DimSpin *spin)
{
  return gtk_spin_button_get_value_as_int (GTK_SPIN_BUTTON (spin));
}

/* The lock carries a change of one side over to the other one, from the ratio it was closed at: no
 * rounding adds up. */
static void
carry_over (DimSizeBox *box, DimSpin *from, DimSpin *to)
{
  double side = shown (from);

  if (!gtk_toggle_button_get_active (GTK_TOGGLE_BUTTON (box->lock)))
    return;
  side = from == box->width ? side / box->ratio : side * box->ratio;
  dim_spin_set_setting (to, CLAMP ((int)(side + 0.5), 1, DIM_PANEL_SIDE_MAX));
}

static void
on_setting (DimSpin *spin, GParamSpec *pspec, DimSizeBox *box)
{
  if (box->following)
    return;
  box->following = TRUE;
  carry_over (box, spin, spin == box->width ? box->height : box->width);
  box->following = FALSE;
  g_object_notify (G_OBJECT (box), "width");
  g_object_notify (G_OBJECT (box), "height");
}

static void
keep_ratio (DimSizeBox *box)
{
  box->ratio = (double)shown (box->width) / shown (box->height);
}

static void
on_lock (DimSizeBox *box)
{
  gboolean   locked = gtk_toggle_button_get_active (GTK_TOGGLE_BUTTON (box->lock));
  GtkWidget *image = gtk_bin_get_child (GTK_BIN (box->lock));

  gtk_image_set_from_icon_name (GTK_IMAGE (image),
                                locked ? "changes-prevent-symbolic" : "changes-allow-symbolic",
                                GTK_ICON_SIZE_BUTTON);
  keep_ratio (box);
}

static void
on_menu_item (GtkMenuItem *item, DimSizeBox *box)
{
  dim_size_box_set (box, GPOINTER_TO_INT (g_object_get_data (G_OBJECT (item), "width")),
                    GPOINTER_TO_INT (g_object_get_data (G_OBJECT (item), "height")));
}

/* An entry "what (W × H)", which sets the two values given: 0 for what the shown numbers stand for.
 */
static void
add_item (DimSizeBox *box, GtkWidget *menu, const char *what, int width, int height, int set_width,
          int set_height)
{
  g_autofree char *text = g_strdup_printf ("%s (%d × %d)", what, width, height);
  GtkWidget       *item = gtk_menu_item_new_with_label (text);

  g_object_set_data (G_OBJECT (item), "width", GINT_TO_POINTER (set_width));
  g_object_set_data (G_OBJECT (item), "height", GINT_TO_POINTER (set_height));
  g_signal_connect (item, "activate", G_CALLBACK (on_menu_item), box);
  gtk_menu_shell_append (GTK_MENU_SHELL (menu), item);
}

static void
fill_menu (DimSizeBox *box)
{
  GtkWidget *menu = gtk_menu_new ();
  int        native = box->native_size;
  gboolean   has_canvas = box->canvas_width > 0;

  if (has_canvas)
    add_item (box, menu, _ ("Canvas"), box->canvas_width, box->canvas_height, 0, 0);
  if (native > 0)
    add_item (box, menu, _ ("As trained"), native, native, has_canvas ? native : 0,
              has_canvas ? native : 0);
  for (int factor = 2; native > 0 && factor <= 4; factor++)
    {
      g_autofree char *what = g_strdup_printf (_ ("%d times as trained"), factor);

      add_item (box, menu, what, factor * native, factor * native, factor * native,
                factor * native);
    }
  gtk_widget_show_all (menu);
  gtk_menu_button_set_popup (GTK_MENU_BUTTON (box->menu_button), menu);
  gtk_widget_set_sensitive (box->menu_button, has_canvas || native > 0);
}

static void
dim_size_box_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  int width, height;

  dim_size_box_get (DIM_SIZE_BOX (object), &width, &height);
  if (id == PROP_WIDTH || id == PROP_HEIGHT)
    g_value_set_int (value, id == PROP_WIDTH ? width : height);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_size_box_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  DimSizeBox *box = DIM_SIZE_BOX (object);
  int         width, height;

  dim_size_box_get (box, &width, &height);
  if (id == PROP_WIDTH)
    dim_size_box_set (box, g_value_get_int (value), height);
  else if (id == PROP_HEIGHT)
    dim_size_box_set (box, width, g_value_get_int (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_size_box_class_init (DimSizeBoxClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GParamFlags   flags = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object->get_property = dim_size_box_get_property;
  object->set_property = dim_size_box_set_property;
  g_object_class_install_property (
      object, PROP_WIDTH, g_param_spec_int ("width", NULL, NULL, 0, DIM_PANEL_SIDE_MAX, 0, flags));
  g_object_class_install_property (
      object, PROP_HEIGHT,
      g_param_spec_int ("height", NULL, NULL, 0, DIM_PANEL_SIDE_MAX, 0, flags));
}

static DimSpin *
add_side (DimSizeBox *box, const char *name, const char *title)
{
  DimSpin   *spin = dim_spin_new (0, 1, DIM_PANEL_SIDE_MAX, 16, 0);
  GtkWidget *widget = GTK_WIDGET (spin);

  gtk_widget_set_name (widget, name);
  gtk_entry_set_width_chars (GTK_ENTRY (spin), 6);
  gtk_spin_button_set_numeric (GTK_SPIN_BUTTON (spin), TRUE);
  gtk_widget_set_tooltip_text (widget, title);
  atk_object_set_name (gtk_widget_get_accessible (widget), title);
  g_signal_connect (spin, "notify::setting", G_CALLBACK (on_setting), box);
  gtk_box_pack_start (GTK_BOX (box), widget, FALSE, FALSE, 0);
  return spin;
}

static void
dim_size_box_init (DimSizeBox *box)
{
  gtk_box_set_spacing (GTK_BOX (box), 6);
  box->native_size = 0;
  box->width = add_side (box, "width", _ ("Width in pixels"));
  gtk_box_pack_start (GTK_BOX (box), gtk_label_new ("×"), FALSE, FALSE, 0);
  box->height = add_side (box, "height", _ ("Height in pixels"));
  gtk_box_pack_start (GTK_BOX (box), gtk_label_new (_ ("px")), FALSE, FALSE, 0);

  box->lock = gtk_toggle_button_new ();
  gtk_container_add (GTK_CONTAINER (box->lock), gtk_image_new ());
  gtk_widget_set_name (box->lock, "size-lock");
  gtk_widget_set_tooltip_text (box->lock, _ ("Keep the ratio of width to height"));
  atk_object_set_name (gtk_widget_get_accessible (box->lock), _ ("Keep the ratio"));
  g_signal_connect_swapped (box->lock, "toggled", G_CALLBACK (on_lock), box);
  gtk_box_pack_start (GTK_BOX (box), box->lock, FALSE, FALSE, 0);

  box->menu_button = gtk_menu_button_new ();
  gtk_widget_set_name (box->menu_button, "size-menu");
  gtk_widget_set_tooltip_text (box->menu_button, _ ("Sizes to choose from"));
  atk_object_set_name (gtk_widget_get_accessible (box->menu_button), _ ("Sizes to choose from"));
  gtk_box_pack_start (GTK_BOX (box), box->menu_button, FALSE, FALSE, 0);
  on_lock (box);
}

DimSizeBox *
dim_size_box_new (int canvas_width, int canvas_height)
{
  DimSizeBox *box = g_object_new (DIM_TYPE_SIZE_BOX, NULL);

  box->canvas_width = canvas_width;
  box->canvas_height = canvas_height;
  dim_size_box_set_model (box, 0, 16);
  return box;
}

void
dim_size_box_set_model (DimSizeBox *box, int native_size, int grid)
{
  int side = native_size > 0 ? native_size : FALLBACK_SIDE;

  box->native_size = native_size;
  box->following = TRUE;
  dim_spin_set_fallback (box->width, box->canvas_width > 0 ? box->canvas_width : side);
  dim_spin_set_fallback (box->height, box->canvas_height > 0 ? box->canvas_height : side);
  box->following = FALSE;
  gtk_spin_button_set_increments (GTK_SPIN_BUTTON (box->width), grid, 10 * grid);
  gtk_spin_button_set_increments (GTK_SPIN_BUTTON (box->height), grid, 10 * grid);
  fill_menu (box);
  keep_ratio (box);
}

void
dim_size_box_get (DimSizeBox *box, int *width, int *height)
{
  *width = (int)dim_spin_get_setting (box->width);
  *height = (int)dim_spin_get_setting (box->height);
}

void
dim_size_box_set (DimSizeBox *box, int width, int height)
{
  int old_width, old_height;

  dim_size_box_get (box, &old_width, &old_height);
  if (width == old_width && height == old_height)
    return;
  box->following = TRUE;
  dim_spin_set_setting (box->width, width);
  dim_spin_set_setting (box->height, height);
  box->following = FALSE;
  keep_ratio (box);
  g_object_notify (G_OBJECT (box), "width");
  g_object_notify (G_OBJECT (box), "height");
}

void
dim_size_box_shown (DimSizeBox *box, int *width, int *height)
{
  *width = shown (box->width);
  *height = shown (box->height);
}

GtkWidget *
dim_size_box_width (DimSizeBox *box)
{
  return GTK_WIDGET (box->width);
}
