/* Arrays of f32 on the host.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "dim.h"

#include <string.h>

gboolean dim_array_alloc(DimArray *array, int rank, const gint64 *sizes, GError **error)
{
    gsize count = 1;
    gboolean fits = rank >= 0 && rank <= (int)G_N_ELEMENTS(array->sizes);

    for (int i = 0; fits && i < rank; i++)
        fits = sizes[i] >= 0 && g_size_checked_mul(&count, count, (gsize)sizes[i]);
    float *data = fits && count <= G_MAXINT64 / sizeof *data
                      ? g_try_malloc_n(MAX(count, 1), sizeof *data)
                      : NULL;
    if (!data) {
        g_set_error(error, DIM_ERROR, DIM_ERROR_NO_MEMORY,
                    "there is no memory for an array of %" G_GSIZE_FORMAT " numbers",
                    fits ? count : G_MAXSIZE);
        return FALSE;
    }
    *array = (DimArray){.data = data, .rank = rank};
    memcpy(array->sizes, sizes, rank * sizeof *sizes);
    return TRUE;
}

void dim_array_clear(DimArray *array)
{
    g_free(array->data);
    *array = (DimArray){0};
}

gint64 dim_array_count(const DimArray *array)
{
    gint64 count = 1;

    for (int i = 0; i < array->rank; i++)
        count *= array->sizes[i];
    return count;
}
