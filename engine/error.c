/* The GError domain, and messages of one line.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "error.h"

#include <string.h>

enum { ORIGIN_BYTES = 300, MESSAGE_BYTES = 600 };

G_DEFINE_QUARK(dim - error - quark, dim_error)

static gboolean is_inside(char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The end of a path says more than its beginning. */
static const char *tail_of(const char *clean)
{
    const gsize length = strlen(clean);
    const char *tail = length > ORIGIN_BYTES ? clean + length - ORIGIN_BYTES : clean;

    while (is_inside(*tail))
        tail++;
    return tail;
}

gboolean dim_fail(GError **error, DimError code, const char *origin, const char *format, ...)
{
    if (!error)
        return FALSE;
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    /* Cleaned first, as that makes them longer. */
    g_autofree char *clean_origin = dim_text_clean(origin), *clean = dim_text_clean(message);
    const char *tail = tail_of(clean_origin);
    gsize length = strlen(clean);
    if (length > MESSAGE_BYTES)
        for (length = MESSAGE_BYTES; is_inside(clean[length]);)
            length--;
    g_set_error(error, DIM_ERROR, code, "%s%s: %.*s", tail == clean_origin ? "" : "...", tail,
                (int)length, clean);
    return FALSE;
}

gboolean dim_fail_memory(GError **error, const char *origin, guint64 bytes)
{
    return dim_fail(error, DIM_ERROR_NO_MEMORY, origin, "no memory for %.1f MiB",
                    (double)bytes / (1 << 20));
}
