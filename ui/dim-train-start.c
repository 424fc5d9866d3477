/* Starts `dim train --add-class`.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-train-start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "ui/dim-i18n.h"
#include "ui/dim-refuse.h"

#define NAME_BYTES_MAX 80
#define NICENESS 5 /* GIMP comes first */

/* ---- the request ---- */

void
dim_train_request_init (DimTrainRequest *request)
{
  *request = (DimTrainRequest){ .model = g_strdup (""),
                                .class_name = g_strdup (""),
                                .folder = g_strdup (""),
                                .license = g_strdup (""),
                                .minutes = DIM_TRAIN_MINUTES,
                                .output = g_strdup (""),
                                .options = g_strdup ("") };
}

void
dim_train_request_clear (DimTrainRequest *request)
{
  g_clear_pointer (&request->model, g_free);
  g_clear_pointer (&request->class_name, g_free);
  g_clear_pointer (&request->folder, g_free);
  g_clear_pointer (&request->license, g_free);
  g_clear_pointer (&request->output, g_free);
  g_clear_pointer (&request->options, g_free);
}

char *
dim_train_target (const DimTrainRequest *request, const DimModelInfo *info)
{
  g_autofree char *name = dim_training_name (info->folder, request->class_name);
  const char      *output = *request->output ? request->output : name;

  if (strchr (output, '/'))
    return g_canonicalize_filename (output, NULL);
  return g_build_filename (g_get_user_data_dir (), "gimp-dim", "models", output, NULL);
}

char *
dim_train_unfinished (const char *target)
{
  g_auto (GStrv) folders = dim_training_list ();
  char *found = NULL;

  for (char **folder = folders; *folder && !found; folder++)
    {
      DimTraining *training = dim_training_read (*folder, NULL);

      if (training && training->state != DIM_TRAINING_DONE
          && (training->can_resume || training->state < DIM_TRAINING_STOPPED)
          && g_strcmp0 (training->model, target) == 0)
        found = g_strdup (*folder);
      dim_training_free (&training);
    }
  return found;
}

static gboolean
check_class (const char *name, const DimModelInfo *info, GError **error)
{
  g_autofree char *clean = dim_text_clean (name);
  g_autofree char *folded = g_utf8_casefold (clean, -1);

  if (!*name)
    return dim_refuse (error, DIM_ERROR_ARGUMENT, _ ("The new class needs a name."));
  if (strlen (name) > NAME_BYTES_MAX || strcmp (clean, name) || g_ascii_isspace (*name)
      || strspn (name, "0123456789") == strlen (name))
    return dim_refuse (
        error, DIM_ERROR_ARGUMENT,
        _ ("“%.80s” is no name for a class: at most %d letters, not only figures, no "
           "space in front."),
        clean, NAME_BYTES_MAX);
  for (int i = 0; i < info->n_classes; i++)
    {
      g_autofree char *other = g_utf8_casefold (info->classes[i], -1);

      if (g_str_equal (folded, other))
        return dim_refuse (error, DIM_ERROR_ARGUMENT,
                           _ ("“%s” has a class “%s” already: choose another name."), info->name,
                           info->classes[i]);
    }
  return TRUE;
}

static gboolean
check_model (const DimModelInfo *info, GError **error)
{
  if (g_strcmp0 (info->backbone.family, "dim") != 0 || !info->autoencoder.family
      || info->n_labels < 1)
    return dim_refuse (error, DIM_ERROR_UNSUPPORTED,
                       _ ("“%s” cannot learn a class: only DiM models with classes can."),
                       info->name);
  return TRUE;
}

gboolean
dim_train_check (const DimTrainRequest *request, const DimModelInfo *info, int n_layers,
                 GError **error)
{
  g_autofree char *target = NULL, *unfinished = NULL;

  if (!check_model (info, error) || !check_class (request->class_name, info, error))
    return FALSE;
  if (!*request->folder && n_layers == 0)
    return dim_refuse (error, DIM_ERROR_ARGUMENT,
                       _ ("No pictures: choose a folder, or open an image with visible layers."));
  if (*request->folder && !g_file_test (request->folder, G_FILE_TEST_IS_DIR))
    return dim_refuse (error, DIM_ERROR_ARGUMENT,
                       _ ("%s is no folder: expected one with pictures."), request->folder);
  if (!(request->minutes >= DIM_TRAIN_MINUTES_LEAST && request->minutes <= DIM_TRAIN_MINUTES_MOST))
    return dim_refuse (error, DIM_ERROR_ARGUMENT, _ ("minutes must be from %g to %g, not %g"),
                       DIM_TRAIN_MINUTES_LEAST, DIM_TRAIN_MINUTES_MOST, request->minutes);
  target = dim_train_target (request, info);
  if (g_file_test (target, G_FILE_TEST_EXISTS))
    return dim_refuse (error, DIM_ERROR_FILE, _ ("%s is there already: choose another name."),
                       target);
  unfinished = dim_train_unfinished (target);
  if (unfinished)
    return dim_refuse (
        error, DIM_ERROR_FILE,
        _ ("An unfinished training is to make %s: resume or remove that one, or choose "
           "another name."),
        target);
  return TRUE;
}

