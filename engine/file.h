/* Files in and out: mapped for reading, written whole or not at all.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_FILE_H
#define DIM_FILE_H

#include "dim.h"

typedef struct {
    const guint8 *data; /* private mapping, read only */
    gsize size;         /* > 0 */
} DimFile;

/* Maps a regular file that is not empty; pipes, devices and folders are refused without waiting for
 * them. `origin` names it in errors. */
gboolean dim_file_map(DimFile *file, const char *path, const char *origin, GError **error);
void dim_file_unmap(DimFile *file); /* accepts one that is unmapped */

#endif
