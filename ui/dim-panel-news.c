/* News for who opens the panel: trainings that have ended since.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-panel-private.h"

#include "ui/dim-i18n.h"
#include "ui/dim-train-list.h"

#define POLL_SECONDS 2

static gboolean
is_usable (const DimTraining *training)
{
  g_autofree char *file
      = g_build_filename (training->model ? training->model : "", "model.json", NULL);

  return training->state == DIM_TRAINING_DONE && g_file_test (file, G_FILE_TEST_EXISTS);
}

/* FALSE: there is nothing to tell of it, or not yet. */
static gboolean
tell (DimPanel *panel, const DimTraining *training)
{
  g_autofree char *id = g_path_get_basename (training->folder);
  g_autofree char *name = dim_text_clean (training->class_name ? training->class_name : id);
  g_autofree char *state = dim_train_state_text (training);
  g_autofree char *text = NULL;

  if (is_usable (training))
    text = g_strdup_printf (_ ("The class “%s” is trained."), name);
  else if (training->state == DIM_TRAINING_STOPPED || training->state == DIM_TRAINING_FAILED)
    text = g_strdup_printf (_ ("The class “%s” is not trained: %s"), name, state);
  if (training->state == DIM_TRAINING_DONE || text)
    dim_training_set_told (training->folder);
  if (!text)
    return FALSE;
  dim_foot_show_offer (panel->foot, text, is_usable (training),
                       is_usable (training) ? _ ("Use it") : _ ("Show"));
  g_free (panel->news);
  panel->news = g_strdup (training->folder);
  return TRUE;
}

/* One at a time: the next when the message is gone. A window above, or a menu, comes first. */
static gboolean
look_for_news (gpointer data)
{
  DimPanel *panel = data;
  g_auto (GStrv) folders = dim_training_list ();
  gboolean told = panel->running || dim_foot_has_message (panel->foot) || gtk_grab_get_current ();

  for (char **folder = folders; *folder && !told; folder++)
    {
      DimTraining *training
          = dim_training_is_told (*folder) ? NULL : dim_training_read (*folder, NULL);

      told = training && tell (panel, training);
      dim_training_free (&training);
    }
  return G_SOURCE_CONTINUE;
}

void
dim_panel_watch_news (DimPanel *panel)
{
  if (panel->news_timer != 0)
    return;
  look_for_news (panel);
  panel->news_timer = g_timeout_add_seconds (POLL_SECONDS, look_for_news, panel);
}

void
dim_panel_take_news (DimPanel *panel)
{
  DimTraining *training = panel->news ? dim_training_read (panel->news, NULL) : NULL;

  if (training && is_usable (training))
    dim_panel_choose (panel, training->model, training->class_name ? training->class_name : "");
  else
    g_signal_emit_by_name (panel, "train");
  dim_training_free (&training);
}
