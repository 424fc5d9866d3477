/* What the fuzz targets share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/dim.h"

FuzzFile fuzz_file_open(const uint8_t *data, size_t size)
{
    FuzzFile file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};

    g_assert_cmpint(file.fd, >=, 0);
    g_assert_cmpint(write(file.fd, data, size), ==, (gssize)size);
    g_snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
    return file;
}

void fuzz_file_close(FuzzFile *file)
{
    close(file->fd);
}

void fuzz_check(gboolean succeeded, GError **error)
{
    g_assert_true(succeeded == (*error == NULL));
    if (succeeded)
        return;
    g_autofree char *clean = dim_text_clean((*error)->message);
    g_assert_cmpstr(clean, ==, (*error)->message);
    g_assert_true((*error)->domain == DIM_ERROR);
    g_assert_cmpuint(strlen(clean), >, 0);
    g_assert_cmpuint(strlen(clean), <, 1000);
    g_clear_error(error);
}
