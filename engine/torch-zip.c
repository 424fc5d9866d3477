/* PyTorch checkpoints: a zip archive with a pickle for the structure and a plain record for each
 * storage.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "error.h"
#include "pickle.h"
#include "text.h"
#include "weights.h"

enum {
    MAX_COVERS = 16
}; /* how often all tensors together may read the file: more is no model, but a way to take forever
    */

typedef struct {
    DimWeights *weights;
    const char *top; /* the archive's one folder */
    gsize top_length;
    DimPickle pickle;
    guint64 covered; /* bytes that tensors read */
} Reader;

static gboolean fail(const Reader *reader, const char *what, GError **error)
{
    return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin, "%s", what);
}

static DimZipRecord *find(const Reader *reader, const char *name)
{
    return dim_zip_find(&reader->weights->zip, reader->top, reader->top_length, name, strlen(name));
}

/* The one "TOP/data.pkl". */
static gboolean find_top(Reader *reader, GError **error)
{
    static const char suffix[] = "/data.pkl";
    const gsize length = sizeof suffix - 1;

    for (int i = 0; i < reader->weights->zip.n_records; i++) {
        const DimZipRecord *record = &reader->weights->zip.records[i];
        if (record->name_length <= length ||
            memcmp(record->name + record->name_length - length, suffix, length) ||
            memchr(record->name, '/', record->name_length - length))
            continue;
        if (reader->top)
            return fail(reader, "has two records data.pkl; expected one", error);
        reader->top = record->name;
        reader->top_length = record->name_length - length;
    }
    return reader->top ||
           fail(reader, "a zip archive without data.pkl, no PyTorch checkpoint", error);
}

static gboolean is_torchscript(const Reader *reader)
{
    static const char code[] = "/code/";

    if (find(reader, "constants.pkl"))
        return TRUE;
    for (int i = 0; i < reader->weights->zip.n_records; i++) {
        const DimZipRecord *record = &reader->weights->zip.records[i];
        if (record->name_length >= reader->top_length + sizeof code - 1 &&
            !memcmp(record->name, reader->top, reader->top_length) &&
            !memcmp(record->name + reader->top_length, code, sizeof code - 1))
            return TRUE;
    }
    return FALSE;
}

static gboolean check_byte_order(const Reader *reader, GError **error)
{
    DimZipRecord *record = find(reader, "byteorder");

    if (!record) /* before torch 2.1 */
        return TRUE;
    if (!dim_zip_verify(record, reader->weights->origin, error))
        return FALSE;
    if (record->size == 6 && !memcmp(record->data, "little", 6))
        return TRUE;
    if (record->size == 3 && !memcmp(record->data, "big", 3))
        return dim_fail(error, DIM_ERROR_UNSUPPORTED, reader->weights->origin,
                        "written on a big-endian machine; save it again as safetensors");
    return fail(reader, "record byteorder says neither little nor big", error);
}

/* Points the entry to its data within the storage's record. */
static gboolean resolve(Reader *reader, const char *name, guint32 storage, gint64 offset,
                        DimEntry *entry, GError **error)
{
    const DimPickleStorage s = dim_pickle_storage(&reader->pickle, storage);
    const gint64 bytes = dim_type_bits(s.type) / 8;
    g_autofree char *key = g_strdup_printf("data/%.*s", (int)MIN(s.key_length, 160), s.key);
    DimZipRecord *record = s.key_length <= 160 ? find(reader, key) : NULL;

    if (!record)
        return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin,
                        "tensor " DIM_NAME ": its record " DIM_NAME " is missing", name, key);
    if (record->size % (gsize)bytes || record->size / (gsize)bytes != (guint64)s.count)
        return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin,
                        "tensor " DIM_NAME ": its record " DIM_NAME " has %" G_GSIZE_FORMAT
                        " bytes; expected %" G_GINT64_FORMAT " elements of %d",
                        name, key, record->size, s.count, (int)bytes);
    if (record->tag && record->tag != (int)s.type + 1)
        return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin,
                        "tensor " DIM_NAME ": its record " DIM_NAME " is also read as another type",
                        name, key);
    record->tag = (int)s.type + 1;
    entry->record = record;
    entry->data = entry->tensor.count > 0 ? record->data + offset * bytes : record->data;
    reader->covered += (guint64)(entry->tensor.count * bytes);
    if (reader->covered / MAX_COVERS > reader->weights->file.size)
        return fail(reader,
                    "its tensors read the same storages over and over; expected a state dict",
                    error);
    return TRUE;
}

