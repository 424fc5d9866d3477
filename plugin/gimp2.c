/* The GIMP 2.10 host: the plug-in, its procedures by position, and our own last values. GTK 3
 * and no libgimpui: that would bring GTK 2, and the two do not live in one process.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <gdk/gdkx.h>
#include <gtk/gtk.h>
#include <libgimp/gimp.h>

#include "plugin/dim-layer.h"
#include "plugin/dim-run.h"
#include "plugin/dim-train-run.h"

/* The host's own arguments, before ours: run mode, image, drawable; and run mode alone. */
#define N_LAYER_HOST 3
#define N_NEW_HOST 1

/* ---- what dim-host.h asks of a host ---- */

gboolean
dim_host_start_ui (void)
{
  const char *display = gimp_display_name ();

  if (display != NULL && display[0] != '\0')
    g_setenv ("DISPLAY", display, TRUE);
  g_set_prgname (DIM_PLUG_IN_BINARY);
  return gtk_init_check (NULL, NULL);
}

void
dim_host_adopt (GtkWindow *window)
{
  GdkWindow  *ours = gtk_widget_get_window (GTK_WIDGET (window));
  GdkDisplay *display = gdk_window_get_display (ours);
  guint32     theirs = gimp_progress_get_window_handle (); /* 0: no image window */
  GdkWindow  *parent;

  if (theirs == 0 || !GDK_IS_X11_DISPLAY (display))
    return;
  parent = gdk_x11_window_foreign_new_for_display (display, theirs);
  if (parent != NULL)
    gdk_window_set_transient_for (ours, parent);
}

/* ---- last values: a recipe's text, by our own file, as GIMP 2.10 keeps its own for one session
 * only ---- */

static char *
last_values_file (const char *procedure)
{
  g_autofree char *name = g_strdup_printf ("last-%s.json", procedure);

  return g_build_filename (g_get_user_config_dir (), "gimp-dim", name, NULL);
}

static void
load_last_values (const char *procedure, DimArguments *arguments)
{
  g_autofree char *file = last_values_file (procedure);
  g_autoptr (GError) error = NULL;
  DimRecipe recipe;

  if (!g_file_test (file, G_FILE_TEST_EXISTS))
    return;
  if (!dim_recipe_load (&recipe, file, NULL, &error))
    {
      g_message ("%s", error->message);
      return;
    }
  dim_recipe_clear (&arguments->recipe);
  arguments->recipe = recipe;
}

static void
save_last_values (const char *procedure, const DimArguments *arguments)
{
  g_autofree char *file = last_values_file (procedure);
  g_autofree char *folder = g_path_get_dirname (file);
  g_autoptr (GError) error = NULL;

  g_mkdir_with_parents (folder, 0700);
  if (!dim_recipe_save (&arguments->recipe, file, &error))
    g_message ("%s", error->message);
}

/* ---- calls ---- */

static gboolean
read_params (gpointer values, const DimArgument *table, int n, int n_params,
             const GimpParam *params, GError **error)
{
  if (n_params != n)
    {
      g_set_error (error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                   "%d arguments were expected after the host's, not %d", n, n_params);
      return FALSE;
    }
  for (int i = 0; i < n_params; i++)
    {
      const DimArgument *argument = &table[i];

      if (argument->kind == DIM_ARGUMENT_TEXT)
        dim_arguments_set_text (values, argument, params[i].data.d_string);
      else if (!dim_arguments_set_number (values, argument,
                                          argument->kind == DIM_ARGUMENT_COUNT
                                              ? params[i].data.d_int32
                                              : params[i].data.d_float,
                                          error))
        return FALSE;
    }
  return TRUE;
}

/* Generates for the arguments that belong to the run mode. `params` starts with the first argument
 * of ours. */
