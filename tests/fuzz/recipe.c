/* Fuzz target: a recipe or preset, as it comes out of a picture, a layer or a file.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "engine/dim.h"
#include "fuzz.h"

/* What was read is written so that it is read again. */
static void print_again(const DimRecipe *recipe)
{
    g_autofree char *text = dim_recipe_print(recipe);
    GError *error = NULL;
    DimRecipe again;
    const gboolean parsed = dim_recipe_parse(&again, text, -1, "printed", NULL, &error);

    g_assert_true(parsed || fuzz_allocation_failed());
    fuzz_check(parsed, &error);
    if (parsed)
        dim_recipe_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GError *error = NULL;
    DimRecipe recipe;
    DimOptions options;
    g_autofree char *unknown = NULL;

    const gboolean parsed = dim_recipe_parse(&recipe, (const char *)data, (gssize)size,
                                             "preset.json", &unknown, &error);
    fuzz_check(parsed, &error);
    if (!parsed)
        return 0;
    fuzz_check(dim_recipe_options(&recipe, &options, &error), &error);
    print_again(&recipe);
    dim_recipe_clear(&recipe);
    return 0;
}
