/* What an import is to be of.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-import-form.h"

#include "ui/dim-form.h"
#include "ui/dim-i18n.h"

#define ENTRY_CHARS 44

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

struct _DimImportForm
{
  GtkGrid    parent;
  GtkWidget *checkpoint, *facts, *autoencoder, *classes, *name, *license;
};

static guint signals[N_SIGNALS];

G_DEFINE_TYPE (DimImportForm, dim_import_form, GTK_TYPE_GRID)

/* ---- words ---- */

static const char *
family_text (const char *family)
{
  if (g_strcmp0 (family, "dit") == 0)
    return _ ("a Diffusion Transformer (DiT)");
  if (g_strcmp0 (family, "diffussm") == 0)
    return _ ("a Diffusion State Space Model (DiffuSSM)");
  return _ ("a Diffusion Mamba (DiM)");
}

static char *
classes_text (const DimModelInfo *info)
{
  if (info->n_labels == 0)
    return g_strdup (_ ("It has no classes."));
  if (info->n_classes == 0)
    return g_strdup_printf (_ ("Its %d classes have no names: they go by number."), info->n_labels);
  g_autofree char *first = dim_text_clean (info->classes[0]);
  g_autofree char *last = dim_text_clean (info->classes[info->n_classes - 1]);

  return g_strdup_printf (_ ("%d classes, from “%.40s” to “%.40s”."), info->n_classes, first, last);
}

static char *
autoencoder_text (const DimModelInfo *info)
{
  const char *family = info->autoencoder.family;

  if (!family)
    return g_strdup ("");
  if (g_str_equal (family, "none"))
    return g_strdup (_ ("\nIt works on pixels, without an autoencoder."));
  return g_strdup_printf (_ ("\nAutoencoder: %s, %.1f million numbers."), family,
                          info->autoencoder.parameters * 1e-6);
}

static char *
facts_text (const DimModelInfo *info)
{
  g_autofree char *autoencoder = autoencoder_text (info);
  g_autofree char *classes = classes_text (info);
  g_autofree char *name = dim_text_clean (info->name);

  if (!info->backbone.family)
    return g_strdup_printf (_ ("“%s”, and no model.%s"), name, autoencoder);
  return g_strdup_printf (
      _ ("“%s”: %s of %.1f million numbers, for pictures of %d × %d pixels. %s%s"), name,
      family_text (info->backbone.family), info->backbone.parameters * 1e-6, info->native_size,
      info->native_size, classes, autoencoder);
}

void
dim_import_form_show (DimImportForm *form, const DimModelInfo *info)
{
  g_autofree char *facts = info ? facts_text (info) : g_strdup ("–");
  g_autofree char *name = info ? dim_text_clean (info->name) : g_strdup ("");

  gtk_label_set_text (GTK_LABEL (form->facts), facts);
  gtk_entry_set_placeholder_text (GTK_ENTRY (form->name), name);
  gtk_entry_set_placeholder_text (GTK_ENTRY (form->classes),
                                  info && info->n_classes > 0 ? _ ("ImageNet's") : _ ("none"));
  gtk_entry_set_placeholder_text (GTK_ENTRY (form->autoencoder), _ ("none"));
}

/* ---- the object ---- */

static void
dim_import_form_class_init (DimImportFormClass *klass)
{
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", DIM_TYPE_IMPORT_FORM, G_SIGNAL_RUN_LAST, 0,
                                          NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
dim_import_form_init (DimImportForm *form)
{
  gtk_grid_set_row_spacing (GTK_GRID (form), 6);
  gtk_grid_set_column_spacing (GTK_GRID (form), 6);
}

static void
on_changed (DimImportForm *form)
{
  g_signal_emit (form, signals[SIGNAL_CHANGED], 0);
}

static GtkWidget *
new_entry (DimImportForm *form, const char *name, const char *tooltip)
{
  GtkWidget *entry = dim_form_entry (name, tooltip);

  gtk_entry_set_width_chars (GTK_ENTRY (entry), ENTRY_CHARS);
  g_signal_connect_swapped (entry, "changed", G_CALLBACK (on_changed), form);
  return entry;
}

static void
add_file (DimImportForm *form, int row, const char *title, GtkWidget *entry,
          const DimFormBrowse *browse)
{
  GtkWidget *button = dim_form_browse (entry, browse);

  dim_form_add_row (GTK_GRID (form), row, title, dim_form_row (0, entry, button, NULL), entry);
}

static void
add_files (DimImportForm *form)
{
  static const char *const   weights[] = { "*.safetensors", "*.pt", "*.pth", "*.ckpt", NULL };
  static const char *const   lists[] = { "*.txt", NULL };
  static const DimFormBrowse browse[]
      = { { "import-checkpoint-browse", N_ ("Choose the checkpoint"), N_ ("Checkpoint"),
            N_ ("Weights (.safetensors, .pt, .pth, .ckpt)"), weights },
          { "import-autoencoder-browse", N_ ("Choose the autoencoder"), N_ ("Autoencoder"),
            N_ ("Weights (.safetensors, .pt, .pth, .ckpt)"), weights },
          { "import-classes-browse", N_ ("Choose the list of names"), N_ ("Names of the Classes"),
            N_ ("Texts (.txt)"), lists } };

  add_file (form, 0, _ ("Chec_kpoint:"), form->checkpoint, &browse[0]);
  dim_form_add_row (GTK_GRID (form), 1, _ ("It is:"), form->facts, NULL);
  add_file (form, 2, _ ("_Autoencoder:"), form->autoencoder, &browse[1]);
  add_file (form, 3, _ ("Class _names:"), form->classes, &browse[2]);
}

DimImportForm *
dim_import_form_new (void)
{
  DimImportForm *form = g_object_new (DIM_TYPE_IMPORT_FORM, NULL);

  form->facts = dim_form_text ("import-facts");
  gtk_label_set_max_width_chars (GTK_LABEL (form->facts), ENTRY_CHARS);
  form->checkpoint
      = new_entry (form, "import-checkpoint",
                   _ ("A model's weights as its authors published them: DiM, DiT or DiffuSSM. The "
                      "file is read as data, and nothing in it is run"));
  form->autoencoder
      = new_entry (form, "import-autoencoder",
                   _ ("What turns the model's latents into pictures. Of a tiny one in two files, "
                      "the decoder. A model that works on pixels needs none"));
  form->classes = new_entry (form, "import-classes",
                             _ ("A text with a name a line; a model of 1000 classes has ImageNet's "
                                "without one"));
  form->name = new_entry (form, "import-name", _ ("What the model shall be called in the list"));
  form->license = new_entry (form, "import-license",
                             _ ("What the weights' authors allow: it is shown with the model"));
  gtk_entry_set_placeholder_text (GTK_ENTRY (form->license), _ ("not known: ask its authors"));
  add_files (form);
  dim_form_add_row (GTK_GRID (form), 4, _ ("Na_me:"), form->name, form->name);
  dim_form_add_row (GTK_GRID (form), 5, _ ("L_icence:"), form->license, form->license);
  dim_import_form_show (form, NULL);
  return form;
}

static char *
text_of (GtkWidget *entry)
{
  return g_strstrip (g_strdup (gtk_entry_get_text (GTK_ENTRY (entry))));
}

void
dim_import_form_read (DimImportForm *form, DimImportRequest *request)
{
  *request = (DimImportRequest){ dim_form_path (form->checkpoint),
                                 dim_form_path (form->autoencoder), dim_form_path (form->classes),
                                 text_of (form->name), text_of (form->license) };
}

GtkWidget *
dim_import_form_checkpoint (DimImportForm *form)
{
  return form->checkpoint;
}
