/* See train-recipe.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train-recipe.h"

#include <string.h>

/* arXiv 2212.09748, section 4, and its program; arXiv 2311.18257 follows it. */
static const char *const as_dit[][2] = {
    {"rate", "0.0001"}, {"rate-floor", "1"}, {"warmup", "0"},       {"betas", "0.9,0.999"},
    {"decay", "0"},     {"clip", "0"},       {"average", "0.9999"}, {"prediction", "epsilon"},
    {"batch", "256"},
};

static const char *const of_diffussm[][2] = {{"patch", "1"}, {"states", "64"}};

static const char *find(const char *const (*pairs)[2], gsize n, const char *setting)
{
    for (gsize i = 0; i < n; i++)
        if (!strcmp(pairs[i][0], setting))
            return pairs[i][1];
    return NULL;
}

const char *tool_train_recipe(const char *family, const char *setting)
{
    const char *value = NULL;

    if (!strcmp(family, "diffussm"))
        value = find(of_diffussm, G_N_ELEMENTS(of_diffussm), setting);
    if (!value && strcmp(family, "dim"))
        value = find(as_dit, G_N_ELEMENTS(as_dit), setting);
    return value;
}

int tool_train_patch(const char *family)
{
    return strcmp(family, "diffussm") ? 2 : 1;
}
