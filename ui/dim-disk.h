/* Room on the disk.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_DISK_H
#define DIM_DISK_H

#include <glib.h>

G_BEGIN_DECLS

/* Bytes that are free on the file system that a folder is on, or will be on; -1: not known. */
gint64 dim_disk_free (const char *folder);

/* A file could have a second name in the folder: they are on one file system. */
gboolean dim_disk_same (const char *file, const char *folder);

G_END_DECLS
#endif
