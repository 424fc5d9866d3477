/* The installed models, as the panel needs them: what each folder holds, and which one a name
 * means.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_MODELS_H
#define DIM_MODELS_H

#include "engine/dim.h"

G_BEGIN_DECLS

typedef struct
{
  GPtrArray *infos;    /* DimModelInfo *, those that are good, the default model first */
  GPtrArray *failures; /* char *, a sentence for each folder that is no good */
} DimModels;

/* Reads the headers of every installed model. */
DimModels *dim_models_new (void);
/* Adds those that have come since; the others keep their places. */
void dim_models_refresh (DimModels *models);
void dim_models_free (DimModels *models);

/* The model that `name` means ("": the default one), a folder outside of the installed ones being
 * added to the list. -1 and an error when there is none, or it is no good. */
int dim_models_find (DimModels *models, const char *name, GError **error);

const DimModelInfo *dim_models_get (const DimModels *models, int index); /* NULL for -1 */

/* How a recipe names the model so that it is found again: its id, or its folder where the id means
 * another one. */
const char *dim_models_name (DimModels *models, int index);

/* Likewise a class: its name, or its number where the name means another one or there is none;
 * g_free. */
char *dim_models_class_name (const DimModelInfo *info, int label);

/* The folder where a person puts models; g_free. */
char *dim_models_folder (void);

G_END_DECLS
#endif