/* ---- the command ---- */

/* Beside the plug-in, in the tree that it was built in, or where it was installed. */
static char *
find_program (GError **error)
{
  g_autofree char *own = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = g_path_get_dirname (own ? own : "");
  g_autofree char *beside = g_build_filename (folder, "dim", NULL);
  g_autofree char *built = g_build_filename (folder, "..", "..", "engine", "dim", NULL);
  const char      *places[] = { g_getenv ("DIM_PROGRAM"), beside, built, DIM_BINDIR "/dim" };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    if (places[i] && g_file_test (places[i], G_FILE_TEST_IS_EXECUTABLE)
        && !g_file_test (places[i], G_FILE_TEST_IS_DIR))
      return g_canonicalize_filename (places[i], NULL);
  dim_refuse (
      error, DIM_ERROR_FILE,
      _ ("The program dim, which trains, was not found: expected it in %s, or its place in the "
         "variable DIM_PROGRAM."),
      DIM_BINDIR);
  return NULL;
}

static void
add_argument (GPtrArray *arguments, const char *name, const char *value)
{
  g_ptr_array_add (arguments, g_strdup_printf ("--%s=%s", name, value));
}

/* Each word is an option of `dim train`; those that are arguments of their own are no options. */
static gboolean
add_options (GPtrArray *arguments, const char *options, GError **error)
{
  static const char *const own[] = { "add-class", "images",  "model", "minutes", "output",
                                     "run",       "install", "data",  "from",    NULL };
  g_auto (GStrv) words = g_strsplit_set (options, " \t\n", -1);

  for (char **word = words; *word; word++)
    {
      const char      *equals = strchr (*word, '=');
      g_autofree char *name = g_strndup (*word, equals ? (gsize)(equals - *word) : 0);

      if (!**word)
        continue;
      if (!*name || g_strv_contains (own, name)
          || strspn (name, "abcdefghijklmnopqrstuvwxyz-") != strlen (name))
        return dim_refuse (error, DIM_ERROR_ARGUMENT,
                           _ ("options: “%.80s” was not expected; name=value with an option of dim "
                              "train was, such as steps=400"),
                           *word);
      add_argument (arguments, name, equals + 1);
    }
  return TRUE;
}

static char **
new_command (const char *run, const DimTrainRequest *request, const DimModelInfo *info,
             GError **error)
{
  g_autoptr (GPtrArray) arguments = g_ptr_array_new_with_free_func (g_free);
  char *program = find_program (error);

  if (!program)
    return NULL;
  g_ptr_array_add (arguments, program);
  g_ptr_array_add (arguments, g_strdup ("train"));
  add_argument (arguments, "run", run);
  if (request)
    {
      g_autofree char *pictures = *request->folder ? g_canonicalize_filename (request->folder, NULL)
                                                   : g_build_filename (run, "pictures", NULL);
      g_autofree char *target = dim_train_target (request, info);
      char             minutes[G_ASCII_DTOSTR_BUF_SIZE];

      g_ascii_formatd (minutes, sizeof minutes, "%.15g", request->minutes);
      add_argument (arguments, "add-class", request->class_name);
      add_argument (arguments, "images", pictures);
      add_argument (arguments, "model", info->folder);
      add_argument (arguments, "minutes", minutes);
      add_argument (arguments, "output", target);
      if (*request->license)
        add_argument (arguments, "images-license", request->license);
      if (!add_options (arguments, request->options, error))
        return NULL;
    }
  g_ptr_array_add (arguments, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&arguments), FALSE);
}

/* ---- the process ---- */

/* Between fork and exec. A tied process hears of the end of its parent, and it may have ended by
 * now. */
static void
prepare_child (gpointer parent)
{
  setsid ();
  setpriority (PRIO_PROCESS, 0, NICENESS);
  if (parent == NULL)
    return;
  prctl (PR_SET_PDEATHSIG, SIGTERM);
  if (getppid () != GPOINTER_TO_INT (parent))
    _exit (1);
}

