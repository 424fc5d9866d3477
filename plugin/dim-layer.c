/* A picture becomes a layer. Compiled once for each host: what differs is in dim-host.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "plugin/dim-layer.h"

#include <string.h>

static GimpImageType
type_with_alpha (GimpImageBaseType base)
{
  switch (base)
    {
    case GIMP_GRAY:
      return GIMP_GRAYA_IMAGE;
    case GIMP_INDEXED:
      return GIMP_INDEXEDA_IMAGE;
    default:
      return GIMP_RGBA_IMAGE;
    }
}

/* GEGL and babl convert: to the image's precision, its colour space, grey, or the nearest colours
 * of a palette. */
static void
write_pixels (DimHostLayer layer, const DimPicture *picture)
{
  GeglBuffer         *buffer = gimp_drawable_get_buffer (DIM_HOST_DRAWABLE (layer));
  const GeglRectangle all = { 0, 0, picture->width, picture->height };

  gegl_buffer_set (buffer, &all, 0, babl_format ("R'G'B' float"), picture->rgb,
                   GEGL_AUTO_ROWSTRIDE);
  g_object_unref (buffer);
  gimp_drawable_update (DIM_HOST_DRAWABLE (layer), 0, 0, picture->width, picture->height);
}

static void
attach_recipe (DimHostLayer layer, const DimRecipe *recipe)
{
  g_autofree char *text = dim_recipe_print (recipe);
  GimpParasite    *parasite;

  parasite = gimp_parasite_new (
      DIM_LAYER_PARASITE, GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE, strlen (text), text);
  gimp_item_attach_parasite (DIM_HOST_ITEM (layer), parasite);
  gimp_parasite_free (parasite);
}

/* A complete layer that is in no image's stack yet: until it is inserted nothing shows, and nothing
 * can be undone. */
static DimHostLayer
make_layer (DimHostImage image, GimpImageType type, const DimPicture *picture, GError **error)
{
  DimHostLayer layer = gimp_layer_new (image, picture->name, picture->width, picture->height, type,
                                       100.0, gimp_image_get_default_new_layer_mode (image));

  if (layer == DIM_HOST_NO_LAYER)
    {
      g_set_error (error, DIM_ERROR, DIM_ERROR_NO_MEMORY,
                   "GIMP could not make a layer of %d x %d pixels", picture->width,
                   picture->height);
      return DIM_HOST_NO_LAYER;
    }
  write_pixels (layer, picture);
  attach_recipe (layer, &picture->recipe);
  return layer;
}

static void
move_to_middle (DimHostImage image, DimHostLayer layer, const DimPicture *picture)
{
  gboolean selected = FALSE;
  int      left = 0, top = 0, right = 0, bottom = 0;

  /* Without a selection these are the canvas's bounds. */
  gimp_selection_bounds (image, &selected, &left, &top, &right, &bottom);
  gimp_layer_set_offsets (layer, left + (right - left - picture->width) / 2,
                          top + (bottom - top - picture->height) / 2);
}

DimHostLayer
dim_layer_insert (DimHostImage image, const DimPicture *picture, GError **error)
{
  GimpImageBaseType base = gimp_image_get_base_type (image);
  DimHostLayer      layer = make_layer (image, type_with_alpha (base), picture, error);

  if (layer == DIM_HOST_NO_LAYER)
    return DIM_HOST_NO_LAYER;
  move_to_middle (image, layer, picture);
  gimp_image_undo_group_start (image);
  gimp_image_insert_layer (image, layer, dim_host_group (image), -1);
  gimp_image_undo_group_end (image);
  if (base == GIMP_INDEXED)
    gimp_message (
        "The image is indexed: the new layer's colours are the nearest ones of its palette.");
  return layer;
}

DimHostLayer
dim_layer_new_image (const DimPicture *picture, DimHostImage *image, GError **error)
{
  DimHostImage made = gimp_image_new (picture->width, picture->height, GIMP_RGB);
  DimHostLayer layer;

  gimp_image_undo_disable (made);
  layer = make_layer (made, GIMP_RGB_IMAGE, picture, error);
  if (layer == DIM_HOST_NO_LAYER)
    {
      gimp_image_delete (made);
      return DIM_HOST_NO_LAYER;
    }
  gimp_image_insert_layer (made, layer, DIM_HOST_NO_LAYER, 0);
  gimp_image_undo_enable (made);
  *image = made;
  return layer;
}
