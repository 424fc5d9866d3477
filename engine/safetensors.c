/* The safetensors format: 8 bytes of length, a JSON header, data without gaps. Reading and writing.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * https://huggingface.co/docs/safetensors; stricter than the library where it takes what the text
 * forbids. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "error.h"
#include "json-scan.h"
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
    int n_reserved;
    DimScan scan;
    GError **error;
} Reader;

static gboolean fail_tensor(const Reader *r, const char *what)
{
    return dim_fail(r->error, DIM_ERROR_FORMAT, r->weights->origin, "tensor " DIM_NAME ": %s",
                    r->scan.item, what);
}

/* A list of at most `max` numbers; *n of them. */
static gboolean read_list(Reader *r, int max, gint64 *values, int *n)
{
    gboolean more;

    *n = 0;
    if (!dim_scan_mark(&r->scan, '['))
        return FALSE;
    while (dim_scan_more(&r->scan, *n == 0, ']', &more)) {
        if (!more)
            return TRUE;
        if (*n == max)
            return fail_tensor(r,
                               "a list is too long; expected 2 data_offsets, and at most 8 sides");
        if (!dim_scan_number(&r->scan, &values[(*n)++]))
            return FALSE;
    }
    return FALSE;
}

static gboolean read_type(Reader *r, DimType *type)
{
    if (!dim_scan_string(&r->scan))
        return FALSE;
    for (int i = 0; dim_type_names[i]; i++)
        if (!strcmp(dim_type_names[i], r->scan.string)) {
            *type = (DimType)i;
            return TRUE;
        }
    return fail_tensor(r, "unknown dtype; expected F32, F16, BF16, F64, I64 or alike");
}

/* The value of one of a tensor's three keys, which is in scan.string. `seen` has a bit for each
 * key. */
static gboolean read_key(Reader *r, DimEntry *entry, gint64 offsets[2], int *seen)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    int key = 0, n = 0;

    while (key < 3 && strcmp(keys[key], r->scan.string))
        key++;
    if (key == 3 || *seen & 1 << key)
        return fail_tensor(r, "expected dtype, shape and data_offsets, once each and nothing else");
    *seen |= 1 << key;
    if (!dim_scan_mark(&r->scan, ':'))
        return FALSE;
    if (key == 0)
        return read_type(r, &entry->type);
    if (key == 1)
        return read_list(r, DIM_MAX_RANK, entry->tensor.sizes, &entry->tensor.rank);
    return read_list(r, 2, offsets, &n) &&
           (n == 2 || fail_tensor(r, "data_offsets are not two numbers"));
}

static gboolean read_tensor(Reader *r, DimEntry *entry, gint64 offsets[2])
{
    gboolean more;
    int seen = 0;

    if (!dim_scan_mark(&r->scan, '{'))
        return FALSE;
    for (int i = 0; dim_scan_more(&r->scan, i == 0, '}', &more); i++) {
        if (!more)
            return seen == 7 || fail_tensor(r, "lacks one of dtype, shape and data_offsets");
        if (!dim_scan_string(&r->scan) || !read_key(r, entry, offsets, &seen))
            return FALSE;
    }
    return FALSE;
}

static gboolean add_span(Reader *r, Span span)
{
    const int n = r->weights->n_entries;

    if (n == r->n_reserved) {
        const int wanted = MAX(64, n * 2);
        Span *spans = wanted > n ? g_try_renew(Span, r->spans, wanted) : NULL;
        if (!spans)
            return dim_fail_memory(r->error, r->weights->origin, (guint64)n * sizeof *spans);
        r->spans = spans;
        r->n_reserved = wanted;
    }
    r->spans[n] = span;
    return TRUE;
}

static gboolean read_entry(Reader *r)
{
    DimEntry entry = {0};
    gint64 offsets[2] = {0}, bits;

    if (!read_tensor(r, &entry, offsets))
        return FALSE;
    if (!dim_shape_count(entry.tensor.rank, entry.tensor.sizes, &entry.tensor.count) ||
        __builtin_mul_overflow(entry.tensor.count, (gint64)dim_type_bits(entry.type), &bits))
        return fail_tensor(r, "the shape is absurdly large");
    if (offsets[0] > offsets[1] || offsets[1] > r->size)
        return fail_tensor(r, "data_offsets are outside of the file; truncated download?");
    if (bits % 8 || offsets[1] - offsets[0] != bits / 8)
        return fail_tensor(r, "data_offsets do not fit dtype and shape");
    dim_shape_strides(entry.tensor.rank, entry.tensor.sizes, entry.strides);
    entry.data = r->data + offsets[0];
    return add_span(r, (Span){offsets[0], offsets[1]}) &&
           dim_weights_add(r->weights, &entry, r->scan.item, strlen(r->scan.item), r->error);
}

static gboolean keep_recipe(Reader *r)
{
    DimWeights *weights = r->weights;

    if (weights->recipe)
        return fail_tensor(r, "has " DIM_RECIPE_KEY " twice");
    weights->recipe = dim_text_copy(r->scan.string, strlen(r->scan.string));
    return weights->recipe || dim_fail_memory(r->error, weights->origin, strlen(r->scan.string));
}

/* An object of texts, of which one is of use. */
static gboolean read_metadata(Reader *r)
{
    gboolean more;

    if (!dim_scan_mark(&r->scan, '{'))
        return FALSE;
    for (int i = 0; dim_scan_more(&r->scan, i == 0, '}', &more); i = 1) {
        if (!more)
            return TRUE;
        if (!dim_scan_string(&r->scan))
            return FALSE;
        const gboolean is_recipe = !strcmp(r->scan.string, DIM_RECIPE_KEY);
        if (!dim_scan_mark(&r->scan, ':') || !dim_scan_string(&r->scan) ||
            (is_recipe && !keep_recipe(r)))
            return FALSE;
    }
    return FALSE;
}

