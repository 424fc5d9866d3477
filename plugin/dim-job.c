/* One generation at a time: the thread that calls the engine, and what the main thread sees of it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-job.h"

#include <string.h>

/* How much of the bar reading a model takes; the sampler has the rest. */
#define LOADING_SHARE 0.05

typedef enum
{
  DIM_JOB_IDLE,
  DIM_JOB_LOADING,
  DIM_JOB_SAMPLING,
  DIM_JOB_DECODING,
  DIM_JOB_ENDED
} DimJobState;

struct DimJob
{
  GThread *thread;

  /* Of both threads, under the lock. */
  GMutex      lock;
  GCond       changed; /* the state, or `quit` */
  DimJobState state;
  gboolean    quit, cancelled;
  DimRecipe   request;
  DimTask     hashing, loading;
  DimSampler *sampler; /* while it may be asked and cancelled */
  int         at, steps;
  gint64      begun;   /* of sampling, in microseconds */
  double      shown;   /* the fraction last answered */
  DimPicture  picture; /* of an ended run, or else: */
  GError     *error;
  char       *notice;

  /* Of the job's thread only: what is kept between runs. */
  DimDevice *device;
  DimModel  *model;
  char      *hash;
  DimOptions options; /* that device and model were opened with */
};

void
dim_picture_clear (DimPicture *picture)
{
  g_free (picture->rgb);
  g_free (picture->name);
  dim_recipe_clear (&picture->recipe);
  memset (picture, 0, sizeof *picture);
}

/* Seeds of more than six digits are cut to their last six: enough to tell layers apart. */
static char *
picture_name (const char *class_name, gint64 seed)
{
  const char *between = class_name[0] != '\0' ? " " : "";

  if (seed < 1000000)
    return g_strdup_printf ("%s%s#%" G_GINT64_FORMAT, class_name, between, seed);
  return g_strdup_printf ("%s%s#…%06d", class_name, between, (int)(seed % 1000000));
}

/* ---- the job's thread ---- */

static gboolean
refuse_cancelled (GError **error)
{
  g_set_error_literal (error, DIM_ERROR, DIM_ERROR_CANCELLED, "Stopped");
  return FALSE;
}

/* FALSE with an error when the run was cancelled before it came here. */
static gboolean
enter (DimJob *job, DimJobState state, DimSampler *sampler, GError **error)
{
  gboolean cancelled;

  g_mutex_lock (&job->lock);
  cancelled = job->cancelled;
  job->state = state;
  job->sampler = sampler;
  if (state == DIM_JOB_SAMPLING)
    job->begun = g_get_monotonic_time ();
  g_mutex_unlock (&job->lock);
  return !cancelled || refuse_cancelled (error);
}

static void
set_notice (DimJob *job, const char *why)
{
  g_mutex_lock (&job->lock);
  g_free (job->notice);
  job->notice = why == NULL ? NULL : g_strdup_printf ("Runs on the CPU: %s", why);
  g_mutex_unlock (&job->lock);
}

static void
forget_model (DimJob *job)
{
  set_notice (job, NULL);
  dim_model_close (&job->model);
  dim_device_close (&job->device);
  g_clear_pointer (&job->hash, g_free);
}

static gboolean
is_kept (DimJob *job, const DimModelInfo *info, const DimOptions *options)
{
  return job->model != NULL && strcmp (dim_model_info (job->model)->folder, info->folder) == 0
         && strcmp (job->options.device, options->device) == 0
         && job->options.n_threads == options->n_threads
         && job->options.precision == options->precision;
}

static gboolean
load (DimJob *job, const DimModelInfo *info, const DimOptions *options, GError **error)
{
  if (is_kept (job, info, options))
    return TRUE;
  forget_model (job);
  job->options = *options;
  job->hash = dim_model_hash (info->folder, &job->hashing, error);
  if (job->hash == NULL)
    return FALSE;
  job->device = dim_device_open (options->device, options->n_threads, error);
  if (job->device == NULL)
    return FALSE;
  set_notice (job, dim_device_notice (job->device, FALSE));
  job->model = dim_model_open (job->device, info->folder, DIM_PARTS_BACKBONE | DIM_PARTS_DECODER,
                               options->precision, &job->loading, error);
  return job->model != NULL;
}

