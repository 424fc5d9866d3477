/* How far a call is.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-progress.h"

#include <unistd.h>

#include <libgimp/gimp.h>

void
dim_progress_host (double fraction, const char *text)
{
  gimp_progress_set_text (text);
  gimp_progress_update (fraction);
}

FILE *
dim_progress_begin (const char *title)
{
  const char *file = g_getenv ("GIMP_DIM_PROGRESS");

  gimp_progress_init (title);
  return file != NULL && file[0] != '\0' ? fopen (file, "a") : NULL;
}

/* A terminal gets one line that is written over. */
void
dim_progress_show (FILE *stream, double fraction, const char *text)
{
  dim_progress_host (fraction, text);
  if (stream == NULL)
    return;
  fprintf (stream, isatty (fileno (stream)) ? "\r%3d %%  %s\033[K" : "%3d %%  %s\n",
           (int)(fraction * 100), text);
  fflush (stream);
}

void
dim_progress_end (FILE *stream)
{
  gimp_progress_end ();
  if (stream == NULL)
    return;
  if (isatty (fileno (stream)))
    fputs ("\r\033[K", stream);
  fclose (stream);
}