static int compare_spans(const void *a, const void *b)
{
    const Span *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Each byte of the data belongs to exactly one tensor. */
static gboolean check_cover(Reader *r)
{
    const char *origin = r->weights->origin;
    gint64 at = 0;

    if (r->weights->n_entries > 0)
        qsort(r->spans, (gsize)r->weights->n_entries, sizeof *r->spans, compare_spans);
    for (int i = 0; i < r->weights->n_entries; i++) {
        if (r->spans[i].begin != at)
            return dim_fail(r->error, DIM_ERROR_FORMAT, origin,
                            "data_offsets leave a hole or overlap at byte %" G_GINT64_FORMAT
                            " of the data",
                            at);
        at = r->spans[i].end;
    }
    if (at != r->size)
        return dim_fail(r->error, DIM_ERROR_FORMAT, origin,
                        "%" G_GINT64_FORMAT " bytes behind the last tensor; expected none",
                        r->size - at);
    return TRUE;
}

/* A name twice is found when all are sorted. */
static gboolean read_item(Reader *r, gboolean *metadata)
{
    if (!dim_scan_string(&r->scan))
        return FALSE;
    g_autofree char *name = dim_text_copy(r->scan.string, strlen(r->scan.string));
    r->scan.item = name;
    if (!name)
        return dim_fail_memory(r->error, r->weights->origin, r->scan.length);
    gboolean good = dim_scan_mark(&r->scan, ':');
    if (good && !strcmp(r->scan.item, "__metadata__")) {
        good = *metadata ? fail_tensor(r, "is there twice") : read_metadata(r);
        *metadata = TRUE;
    } else if (good)
        good = read_entry(r);
    r->scan.item = NULL;
    return good;
}

static gboolean read_header(Reader *r)
{
    gboolean more, metadata = FALSE;

    if (!dim_scan_begin(&r->scan) || !dim_scan_mark(&r->scan, '{'))
        return FALSE;
    for (int i = 0; dim_scan_more(&r->scan, i == 0, '}', &more); i = 1) {
        if (!more)
            return dim_scan_end(&r->scan) && check_cover(r);
        if (!read_item(r, &metadata))
            return FALSE;
    }
    return FALSE;
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
    const char *header = (const char *)file->data + sizeof length;
    const guint8 *data = (const guint8 *)header + length;
    Reader r = {
        .weights = weights, .data = data, .size = file->data + file->size - data, .error = error};
    r.scan = (DimScan){.text = header, .length = length, .origin = weights->origin, .error = error};
    r.scan.string = g_try_malloc(length + 1);
    weights->format = "safetensors";
    const gboolean read =
        r.scan.string ? read_header(&r) : dim_fail_memory(error, weights->origin, length);
    g_free(r.scan.string);
    g_free(r.spans);
    return read;
}

/* The header, padded so that data begin at a multiple of 8. NULL: no memory. */
static char *make_header(int n, const char *const *names, const DimArray *arrays, DimType type,
                         const char *recipe)
{
    json_t *root = json_object();
    const gsize n_items = (gsize)n + (recipe != NULL);
    gint64 at = 0;

    if (recipe)
        json_object_set_new(root, "__metadata__", json_pack("{s:s}", DIM_RECIPE_KEY, recipe));

    for (int i = 0; i < n; i++) {
        json_t *shape = json_array();
        for (int j = 0; j < arrays[i].rank; j++)
            json_array_append_new(shape, json_integer(arrays[i].sizes[j]));
        const gint64 end = at + dim_array_count(&arrays[i]) * dim_type_bits(type) / 8;
        json_object_set_new(root, names[i],
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", dim_type_names[type],
                                      "shape", shape, "data_offsets", (json_int_t)at,
                                      (json_int_t)end));
        at = end;
    }
    char *text = json_object_size(root) == n_items ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text)
        return NULL;
    const int length = (int)strlen(text);
    char *padded = g_strdup_printf("%-*s", (length + 7) / 8 * 8, text);
    free(text);
    return padded;
}

/* To the nearest, halves to even; a NaN stays one. */
static guint16 to_bf16(float value)
{
    guint32 bits;

    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (guint16)(bits >> 16 | 0x40);
    return (guint16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void write_bf16(FILE *stream, const float *values, gint64 count)
{
    for (gint64 i = 0; i < count; i++) {
        const guint16 bits = GUINT16_TO_LE(to_bf16(values[i]));
        fwrite(&bits, sizeof bits, 1, stream);
    }
}

static void write_f32(FILE *stream, const float *values, gint64 count)
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

gboolean dim_tensors_save_as(const char *file, int n, const char *const *names,
                             const DimArray *arrays, DimType type, const char *recipe,
                             GError **error)
{
    g_assert(type == DIM_TYPE_F32 || type == DIM_TYPE_BF16);
    g_autofree char *header = make_header(n, names, arrays, type, recipe);

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
        (type == DIM_TYPE_BF16 ? write_bf16 : write_f32)(stream, arrays[i].data,
                                                         dim_array_count(&arrays[i]));
    return dim_output_commit(&output, error);
}

gboolean dim_tensors_save(const char *file, int n, const char *const *names, const DimArray *arrays,
                          GError **error)
{
    return dim_tensors_save_as(file, n, names, arrays, DIM_TYPE_F32, NULL, error);
}

gboolean dim_tensors_save_recipe(const char *file, const char *name, const DimArray *array,
                                 const char *recipe, GError **error)
{
    return dim_tensors_save_as(file, 1, &name, array, DIM_TYPE_F32, recipe, error);
}
