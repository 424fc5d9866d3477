/* The GIMP 3 host: the plug-in, its procedures, and the values that GIMP keeps of them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "plugin/dim-layer.h"
#include "plugin/dim-run.h"
#include "plugin/dim-train-run.h"

G_DECLARE_FINAL_TYPE (DimPlugIn, dim_plug_in, DIM, PLUG_IN, GimpPlugIn)

struct _DimPlugIn
{
  GimpPlugIn parent_instance;
};

G_DEFINE_TYPE (DimPlugIn, dim_plug_in, GIMP_TYPE_PLUG_IN)

/* ---- what dim-host.h asks of a host ---- */

gboolean
dim_host_start_ui (void)
{
  /* gimp_ui_init exits where there is no display. */
  if (!gtk_init_check (NULL, NULL))
    return FALSE;
  gimp_ui_init (DIM_PLUG_IN_BINARY);
  return TRUE;
}

void
dim_host_adopt (GtkWindow *window)
{
  gimp_window_set_transient (window);
}

/* ---- calls ---- */

/* Generates for `config`, which then holds what the dialog chose: GIMP keeps it after a successful
 * interactive run. */
static gboolean
generate (GimpRunMode mode, GimpProcedureConfig *config, GimpImage *image, DimPicture *picture,
          GError **error)
{
  DimArguments arguments;
  gboolean     done;

  dim_arguments_init (&arguments);
  done = dim_arguments_from_object (&arguments, dim_arguments, DIM_N_ARGUMENTS, G_OBJECT (config),
                                    error)
         && dim_run (mode, &arguments, image, picture, error);
  if (done && mode == GIMP_RUN_INTERACTIVE)
    dim_arguments_to_object (&arguments, G_OBJECT (config));
  dim_arguments_clear (&arguments);
  return done;
}

/* Without an image, as from the menu of an empty GIMP, the layer comes in one of its own. */
static GimpLayer *
put_layer (GimpRunMode mode, GimpImage **image, const DimPicture *picture, GError **error)
{
  GimpLayer *layer;

  if (*image != NULL)
    layer = dim_layer_insert (*image, picture, error);
  else
    {
      layer = dim_layer_new_image (picture, image, error);
      if (layer != NULL && mode != GIMP_RUN_NONINTERACTIVE)
        gimp_display_new (*image);
    }
  if (mode != GIMP_RUN_NONINTERACTIVE)
    gimp_displays_flush ();
  return layer;
}

static GimpLayer *
run (GimpRunMode mode, GimpProcedureConfig *config, GimpImage **image, GError **error)
{
  DimPicture picture = { 0 };
  GimpLayer *layer = NULL;

  if (generate (mode, config, *image, &picture, error))
    layer = put_layer (mode, image, &picture, error);
  dim_picture_clear (&picture);
  return layer;
}

static GimpValueArray *
failed (GimpProcedure *procedure, GError *error)
{
  GimpPDBStatusType status = dim_run_status (error);

  if (status == GIMP_PDB_CANCEL)
    g_clear_error (&error);
  return gimp_procedure_new_return_values (procedure, status, error);
}

static GimpValueArray *
run_layer (GimpProcedure *procedure, GimpRunMode mode, GimpImage *image, GimpDrawable **drawables,
           GimpProcedureConfig *config, gpointer run_data)
{
  GError         *error = NULL;
  GimpLayer      *layer = run (mode, config, &image, &error);
  GimpValueArray *values;

  if (layer == NULL)
    return failed (procedure, error);
  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_LAYER (values, 1, layer);
  return values;
}

static GimpValueArray *
run_new (GimpProcedure *procedure, GimpProcedureConfig *config, gpointer run_data)
{
  GError         *error = NULL;
  GimpImage      *image = NULL;
  GimpRunMode     mode;
  GimpLayer      *layer;
  GimpValueArray *values;

  g_object_get (config, "run-mode", &mode, NULL);
  layer = run (mode, config, &image, &error);
  if (layer == NULL)
    return failed (procedure, error);
  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_IMAGE (values, 1, image);
  GIMP_VALUES_SET_LAYER (values, 2, layer);
  return values;
}

/* The dialog does not start from last values: a class is not trained twice. */
static GimpValueArray *
run_train (GimpProcedure *procedure, GimpRunMode mode, GimpImage *image, GimpDrawable **drawables,
           GimpProcedureConfig *config, gpointer run_data)
{
  GError          *error = NULL;
  g_autofree char *model = NULL;
  DimTrainRequest  request;
  GimpValueArray  *values;
  gboolean         done;

  dim_train_request_init (&request);
  done = (mode != GIMP_RUN_NONINTERACTIVE
          || dim_arguments_from_object (&request, dim_train_arguments, DIM_N_TRAIN_ARGUMENTS,
                                        G_OBJECT (config), &error))
         && dim_train_run (mode, &request, image, &model, &error);
  dim_train_request_clear (&request);
  if (!done)
    return failed (procedure, error);
  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_STRING (values, 1, model);
  return values;
}

/* ---- the procedures ---- */

