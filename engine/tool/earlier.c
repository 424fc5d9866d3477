/* Files that an earlier run may have made: each carries the recipe that it is told by.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "earlier.h"

#include "png.h"
#include "tool.h"

/* The recipe in a file that is whole; NULL: something else. */
typedef char *(*ReadJson)(const char *file);

static char *read_picture(const char *file)
{
    char *json = NULL;

    tool_png_read_whole(file, &json, NULL);
    return json;
}

/* A file that is cut off is not opened. */
static char *read_latent(const char *file)
{
    DimWeights *weights = dim_weights_open(file, NULL);
    char *json = weights ? g_strdup(dim_weights_recipe(weights)) : NULL;

    dim_weights_close(&weights);
    return json;
}

static gboolean compare(const char *file, ReadJson read, const DimRecipe *wanted, gboolean *there,
                        GError **error)
{
    static const char expected[] = "expected another name, or --overwrite";
    DimRecipe recipe;

    *there = FALSE;
    if (!g_file_test(file, G_FILE_TEST_EXISTS))
        return TRUE;
    g_autofree char *json = read(file);
    if (!json || !dim_recipe_parse(&recipe, json, -1, file, NULL, NULL))
        return tool_refuse(error, DIM_ERROR_ARGUMENT,
                           "%s: is there, but nothing whole that has a recipe; %s", file, expected);
    const char *key = dim_recipe_difference(&recipe, wanted);
    dim_recipe_clear(&recipe);
    *there = !key;
    return !key || tool_refuse(error, DIM_ERROR_ARGUMENT,
                               "%s: is there, made by a recipe with another \"%s\"; %s", file, key,
                               expected);
}

gboolean tool_earlier_picture(const char *file, const DimRecipe *wanted, gboolean *there,
                              GError **error)
{
    return compare(file, read_picture, wanted, there, error);
}

gboolean tool_earlier_latent(const char *file, const DimRecipe *wanted, gboolean *there,
                             GError **error)
{
    return compare(file, read_latent, wanted, there, error);
}
