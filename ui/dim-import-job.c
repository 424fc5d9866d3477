/* An import of a checkpoint.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-import-job.h"

#include <errno.h>
#include <string.h>

#include <glib/gstdio.h>

#include "ui/dim-disk.h"
#include "ui/dim-i18n.h"
#include "ui/dim-models.h"
#include "ui/dim-refuse.h"

#define ID_BYTES_MAX 200 /* a folder's name may have 255 */

struct DimImportJob
{
  GThread         *thread;
  DimImportRequest request;
  char            *target;
  DimTask          task;
  gint             ended; /* atomic */
  GError          *error; /* of the thread, until it has ended */
};

/* ---- the request ---- */

void
dim_import_request_clear (DimImportRequest *request)
{
  g_clear_pointer (&request->checkpoint, g_free);
  g_clear_pointer (&request->autoencoder, g_free);
  g_clear_pointer (&request->classes, g_free);
  g_clear_pointer (&request->name, g_free);
  g_clear_pointer (&request->license, g_free);
}

static const char *
or_null (const char *text)
{
  return *text ? text : NULL;
}

/* The same in the engine's words; `autoencoder` has room for its files. Borrowed. */
static DimImport
import_of (const DimImportRequest *request, const char **autoencoder)
{
  DimImport import = { .checkpoint = request->checkpoint,
                       .classes = or_null (request->classes),
                       .name = or_null (request->name),
                       .license = or_null (request->license) };

  autoencoder[0] = or_null (request->autoencoder);
  autoencoder[1] = NULL;
  import.autoencoder = autoencoder;
  return import;
}

DimModelInfo *
dim_import_request_look (const DimImportRequest *request, GError **error)
{
  const char *autoencoder[2];
  DimImport   import = import_of (request, autoencoder);

  import.name = NULL;
  return dim_import_look (&import, error);
}

/* A model that is to be in the panel's list makes pictures. */
static gboolean
check_parts (const DimImportRequest *request, const DimModelInfo *info, GError **error)
{
  if (!info->backbone.family)
    return dim_refuse (error, DIM_ERROR_UNSUPPORTED,
                       _ ("%s is an autoencoder only: choose a model's file as the checkpoint, and "
                          "this one as its autoencoder."),
                       request->checkpoint);
  if (!info->autoencoder.family)
    return dim_refuse (error, DIM_ERROR_UNSUPPORTED,
                       _ ("%s works on latents of %d channels: choose the file of the autoencoder "
                          "that it was trained with. For published models that is Stable "
                          "Diffusion's."),
                       request->checkpoint, info->backbone.channels);
  if (!(info->parts & DIM_PARTS_DECODER))
    return dim_refuse (error, DIM_ERROR_UNSUPPORTED,
                       _ ("%s has no decoder: choose the file of an autoencoder that has one."),
                       request->autoencoder);
  return TRUE;
}

char *
dim_import_request_target (const DimImportRequest *request, const DimModelInfo *info,
                           GError **error)
{
  const char      *name = *request->name ? request->name : info->name;
  g_autofree char *models = dim_models_folder ();
  g_autofree char *id = dim_model_id (name);
  g_autofree char *target = g_build_filename (models, id, NULL);

  if (!check_parts (request, info, error))
    return NULL;
  if (!*id || strlen (id) > ID_BYTES_MAX)
    dim_refuse (error, DIM_ERROR_ARGUMENT,
                _ ("“%.40s” is no name for a model: expected letters or figures, at most %d."),
                name, ID_BYTES_MAX);
  else if (g_file_test (target, G_FILE_TEST_EXISTS) || g_file_test (target, G_FILE_TEST_IS_SYMLINK))
    dim_refuse (error, DIM_ERROR_FILE, _ ("%s is there already: choose another name."), target);
  else
    return g_steal_pointer (&target);
  return NULL;
}

gint64
dim_import_request_copies (const DimImportRequest *request)
{
  const char      *files[] = { request->checkpoint, request->autoencoder };
  g_autofree char *models = dim_models_folder ();
  gint64           bytes = 0;
  GStatBuf         file;

  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    if (*files[i] && g_stat (files[i], &file) == 0 && !dim_disk_same (files[i], models))
      bytes += file.st_size;
  return bytes;
}

/* ---- the thread ---- */

static gboolean
make_parent (const char *target, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (target);

  return g_mkdir_with_parents (parent, 0777) == 0
         || dim_refuse (error, DIM_ERROR_FILE, _ ("%s cannot be made: %s."), parent,
                        g_strerror (errno));
}

static gpointer
run (gpointer data)
{
  DimImportJob *job = data;
  const char   *autoencoder[2];
  DimImport     import = import_of (&job->request, autoencoder);
  DimDevice    *device
      = make_parent (job->target, &job->error) ? dim_device_open ("auto", 0, &job->error) : NULL;

  if (device)
    dim_import (&import, job->target, device, NULL, &job->task, &job->error);
  dim_device_close (&device);
  g_atomic_int_set (&job->ended, TRUE);
  return NULL;
}

DimImportJob *
dim_import_job_new (const DimImportRequest *request, const char *target)
{
  DimImportJob *job = g_new0 (DimImportJob, 1);

  job->request = (DimImportRequest){ g_strdup (request->checkpoint),
                                     g_strdup (request->autoencoder), g_strdup (request->classes),
                                     g_strdup (request->name), g_strdup (request->license) };
  job->target = g_strdup (target);
  job->thread = g_thread_new ("import", run, job);
  return job;
}

double
dim_import_job_progress (const DimImportJob *job)
{
  return dim_task_progress (&job->task);
}

gboolean
dim_import_job_ended (const DimImportJob *job)
{
  return g_atomic_int_get (&job->ended);
}

void
dim_import_job_cancel (DimImportJob *job)
{
  dim_task_cancel (&job->task);
}

gboolean
dim_import_job_finish (DimImportJob **address, GError **error)
{
  DimImportJob *job = *address;
  gboolean      good;

  g_thread_join (job->thread);
  good = job->error == NULL;
  if (!good)
    g_propagate_error (error, job->error);
  dim_import_request_clear (&job->request);
  g_free (job->target);
  g_clear_pointer (address, g_free);
  return good;
}
