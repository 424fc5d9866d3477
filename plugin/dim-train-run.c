/* One call of the procedure that trains a class. Compiled once for each host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-train-run.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include <gegl.h>

#include "plugin/dim-layers.h"
#include "plugin/dim-progress.h"
#include "plugin/dim-train-dialog.h"
#include "ui/dim-train-list.h"

#define POLL_MICROSECONDS 200000

static gboolean
run_dialog (const char *model, DimHostImage image, char **trained, GError **error)
{
  const DimDialogHost host = { dim_host_adopt, dim_progress_host, dim_layers_of (&image) };

  if (!dim_host_start_ui ())
    {
      g_set_error_literal (error, DIM_ERROR, DIM_ERROR_DEVICE,
                           "The dialog needs a display, and there is none: run non-interactively");
      return FALSE;
    }
  *trained = dim_train_dialog_run (&host, model);
  return TRUE;
}

/* Until the process is gone; the bar never moves back. */
static void
wait_for (const char *run, int pid)
{
  FILE  *stream = dim_progress_begin (DIM_TRAIN_TITLE);
  double shown = 0;

  while (waitpid (pid, NULL, WNOHANG) == 0)
    {
      DimTraining *training = dim_training_read (run, NULL);

      if (training != NULL)
        {
          g_autofree char *text = dim_train_state_text (training);

          shown = MAX (shown, training->fraction);
          dim_progress_show (stream, shown, text);
          dim_training_free (&training);
        }
      g_usleep (POLL_MICROSECONDS);
    }
  dim_progress_end (stream);
}

/* What became of it; what could not even begin leaves nothing. */
static gboolean
conclude (const char *run, char **model, GError **error)
{
  DimTraining *training = dim_training_read (run, error);
  gboolean     done;

  if (training == NULL)
    return FALSE;
  done = training->state == DIM_TRAINING_DONE && training->model != NULL;
  if (done)
    *model = g_strdup (training->model);
  else if (training->state == DIM_TRAINING_STOPPED)
    g_set_error (error, DIM_ERROR, DIM_ERROR_DEVICE,
                 "The training was stopped at %d %%: the same call goes on from there",
                 (int)(training->fraction * 100));
  else
    g_set_error_literal (error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                         training->message ? training->message : "The training has failed");
  dim_training_set_told (run);
  if (!done && !training->can_resume)
    dim_training_remove (run, NULL);
  dim_training_free (&training);
  return done;
}

/* The folder of a training of this class that is to make this model, and was stopped; NULL: none.
 */
static char *
find_stopped (const DimTrainRequest *request)
{
  g_autofree char *folder = dim_model_find (request->model, NULL);
  DimModelInfo    *info = folder != NULL ? dim_model_info_read (folder, NULL) : NULL;
  g_autofree char *target = info != NULL ? dim_train_target (request, info) : NULL;
  g_autofree char *run = target != NULL ? dim_train_unfinished (target) : NULL;
  DimTraining     *training = run != NULL ? dim_training_read (run, NULL) : NULL;
  gboolean same = training != NULL && g_strcmp0 (training->class_name, request->class_name) == 0;

  dim_training_free (&training);
  dim_model_info_free (&info);
  return same ? g_steal_pointer (&run) : NULL;
}

static gboolean
run_batch (const DimTrainRequest *request, DimHostImage image, char **model, GError **error)
{
  DimTrainLayers   layers = dim_layers_of (&image);
  g_autofree char *run = find_stopped (request);
  int              pid = 0;

  if (run == NULL)
    run = dim_train_start (request, &layers, &pid, error);
  else if (!dim_train_resume (run, &pid, error))
    return FALSE;
  if (run == NULL)
    return FALSE;
  wait_for (run, pid);
  return conclude (run, model, error);
}

gboolean
dim_train_run (GimpRunMode mode, const DimTrainRequest *request, DimHostImage image, char **model,
               GError **error)
{
  gegl_init (NULL, NULL);
  if (mode != GIMP_RUN_NONINTERACTIVE)
    return run_dialog (request->model, image, model, error);
  return run_batch (request, image, model, error);
}
