/* What a family's paper trains with, where that is not what `dim train` does by itself.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_TRAIN_RECIPE_H
#define DIM_TOOL_TRAIN_RECIPE_H

#include <glib.h>

/* A setting's value in this family, as it would be given; NULL: the setting's own initial one. */
const char *tool_train_recipe(const char *family, const char *setting);
/* What one token covers, one way, in latent pixels, where the configuration does not say it. */
int tool_train_patch(const char *family);

#endif
