/* A number that may be left to the model.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-spin.h"

#include <math.h>
#include <string.h>

struct _DimSpin
{
  GtkSpinButton parent;
  double        unset, setting, fallback;
  char         *unset_text;
  gboolean      typing;  /* the text is the person's: it is read, and not written back */
  gboolean      writing; /* the text is ours: it is written, and not read back */
};

enum
{
  PROP_SETTING = 1
};

G_DEFINE_TYPE (DimSpin, dim_spin, GTK_TYPE_SPIN_BUTTON)

static gboolean
is_set (DimSpin *spin)
{
  return spin->setting != spin->unset;
}

/* The shortest text of the number within the digits allowed: "2.5", not "2.50". */
static char *
number_text (DimSpin *spin, double value)
{
  int   digits = gtk_spin_button_get_digits (GTK_SPIN_BUTTON (spin));
  char *text = g_strdup_printf ("%.*f", digits, value);

  if (digits > 1)
    for (gsize n = strlen (text); text[n - 1] == '0' && g_ascii_isdigit (text[n - 2]); n--)
      text[n - 1] = '\0';
  return text;
}

static char *
shown_text (DimSpin *spin)
{
  if (!is_set (spin) && spin->unset_text)
    return g_strdup (spin->unset_text);
  return number_text (spin, gtk_spin_button_get_value (GTK_SPIN_BUTTON (spin)));
}

static void
write_text (DimSpin *spin)
{
  g_autofree char *text = shown_text (spin);

  if (strcmp (text, gtk_entry_get_text (GTK_ENTRY (spin))) != 0)
    {
      spin->writing = TRUE;
      gtk_entry_set_text (GTK_ENTRY (spin), text);
      spin->writing = FALSE;
    }
}

/* FALSE: no number in range. An empty text is the unset value. */
static gboolean
read_text (DimSpin *spin, double *setting)
{
  g_autofree char *text = g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (spin))));
  char            *end;
  double           lower, upper;

  *setting = spin->unset;
  if (!*text || g_strcmp0 (text, spin->unset_text) == 0)
    return TRUE;

  *setting = g_strtod (text, &end);
  gtk_spin_button_get_range (GTK_SPIN_BUTTON (spin), &lower, &upper);
  if (*end || !(*setting >= lower && *setting <= upper))
    return FALSE;
  return gtk_spin_button_get_digits (GTK_SPIN_BUTTON (spin)) > 0 || *setting == floor (*setting);
}

static void
take (DimSpin *spin, double setting)
{
  gboolean changed = setting != spin->setting;

  spin->setting = setting;
  gtk_spin_button_set_value (GTK_SPIN_BUTTON (spin), is_set (spin) ? setting : spin->fallback);
  if (!spin->typing)
    write_text (spin);
  if (changed)
    g_object_notify (G_OBJECT (spin), "setting");
}

static void
on_changed (DimSpin *spin)
{
  double setting;

  if (spin->writing || !read_text (spin, &setting))
    return;
  spin->typing = TRUE;
  take (spin, setting);
  spin->typing = FALSE;
}

/* Arrows, keys, the wheel and assistive technology come here. */
static void
on_value_changed (DimSpin *spin)
{
  double value = gtk_spin_button_get_value (GTK_SPIN_BUTTON (spin));

  if (!spin->typing && value != (is_set (spin) ? spin->setting : spin->fallback))
    take (spin, value);
}

static gboolean
on_output (DimSpin *spin)
{
  if (!spin->typing)
    write_text (spin);
  return TRUE;
}

/* The field is left: the text was read as it was typed, so only a bad one has something to undo. */
static int
on_input (DimSpin *spin, double *value)
{
  double setting;

  if (!read_text (spin, &setting))
    return GTK_INPUT_ERROR;
  *value = gtk_spin_button_get_value (GTK_SPIN_BUTTON (spin));
  return TRUE;
}

static gboolean
on_focus_out (DimSpin *spin)
{
  write_text (spin);
  return GDK_EVENT_PROPAGATE;
}

static void
dim_spin_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  if (id == PROP_SETTING)
    g_value_set_double (value, DIM_SPIN (object)->setting);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_spin_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  if (id == PROP_SETTING)
    dim_spin_set_setting (DIM_SPIN (object), g_value_get_double (value));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
dim_spin_finalize (GObject *object)
{
  g_free (DIM_SPIN (object)->unset_text);
  G_OBJECT_CLASS (dim_spin_parent_class)->finalize (object);
}

static void
dim_spin_class_init (DimSpinClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);

  object->get_property = dim_spin_get_property;
  object->set_property = dim_spin_set_property;
  object->finalize = dim_spin_finalize;
  g_object_class_install_property (
      object, PROP_SETTING,
      g_param_spec_double ("setting", NULL, NULL, -G_MAXDOUBLE, G_MAXDOUBLE, 0,
                           G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS));
}

static void
dim_spin_init (DimSpin *spin)
{
  gtk_entry_set_activates_default (GTK_ENTRY (spin), TRUE);
  gtk_spin_button_set_update_policy (GTK_SPIN_BUTTON (spin), GTK_UPDATE_IF_VALID);
}

DimSpin *
dim_spin_new (double unset, double lower, double upper, double step, int digits)
{
  DimSpin *spin = g_object_new (DIM_TYPE_SPIN, NULL);

  spin->unset = spin->setting = unset;
  spin->fallback = lower;
  gtk_spin_button_set_range (GTK_SPIN_BUTTON (spin), lower, upper);
  gtk_spin_button_set_increments (GTK_SPIN_BUTTON (spin), step, 10 * step);
  gtk_spin_button_set_digits (GTK_SPIN_BUTTON (spin), digits);
  g_signal_connect (spin, "changed", G_CALLBACK (on_changed), NULL);
  g_signal_connect (spin, "value-changed", G_CALLBACK (on_value_changed), NULL);
  g_signal_connect (spin, "output", G_CALLBACK (on_output), NULL);
  g_signal_connect (spin, "input", G_CALLBACK (on_input), NULL);
  g_signal_connect_after (spin, "focus-out-event", G_CALLBACK (on_focus_out), NULL);
  write_text (spin);
  return spin;
}

double
dim_spin_get_setting (DimSpin *spin)
{
  return spin->setting;
}

void
dim_spin_set_setting (DimSpin *spin, double setting)
{
  double lower, upper;

  if (setting == spin->setting) /* leaves a text that is being typed alone */
    return;
  gtk_spin_button_get_range (GTK_SPIN_BUTTON (spin), &lower, &upper);
  take (spin, setting == spin->unset ? setting : CLAMP (setting, lower, upper));
}

void
dim_spin_set_fallback (DimSpin *spin, double fallback)
{
  if (fallback == spin->fallback)
    return;
  spin->fallback = fallback;
  if (!is_set (spin))
    take (spin, spin->setting);
}

void
dim_spin_set_unset_text (DimSpin *spin, const char *text)
{
  if (g_strcmp0 (text, spin->unset_text) == 0)
    return;
  g_free (spin->unset_text);
  spin->unset_text = g_strdup (text);
  write_text (spin);
}
