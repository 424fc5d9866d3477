/* Long work on a terminal: a bar with the time left, and Ctrl-C.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_PROGRESS_H
#define DIM_TOOL_PROGRESS_H

#include "engine/dim.h"

typedef struct ToolProgress ToolProgress;

/* From here to the end SIGINT, SIGTERM and SIGHUP (where they are not ignored) cancel what is
 * watched, now and later, in place of ending the program. Begin before other threads: they inherit
 * it. */
ToolProgress *tool_progress_begin(void);
void tool_progress_end(ToolProgress **progress);

/* What is being done, with a static name for people; NULL: nothing that can be watched. Replaces
 * what was watched before, which may go afterwards. The bar is drawn when stderr is a terminal. */
void tool_progress_task(ToolProgress *progress, const char *name, DimTask *task);
/* From now on no bar is drawn. */
void tool_progress_hide(ToolProgress *progress);
gboolean tool_progress_draws(ToolProgress *progress);
/* One line on standard output, apart from the bar. */
void tool_progress_say(ToolProgress *progress, const char *line);
/* A few words behind the bar, until something else is watched; copied. */
void tool_progress_note(ToolProgress *progress, const char *note);
/* Item `at` of n, from 0 up: the bar and the time left are of all n. sampler NULL: none now, and
 * `at` of them are done. */
void tool_progress_sampler(ToolProgress *progress, const char *name, DimSampler *sampler, gint64 at,
                           gint64 n);

#endif
