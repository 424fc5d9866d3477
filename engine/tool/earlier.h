/* Files that an earlier run may have made: kept where they are what is wanted, never replaced
 * unasked.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_EARLIER_H
#define DIM_TOOL_EARLIER_H

#include "engine/dim.h"

/* *there: whether the file is there, whole, and of this recipe. DIM_ERROR_ARGUMENT: it is something
 * else. */
gboolean tool_earlier_picture(const char *file, const DimRecipe *wanted, gboolean *there,
                              GError **error);
gboolean tool_earlier_latent(const char *file, const DimRecipe *wanted, gboolean *there,
                             GError **error);

#endif
