/* The pickle of a PyTorch checkpoint, interpreted as data: no name is looked up, imported or
 * called.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Values live in an arena and refer to one another by index, so that a dictionary may hold itself,
 * and nothing is walked or freed recursively. */
#ifndef DIM_PICKLE_H
#define DIM_PICKLE_H

#include "weights.h"

typedef enum {
    DIM_PICKLE_NONE,
    DIM_PICKLE_BOOL,
    DIM_PICKLE_INT,
    DIM_PICKLE_FLOAT, /* known to be a number, no more */
    DIM_PICKLE_STRING,
    DIM_PICKLE_LIST, /* its items are not kept: no tensor that we take is in one */
    DIM_PICKLE_TUPLE,
    DIM_PICKLE_DICT,
    DIM_PICKLE_STORAGE,
    DIM_PICKLE_TENSOR,
    DIM_PICKLE_NAME,  /* one of the few that state dicts need */
    DIM_PICKLE_OPAQUE /* stepped over */
} DimPickleKind;

typedef struct {
    guint8 kind;
    guint8 detail; /* STORAGE: DimType; NAME: which; DICT: whether it is an OrderedDict */
    guint32 first,
        n;         /* STRING: offset and bytes in data; TUPLE: items; DICT: first and last pair;
                    * STORAGE, TENSOR: first is the tuple of arguments they came from, already checked */
    gint64 number; /* BOOL, INT */
} DimPickleValue;

typedef struct {
    guint32 key, value, next;
} DimPicklePair;

typedef struct {
    const guint8 *data;
    guint32 length;
    DimPickleValue *values;
    guint32 *items; /* of tuples */
    DimPicklePair *pairs;
    guint32 n_values, n_items, n_pairs, r_values, r_items, r_pairs; /* in use, and reserved */
    guint32 root;
} DimPickle;

/* `data` is borrowed. */
gboolean dim_pickle_read(DimPickle *pickle, const guint8 *data, gsize length, const char *origin,
                         GError **error);
void dim_pickle_clear(DimPickle *pickle);

/* One key of a dictionary with the value it was set to last. */
typedef struct {
    const char *key; /* not terminated; NULL: the key is a number */
    guint32 key_length, value;
    guint32 order; /* where it was set first */
} DimPickleItem;

/* The items of a dictionary, in order; g_free. NULL: no memory. */
DimPickleItem *dim_pickle_items(const DimPickle *pickle, guint32 dict, guint32 *n);

/* A storage's type, its key and number of elements; a tensor's storage and view. */
typedef struct {
    DimType type;
    const char *key;
    guint32 key_length;
    gint64 count;
} DimPickleStorage;
DimPickleStorage dim_pickle_storage(const DimPickle *pickle, guint32 storage);
/* Fills in type, rank, sizes, strides and count; answers the storage. *offset: of the first
 * element, in elements. */
guint32 dim_pickle_tensor(const DimPickle *pickle, guint32 tensor, DimEntry *entry, gint64 *offset);

#endif
