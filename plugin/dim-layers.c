/* The layers of an image as pictures to train with. What differs between the hosts is in
 * dim-host.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-layers.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <gegl.h>

#include "engine/dim.h"

#define OPAQUE 128      /* alpha from which a pixel counts */
#define HOLES_MOST 0.01 /* share of a picture's pixels */
#define NAME_BYTES_MOST 60

typedef struct
{
  guint8 *rgba;
  int     width, height;
} Pixels;

/* ---- which ---- */

static void
collect (DimHostImage image, DimHostLayer group, GArray *found)
{
  g_autoptr (GArray) layers = dim_host_layers (image, group);

  for (guint i = 0; i < layers->len; i++)
    {
      DimHostLayer layer = g_array_index (layers, DimHostLayer, i);

      if (!gimp_item_get_visible (DIM_HOST_ITEM (layer)))
        continue;
      if (gimp_item_is_group (DIM_HOST_ITEM (layer)))
        collect (image, layer, found);
      else
        g_array_append_val (found, layer);
    }
}

static GArray *
visible_layers (DimHostImage image)
{
  GArray *found = g_array_new (FALSE, FALSE, sizeof (DimHostLayer));

  if (image != DIM_HOST_NO_IMAGE)
    collect (image, DIM_HOST_NO_LAYER, found);
  return found;
}

/* ---- pixels ---- */

static gboolean
read_pixels (DimHostLayer layer, Pixels *pixels, GError **error)
{
  GeglBuffer          *buffer = gimp_drawable_get_buffer (DIM_HOST_DRAWABLE (layer));
  const GeglRectangle *extent = gegl_buffer_get_extent (buffer);

  pixels->width = extent->width;
  pixels->height = extent->height;
  pixels->rgba = g_try_malloc_n ((gsize)extent->width * (gsize)extent->height, 4);
  if (pixels->rgba != NULL)
    gegl_buffer_get (buffer, extent, 1.0, babl_format ("R'G'B'A u8"), pixels->rgba,
                     GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  else
    g_set_error (error, DIM_ERROR, DIM_ERROR_NO_MEMORY, "No memory for a layer of %d x %d pixels",
                 extent->width, extent->height);
  g_object_unref (buffer);
  return pixels->rgba != NULL;
}

static gboolean
is_opaque (const Pixels *pixels, int x, int y)
{
  return pixels->rgba[4 * ((gsize)y * pixels->width + x) + 3] >= OPAQUE;
}

/* The rectangle that holds all that is opaque; how many of its pixels are. */
static gint64
find_opaque (const Pixels *pixels, GeglRectangle *box)
{
  int    left = pixels->width, right = 0, top = pixels->height, bottom = 0;
  gint64 count = 0;

  for (int y = 0; y < pixels->height; y++)
    for (int x = 0; x < pixels->width; x++)
      if (is_opaque (pixels, x, y))
        {
          left = MIN (left, x);
          right = MAX (right, x + 1);
          top = MIN (top, y);
          bottom = y + 1;
          count++;
        }
  *box = (GeglRectangle){ left, top, MAX (0, right - left), MAX (0, bottom - top) };
  return count;
}

/* In place: four bytes a pixel become three, the rectangle alone is left. */
static void
pack (Pixels *pixels, const GeglRectangle *box)
{
  guint8 *to = pixels->rgba;

  for (int y = 0; y < box->height; y++)
    for (int x = 0; x < box->width; x++)
      {
        const guint8 *from = pixels->rgba + 4 * ((gsize)(box->y + y) * pixels->width + box->x + x);

        for (int c = 0; c < 3; c++)
          *to++ = from[c];
      }
}

/* ---- files ---- */

/* The layer's name is in the file's, so that an error about a picture tells which layer it is. */
static char *
file_of (const char *folder, int number, const char *layer_name)
{
  g_autofree char *name = dim_text_clean (layer_name);
  g_autofree char *file = NULL;

  for (char *c = name; *c; c++)
    if (*c == '/')
      *c = '-';
  if (strlen (name) > NAME_BYTES_MOST)
    *g_utf8_find_prev_char (name, name + NAME_BYTES_MOST + 1) = '\0';
  file = g_strdup_printf ("%03d %s.png", number, name);
  return g_build_filename (folder, file, NULL);
}

static gboolean
save (const char *file, const guint8 *rgb, int width, int height, GError **error)
{
  g_autoptr (GError) fault = NULL;
  GdkPixbuf *picture = gdk_pixbuf_new_from_data (rgb, GDK_COLORSPACE_RGB, FALSE, 8, width, height,
                                                 3 * width, NULL, NULL);
  gboolean   saved = gdk_pixbuf_save (picture, file, "png", &fault, "compression", "1", NULL);

  g_object_unref (picture);
  if (!saved)
    g_set_error (error, DIM_ERROR, DIM_ERROR_FILE, "%s cannot be written: %s", file,
                 fault->message);
  return saved;
}

/* *taken: FALSE where the layer has holes. */
static gboolean
write_layer (DimHostLayer layer, const char *folder, int number, gboolean *taken, GError **error)
{
  g_autofree char *name = gimp_item_get_name (DIM_HOST_ITEM (layer));
  g_autofree char *file = file_of (folder, number, name);
  GeglRectangle    box;
  Pixels           pixels = { 0 };
  gboolean         good = read_pixels (layer, &pixels, error);
  gint64           count, area;

  if (!good)
    return FALSE;
  count = find_opaque (&pixels, &box);
  area = (gint64)box.width * box.height;
  *taken = area > 0 && (double)count >= (1 - HOLES_MOST) * (double)area;
  if (*taken)
    {
      pack (&pixels, &box);
      good = save (file, pixels.rgba, box.width, box.height, error);
    }
  g_free (pixels.rgba);
  return good;
}

static gboolean
write_layers (const char *folder, gpointer data, GError **error)
{
  g_autoptr (GArray) layers = visible_layers (*(const DimHostImage *)data);
  int written = 0, left_out = 0;

  for (guint i = 0; i < layers->len; i++)
    {
      gboolean taken = FALSE;

      if (!write_layer (g_array_index (layers, DimHostLayer, i), folder, (int)i + 1, &taken, error))
        return FALSE;
      written += taken;
      left_out += !taken;
    }
  if (written == 0)
    g_set_error_literal (error, DIM_ERROR, DIM_ERROR_ARGUMENT,
                         "No visible layer is without transparent parts: expected pictures to "
                         "train with");
  else if (left_out > 0)
    g_message (left_out == 1 ? "%d layer has transparent parts and is left out."
                             : "%d layers have transparent parts and are left out.",
               left_out);
  return written > 0;
}

DimTrainLayers
dim_layers_of (const DimHostImage *image)
{
  g_autoptr (GArray) layers = visible_layers (*image);

  return (DimTrainLayers){ (int)layers->len, write_layers, (gpointer)image };
}
