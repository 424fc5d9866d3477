/* One generation at a time, on a thread of its own: from a recipe to pixels and the recipe of what
 * ran.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The job's thread makes every computing call of the engine; it lives as long as the job and keeps
 * the model between runs, so that a second run starts at once. The functions below belong to the
 * thread that made the job, and return at once (but for dim_job_wait and dim_job_free). No GTK and
 * no libgimp here.
 */
#ifndef DIM_JOB_H
#define DIM_JOB_H

#include "engine/dim.h"

G_BEGIN_DECLS

/* What a run leaves. */
typedef struct
{
  float    *rgb; /* [height][width][3] in [0, 1], sRGB encoded */
  int       width, height;
  DimRecipe recipe; /* with nothing left to defaults: makes the same pixels again */
  char     *name;   /* the layer's: class and short seed */
} DimPicture;

void dim_picture_clear (DimPicture *picture);

typedef struct DimJob DimJob;

DimJob *dim_job_new (void);
/* Stops what runs, and waits for it. */
void dim_job_free (DimJob **job);

/* Begins a run; none may be running, and the result of the last one must have been taken. */
void dim_job_start (DimJob *job, const DimRecipe *recipe);
/* Asks the run to end soon; it does so with DIM_ERROR_CANCELLED, whatever it is at. */
void dim_job_cancel (DimJob *job);

/* 0..1 of the present run, never decreasing; `text` says what it is at, and how long it will take.
 */
double dim_job_progress (DimJob *job, char *text, gsize text_size);
/* Why the run is on the CPU, where the machine seems to have a card; NULL: nothing is to be said.
 * The caller frees it. */
char *dim_job_notice (DimJob *job);
/* Waits until the run has ended, or for that long; TRUE: it has ended. 0 only asks. */
gboolean dim_job_wait (DimJob *job, int milliseconds);
/* What an ended run leaves: the caller's from here on. */
gboolean dim_job_take (DimJob *job, DimPicture *picture, GError **error);

G_END_DECLS
#endif
