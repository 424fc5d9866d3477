/* A model's weights to start a training from, with other rows in its tables of labels where its
 * classes are others.
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
    gint64 n_labels;   /* before */
    const int *labels; /* which of them each class takes; -1: the mean. NULL: as they are */
    int n_classes;
    int n, tables; /* tensors taken, tables of labels among them */
    const char **names;
    DimArray *arrays;
} Copy;

static void take_mean(float *to, const float *rows, gint64 n, gint64 d)
{
    for (gint64 i = 0; i < d; i++) {
        double sum = 0;
        for (gint64 k = 0; k < n; k++)
            sum += rows[k * d + i];
        to[i] = (float)(sum / (double)n);
    }
}

/* Rows [K + 1, d] of before; the last one is that of "no class". */
static void take_rows(float *to, const Copy *copy, const float *rows, gint64 d)
{
    for (int i = 0; i <= copy->n_classes; i++, to += d) {
        const gint64 label = i < copy->n_classes ? copy->labels[i] : copy->n_labels;
        if (label < 0)
            take_mean(to, rows, copy->n_labels, d);
        else
            memcpy(to, rows + label * d, (gsize)d * sizeof *to);
    }
}

static gboolean copy_tensor(Copy *copy, DimWeights *weights, const DimTensor *tensor,
                            GError **error)
{
    const gboolean is_table = copy->labels && copy->class->is_label_table(tensor->name);
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
    if (is_table)
        sizes[0] = copy->n_classes + 1;
    if (!dim_array_alloc(array, tensor->rank, sizes, error))
        return FALSE;
    copy->names[copy->n++] = tensor->name;
    if (!is_table)
        return dim_weights_read_f32(weights, tensor, array->data, error);
    g_autofree float *rows = dim_weights_values(weights, tensor, error);
    if (!rows)
        return FALSE;
    take_rows(array->data, copy, rows, sizes[1]);
    copy->tables++;
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
    if (good && copy->labels && !copy->tables)
        good = dim_fail(error, DIM_ERROR_FORMAT, copy->origin, "no table of labels");
    good = good && dim_tensors_save(file, copy->n, copy->names, copy->arrays, error);
    for (int i = 0; i < n; i++)
        dim_array_clear(&copy->arrays[i]);
    g_free(copy->names);
    g_free(copy->arrays);
    return good;
}

gboolean dim_train_copy_weights(const char *folder, int n, const int *labels, const char *file,
                                GError **error)
{
    DimModelSpec *spec = dim_model_spec_read(folder, error);
    DimWeights *weights = NULL;
    gboolean good = spec != NULL;

    if (!spec)
        return FALSE;
    Copy copy = {.class = spec->net ? dim_train_class(spec->net->family) : NULL,
                 .origin = spec->info.folder,
                 .n_labels = spec->info.n_labels,
                 .labels = labels,
                 .n_classes = n};
    if (!copy.class)
        good = dim_fail(error, DIM_ERROR_UNSUPPORTED, spec->info.folder,
                        "no backbone that can be trained");
    else if (labels && copy.n_labels < 1)
        good = dim_fail(error, DIM_ERROR_UNSUPPORTED, spec->info.folder,
                        "a backbone without classes; expected one or more");
    good = good && (weights = dim_model_spec_open_weights(spec, spec->net_weights, error)) &&
           copy_all(&copy, weights, file, error);
    dim_weights_close(&weights);
    DimModelInfo *info = &spec->info;
    dim_model_info_free(&info);
    return good;
}
