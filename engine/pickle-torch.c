/* What the names in a PyTorch pickle stand for: element types, storages, tensors. Matched as text,
 * answered here.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <string.h>

#include "pickle-machine.h"

enum { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, SIZE, NAMESPACE, FIRST_STORAGE };

static const struct {
    const char *module, *name;
    DimType type; /* from FIRST_STORAGE on */
} names[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict", 0},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2", 0},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter", 0},
    [SIZE] = {"torch", "Size", 0},
    [NAMESPACE] = {"argparse", "Namespace", 0},
    [FIRST_STORAGE] = {"torch", "FloatStorage", DIM_TYPE_F32},
    {"torch", "HalfStorage", DIM_TYPE_F16},
    {"torch", "BFloat16Storage", DIM_TYPE_BF16},
    {"torch", "DoubleStorage", DIM_TYPE_F64},
    {"torch", "LongStorage", DIM_TYPE_I64},
    {"torch", "IntStorage", DIM_TYPE_I32},
    {"torch", "ShortStorage", DIM_TYPE_I16},
    {"torch", "CharStorage", DIM_TYPE_I8},
    {"torch", "ByteStorage", DIM_TYPE_U8},
    {"torch", "BoolStorage", DIM_TYPE_BOOL},
};

static gboolean same(const char *text, gsize length, const char *wanted)
{
    return length == strlen(wanted) && !memcmp(text, wanted, length);
}

gboolean dim_pickle_push_name(DimPickleMachine *machine, const char *module, gsize module_length,
                              const char *name, gsize name_length)
{
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        if (same(module, module_length, names[i].module) && same(name, name_length, names[i].name))
            return dim_pickle_push_new(
                machine, (DimPickleValue){.kind = DIM_PICKLE_NAME, .detail = (guint8)i});
    return dim_fail(machine->error, DIM_ERROR_FORMAT, machine->origin,
                    "data.pkl: asks for \"%.*s.%.*s\", which weights do not need; refused",
                    (int)MIN(module_length, 100), module, (int)MIN(name_length, 100), name);
}

/* Item i of a tuple if it is of that kind, else NULL. */
static const DimPickleValue *item(const DimPickle *pickle, const DimPickleValue *tuple, guint32 i,
                                  DimPickleKind kind)
{
    if (tuple->kind != DIM_PICKLE_TUPLE || i >= tuple->n)
        return NULL;
    const DimPickleValue *value = &pickle->values[pickle->items[tuple->first + i]];
    return value->kind == kind ? value : NULL;
}

static gboolean same_string(const DimPickle *pickle, const DimPickleValue *value,
                            const char *wanted)
{
    return value && same((const char *)pickle->data + value->first, value->n, wanted);
}

gboolean dim_pickle_push_persistent(DimPickleMachine *machine, guint32 id)
{
    const DimPickle *p = machine->pickle;
    const DimPickleValue *tuple = &p->values[id];
    const DimPickleValue *type = item(p, tuple, 1, DIM_PICKLE_NAME),
                         *count = item(p, tuple, 4, DIM_PICKLE_INT);

    if (tuple->kind != DIM_PICKLE_TUPLE || tuple->n != 5 ||
        !same_string(p, item(p, tuple, 0, DIM_PICKLE_STRING), "storage"))
        return dim_pickle_fail(machine, "has a persistent id that is no storage");
    if (!type || type->detail < FIRST_STORAGE)
        return dim_pickle_fail(machine, "has a storage of no known element type");
    if (!item(p, tuple, 2, DIM_PICKLE_STRING))
        return dim_pickle_fail(machine, "has a storage whose key is no text");
    if (!count || count->number < 0)
        return dim_pickle_fail(machine, "has a storage without a number of elements");
    return dim_pickle_push_new(machine, (DimPickleValue){.kind = DIM_PICKLE_STORAGE,
                                                         .detail = (guint8)names[type->detail].type,
                                                         .first = id});
}

static int read_ints(const DimPickle *pickle, const DimPickleValue *tuple, gint64 *numbers)
{
    if (tuple->n > DIM_MAX_RANK)
        return -1;
    for (guint32 i = 0; i < tuple->n; i++) {
        const DimPickleValue *value = item(pickle, tuple, i, DIM_PICKLE_INT);
        if (!value || value->number < 0)
            return -1;
        numbers[i] = value->number;
    }
    return (int)tuple->n;
}

/* Whether every element of the view is one of the storage's. */
static gboolean view_fits(int rank, const gint64 *sizes, const gint64 *strides, gint64 count,
                          gint64 offset, gint64 storage_count)
{
    gint64 last = offset;

    if (count == 0)
        return TRUE;
    for (int i = 0; i < rank; i++) {
        gint64 extent;
        if (__builtin_mul_overflow(sizes[i] - 1, strides[i], &extent) ||
            __builtin_add_overflow(last, extent, &last))
            return FALSE;
    }
    /* Overlapping views are legal; more elements than there are is only a way to ask for memory. */
    return last < storage_count && count <= storage_count;
}