/* A process that is not tied is a child of init's, and so never waits for anybody to be buried. */
static gboolean
spawn (char **command, int log, int *tied_pid, GPid *pid, GError **error)
{
  g_autoptr (GError) fault = NULL;
  GSpawnFlags flags = tied_pid ? G_SPAWN_DO_NOT_REAP_CHILD : G_SPAWN_DEFAULT;
  int         errors = fcntl (log, F_DUPFD_CLOEXEC, 3);
  gboolean    started;

  started = g_spawn_async_with_pipes_and_fds (
      "/", (const char *const *)command, NULL, flags, prepare_child,
      tied_pid ? GINT_TO_POINTER (getpid ()) : NULL, -1, log, errors, NULL, NULL, 0, pid, NULL,
      NULL, NULL, &fault);
  if (errors >= 0)
    close (errors);
  if (!started)
    return dim_refuse (error, DIM_ERROR_FILE, _ ("%s cannot be started: %s"), command[0],
                       fault->message);
  if (tied_pid)
    *tied_pid = *pid;
  return TRUE;
}

static gboolean
announce (DimTraining *training, int pid, GError **error)
{
  DimTraining *now = dim_training_read (training->folder, NULL);
  gboolean     known = now && now->pid == pid; /* it has spoken for itself */

  dim_training_free (&now);
  training->pid = pid;
  return known || dim_training_announce (training, error);
}

static int
open_log (const char *run, GError **error)
{
  g_autofree char *file = g_build_filename (run, "log", NULL);
  int log = open (file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);

  if (log < 0)
    dim_refuse (error, DIM_ERROR_FILE, _ ("%s cannot be written: %s"), file, g_strerror (errno));
  return log;
}

/* The log is open from here on: until the process is there, this one counts as the one at work. */
static gboolean
launch (DimTraining *training, char **command, const DimTrainLayers *layers, int *tied_pid,
        GError **error)
{
  g_autofree char *pictures = g_build_filename (training->folder, "pictures", NULL);
  int              log = open_log (training->folder, error);
  GPid             pid = 0;
  gboolean         started;

  if (log < 0)
    return FALSE;
  started = announce (training, getpid (), error);
  if (started && layers)
    started = (g_mkdir (pictures, 0777) == 0
               || dim_refuse (error, DIM_ERROR_FILE, _ ("%s cannot be made: %s"), pictures,
                              g_strerror (errno)))
              && layers->write (pictures, layers->data, error);
  started
      = started && spawn (command, log, tied_pid, &pid, error) && announce (training, pid, error);
  close (log);
  return started;
}

/* A folder of its own, named after the model that is to come. */
static char *
make_run (const char *target, GError **error)
{
  g_autofree char *root = dim_training_root ();
  g_autofree char *name = g_path_get_basename (target);
  g_autofree char *run = g_build_filename (root, name, NULL);

  g_mkdir_with_parents (root, 0777); /* what fails is told below */
  for (int i = 2; g_mkdir (run, 0777) < 0; i++)
    {
      if (errno != EEXIST)
        {
          dim_refuse (error, DIM_ERROR_FILE, _ ("%s cannot be made: %s"), run, g_strerror (errno));
          return NULL;
        }
      g_free (run);
      run = g_strdup_printf ("%s/%s-%d", root, name, i);
    }
  return g_steal_pointer (&run);
}

static char *
start (const DimTrainRequest *request, const DimModelInfo *info, const DimTrainLayers *layers,
       int *tied_pid, GError **error)
{
  g_autofree char *target = dim_train_target (request, info);
  g_autofree char *run = make_run (target, error);
  g_auto (GStrv) command = run ? new_command (run, request, info, error) : NULL;
  DimTraining training
      = { .folder = run, .class_name = request->class_name, .model = target, .pid = getpid () };

  if (command && launch (&training, command, *request->folder ? NULL : layers, tied_pid, error))
    return g_steal_pointer (&run);
  if (run && g_rmdir (run) < 0)
    dim_training_remove (run, NULL);
  return NULL;
}

char *
dim_train_start (const DimTrainRequest *request, const DimTrainLayers *layers, int *tied_pid,
                 GError **error)
{
  g_autofree char *folder = dim_model_find (request->model, error);
  DimModelInfo    *info = folder ? dim_model_info_read (folder, error) : NULL;
  char            *run = NULL;

  if (info && dim_train_check (request, info, layers ? layers->n : 0, error))
    run = start (request, info, layers, tied_pid, error);
  dim_model_info_free (&info);
  return run;
}

gboolean
dim_train_resume (const char *run, int *tied_pid, GError **error)
{
  DimTraining *training = dim_training_read (run, error);
  g_auto (GStrv) command = NULL;
  gboolean started = FALSE;

  if (!training)
    return FALSE;
  if (!training->can_resume)
    dim_refuse (error, DIM_ERROR_ARGUMENT, _ ("%s: nothing there can be gone on with."), run);
  else if (training->state != DIM_TRAINING_STOPPED && training->state != DIM_TRAINING_FAILED)
    dim_refuse (error, DIM_ERROR_ARGUMENT, _ ("%s: a training is at work there, or done."), run);
  else
    {
      command = new_command (training->folder, NULL, NULL, error);
      started = command && launch (training, command, NULL, tied_pid, error);
    }
  dim_training_free (&training);
  return started;
}
