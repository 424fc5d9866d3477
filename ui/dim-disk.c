/* Room on the disk.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-disk.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The folder, or the nearest above it that is there; g_free. */
static char *
nearest (const char *folder)
{
  char *path = g_canonicalize_filename (folder, NULL);

  while (access (path, F_OK) < 0 && path[1] != '\0')
    {
      char *parent = g_path_get_dirname (path);

      g_free (path);
      path = parent;
    }
  return path;
}

gint64
dim_disk_free (const char *folder)
{
  g_autofree char *path = nearest (folder);
  struct statvfs   disk;

  return statvfs (path, &disk) < 0 ? -1 : (gint64)disk.f_bavail * (gint64)disk.f_frsize;
}

gboolean
dim_disk_same (const char *file, const char *folder)
{
  g_autofree char *path = nearest (folder);
  struct stat      a, b;

  return stat (file, &a) == 0 && stat (path, &b) == 0 && a.st_dev == b.st_dev;
}
