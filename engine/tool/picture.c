/* Pictures of all kinds, through gdk-pixbuf.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "picture.h"

#include "engine/dim.h"

/* gdk_pixbuf_get_file_info would wait for a pipe. */
gboolean tool_is_picture(const char *file)
{
    return g_file_test(file, G_FILE_TEST_IS_REGULAR) && gdk_pixbuf_get_file_info(file, NULL, NULL);
}

static GdkPixbuf *refuse(const char *file, const char *fault, GError **error)
{
    g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT, "%s: %s", file, fault);
    return NULL;
}

/* Whether a JPEG file comes to its end marker. gdk-pixbuf makes up what is missing. */
static gboolean jpeg_is_whole(const guint8 *data, gsize size)
{
    gsize at = 2;

    while (at + 1 < size) {
        const int mark = data[at] == 0xFF ? data[at + 1] : -1;
        if (mark == 0xD9)
            return TRUE;
        if (mark < 0 || mark == 0xFF)
            at++;
        else if (mark <= 1 || (mark >= 0xD0 && mark <= 0xD8))
            at += 2; /* without a length */
        else if (at + 3 < size)
            at += 2 + (gsize)(data[at + 2] << 8 | data[at + 3]);
        else
            return FALSE;
    }
    return FALSE;
}

static gboolean is_whole(const char *file, GdkPixbufFormat *format)
{
    g_autofree char *name = gdk_pixbuf_format_get_name(format);

    if (g_strcmp0(name, "jpeg"))
        return TRUE;
    g_autoptr(GMappedFile) map = g_mapped_file_new(file, FALSE, NULL);
    return map && jpeg_is_whole((const guint8 *)g_mapped_file_get_contents(map),
                                g_mapped_file_get_length(map));
}

/* The same without transparency. Takes `picture`. */
static GdkPixbuf *over_grey(GdkPixbuf *picture)
{
    enum { GREY = 128 };
    const int width = gdk_pixbuf_get_width(picture), height = gdk_pixbuf_get_height(picture);
    GdkPixbuf *opaque = gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, width, height);

    for (int y = 0; opaque && y < height; y++) {
        const guint8 *from =
            gdk_pixbuf_read_pixels(picture) + (gsize)y * gdk_pixbuf_get_rowstride(picture);
        guint8 *to = gdk_pixbuf_get_pixels(opaque) + (gsize)y * gdk_pixbuf_get_rowstride(opaque);
        for (int x = 0; x < width; x++, from += 4, to += 3)
            for (int c = 0; c < 3; c++)
                to[c] = (guint8)((from[c] * from[3] + GREY * (255 - from[3]) + 127) / 255);
    }
    g_object_unref(picture);
    return opaque;
}

GdkPixbuf *tool_picture_read(const char *file, GError **error)
{
    g_autoptr(GError) fault = NULL;
    int width = 0, height = 0;

    if (!g_file_test(file, G_FILE_TEST_EXISTS))
        return refuse(file, "does not exist", error);
    if (!g_file_test(file, G_FILE_TEST_IS_REGULAR))
        return refuse(file, "not a file; expected a picture", error);
    GdkPixbufFormat *format = gdk_pixbuf_get_file_info(file, &width, &height);
    if (!format)
        return refuse(file, "not a picture, or not one of a known kind", error);
    if ((gint64)width * height > TOOL_PICTURE_PIXELS_MAX)
        return refuse(file, "more than 2^28 pixels", error);
    g_autoptr(GdkPixbuf) picture = gdk_pixbuf_new_from_file(file, &fault);
    if (!picture)
        return refuse(file, fault->message, error);
    if (!is_whole(file, format))
        return refuse(file, "a JPEG file that is cut off", error);
    GdkPixbuf *upright = gdk_pixbuf_apply_embedded_orientation(picture);
    if (upright && gdk_pixbuf_get_has_alpha(upright))
        upright = over_grey(upright);
    return upright ? upright : refuse(file, "no memory for its pixels", error);
}
