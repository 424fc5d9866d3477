/* The backbone families that can be trained.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-train.h"

#include <string.h>

const DimTrainClass *dim_train_class(const char *family)
{
    static const DimTrainClass *const classes[] = {&dim_train_dim, &dim_train_dit,
                                                   &dim_train_diffussm};

    for (gsize i = 0; i < G_N_ELEMENTS(classes); i++)
        if (!strcmp(classes[i]->family, family))
            return classes[i];
    return NULL;
}
