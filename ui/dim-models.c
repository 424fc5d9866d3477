/* The installed models, as the panel needs them.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-models.h"

static void
free_info (gpointer info)
{
  dim_model_info_free ((DimModelInfo **)&info);
}

static int
index_of (DimModels *models, const char *folder)
{
  for (guint i = 0; i < models->infos->len; i++)
    if (g_str_equal (dim_models_get (models, i)->folder, folder))
      return i;
  return -1;
}

/* Index of the model in the folder, which is read if it is new; -1 and an error. */
static int
add_folder (DimModels *models, const char *folder, GError **error)
{
  DimModelInfo *info = NULL;
  int           index = index_of (models, folder);

  if (index >= 0)
    return index;
  info = dim_model_info_read (folder, error);
  if (!info)
    return -1;
  index = index_of (models, info->folder); /* the same one by another path */
  if (index >= 0)
    {
      dim_model_info_free (&info);
      return index;
    }
  g_ptr_array_add (models->infos, info);
  return models->infos->len - 1;
}

void
dim_models_refresh (DimModels *models)
{
  g_auto (GStrv) folders = dim_model_list ();

  g_ptr_array_set_size (models->failures, 0);
  for (char **folder = folders; *folder; folder++)
    {
      g_autoptr (GError) error = NULL;

      if (add_folder (models, *folder, &error) < 0)
        g_ptr_array_add (models->failures, dim_text_clean (error->message));
    }
}

DimModels *
dim_models_new (void)
{
  DimModels *models = g_new0 (DimModels, 1);

  models->infos = g_ptr_array_new_with_free_func (free_info);
  models->failures = g_ptr_array_new_with_free_func (g_free);
  dim_models_refresh (models);
  return models;
}

void
dim_models_free (DimModels *models)
{
  g_ptr_array_unref (models->infos);
  g_ptr_array_unref (models->failures);
  g_free (models);
}

int
dim_models_find (DimModels *models, const char *name, GError **error)
{
  g_autofree char *folder = NULL;

  folder = dim_model_find (name, error);
  return folder ? add_folder (models, folder, error) : -1;
}

const DimModelInfo *
dim_models_get (const DimModels *models, int index)
{
  return index < 0 ? NULL : g_ptr_array_index (models->infos, index);
}

const char *
dim_models_name (DimModels *models, int index)
{
  const DimModelInfo *info = dim_models_get (models, index);

  return dim_models_find (models, info->id, NULL) == index ? info->id : info->folder;
}

char *
dim_models_class_name (const DimModelInfo *info, int label)
{
  if (label < info->n_classes
      && dim_model_info_find_class (info, info->classes[label], NULL) == label)
    return g_strdup (info->classes[label]);
  return g_strdup_printf ("%d", label);
}

char *
dim_models_folder (void)
{
  return g_build_filename (g_get_user_data_dir (), "gimp-dim", "models", NULL);
}