static gboolean add_tensor(Reader *reader, const DimPickleItem *item, GError **error)
{
    DimEntry entry = {0};
    gint64 offset;

    if (!item->key)
        return fail(reader, "has a tensor under a number; expected names", error);
    if (!dim_text_is_utf8(item->key, item->key_length) || memchr(item->key, 0, item->key_length))
        return fail(reader, "has a tensor whose name is not UTF-8", error);
    g_autofree char *name = dim_text_copy(item->key, item->key_length);
    if (!name)
        return dim_fail_memory(error, reader->weights->origin, item->key_length);
    const guint32 storage = dim_pickle_tensor(&reader->pickle, item->value, &entry, &offset);
    return resolve(reader, name, storage, offset, &entry, error) &&
           dim_weights_add(reader->weights, &entry, name, item->key_length, error);
}

/* The tensors of a dictionary, if it is one; how many, or -1. */
static int add_tensors(Reader *reader, guint32 dict, DimPickleItem **items, guint32 *n,
                       GError **error)
{
    const DimPickle *pickle = &reader->pickle;

    *items = NULL;
    *n = 0;
    if (pickle->values[dict].kind != DIM_PICKLE_DICT)
        return 0;
    *items = dim_pickle_items(pickle, dict, n);
    if (!*items) {
        fail(reader, "no memory for its dictionary", error);
        return -1;
    }
    for (guint32 i = 0; i < *n; i++)
        if (pickle->values[(*items)[i].value].kind == DIM_PICKLE_TENSOR &&
            !add_tensor(reader, &(*items)[i], error))
            return -1;
    return reader->weights->n_entries;
}

static const DimPickleItem *find_item(const DimPickleItem *items, guint32 n, const char *key)
{
    for (guint32 i = 0; i < n; i++)
        if (items[i].key && items[i].key_length == strlen(key) &&
            !memcmp(items[i].key, key, strlen(key)))
            return &items[i];
    return NULL;
}

/* The root if it holds a tensor, else the first of three that does; never deeper. */
static gboolean add_state_dict(Reader *reader, GError **error)
{
    static const char *const nested[] = {"ema", "model", "state_dict"};
    DimPickleItem *root, *items;
    guint32 n_root, n;
    int added = add_tensors(reader, reader->pickle.root, &root, &n_root, error);

    for (gsize i = 0; i < G_N_ELEMENTS(nested) && added == 0; i++) {
        const DimPickleItem *item = find_item(root, n_root, nested[i]);
        if (!item)
            continue;
        added = add_tensors(reader, item->value, &items, &n, error);
        g_free(items);
        if (added > 0)
            reader->weights->key = g_strdup(nested[i]);
    }
    g_free(root);
    if (added == 0)
        fail(reader, "holds no tensors: neither at the root nor under ema, model or state_dict",
             error);
    return added > 0;
}

gboolean dim_torch_zip_read(DimWeights *weights, GError **error)
{
    Reader reader = {.weights = weights};

    weights->format = "torch-zip";
    if (!dim_zip_read(&weights->zip, &weights->file, weights->origin, error) ||
        !find_top(&reader, error))
        return FALSE;
    if (is_torchscript(&reader))
        return dim_fail(error, DIM_ERROR_UNSUPPORTED, weights->origin,
                        "a TorchScript archive; expected a state dict: save model.state_dict()");
    DimZipRecord *record = find(&reader, "data.pkl");
    if (!check_byte_order(&reader, error) || !dim_zip_verify(record, weights->origin, error) ||
        !dim_pickle_read(&reader.pickle, record->data, record->size, weights->origin, error))
        return FALSE;
    gboolean added = add_state_dict(&reader, error);
    dim_pickle_clear(&reader.pickle);
    return added;
}