static gboolean
run_sampler (DimJob *job, DimSampler *sampler, DimPicture *picture, GError **error)
{
  if (!enter (job, DIM_JOB_SAMPLING, sampler, error))
    return FALSE;
  while (!dim_sampler_done (sampler))
    {
      if (!dim_sampler_step (sampler, error))
        return FALSE;
      g_mutex_lock (&job->lock);
      job->at = dim_sampler_at (sampler);
      g_mutex_unlock (&job->lock);
    }
  return enter (job, DIM_JOB_DECODING, sampler, error)
         && dim_sampler_finish (sampler, picture->rgb, (gsize)picture->width * 3, error);
}

static gboolean
allocate (DimPicture *picture, const DimParams *params, GError **error)
{
  picture->width = params->width;
  picture->height = params->height;
  picture->rgb = g_try_malloc_n ((gsize)params->width * (gsize)params->height, 3 * sizeof (float));
  if (picture->rgb != NULL)
    return TRUE;
  g_set_error (error, DIM_ERROR, DIM_ERROR_NO_MEMORY, "No memory for a picture of %d x %d pixels",
               params->width, params->height);
  return FALSE;
}

static gboolean
sample (DimJob *job, DimParams *params, DimPicture *picture, GError **error)
{
  DimSampler *sampler;
  gboolean    done;

  g_mutex_lock (&job->lock);
  job->steps = params->steps;
  g_mutex_unlock (&job->lock);
  if (!enter (job, DIM_JOB_LOADING, NULL, error) || !allocate (picture, params, error))
    return FALSE;
  sampler = dim_sampler_new (job->model, params, error);
  if (sampler == NULL)
    return FALSE;
  done = run_sampler (job, sampler, picture, error);
  g_mutex_lock (&job->lock);
  job->sampler = NULL;
  g_mutex_unlock (&job->lock);
  dim_sampler_free (&sampler);
  return done;
}

static gboolean
generate (DimJob *job, const DimRecipe *recipe, DimPicture *picture, GError **error)
{
  g_autofree char *folder = dim_model_find (recipe->model, error);
  DimModelInfo    *info = folder != NULL ? dim_model_info_read (folder, error) : NULL;
  DimParams        params;
  DimOptions       options;
  gboolean         done;

  /* Everything that can be refused is refused before the weights are read. */
  done = info != NULL && dim_recipe_options (recipe, &options, error)
         && dim_recipe_resolve (recipe, info, &params, error) && load (job, info, &options, error);
  if (done)
    {
      params.tile = options.tile;
      done = sample (job, &params, picture, error);
    }
  if (done)
    {
      dim_recipe_record (&picture->recipe, job->model, &params, &options, job->hash);
      picture->name = picture_name (picture->recipe.class_name, params.seed);
    }
  dim_model_info_free (&info);
  return done;
}

/* Waits for a request; FALSE: the job ends. */
static gboolean
next_request (DimJob *job, DimRecipe *recipe)
{
  gboolean quit;

  g_mutex_lock (&job->lock);
  while (job->state != DIM_JOB_LOADING && !job->quit)
    g_cond_wait (&job->changed, &job->lock);
  quit = job->quit;
  if (!quit)
    {
      dim_recipe_clear (recipe);
      dim_recipe_copy (recipe, &job->request);
    }
  g_mutex_unlock (&job->lock);
  return !quit;
}

static void
end_run (DimJob *job, DimPicture *picture, GError *error)
{
  g_mutex_lock (&job->lock);
  job->picture = *picture;
  job->error = error;
  job->state = DIM_JOB_ENDED;
  g_cond_broadcast (&job->changed);
  g_mutex_unlock (&job->lock);
}

static gpointer
work (gpointer data)
{
  DimJob   *job = data;
  DimRecipe recipe;

  dim_recipe_init (&recipe);
  while (next_request (job, &recipe))
    {
      DimPicture picture = { 0 };
      GError    *error = NULL;

      if (!generate (job, &recipe, &picture, &error))
        dim_picture_clear (&picture);
      end_run (job, &picture, error);
    }
  dim_recipe_clear (&recipe);
  forget_model (job);
  return NULL;
}

/* ---- the main thread ---- */

DimJob *
dim_job_new (void)
{
  DimJob *job = g_new0 (DimJob, 1);

  g_mutex_init (&job->lock);
  g_cond_init (&job->changed);
  dim_recipe_init (&job->request);
  job->thread = g_thread_new ("gimp-dim engine", work, job);
  return job;
}

void
dim_job_free (DimJob **place)
{
  DimJob *job = *place;

  *place = NULL;
  if (job == NULL)
    return;
  dim_job_cancel (job);
  g_mutex_lock (&job->lock);
  job->quit = TRUE;
  g_cond_broadcast (&job->changed);
  g_mutex_unlock (&job->lock);
  g_thread_join (job->thread);
  dim_recipe_clear (&job->request);
  dim_picture_clear (&job->picture);
  g_clear_error (&job->error);
  g_cond_clear (&job->changed);
  g_mutex_clear (&job->lock);
  g_free (job);
}

