/* One table of tensors over two file formats: opening, telling the formats apart, finding by name.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "weights.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "text.h"

const char *const dim_type_names[] = {
    "F32",     "F16",         "BF16",        "F64",     "I64",     "I32", "I16",     "I8",
    "U64",     "U32",         "U16",         "U8",      "BOOL",    "C64", "F8_E4M3", "F8_E5M2",
    "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4",  NULL,
};
G_STATIC_ASSERT(G_N_ELEMENTS(dim_type_names) == DIM_N_TYPES + 1);

int dim_type_bits(DimType type)
{
    static const guint8 bits[DIM_N_TYPES] = {32, 16, 16, 64, 64, 32, 16, 8, 64, 32, 16,
                                             8,  8,  64, 8,  8,  8,  8,  8, 6,  6,  4};
    return bits[type];
}

gboolean dim_shape_count(int rank, const gint64 *sizes, gint64 *count)
{
    *count = 1;
    for (int i = 0; i < rank; i++)
        if (sizes[i] < 0 || sizes[i] > DIM_MAX_SIDE ||
            __builtin_mul_overflow(*count, sizes[i], count))
            return FALSE;
    return TRUE;
}

void dim_shape_strides(int rank, const gint64 *sizes, gint64 *strides)
{
    gint64 stride = 1;

    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= MAX(sizes[i], 1);
    }
}

gboolean dim_weights_add(DimWeights *weights, const DimEntry *entry, const char *name, gsize length,
                         GError **error)
{
    if (weights->n_entries == weights->n_reserved) {
        int n = MAX(64, weights->n_reserved * 2);
        DimEntry *entries =
            n > weights->n_reserved ? g_try_renew(DimEntry, weights->entries, n) : NULL;
        if (!entries)
            return dim_fail_memory(error, weights->origin, (guint64)n * sizeof *entries);
        weights->entries = entries;
        weights->n_reserved = n;
    }
    char *copy = dim_text_copy(name, length);
    if (!copy)
        return dim_fail_memory(error, weights->origin, length);
    DimEntry *added = &weights->entries[weights->n_entries++];
    *added = *entry;
    added->tensor.name = copy;
    added->tensor.dtype = dim_type_names[entry->type];
    return TRUE;
}

static int compare_names(const void *a, const void *b)
{
    const DimEntry *const *x = a, *const *y = b;
    return strcmp((*x)->tensor.name, (*y)->tensor.name);
}

/* Sorted pointers rather than a hash table: no file can choose names that make it slow. */
gboolean dim_weights_index(DimWeights *weights, GError **error)
{
    const int n = weights->n_entries;

    weights->by_name = g_try_new(DimEntry *, MAX(n, 1));
    if (!weights->by_name)
        return dim_fail_memory(error, weights->origin, (guint64)n * sizeof(DimEntry *));
    for (int i = 0; i < n; i++)
        weights->by_name[i] = &weights->entries[i];
    qsort(weights->by_name, (gsize)n, sizeof *weights->by_name, compare_names);
    for (int i = 1; i < n; i++)
        if (!compare_names(&weights->by_name[i - 1], &weights->by_name[i]))
            return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                            "tensor " DIM_NAME " is there twice", weights->by_name[i]->tensor.name);
    return TRUE;
}

static gboolean starts(const DimFile *file, const char *magic, gsize length)
{
    return file->size >= length && !memcmp(file->data, magic, length);
}
#define STARTS(file, magic) starts(file, magic, sizeof(magic) - 1)

static gboolean is_safetensors(const DimFile *file)
{
    guint64 length;

    if (file->size < 9)
        return FALSE;
    memcpy(&length, file->data, sizeof length);
    return GUINT64_FROM_LE(length) <= 100000000 && file->data[8] == '{';
}

static gboolean is_pickle(const DimFile *file)
{
    return file->size >= 2 && file->data[0] == 0x80 && file->data[1] >= 2 && file->data[1] <= 5;
}

