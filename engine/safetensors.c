/* The safetensors format: 8 bytes of length, a JSON header, data without gaps. Reading and writing.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * https://huggingface.co/docs/safetensors; stricter than the library where it takes what the text
 * forbids. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "json.h"
#include "text.h"
#include "weights.h"

#define MAX_HEADER G_GUINT64_CONSTANT(100000000)

typedef struct {
    gint64 begin, end; /* bytes from the end of the header */
} Span;

typedef struct {
    DimWeights *weights;
    const guint8 *data; /* behind the header */
    gint64 size;
    Span *spans; /* of each entry */
} Reader;

static gboolean fail_tensor(const Reader *reader, const char *name, const char *what,
                            GError **error)
{
    return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin, "tensor " DIM_NAME ": %s",
                    name, what);
}

/* A list of n_min to n_max integers from 0 up; how many, or -1. */
static int read_list(const json_t *list, int n_min, int n_max, gint64 *values)
{
    if (!json_is_array(list) || json_array_size(list) < (gsize)n_min ||
        json_array_size(list) > (gsize)n_max)
        return -1;
    const int n = (int)json_array_size(list);
    for (int i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, (gsize)i);
        if (!json_is_integer(item) || json_integer_value(item) < 0)
            return -1;
        values[i] = json_integer_value(item);
    }
    return n;
}

static int find_type(const json_t *dtype)
{
    for (int i = 0; json_is_string(dtype) && dim_type_names[i]; i++)
        if (!strcmp(dim_type_names[i], json_string_value(dtype)))
            return i;
    return -1;
}

static gboolean read_entry(Reader *reader, const char *name, const json_t *item, GError **error)
{
    const int type = find_type(json_object_get(item, "dtype"));
    DimEntry entry = {0};
    gint64 offsets[2], bits;

    if (!json_is_object(item) || json_object_size(item) != 3)
        return fail_tensor(reader, name, "expected dtype, shape and data_offsets, and nothing else",
                           error);
    if (type < 0)
        return fail_tensor(reader, name,
                           "unknown dtype; expected F32, F16, BF16, F64, I64 or alike", error);
    entry.type = (DimType)type;
    entry.tensor.rank =
        read_list(json_object_get(item, "shape"), 0, DIM_MAX_RANK, entry.tensor.sizes);
    if (entry.tensor.rank < 0)
        return fail_tensor(reader, name, "shape is no list of at most 8 whole numbers from 0 up",
                           error);
    if (read_list(json_object_get(item, "data_offsets"), 2, 2, offsets) < 0)
        return fail_tensor(reader, name, "data_offsets are not two whole numbers from 0 up", error);
    if (!dim_shape_count(entry.tensor.rank, entry.tensor.sizes, &entry.tensor.count) ||
        __builtin_mul_overflow(entry.tensor.count, (gint64)dim_type_bits(entry.type), &bits))
        return fail_tensor(reader, name, "the shape is absurdly large", error);
    if (offsets[0] > offsets[1] || offsets[1] > reader->size)
        return fail_tensor(reader, name,
                           "data_offsets are outside of the file; truncated download?", error);
    if (bits % 8 || offsets[1] - offsets[0] != bits / 8)
        return fail_tensor(reader, name, "data_offsets do not fit dtype and shape", error);
    dim_shape_strides(entry.tensor.rank, entry.tensor.sizes, entry.strides);
    entry.data = reader->data + offsets[0];
    reader->spans[reader->weights->n_entries] = (Span){offsets[0], offsets[1]};
    return dim_weights_add(reader->weights, &entry, name, strlen(name), error);
}

static gboolean check_metadata(const Reader *reader, const json_t *metadata, GError **error)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin,
                        "__metadata__ is no object of texts");
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return dim_fail(error, DIM_ERROR_FORMAT, reader->weights->origin,
                            "__metadata__: " DIM_NAME " is no text", key);
    }
    return TRUE;
}