static gboolean push_tensor(DimPickleMachine *machine, guint32 arguments)
{
    const DimPickle *p = machine->pickle;
    const DimPickleValue *tuple = &p->values[arguments];
    const DimPickleValue *storage = item(p, tuple, 0, DIM_PICKLE_STORAGE),
                         *offset = item(p, tuple, 1, DIM_PICKLE_INT);
    const DimPickleValue *size = item(p, tuple, 2, DIM_PICKLE_TUPLE),
                         *stride = item(p, tuple, 3, DIM_PICKLE_TUPLE);
    gint64 sizes[DIM_MAX_RANK], strides[DIM_MAX_RANK], count;

    if (tuple->n < 6 || tuple->n > 7 || !storage || !offset || !size || !stride)
        return dim_pickle_fail(machine, "has a tensor without storage, offset, size and stride");
    const int rank = read_ints(p, size, sizes);
    if (rank < 0 || read_ints(p, stride, strides) != rank)
        return dim_pickle_fail(
            machine,
            "has a tensor whose size and stride are not alike, or not up to 8 numbers from 0 up");
    if (offset->number < 0 || !dim_shape_count(rank, sizes, &count))
        return dim_pickle_fail(machine, "has a tensor of absurd size");
    const DimPickleStorage whole = dim_pickle_storage(p, p->items[tuple->first]);
    if (!view_fits(rank, sizes, strides, count, offset->number, whole.count))
        return dim_pickle_fail(machine, "has a tensor that reaches beyond its storage");
    return dim_pickle_push_new(machine,
                               (DimPickleValue){.kind = DIM_PICKLE_TENSOR, .first = arguments});
}

gboolean dim_pickle_push_call(DimPickleMachine *machine, guint32 name, guint32 arguments)
{
    const DimPickle *p = machine->pickle;
    const DimPickleValue *callable = &p->values[name], *tuple = &p->values[arguments];

    if (callable->kind != DIM_PICKLE_NAME || tuple->kind != DIM_PICKLE_TUPLE)
        return dim_pickle_fail(machine, "calls what is no name, or without a tuple");
    switch (callable->detail) {
    case ORDERED_DICT:
        if (tuple->n == 0)
            return dim_pickle_push_new(machine, (DimPickleValue){.kind = DIM_PICKLE_DICT,
                                                                 .detail = TRUE,
                                                                 .first = G_MAXUINT32,
                                                                 .n = G_MAXUINT32});
        break;
    case NAMESPACE:
        return dim_pickle_push_object(machine, name, arguments);
    case REBUILD_TENSOR:
        return push_tensor(machine, arguments);
    case REBUILD_PARAMETER:
        if (tuple->n == 3 && item(p, tuple, 0, DIM_PICKLE_TENSOR))
            return dim_pickle_push(machine, p->items[tuple->first]);
        break;
    case SIZE:
        if (tuple->n == 1 && item(p, tuple, 0, DIM_PICKLE_TUPLE))
            return dim_pickle_push(machine, p->items[tuple->first]);
        break;
    default:
        break;
    }
    return dim_fail(machine->error, DIM_ERROR_FORMAT, machine->origin,
                    "data.pkl: %s.%s is not called as torch.save calls it",
                    names[callable->detail].module, names[callable->detail].name);
}

gboolean dim_pickle_push_object(DimPickleMachine *machine, guint32 name, guint32 arguments)
{
    const DimPickleValue *class_name = &machine->pickle->values[name];

    if (class_name->kind != DIM_PICKLE_NAME || class_name->detail != NAMESPACE ||
        arguments != DIM_PICKLE_CONSTANT_EMPTY_TUPLE)
        return dim_pickle_fail(machine, "makes an object that weights do not need; refused");
    return dim_pickle_push_new(machine, (DimPickleValue){.kind = DIM_PICKLE_OPAQUE});
}

DimPickleStorage dim_pickle_storage(const DimPickle *pickle, guint32 storage)
{
    const DimPickleValue *value = &pickle->values[storage], *tuple = &pickle->values[value->first];
    const DimPickleValue *key = item(pickle, tuple, 2, DIM_PICKLE_STRING);

    return (DimPickleStorage){.type = (DimType)value->detail,
                              .key = (const char *)pickle->data + key->first,
                              .key_length = key->n,
                              .count = item(pickle, tuple, 4, DIM_PICKLE_INT)->number};
}

guint32 dim_pickle_tensor(const DimPickle *pickle, guint32 tensor, DimEntry *entry, gint64 *offset)
{
    const DimPickleValue *tuple = &pickle->values[pickle->values[tensor].first];
    const guint32 storage = pickle->items[tuple->first];

    entry->type = (DimType)pickle->values[storage].detail;
    entry->tensor.rank =
        read_ints(pickle, item(pickle, tuple, 2, DIM_PICKLE_TUPLE), entry->tensor.sizes);
    read_ints(pickle, item(pickle, tuple, 3, DIM_PICKLE_TUPLE), entry->strides);
    dim_shape_count(entry->tensor.rank, entry->tensor.sizes, &entry->tensor.count);
    *offset = item(pickle, tuple, 1, DIM_PICKLE_INT)->number;
    return storage;
}