static gboolean
generate (const char *procedure, GimpRunMode mode, int n_params, const GimpParam *params,
          gint32 image, DimPicture *picture, GError **error)
{
  DimArguments arguments;
  gboolean     done;

  dim_arguments_init (&arguments);
  if (mode == GIMP_RUN_NONINTERACTIVE)
    done = read_params (&arguments, dim_arguments, DIM_N_ARGUMENTS, n_params, params, error);
  else
    {
      load_last_values (procedure, &arguments);
      done = TRUE;
    }
  done = done && dim_run (mode, &arguments, image, picture, error);
  if (done && mode == GIMP_RUN_INTERACTIVE)
    save_last_values (procedure, &arguments);
  dim_arguments_clear (&arguments);
  return done;
}

/* What run () hands back must outlive it. */
typedef struct
{
  GimpParam values[3]; /* status; then layer, or image and layer, or the error's text */
  int       n_values;
} DimReturn;

static void
return_error (DimReturn *answer, const GError *error)
{
  answer->values[0].data.d_status = dim_run_status (error);
  if (answer->values[0].data.d_status == GIMP_PDB_CANCEL)
    return;
  answer->values[1].type = GIMP_PDB_STRING;
  answer->values[1].data.d_string = (char *)g_intern_string (error->message);
  answer->n_values = 2;
}

static void
return_item (DimReturn *answer, GimpPDBArgType type, gint32 id)
{
  answer->values[answer->n_values].type = type;
  answer->values[answer->n_values].data.d_int32 = id;
  answer->n_values++;
}

static gboolean
run_layer (GimpRunMode mode, int n_params, const GimpParam *params, DimReturn *answer,
           GError **error)
{
  gint32     image = n_params >= N_LAYER_HOST ? params[1].data.d_image : -1;
  DimPicture picture = { 0 };
  gint32     layer = -1;

  if (generate (DIM_LAYER_PROC, mode, n_params - N_LAYER_HOST, params + N_LAYER_HOST, image,
                &picture, error))
    layer = dim_layer_insert (image, &picture, error);
  dim_picture_clear (&picture);
  if (layer == -1)
    return FALSE;
  return_item (answer, GIMP_PDB_LAYER, layer);
  return TRUE;
}

static gboolean
run_new (GimpRunMode mode, int n_params, const GimpParam *params, DimReturn *answer, GError **error)
{
  DimPicture picture = { 0 };
  gint32     image = -1, layer = -1;

  if (generate (DIM_NEW_PROC, mode, n_params - N_NEW_HOST, params + N_NEW_HOST, -1, &picture,
                error))
    layer = dim_layer_new_image (&picture, &image, error);
  dim_picture_clear (&picture);
  if (layer == -1)
    return FALSE;
  if (mode != GIMP_RUN_NONINTERACTIVE)
    gimp_display_new (image);
  return_item (answer, GIMP_PDB_IMAGE, image);
  return_item (answer, GIMP_PDB_LAYER, layer);
  return TRUE;
}

static gboolean
run_train (GimpRunMode mode, int n_params, const GimpParam *params, DimReturn *answer,
           GError **error)
{
  gint32           image = n_params >= N_LAYER_HOST ? params[1].data.d_image : -1;
  g_autofree char *model = NULL;
  DimTrainRequest  request;
  gboolean         done;

  dim_train_request_init (&request);
  done = (mode != GIMP_RUN_NONINTERACTIVE
          || read_params (&request, dim_train_arguments, DIM_N_TRAIN_ARGUMENTS,
                          n_params - N_LAYER_HOST, params + N_LAYER_HOST, error))
         && dim_train_run (mode, &request, image, &model, error);
  dim_train_request_clear (&request);
  if (!done)
    return FALSE;
  answer->values[1].type = GIMP_PDB_STRING;
  answer->values[1].data.d_string = (char *)g_intern_string (model);
  answer->n_values = 2;
  return TRUE;
}

