/* A seed: the number, a dice, and "new each time".
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-seed-box.h"

#include "engine/dim.h"
#include "ui/dim-i18n.h"
#include "ui/dim-spin.h"

enum
{
  PROP_SEED = 1
};

struct _DimSeedBox
{
  GtkBox     parent;
  DimSpin   *number;
  GtkWidget *fresh;
  gint64     last; /* what comes back when "new each time" is switched off; -1: none yet */
};

G_DEFINE_TYPE (DimSeedBox, dim_seed_box, GTK_TYPE_BOX)

static void
on_setting (DimSeedBox *box)
{
  gint64 seed = dim_seed_box_get (box);

  if (seed >= 0)
    box->last = seed;
  gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (box->fresh), seed < 0);
  g_object_notify (G_OBJECT (box), "seed");
}

static void
on_fresh (GtkToggleButton *fresh, DimSeedBox *box)
{
  if (gtk_toggle_button_get_active (fresh))
    dim_seed_box_set (box, -1);
  else if (dim_seed_box_get (box) < 0)
    dim_seed_box_set (box, box->last >= 0 ? box->last : dim_seed_fresh ());
}

static void
on_dice (DimSeedBox *box)
{
  dim_seed_box_set (box, dim_seed_fresh ());
}

static void
dim_seed_box_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  if (id == PROP_SEED)
    g_value_set_double (value, dim_seed_box_get (DIM_SEED_BOX (object)));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_seed_box_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  if (id == PROP_SEED)
    dim_seed_box_set (DIM_SEED_BOX (object), (gint64)g_value_get_double (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_seed_box_class_init (DimSeedBoxClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);

  object->get_property = dim_seed_box_get_property;
  object->set_property = dim_seed_box_set_property;
  g_object_class_install_property (
      object, PROP_SEED,
      g_param_spec_double ("seed", NULL, NULL, -1, DIM_SEED_MAX, -1,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS));
}

static void
dim_seed_box_init (DimSeedBox *box)
{
  GtkWidget *dice
      = gtk_button_new_from_icon_name ("media-playlist-shuffle-symbolic", GTK_ICON_SIZE_BUTTON);

  gtk_box_set_spacing (GTK_BOX (box), 6);
  box->last = -1;

  box->number = dim_spin_new (-1, 0, DIM_SEED_MAX, 1, 0);
  gtk_widget_set_name (GTK_WIDGET (box->number), "seed");
  gtk_entry_set_width_chars (GTK_ENTRY (box->number), 17);
  dim_spin_set_unset_text (box->number, _ ("new"));
  gtk_widget_set_tooltip_text (GTK_WIDGET (box->number),
                               _ ("The same seed and settings make the same picture again"));
  atk_object_set_name (gtk_widget_get_accessible (GTK_WIDGET (box->number)), _ ("Seed"));
  gtk_box_pack_start (GTK_BOX (box), GTK_WIDGET (box->number), FALSE, FALSE, 0);

  gtk_widget_set_name (dice, "seed-dice");
  gtk_widget_set_tooltip_text (dice, _ ("Draw a seed"));
  atk_object_set_name (gtk_widget_get_accessible (dice), _ ("Draw a seed"));
  gtk_box_pack_start (GTK_BOX (box), dice, FALSE, FALSE, 0);

  box->fresh = gtk_check_button_new_with_mnemonic (_ ("ne_w each time"));
  gtk_widget_set_name (box->fresh, "seed-fresh");
  gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (box->fresh), TRUE);
  atk_object_set_name (gtk_widget_get_accessible (box->fresh), _ ("New seed each time"));
  gtk_box_pack_start (GTK_BOX (box), box->fresh, FALSE, FALSE, 0);

  g_signal_connect_swapped (box->number, "notify::setting", G_CALLBACK (on_setting), box);
  g_signal_connect_swapped (dice, "clicked", G_CALLBACK (on_dice), box);
  g_signal_connect (box->fresh, "toggled", G_CALLBACK (on_fresh), box);
}

DimSeedBox *
dim_seed_box_new (void)
{
  return g_object_new (DIM_TYPE_SEED_BOX, NULL);
}

gint64
dim_seed_box_get (DimSeedBox *box)
{
  return (gint64)dim_spin_get_setting (box->number);
}

void
dim_seed_box_set (DimSeedBox *box, gint64 seed)
{
  dim_spin_set_setting (box->number, seed);
}

GtkWidget *
dim_seed_box_entry (DimSeedBox *box)
{
  return GTK_WIDGET (box->number);
}
