/* Errors inside the engine: one line that names what is at fault.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_ERROR_H
#define DIM_ERROR_H

#include "dim.h"

/* A name out of a file within a message: quoted, and so short that the rest of the line is still
 * read. */
#define DIM_NAME "\"%.160s\""

/* Sets "origin: message", fit to show (dim_text_clean) and of at most some 900 bytes. `origin` is
 * the file, or the file and the place in it ("dir/model.json: backbone.config"). Always FALSE, so
 * that a check can end in `return dim_fail(...)`. */
gboolean dim_fail(GError **error, DimError code, const char *origin, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* The error of an allocation of `bytes` that did not succeed. Always FALSE. */
gboolean dim_fail_memory(GError **error, const char *origin, guint64 bytes);

#endif