static int compare_spans(const void *a, const void *b)
{
    const Span *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Each byte of the data belongs to exactly one tensor. */
static gboolean check_cover(Reader *reader, GError **error)
{
    const char *origin = reader->weights->origin;
    gint64 at = 0;

    qsort(reader->spans, (gsize)reader->weights->n_entries, sizeof *reader->spans, compare_spans);
    for (int i = 0; i < reader->weights->n_entries; i++) {
        if (reader->spans[i].begin != at)
            return dim_fail(error, DIM_ERROR_FORMAT, origin,
                            "data_offsets leave a hole or overlap at byte %" G_GINT64_FORMAT
                            " of the data",
                            at);
        at = reader->spans[i].end;
    }
    if (at != reader->size)
        return dim_fail(error, DIM_ERROR_FORMAT, origin,
                        "%" G_GINT64_FORMAT " bytes behind the last tensor; expected none",
                        reader->size - at);
    return TRUE;
}

static gboolean read_header(Reader *reader, const json_t *header, GError **error)
{
    const gsize n = json_object_size(header);
    const char *name;
    json_t *item;

    reader->spans = g_try_new(Span, n + 1);
    if (!reader->spans)
        return dim_fail_memory(error, reader->weights->origin, n * sizeof *reader->spans);
    json_object_foreach((json_t *)header, name, item)
    {
        gboolean good = !strcmp(name, "__metadata__") ? check_metadata(reader, item, error)
                                                      : read_entry(reader, name, item, error);
        if (!good)
            return FALSE;
    }
    return check_cover(reader, error);
}

gboolean dim_safetensors_read(DimWeights *weights, GError **error)
{
    const DimFile *file = &weights->file;
    guint64 length;

    if (file->size < sizeof length)
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                        "has %" G_GSIZE_FORMAT
                        " bytes, too few for safetensors or a PyTorch checkpoint",
                        file->size);
    memcpy(&length, file->data, sizeof length);
    length = GUINT64_FROM_LE(length);
    if (length > MAX_HEADER)
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                        "neither safetensors nor a PyTorch zip checkpoint");
    if (length > file->size - sizeof length)
        return dim_fail(error, DIM_ERROR_FORMAT, weights->origin,
                        "the safetensors header runs past the end; truncated download?");
    const guint8 *data = file->data + sizeof length + length;
    Reader reader = {weights, data, file->data + file->size - data, NULL};
    json_t *header =
        dim_json_parse((const char *)file->data + sizeof length, length, weights->origin, error);
    gboolean read = header && read_header(&reader, header, error);
    json_decref(header);
    g_free(reader.spans);
    weights->format = "safetensors";
    return read;
}

/* The header, padded so that data begin at a multiple of 8. NULL: no memory. */
static char *make_header(int n, const char *const *names, const DimArray *arrays)
{
    json_t *root = json_object();
    gint64 at = 0;

    for (int i = 0; i < n; i++) {
        json_t *shape = json_array();
        for (int j = 0; j < arrays[i].rank; j++)
            json_array_append_new(shape, json_integer(arrays[i].sizes[j]));
        const gint64 end = at + dim_array_count(&arrays[i]) * (gint64)sizeof(float);
        json_object_set_new(root, names[i],
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
                                      "data_offsets", (json_int_t)at, (json_int_t)end));
        at = end;
    }
    char *text = json_object_size(root) == (gsize)n ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text)
        return NULL;
    const int length = (int)strlen(text);
    char *padded = g_strdup_printf("%-*s", (length + 7) / 8 * 8, text);
    free(text);
    return padded;
}

static void write_values(FILE *stream, const float *values, gint64 count)
{
    if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
        fwrite(values, sizeof *values, (gsize)count, stream);
    else
        for (gint64 i = 0; i < count; i++) {
            guint32 bits;
            memcpy(&bits, &values[i], sizeof bits);
            bits = GUINT32_TO_LE(bits);
            fwrite(&bits, sizeof bits, 1, stream);
        }
}

gboolean dim_tensors_save(const char *file, int n, const char *const *names, const DimArray *arrays,
                          GError **error)
{
    g_autofree char *header = make_header(n, names, arrays);

    if (!header)
        return dim_fail(error, DIM_ERROR_NO_MEMORY, file, "no memory for the header");
    DimOutput *output = dim_output_open(file, error);
    if (!output)
        return FALSE;
    FILE *stream = dim_output_stream(output);
    const guint64 length = GUINT64_TO_LE((guint64)strlen(header));
    fwrite(&length, sizeof length, 1, stream);
    fputs(header, stream);
    for (int i = 0; i < n; i++)
        write_values(stream, arrays[i].data, dim_array_count(&arrays[i]));
    return dim_output_commit(&output, error);
}