void
dim_job_start (DimJob *job, const DimRecipe *recipe)
{
  g_mutex_lock (&job->lock);
  g_assert (job->state == DIM_JOB_IDLE);
  dim_recipe_clear (&job->request);
  dim_recipe_copy (&job->request, recipe);
  job->hashing = job->loading = (DimTask){ 0 };
  job->cancelled = FALSE;
  job->at = job->steps = 0;
  job->shown = 0.0;
  job->state = DIM_JOB_LOADING;
  g_cond_broadcast (&job->changed);
  g_mutex_unlock (&job->lock);
}

void
dim_job_cancel (DimJob *job)
{
  g_mutex_lock (&job->lock);
  job->cancelled = TRUE;
  dim_task_cancel (&job->hashing);
  dim_task_cancel (&job->loading);
  if (job->sampler != NULL)
    dim_sampler_cancel (job->sampler);
  g_mutex_unlock (&job->lock);
}

static void
print_time_left (char *text, gsize size, double seconds)
{
  if (seconds < 99.5)
    g_snprintf (text, size, ", %d s left", (int)(seconds + 0.5));
  else
    g_snprintf (text, size, ", %d min left", (int)(seconds / 60 + 0.5));
}

/* The first step is no measure: it touches all memory for the first time. */
static void
print_sampling (const DimJob *job, double fraction, char *text, gsize size)
{
  double elapsed = (g_get_monotonic_time () - job->begun) / 1e6;
  char   left[40] = "";

  if (job->at > 0 && fraction > 0.0)
    print_time_left (left, sizeof left, elapsed * (1.0 - fraction) / fraction);
  g_snprintf (text, size, "Step %d of %d%s", MIN (job->at + 1, job->steps), job->steps, left);
}

double
dim_job_progress (DimJob *job, char *text, gsize text_size)
{
  double fraction = 0.0, sampled;

  g_mutex_lock (&job->lock);
  sampled = job->sampler != NULL ? dim_sampler_progress (job->sampler) : 0.0;
  switch (job->state)
    {
    case DIM_JOB_IDLE:
    case DIM_JOB_LOADING:
      fraction = (dim_task_progress (&job->hashing) + dim_task_progress (&job->loading)) / 2;
      fraction *= LOADING_SHARE;
      g_strlcpy (text, "Loading the model", text_size);
      break;
    case DIM_JOB_SAMPLING:
      fraction = LOADING_SHARE + (1.0 - LOADING_SHARE) * sampled;
      print_sampling (job, sampled, text, text_size);
      break;
    case DIM_JOB_DECODING:
      fraction = LOADING_SHARE + (1.0 - LOADING_SHARE) * sampled;
      g_strlcpy (text, "Decoding", text_size);
      break;
    case DIM_JOB_ENDED:
      fraction = job->error == NULL ? 1.0 : job->shown;
      g_strlcpy (text, job->error == NULL ? "Done" : "Stopped", text_size);
      break;
    }
  job->shown = fraction = MAX (fraction, job->shown);
  g_mutex_unlock (&job->lock);
  return fraction;
}

gboolean
dim_job_wait (DimJob *job, int milliseconds)
{
  gint64   until = g_get_monotonic_time () + (gint64)milliseconds * 1000;
  gboolean ended;

  g_mutex_lock (&job->lock);
  while (job->state != DIM_JOB_ENDED && milliseconds > 0)
    if (!g_cond_wait_until (&job->changed, &job->lock, until))
      break;
  ended = job->state == DIM_JOB_ENDED;
  g_mutex_unlock (&job->lock);
  return ended;
}

char *
dim_job_notice (DimJob *job)
{
  char *notice;

  g_mutex_lock (&job->lock);
  notice = g_strdup (job->notice);
  g_mutex_unlock (&job->lock);
  return notice;
}

gboolean
dim_job_take (DimJob *job, DimPicture *picture, GError **error)
{
  gboolean done;

  g_mutex_lock (&job->lock);
  g_assert (job->state == DIM_JOB_ENDED);
  done = job->error == NULL;
  if (done)
    *picture = job->picture;
  else
    g_propagate_error (error, g_steal_pointer (&job->error));
  memset (&job->picture, 0, sizeof job->picture);
  job->state = DIM_JOB_IDLE;
  g_mutex_unlock (&job->lock);
  return done;
}
