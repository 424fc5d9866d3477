/* One call of a procedure. Compiled once for each host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-run.h"

#include <stdio.h>
#include <unistd.h>
#include "plugin/dim-dialog.h"

#define TITLE "Diffusion Layer"

/* Where a batch run's progress goes: GIMP's console shows none. A terminal gets one line that is
 * written over. */
static FILE *
open_progress (void)
{
  const char *file = g_getenv ("GIMP_DIM_PROGRESS");

  return file != NULL && file[0] != '\0' ? fopen (file, "a") : NULL;
}

static void
print_progress (FILE *stream, double fraction, const char *text)
{
  fprintf (stream, isatty (fileno (stream)) ? "\r%3d %%  %s\033[K" : "%3d %%  %s\n",
           (int)(fraction * 100), text);
  fflush (stream);
}

static void
close_progress (FILE *stream)
{
  if (isatty (fileno (stream)))
    fputs ("\r\033[K", stream);
  fclose (stream);
}

static void
show_progress (double fraction, const char *text)
{
  gimp_progress_set_text (text);
  gimp_progress_update (fraction);
}

static gboolean
generate (const DimRecipe *recipe, DimPicture *picture, GError **error)
{
  DimJob  *job = dim_job_new ();
  FILE    *stream = open_progress ();
  char     text[80];
  gboolean done;

  gimp_progress_init (TITLE);
  dim_job_start (job, recipe);
  while (!dim_job_wait (job, 100))
    {
      double fraction = dim_job_progress (job, text, sizeof text);

      show_progress (fraction, text);
      if (stream != NULL)
        print_progress (stream, fraction, text);
    }
  done = dim_job_take (job, picture, error);
  if (stream != NULL)
    close_progress (stream);
  gimp_progress_end ();
  dim_job_free (&job);
  return done;
}

static gboolean
run_dialog (DimArguments *arguments, int canvas_width, int canvas_height, DimPicture *picture,
            GError **error)
{
  const DimDialogHost host = { dim_host_adopt, show_progress };
  gboolean            done;

  if (!dim_host_start_ui ())
    {
      g_set_error_literal (error, DIM_ERROR, DIM_ERROR_DEVICE,
                           "The dialog needs a display, and there is none: run non-interactively");
      return FALSE;
    }
  gimp_progress_init (TITLE);
  done = dim_dialog_run (&host, TITLE, arguments, canvas_width, canvas_height, picture, error);
  gimp_progress_end ();
  return done;
}

static gboolean
run_batch (const DimArguments *arguments, int canvas_width, int canvas_height, DimPicture *picture,
           GError **error)
{
  DimRecipe recipe;
  gboolean  done;

  if (!dim_arguments_recipe (arguments, canvas_width, canvas_height, &recipe, error))
    return FALSE;
  done = generate (&recipe, picture, error);
  if (done && recipe.seed == -1)
    g_printerr ("gimp-dim: seed %" G_GINT64_FORMAT "\n", picture->recipe.seed);
  dim_recipe_clear (&recipe);
  return done;
}

gboolean
dim_run (GimpRunMode mode, DimArguments *arguments, int canvas_width, int canvas_height,
         DimPicture *picture, GError **error)
{
  gegl_init (NULL, NULL);
  if (mode == GIMP_RUN_INTERACTIVE)
    return run_dialog (arguments, canvas_width, canvas_height, picture, error);
  return run_batch (arguments, canvas_width, canvas_height, picture, error);
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
