/* Fuzz target: a weight file of either format, opened, listed, checked and read.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "engine/dim.h"
#include "fuzz.h"

enum { MAX_READ = 1 << 20 };

static void read_tensor(DimWeights *weights, const DimTensor *tensor)
{
    GError *error = NULL;

    g_assert_true(dim_weights_find(weights, tensor->name) == tensor);
    if (tensor->count > MAX_READ)
        return;
    g_autofree float *values = g_new(float, MAX(tensor->count, 1));
    fuzz_check(dim_weights_read_f32(weights, tensor, values, &error), &error);
    g_autofree gint64 *labels = g_new(gint64, MAX(tensor->count, 1));
    fuzz_check(dim_weights_read_i64(weights, tensor, labels, &error), &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FuzzFile file = fuzz_file_open(data, size);
    GError *error = NULL;
    DimWeights *weights = dim_weights_open(file.path, &error);

    fuzz_check(weights != NULL, &error);
    for (int i = 0; weights && i < MIN(dim_weights_count(weights), 100); i++)
        read_tensor(weights, dim_weights_tensor(weights, i));
    if (weights)
        fuzz_check(dim_weights_check(weights, NULL, &error), &error);
    dim_weights_close(&weights);
    fuzz_file_close(&file);
    return 0;
}
