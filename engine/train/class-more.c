/* A class more: the weights of a model with another row in its tables of labels.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "engine/dim-train.h"
#include "engine/error.h"
#include "engine/model.h"
#include "engine/weights-upload.h"
#include "engine/weights.h"
#include "net-train.h"

typedef struct {
    const DimTrainClass *class;
    const char *origin;
    gint64 n_labels; /* before */
    int n, grown;    /* tensors taken, tables of them */
    const char **names;
    DimArray *arrays;
} Copy;

/* [K + 1, d] to [K + 2, d]: the new row before the last one. */
static void grow(float *to, const float *from, gint64 n_labels, gint64 d)
{
    memcpy(to, from, (gsize)(n_labels * d) * sizeof *to);
    memcpy(to + (n_labels + 1) * d, from + n_labels * d, (gsize)d * sizeof *to);
    for (gint64 i = 0; i < d; i++) {
        double sum = 0;
        for (gint64 k = 0; k < n_labels; k++)
            sum += from[k * d + i];
        to[n_labels * d + i] = (float)(sum / (double)n_labels);
    }
}

static gboolean copy_tensor(Copy *copy, DimWeights *weights, const DimTensor *tensor,
                            GError **error)
{
    const gboolean is_table = copy->class->is_label_table(tensor->name);
    DimArray *array = &copy->arrays[copy->n];
    gint64 sizes[G_N_ELEMENTS(array->sizes)];

    if (!dim_tensor_is_float(tensor) || tensor->count < 1 ||
        tensor->rank > (int)G_N_ELEMENTS(sizes))
        return TRUE; /* counters and the like, no weights */
    memcpy(sizes, tensor->sizes, sizeof sizes);
    if (is_table && (tensor->rank != 2 || sizes[0] != copy->n_labels + 1))
        return dim_fail(error, DIM_ERROR_FORMAT, copy->origin,
                        "tensor \"%s\" has no %" G_GINT64_FORMAT
                        " rows; expected one for each class and one for none",
                        tensor->name, copy->n_labels + 1);
    g_autofree float *values = dim_weights_values(weights, tensor, error);
    if (!values)
        return FALSE;
    sizes[0] += is_table;
    if (!dim_array_alloc(array, tensor->rank, sizes, error))
        return FALSE;
    copy->names[copy->n++] = tensor->name;
    if (is_table)
        grow(array->data, values, copy->n_labels, sizes[1]);
    else
        memcpy(array->data, values, (gsize)tensor->count * sizeof *values);
    copy->grown += is_table;
    return TRUE;
}

static gboolean copy_all(Copy *copy, DimWeights *weights, const char *file, GError **error)
{
    const int n = dim_weights_count(weights);
    gboolean good = TRUE;

    copy->names = g_new0(const char *, n);
    copy->arrays = g_new0(DimArray, n);
    for (int i = 0; good && i < n; i++)
        good = copy_tensor(copy, weights, dim_weights_tensor(weights, i), error);
    if (good && !copy->grown)
        good = dim_fail(error, DIM_ERROR_FORMAT, copy->origin, "no table of labels to extend");
    good = good && dim_tensors_save(file, copy->n, copy->names, copy->arrays, error);
    for (int i = 0; i < n; i++)
        dim_array_clear(&copy->arrays[i]);
    g_free(copy->names);
    g_free(copy->arrays);
    return good;
}

gboolean dim_train_add_class(const char *folder, const char *file, GError **error)
{
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    DimWeights *weights = NULL;
    gboolean good = spec != NULL;

    if (!spec)
        return FALSE;
    Copy copy = {.class = spec->net ? dim_train_class(spec->net->family) : NULL,
                 .origin = spec->info.folder,
                 .n_labels = spec->info.n_labels};
    if (!copy.class)
        good = dim_fail(error, DIM_ERROR_UNSUPPORTED, spec->info.folder,
                        "no backbone that can be trained");
    else if (copy.n_labels < 1)
        good = dim_fail(error, DIM_ERROR_UNSUPPORTED, spec->info.folder,
                        "a backbone without classes; expected one or more");
    good = good && (weights = dim_model_spec_open_weights(spec, spec->net_weights, error)) &&
           copy_all(&copy, weights, file, error);
    dim_weights_close(&weights);
    DimModelInfo *info = &spec->info;
    dim_model_info_free(&info);
    return good;
}
