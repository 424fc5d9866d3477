/* How far a call is, in the host's bar and, where GIMP_DIM_PROGRESS names a file, there: GIMP's
 * console shows none. Compiled once for each host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_PROGRESS_H
#define DIM_PROGRESS_H

#include <stdio.h>

#include <glib.h>

G_BEGIN_DECLS

/* In the host's bar alone. */
void dim_progress_host (double fraction, const char *text);

/* NULL, too, is passed on to the others: no file is written then. */
FILE *dim_progress_begin (const char *title);
void  dim_progress_show (FILE *stream, double fraction, const char *text);
void  dim_progress_end (FILE *stream);

G_END_DECLS
#endif
