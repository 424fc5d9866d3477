/* The GIMP 3 host: the plug-in, its two procedures, and the values that GIMP keeps of them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

#include "plugin/dim-layer.h"
#include "plugin/dim-run.h"

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
  done = dim_arguments_from_object (&arguments, G_OBJECT (config), error)
         && dim_run (mode, &arguments, image != NULL ? gimp_image_get_width (image) : 0,
                     image != NULL ? gimp_image_get_height (image) : 0, picture, error);
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

/* ---- the procedures ---- */

static void
add_arguments (GimpProcedure *procedure)
{
  for (int i = 0; i < DIM_N_ARGUMENTS; i++)
    {
      const DimArgument *a = &dim_arguments[i];

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

static GimpProcedure *
create_layer (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gimp_image_procedure_new (
      plug_in, DIM_LAYER_PROC, GIMP_PDB_PROC_TYPE_PLUGIN, run_layer, NULL, NULL);

  gimp_procedure_set_image_types (procedure, "*");
  gimp_procedure_set_sensitivity_mask (
      procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE | GIMP_PROCEDURE_SENSITIVE_DRAWABLES
                     | GIMP_PROCEDURE_SENSITIVE_NO_DRAWABLES | GIMP_PROCEDURE_SENSITIVE_NO_IMAGE);
  gimp_procedure_set_menu_label (procedure, "_Diffusion Layer...");
  gimp_procedure_add_menu_path (procedure, "<Image>/Filters/Render");
  gimp_procedure_set_documentation (procedure, DIM_LAYER_BLURB, DIM_HELP, DIM_LAYER_PROC);
  gimp_procedure_set_attribution (procedure, DIM_AUTHORS, DIM_AUTHORS, DIM_YEAR);
  add_arguments (procedure);
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
  add_arguments (procedure);
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

  return g_list_append (names, g_strdup (DIM_NEW_PROC));
}

static GimpProcedure *
create_procedure (GimpPlugIn *plug_in, const gchar *name)
{
  if (g_strcmp0 (name, DIM_LAYER_PROC) == 0)
    return create_layer (plug_in);
  if (g_strcmp0 (name, DIM_NEW_PROC) == 0)
    return create_new (plug_in);
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
