/* Allocations that fail on purpose: every g_try_* of the engine comes by here.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The functions have GLib's names and come before the library's own, as the linker takes a
 * program's symbols first. jansson's allocations are left alone: version 2.14 writes past its text
 * buffer when that cannot grow. The counter is global since malloc has no argument for it. */
#include <stdlib.h>

#include "fuzz.h"

static int countdown = -1;
static gboolean failed;

void fuzz_fail_allocation(int nth)
{
    countdown = nth;
    failed = FALSE;
}

gboolean fuzz_allocation_failed(void)
{
    return failed;
}

static gboolean fails_now(void)
{
    if (countdown < 0 || countdown-- > 0)
        return FALSE;
    failed = TRUE;
    return TRUE;
}

#undef g_try_malloc
gpointer g_try_malloc(gsize bytes)
{
    return bytes == 0 || fails_now() ? NULL : malloc(bytes);
}

#undef g_try_malloc0
gpointer g_try_malloc0(gsize bytes)
{
    return bytes == 0 || fails_now() ? NULL : calloc(1, bytes);
}

#undef g_try_realloc
gpointer g_try_realloc(gpointer memory, gsize bytes)
{
    return fails_now() ? NULL : realloc(memory, bytes);
}

static gboolean product(gsize n, gsize size, gsize *bytes)
{
    return !__builtin_mul_overflow(n, size, bytes);
}

gpointer g_try_malloc_n(gsize n, gsize size)
{
    gsize bytes;
    return product(n, size, &bytes) ? g_try_malloc(bytes) : NULL;
}

gpointer g_try_malloc0_n(gsize n, gsize size)
{
    gsize bytes;
    return product(n, size, &bytes) ? g_try_malloc0(bytes) : NULL;
}

gpointer g_try_realloc_n(gpointer memory, gsize n, gsize size)
{
    gsize bytes;
    return product(n, size, &bytes) ? g_try_realloc(memory, bytes) : NULL;
}