static void
run (const gchar *name, gint n_params, const GimpParam *params, gint *n_return_vals,
     GimpParam **return_vals)
{
  static DimReturn answer;
  g_autoptr (GError) error = NULL;
  GimpRunMode mode = params[0].data.d_int32;
  gboolean    done;

  answer = (DimReturn){ .n_values = 1 };
  answer.values[0].type = GIMP_PDB_STATUS;
  answer.values[0].data.d_status = GIMP_PDB_SUCCESS;
  if (g_strcmp0 (name, DIM_LAYER_PROC) == 0)
    done = run_layer (mode, n_params, params, &answer, &error);
  else if (g_strcmp0 (name, DIM_TRAIN_PROC) == 0)
    done = run_train (mode, n_params, params, &answer, &error);
  else
    done = run_new (mode, n_params, params, &answer, &error);
  if (!done)
    return_error (&answer, error);
  else if (mode != GIMP_RUN_NONINTERACTIVE)
    gimp_displays_flush ();
  *n_return_vals = answer.n_values;
  *return_vals = answer.values;
}

/* ---- the procedures ---- */

static GimpPDBArgType
pdb_type (const DimArgument *argument)
{
  switch (argument->kind)
    {
    case DIM_ARGUMENT_TEXT:
      return GIMP_PDB_STRING;
    case DIM_ARGUMENT_COUNT:
      return GIMP_PDB_INT32;
    default:
      return GIMP_PDB_FLOAT;
    }
}

static void
install (const char *name, const char *blurb, const char *help, const char *label, const char *path,
         const char *image_types, const DimArgument *table, int n, int n_host,
         const GimpParamDef *returns, int n_returns)
{
  GimpParamDef defs[N_LAYER_HOST + DIM_N_ARGUMENTS] = {
    { GIMP_PDB_INT32, "run-mode", "The run mode { RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1) }" },
    { GIMP_PDB_IMAGE, "image", "The image" },
    { GIMP_PDB_DRAWABLE, "drawable", "Unused" },
  };

  for (int i = 0; i < n; i++)
    defs[n_host + i]
        = (GimpParamDef){ pdb_type (&table[i]), (char *)table[i].name, (char *)table[i].blurb };
  gimp_install_procedure (name, blurb, help, DIM_AUTHORS, DIM_AUTHORS, DIM_YEAR, label, image_types,
                          GIMP_PLUGIN, n_host + n, n_returns, defs, returns);
  gimp_plugin_menu_register (name, path);
}

static void
query (void)
{
  const GimpParamDef layer[] = { { GIMP_PDB_LAYER, "layer", "The new layer" } };
  const GimpParamDef image[]
      = { { GIMP_PDB_IMAGE, "image", "The new image" }, { GIMP_PDB_LAYER, "layer", "Its layer" } };
  const GimpParamDef model[]
      = { { GIMP_PDB_STRING, "trained", "Folder of the new model; empty: there is none yet" } };

  install (DIM_LAYER_PROC, DIM_LAYER_BLURB, DIM_HELP, "_Diffusion Layer...",
           "<Image>/Filters/Render", "*", dim_arguments, DIM_N_ARGUMENTS, N_LAYER_HOST, layer,
           G_N_ELEMENTS (layer));
  install (DIM_NEW_PROC, DIM_NEW_BLURB, DIM_HELP, "_Diffusion Image...", "<Image>/File/Create", "",
           dim_arguments, DIM_N_ARGUMENTS, N_NEW_HOST, image, G_N_ELEMENTS (image));
  install (DIM_TRAIN_PROC, DIM_TRAIN_BLURB, DIM_TRAIN_HELP, DIM_TRAIN_LABEL,
           "<Image>/Filters/Render", "*", dim_train_arguments, DIM_N_TRAIN_ARGUMENTS, N_LAYER_HOST,
           model, G_N_ELEMENTS (model));
}

int
main (int argc, char *argv[])
{
  static const GimpPlugInInfo info = { NULL, NULL, query, run };

  dim_process_prepare (argv);
  return gimp_main (&info, argc, argv);
}
