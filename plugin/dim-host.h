/* What differs between libgimp 2.10 and 3.0 for the code that is compiled once for each: types,
 * names, and the little that each host's own file does.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_HOST_H
#define DIM_HOST_H

#include <libgimp/gimp.h>

G_BEGIN_DECLS

typedef struct _GtkWindow GtkWindow;

#if GIMP_MAJOR_VERSION >= 3

typedef GimpImage *DimHostImage;
typedef GimpLayer *DimHostLayer;

#define DIM_HOST_NO_IMAGE NULL
#define DIM_HOST_NO_LAYER NULL
#define DIM_HOST_DRAWABLE(layer) GIMP_DRAWABLE (layer)
#define DIM_HOST_ITEM(layer) GIMP_ITEM (layer)

/* The group that the uppermost chosen layer is in, or DIM_HOST_NO_LAYER. */
static inline DimHostLayer
dim_host_group (DimHostImage image)
{
  g_autofree GimpLayer **layers = gimp_image_get_selected_layers (image);
  GimpItem              *group = NULL;

  if (layers != NULL && layers[0] != NULL)
    group = gimp_item_get_parent (GIMP_ITEM (layers[0]));
  return group != NULL ? GIMP_LAYER (group) : NULL;
}

/* Those of a group, or the image's own for DIM_HOST_NO_LAYER, the uppermost first. */
static inline GArray *
dim_host_layers (DimHostImage image, DimHostLayer group)
{
  GArray              *layers = g_array_new (FALSE, FALSE, sizeof (DimHostLayer));
  g_autofree gpointer *items = group != NULL
                                   ? (gpointer *)gimp_item_get_children (GIMP_ITEM (group))
                                   : (gpointer *)gimp_image_get_layers (image);

  for (int i = 0; items != NULL && items[i] != NULL; i++)
    g_array_append_val (layers, items[i]);
  return layers;
}

#else

typedef gint32 DimHostImage;
typedef gint32 DimHostLayer;

#define DIM_HOST_NO_IMAGE (-1)
#define DIM_HOST_NO_LAYER (-1)
#define DIM_HOST_DRAWABLE(layer) (layer)
#define DIM_HOST_ITEM(layer) (layer)

#define gimp_image_get_width gimp_image_width
#define gimp_image_get_height gimp_image_height
#define gimp_image_get_base_type gimp_image_base_type

static inline DimHostLayer
dim_host_group (DimHostImage image)
{
  gint32 layer = gimp_image_get_active_layer (image);

  return layer != -1 ? gimp_item_get_parent (layer) : DIM_HOST_NO_LAYER;
}

static inline GArray *
dim_host_layers (DimHostImage image, DimHostLayer group)
{
  GArray         *layers = g_array_new (FALSE, FALSE, sizeof (DimHostLayer));
  int             n = 0;
  g_autofree int *ids = group != DIM_HOST_NO_LAYER ? gimp_item_get_children (group, &n)
                                                   : gimp_image_get_layers (image, &n);

  g_array_append_vals (layers, ids, n);
  return layers;
}

#endif

/* GTK for this process, looking like GIMP where it can; FALSE: there is no display. */
gboolean dim_host_start_ui (void);
/* Keeps a realized window above GIMP's. */
void dim_host_adopt (GtkWindow *window);

G_END_DECLS
#endif
