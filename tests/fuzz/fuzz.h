/* What the fuzz targets share: what every reader owes its caller, whatever the input.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

#include <glib.h>

/* libFuzzer's entry; each target defines it. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as a file without a name in any folder: its path, valid until fuzz_file_close. */
typedef struct {
    int fd;
    char path[64];
} FuzzFile;
FuzzFile fuzz_file_open(const uint8_t *data, size_t size);
void fuzz_file_close(FuzzFile *file);

/* Asserts that exactly one of result and error is there, and that the error is one clean line of
 * sane length; clears it. */
void fuzz_check(gboolean succeeded, GError **error);

/* From now on the nth allocation that may fail does, n from 0; -1: none. */
void fuzz_fail_allocation(int nth);
/* Whether it came to that. */
gboolean fuzz_allocation_failed(void);

#endif
