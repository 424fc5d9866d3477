/* One call of a procedure. Compiled once for each host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-run.h"

#include "plugin/dim-dialog.h"
#include "plugin/dim-layers.h"
#include "plugin/dim-progress.h"

#define TITLE "Diffusion Layer"

static gboolean
generate (const DimRecipe *recipe, DimPicture *picture, GError **error)
{
  DimJob  *job = dim_job_new ();
  FILE    *stream = dim_progress_begin (TITLE);
  char     text[80];
  gboolean done;

  dim_job_start (job, recipe);
  while (!dim_job_wait (job, 100))
    {
      double fraction = dim_job_progress (job, text, sizeof text);

      dim_progress_show (stream, fraction, text);
    }
  done = dim_job_take (job, picture, error);
  dim_progress_end (stream);
  dim_job_free (&job);
  return done;
}

/* 0 without an image. */
static void
canvas_of (DimHostImage image, int *width, int *height)
{
  *width = image != DIM_HOST_NO_IMAGE ? gimp_image_get_width (image) : 0;
  *height = image != DIM_HOST_NO_IMAGE ? gimp_image_get_height (image) : 0;
}

static gboolean
run_dialog (DimArguments *arguments, DimHostImage image, DimPicture *picture, GError **error)
{
  const DimDialogHost host = { dim_host_adopt, dim_progress_host, dim_layers_of (&image) };
  int                 width, height;
  gboolean            done;

  if (!dim_host_start_ui ())
    {
      g_set_error_literal (error, DIM_ERROR, DIM_ERROR_DEVICE,
                           "The dialog needs a display, and there is none: run non-interactively");
      return FALSE;
    }
  gimp_progress_init (TITLE);
  canvas_of (image, &width, &height);
  done = dim_dialog_run (&host, TITLE, arguments, width, height, picture, error);
  gimp_progress_end ();
  return done;
}

static gboolean
run_batch (const DimArguments *arguments, DimHostImage image, DimPicture *picture, GError **error)
{
  DimRecipe recipe;
  gboolean  done;
  int       width, height;

  canvas_of (image, &width, &height);
  if (!dim_arguments_recipe (arguments, width, height, &recipe, error))
    return FALSE;
  done = generate (&recipe, picture, error);
  if (done && recipe.seed == -1)
    g_printerr ("gimp-dim: seed %" G_GINT64_FORMAT "\n", picture->recipe.seed);
  dim_recipe_clear (&recipe);
  return done;
}

gboolean
dim_run (GimpRunMode mode, DimArguments *arguments, DimHostImage image, DimPicture *picture,
         GError **error)
{
  gegl_init (NULL, NULL);
  if (mode == GIMP_RUN_INTERACTIVE)
    return run_dialog (arguments, image, picture, error);
  return run_batch (arguments, image, picture, error);
}

GimpPDBStatusType
dim_run_status (const GError *error)
{
  if (error == NULL)
    return GIMP_PDB_SUCCESS;
  if (g_error_matches (error, DIM_ERROR, DIM_ERROR_CANCELLED))
    return GIMP_PDB_CANCEL;
  if (g_error_matches (error, DIM_ERROR, DIM_ERROR_ARGUMENT))
    return GIMP_PDB_CALLING_ERROR;
  return GIMP_PDB_EXECUTION_ERROR;
}
