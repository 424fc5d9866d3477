/* The GError domain, and messages of one line.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "error.h"

#include <string.h>

enum { ORIGIN_BYTES = 300, MESSAGE_BYTES = 600 };

G_DEFINE_QUARK(dim - error - quark, dim_error)

gboolean dim_fail(GError **error, DimError code, const char *origin, const char *format, ...)
{
    if (!error)
        return FALSE;
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    /* The end of a path says more than its beginning. */
    gsize length = strlen(origin);
    const char *tail = length > ORIGIN_BYTES ? origin + length - ORIGIN_BYTES : origin;
    g_autofree char *line =
        g_strdup_printf("%s%s: %.*s", tail == origin ? "" : "...", tail, MESSAGE_BYTES, message);
    g_autofree char *clean = dim_text_clean(line);
    g_set_error_literal(error, DIM_ERROR, code, clean);
    return FALSE;
}

gboolean dim_fail_memory(GError **error, const char *origin, guint64 bytes)
{
    return dim_fail(error, DIM_ERROR_NO_MEMORY, origin, "no memory for %.1f MiB",
                    (double)bytes / (1 << 20));
}