static void
add_arguments (GimpProcedure *procedure, const DimArgument *table, int n)
{
  for (int i = 0; i < n; i++)
    {
      const DimArgument *a = &table[i];

      if (a->kind == DIM_ARGUMENT_TEXT)
        gimp_procedure_add_string_argument (procedure, a->name, a->nick, a->blurb, "",
                                            G_PARAM_READWRITE);
      else if (a->kind == DIM_ARGUMENT_COUNT)
        gimp_procedure_add_int_argument (procedure, a->name, a->nick, a->blurb, (int)a->least,
                                         (int)a->most, (int)a->initial, G_PARAM_READWRITE);
      else
        gimp_procedure_add_double_argument (procedure, a->name, a->nick, a->blurb, a->least,
                                            a->most, a->initial, G_PARAM_READWRITE);
    }
}

/* One that works with any image, or none. */
static GimpProcedure *
create_image_procedure (GimpPlugIn *plug_in, const char *name, GimpRunImageFunc run,
                        const char *label, const char *blurb, const char *help)
{
  GimpProcedure *procedure
      = gimp_image_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN, run, NULL, NULL);

  gimp_procedure_set_image_types (procedure, "*");
  gimp_procedure_set_sensitivity_mask (
      procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE | GIMP_PROCEDURE_SENSITIVE_DRAWABLES
                     | GIMP_PROCEDURE_SENSITIVE_NO_DRAWABLES | GIMP_PROCEDURE_SENSITIVE_NO_IMAGE);
  gimp_procedure_set_menu_label (procedure, label);
  gimp_procedure_add_menu_path (procedure, "<Image>/Filters/Render");
  gimp_procedure_set_documentation (procedure, blurb, help, name);
  gimp_procedure_set_attribution (procedure, DIM_AUTHORS, DIM_AUTHORS, DIM_YEAR);
  return procedure;
}

static GimpProcedure *
create_train (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = create_image_procedure (
      plug_in, DIM_TRAIN_PROC, run_train, DIM_TRAIN_LABEL, DIM_TRAIN_BLURB, DIM_TRAIN_HELP);

  add_arguments (procedure, dim_train_arguments, DIM_N_TRAIN_ARGUMENTS);
  gimp_procedure_add_string_return_value (procedure, "trained", "Trained model",
                                          "Folder of the new model; empty: there is none yet", "",
                                          G_PARAM_READWRITE);
  return procedure;
}

static GimpProcedure *
create_layer (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = create_image_procedure (
      plug_in, DIM_LAYER_PROC, run_layer, "_Diffusion Layer...", DIM_LAYER_BLURB, DIM_HELP);

  add_arguments (procedure, dim_arguments, DIM_N_ARGUMENTS);
  gimp_procedure_add_layer_return_value (procedure, "layer", "Layer", "The new layer", FALSE,
                                         G_PARAM_READWRITE);
  return procedure;
}

static GimpProcedure *
create_new (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure
      = gimp_procedure_new (plug_in, DIM_NEW_PROC, GIMP_PDB_PROC_TYPE_PLUGIN, run_new, NULL, NULL);

  gimp_procedure_set_menu_label (procedure, "_Diffusion Image...");
  gimp_procedure_add_menu_path (procedure, "<Image>/File/Create");
  gimp_procedure_set_documentation (procedure, DIM_NEW_BLURB, DIM_HELP, DIM_NEW_PROC);
  gimp_procedure_set_attribution (procedure, DIM_AUTHORS, DIM_AUTHORS, DIM_YEAR);
  gimp_procedure_add_enum_argument (procedure, "run-mode", "Run mode", "The run mode",
                                    GIMP_TYPE_RUN_MODE, GIMP_RUN_NONINTERACTIVE, G_PARAM_READWRITE);
  add_arguments (procedure, dim_arguments, DIM_N_ARGUMENTS);
  gimp_procedure_add_image_return_value (procedure, "image", "Image", "The new image", FALSE,
                                         G_PARAM_READWRITE);
  gimp_procedure_add_layer_return_value (procedure, "layer", "Layer", "Its layer", FALSE,
                                         G_PARAM_READWRITE);
  return procedure;
}

/* ---- the plug-in ---- */

static GList *
query_procedures (GimpPlugIn *plug_in)
{
  GList *names = g_list_append (NULL, g_strdup (DIM_LAYER_PROC));

  names = g_list_append (names, g_strdup (DIM_NEW_PROC));
  return g_list_append (names, g_strdup (DIM_TRAIN_PROC));
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const gchar *name)
{
  if (g_strcmp0 (name, DIM_LAYER_PROC) == 0)
    return create_layer (plug_in);
  if (g_strcmp0 (name, DIM_NEW_PROC) == 0)
    return create_new (plug_in);
  if (g_strcmp0 (name, DIM_TRAIN_PROC) == 0)
    return create_train (plug_in);
  return NULL;
}

static void
dim_plug_in_class_init (DimPlugInClass *klass)
{
  GimpPlugInClass *plug_in_class = GIMP_PLUG_IN_CLASS (klass);

  plug_in_class->query_procedures = query_procedures;
  plug_in_class->create_procedure = create_procedure;
}

static void
dim_plug_in_init (DimPlugIn *plug_in)
{
}

int
main (int argc, char *argv[])
{
  dim_process_prepare (argv);
  return gimp_main (dim_plug_in_get_type (), argc, argv);
}
