/* Pictures of all kinds, for training.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_PICTURE_H
#define DIM_TOOL_PICTURE_H

#include <gdk-pixbuf/gdk-pixbuf.h>

enum { TOOL_PICTURE_PIXELS_MAX = 1 << 28 };

/* Whether a file begins as a picture of a known kind does: nothing is said of the rest. */
gboolean tool_is_picture(const char *file);

/* 8-bit RGB, turned as its EXIF orientation says; where it is transparent, mid grey shows through.
 * g_object_unref. */
GdkPixbuf *tool_picture_read(const char *file, GError **error);

#endif
