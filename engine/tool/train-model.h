/* The model folder that a training fills: RUN/model.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_MODEL_H
#define DIM_TOOL_TRAIN_MODEL_H

#include "train-settings.h"

/* The file of the backbone's weights in it. */
#define TOOL_TRAIN_WEIGHTS "dim.safetensors"

/* Adds the family of the model that "from" names to what was given; refused where another was. */
gboolean tool_train_find_family(json_t *given, GError **error);

/* A new training from a model takes over what that says and was not given: backbone, prediction,
 * noise schedule, texts. The model's folder is in the settings' "from". */
gboolean tool_train_adopt(ToolSettings *settings, const json_t *given, GError **error);

/* Makes what is missing of `folder`: the autoencoder (copied, or fitted to the dataset), the
 * weights to start from, model.json last. `dataset` is prepared. Changes of the texts are written
 * into a model.json that is there. *psnr: of an autoencoder that was fitted, NAN otherwise. */
gboolean tool_train_make_model(const char *folder, const ToolSettings *settings,
                               const DimDataset *dataset, double *psnr, DimTask *task,
                               GError **error);

/* The name of a class as people read it: its folder's, underscores as spaces. g_free */
char *tool_train_class_name(const char *raw);

/* What a class of one's own needs, of a model's folder; each NULL or FALSE with an error. */
json_t *tool_train_load_model(const char *folder, GError **error);
json_t *tool_train_copy_autoencoder(const char *from, const char *to, GError **error);
gboolean tool_copy_file(const char *from, const char *to, GError **error);
/* The texts of the settings into a model.json that is there. */
gboolean tool_train_update_texts(const char *folder, const ToolSettings *settings, GError **error);

/* model.json's "autoencoder" of the family `linear`. */
json_t *tool_train_linear(const char *weights, int block, int channels);

#endif
