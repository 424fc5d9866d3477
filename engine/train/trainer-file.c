/* What a trainer reads and writes: weights to start from, checkpoints, the averaged weights.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A checkpoint is a safetensors file: each trained tensor four times, as "weights/NAME",
 * "mean/NAME", "square/NAME" and "average/NAME", and "progress" [2], the number of steps done, as
 * thousands and rest. */
#include "trainer.h"

#include <string.h>

#include "engine/error.h"
#include "engine/weights-upload.h"
#include "engine/weights.h"

enum { THOUSAND = 1000 };

static const struct {
    const char *name;
    int block;
} saved[] = {{"weights", DIM_BLOCK_WEIGHTS},
             {"mean", DIM_BLOCK_MEAN},
             {"square", DIM_BLOCK_SQUARE},
             {"average", DIM_BLOCK_AVERAGE}};

/* A fixed tensor is saved once, as its weights. */
static int n_saved(const DimTrained *tensor)
{
    return tensor->fixed ? 1 : (int)G_N_ELEMENTS(saved);
}

static DimTrained *tensor_at(const DimTrainer *t, guint i)
{
    return &g_array_index(t->parameters.list, DimTrained, i);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* In the shape of the file where it is ours, or by the family's rule. */
static gboolean read_tensor(DimTrainer *t, DimWeights *weights, const DimTrained *to,
                            GError **error)
{
    const DimTensor *from = dim_weights_find(weights, to->name);
    g_autofree float *values = NULL, *adapted = NULL;

    if (to->fixed && !from)
        return TRUE; /* the table that it was made with */
    if (!from || !dim_tensor_is_float(from) || from->rank != to->rank ||
        memcmp(from->sizes, to->sizes, (gsize)to->rank * sizeof *to->sizes)) {
        if (!from || !dim_tensor_is_float(from))
            return dim_weights_need(weights, to->name, to->rank, to->sizes, error) != NULL;
        adapted = g_new(float, to->count);
    }
    if (!(values = dim_weights_values(weights, from, error)))
        return FALSE;
    if (adapted && !t->class->adapt(to, from->rank, from->sizes, values, adapted))
        return dim_weights_need(weights, to->name, to->rank, to->sizes, error) != NULL;
    dim_parameters_put(&t->parameters, DIM_BLOCK_WEIGHTS, to, adapted ? adapted : values);
    dim_parameters_put(&t->parameters, DIM_BLOCK_AVERAGE, to, adapted ? adapted : values);
    return TRUE;
}

gboolean dim_trainer_read_weights(DimTrainer *t, GError **error)
{
    DimWeights *weights = dim_model_spec_open_weights(t->spec, t->spec->net_weights, error);
    gboolean good = weights != NULL;

    for (guint i = 0; good && i < t->parameters.list->len; i++)
        good = read_tensor(t, weights, tensor_at(t, i), error);
    dim_weights_close(&weights);
    return good;
}

static gboolean read_block(DimTrainer *t, DimWeights *weights, const DimTrained *to, int which,
                           GError **error)
{
    g_autofree char *name = g_strconcat(saved[which].name, "/", to->name, NULL);
    const DimTensor *from = dim_weights_need(weights, name, to->rank, to->sizes, error);
    g_autofree float *values = from ? dim_weights_values(weights, from, error) : NULL;

    if (values)
        dim_parameters_put(&t->parameters, saved[which].block, to, values);
    return values != NULL;
}

static gboolean read_progress(DimTrainer *t, DimWeights *weights, const char *file, GError **error)
{
    const gint64 two = 2;
    const DimTensor *from = dim_weights_need(weights, "progress", 1, &two, error);
    g_autofree float *values = from ? dim_weights_values(weights, from, error) : NULL;

    if (!values)
        return FALSE;
    if (!(values[0] >= 0 && values[0] < 1e7f && values[1] >= 0 && values[1] < THOUSAND))
        return dim_fail(error, DIM_ERROR_FORMAT, file,
                        "tensor \"progress\" holds %g, %g; expected a number of steps",
                        (double)values[0], (double)values[1]);
    t->step = (gint64)values[0] * THOUSAND + (gint64)values[1];
    return TRUE;
}

gboolean dim_trainer_read_checkpoint(DimTrainer *t, const char *file, GError **error)
{
    DimWeights *weights = dim_weights_open(file, error);
    gboolean good = weights && read_progress(t, weights, file, error);

    for (guint i = 0; good && i < t->parameters.list->len; i++)
        for (int k = 0; good && k < n_saved(tensor_at(t, i)); k++)
            good = read_block(t, weights, tensor_at(t, i), k, error);
    dim_weights_close(&weights);
    return good;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Names and values for a file, gathered one by one. */
typedef struct {
    GPtrArray *names;
    GArray *arrays; /* of DimArray */
} Gathered;

static void gather_begin(Gathered *all)
{
    all->names = g_ptr_array_new_with_free_func(g_free);
    all->arrays = g_array_new(FALSE, TRUE, sizeof(DimArray));
}

static void gather_end(Gathered *all)
{
    for (guint i = 0; i < all->arrays->len; i++)
        dim_array_clear(&g_array_index(all->arrays, DimArray, i));
    g_array_free(all->arrays, TRUE);
    g_ptr_array_free(all->names, TRUE);
}

/* Room for one more; `name` is taken. */
static float *gather_one(Gathered *all, char *name, int rank, const gint64 *sizes, GError **error)
{
    DimArray array = {0};

    g_ptr_array_add(all->names, name);
    if (!dim_array_alloc(&array, rank, sizes, error))
        return NULL;
    g_array_append_val(all->arrays, array);
    return array.data;
}

static gboolean gather_block(const DimTrainer *t, Gathered *all, const char *prefix, int block,
                             gboolean with_fixed, GError **error)
{
    for (guint i = 0; i < t->parameters.list->len; i++) {
        const DimTrained *tensor = tensor_at(t, i);
        if (tensor->fixed && !with_fixed)
            continue;
        float *values = gather_one(all, g_strconcat(prefix, tensor->name, NULL), tensor->rank,
                                   tensor->sizes, error);
        if (!values)
            return FALSE;
        dim_parameters_get(&t->parameters, block, tensor, values);
    }
    return TRUE;
}

static gboolean write_gathered(const DimTrainer *t, const Gathered *all, const char *file,
                               DimType type, GError **error)
{
    return dim_dk_check(t->dk, file, error) &&
           dim_tensors_save_as(file, (int)all->names->len, (const char *const *)all->names->pdata,
                               (const DimArray *)(const void *)all->arrays->data, type, NULL,
                               error);
}

gboolean dim_trainer_save(DimTrainer *t, const char *checkpoint, GError **error)
{
    const gint64 two = 2;
    Gathered all;

    gather_begin(&all);
    float *progress = gather_one(&all, g_strdup("progress"), 1, &two, error);
    gboolean good = progress != NULL;
    if (good) {
        progress[0] = (float)(t->step / THOUSAND);
        progress[1] = (float)(t->step % THOUSAND);
    }
    for (gsize k = 0; good && k < G_N_ELEMENTS(saved); k++) {
        g_autofree char *prefix = g_strconcat(saved[k].name, "/", NULL);
        good = gather_block(t, &all, prefix, saved[k].block, k == 0, error);
    }
    good = good && write_gathered(t, &all, checkpoint, DIM_TYPE_F32, error);
    gather_end(&all);
    return good;
}

gboolean dim_trainer_export(DimTrainer *t, const char *file, const char *dtype, GError **error)
{
    const gboolean is_bf16 = !strcmp(dtype, "BF16");
    Gathered all;

    if (!is_bf16 && strcmp(dtype, "F32"))
        return dim_fail(error, DIM_ERROR_ARGUMENT, "export", "type \"%s\"; expected F32 or BF16",
                        dtype);
    gather_begin(&all);
    const gboolean good =
        gather_block(t, &all, "", DIM_BLOCK_AVERAGE, TRUE, error) &&
        write_gathered(t, &all, file, is_bf16 ? DIM_TYPE_BF16 : DIM_TYPE_F32, error);
    gather_end(&all);
    return good;
}