/* What people have in place of a weight file, and what to do about it. NULL: nothing known. */
static const char *explain(const DimFile *file)
{
    static const char legacy[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

    if (STARTS(file, legacy))
        return "written by PyTorch before 1.6; load it there and torch.save it again, or save it "
               "as safetensors";
    if (is_pickle(file))
        return "a plain pickle, no PyTorch checkpoint";
    if (STARTS(file, "version https://git-lfs"))
        return "a git LFS pointer: the weights were never fetched; run git lfs pull";
    if (STARTS(file, "<!DOCTYPE") || STARTS(file, "<!doctype") || STARTS(file, "<html"))
        return "a web page in place of the weights; download the file itself";
    if (STARTS(file, "GGUF"))
        return "a GGUF file; expected safetensors or a PyTorch checkpoint";
    if (STARTS(file, "\x89HDF"))
        return "an HDF5 file; expected safetensors or a PyTorch checkpoint";
    if (STARTS(file, "\x1f\x8b"))
        return "compressed with gzip; unpack it first";
    if (file->size > 262 && !memcmp(file->data + 257, "ustar", 5))
        return "a tar archive, no PyTorch checkpoint";
    return NULL;
}

static gboolean read_table(DimWeights *weights, GError **error)
{
    const DimFile *file = &weights->file;

    if (is_safetensors(file))
        return dim_safetensors_read(weights, error);
    if (STARTS(file, "PK\3\4") || STARTS(file, "PK\5\6"))
        return dim_torch_zip_read(weights, error);
    const char *what = explain(file);
    if (what)
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin, "%s", what);
    return dim_safetensors_read(weights, error);
}

DimWeights *dim_weights_new(const char *origin)
{
    DimWeights *weights = g_new0(DimWeights, 1);

    weights->origin = g_strdup(origin);
    weights->format = "memory";
    return weights;
}

DimWeights *dim_weights_open_as(const char *path, const char *origin, GError **error)
{
    DimWeights *weights = g_new0(DimWeights, 1);

    weights->origin = g_strdup(origin);
    if (!dim_file_map(&weights->file, path, origin, error) || !read_table(weights, error) ||
        !dim_weights_index(weights, error))
        dim_weights_close(&weights);
    return weights;
}

DimWeights *dim_weights_open(const char *file, GError **error)
{
    return dim_weights_open_as(file, file, error);
}

void dim_weights_close(DimWeights **weights)
{
    DimWeights *w = *weights;

    if (!w)
        return;
    for (int i = 0; i < w->n_entries; i++)
        g_free((char *)w->entries[i].tensor.name);
    g_free(w->entries);
    g_free(w->by_name);
    dim_zip_clear(&w->zip);
    g_free(w->key);
    g_free(w->values);
    g_free(w->recipe);
    g_free(w->origin);
    dim_file_unmap(&w->file);
    g_free(w);
    *weights = NULL;
}

const char *dim_weights_format(const DimWeights *weights)
{
    return weights->format;
}

const char *dim_weights_key(const DimWeights *weights)
{
    return weights->key;
}

const char *dim_weights_recipe(const DimWeights *weights)
{
    return weights->recipe;
}

int dim_weights_count(const DimWeights *weights)
{
    return weights->n_entries;
}

const DimTensor *dim_weights_tensor(const DimWeights *weights, int index)
{
    g_return_val_if_fail(index >= 0 && index < weights->n_entries, NULL);
    return &weights->entries[index].tensor;
}

const DimTensor *dim_weights_find(const DimWeights *weights, const char *name)
{
    const DimEntry wanted = {.tensor.name = name}, *pointer = &wanted;
    DimEntry **found = bsearch(&pointer, weights->by_name, (gsize)weights->n_entries,
                               sizeof *weights->by_name, compare_names);

    return found ? &(*found)->tensor : NULL;
}
