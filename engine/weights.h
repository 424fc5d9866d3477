/* One table of tensors over two file formats; safetensors.c and torch-zip.c fill it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_WEIGHTS_H
#define DIM_WEIGHTS_H

#include "zip.h"

enum { DIM_MAX_RANK = 8 };
#define DIM_MAX_SIDE (G_GINT64_CONSTANT(1) << 48)

typedef enum {
    DIM_TYPE_F32,
    DIM_TYPE_F16,
    DIM_TYPE_BF16,
    DIM_TYPE_F64,
    DIM_TYPE_I64,
    DIM_TYPE_I32,
    DIM_TYPE_I16,
    DIM_TYPE_I8,
    DIM_TYPE_U64,
    DIM_TYPE_U32,
    DIM_TYPE_U16,
    DIM_TYPE_U8,
    DIM_TYPE_BOOL,
    DIM_TYPE_C64,
    DIM_TYPE_F8_E4M3,
    DIM_TYPE_F8_E5M2,
    DIM_TYPE_F8_E8M0,
    DIM_TYPE_F8_E4M3FNUZ,
    DIM_TYPE_F8_E5M2FNUZ,
    DIM_TYPE_F6_E2M3,
    DIM_TYPE_F6_E3M2,
    DIM_TYPE_F4,
    DIM_N_TYPES
} DimType;

extern const char *const dim_type_names[]; /* safetensors' spelling, NULL-terminated */
int dim_type_bits(DimType type);

typedef struct {
    DimTensor tensor; /* first: a tensor is handed out as this; name is owned */
    DimType type;
    gint64 strides[DIM_MAX_RANK]; /* elements */
    const guint8 *data;   /* the first element; no alignment; all of the view is inside the file */
    DimZipRecord *record; /* NULL: none */
} DimEntry;

struct DimWeights {
    char *origin; /* the file, as errors name it */
    const char *format;
    char *key;
    char *recipe; /* of the metadata, or NULL */
    DimFile file;
    DimEntry *entries; /* in the file's order */
    int n_entries, n_reserved;
    DimEntry **by_name;
    DimZip zip;
    float *values; /* of a table made in memory (weights-made.c); NULL: it is a file's */
};

/* Opens `path` and calls it `origin` in errors. */
DimWeights *dim_weights_open_as(const char *path, const char *origin, GError **error);

/* A table without a file: empty; to be filled by dim_weights_add, then indexed. */
DimWeights *dim_weights_new(const char *origin);
/* Makes the names known to dim_weights_find; a name that is there twice is refused. */
gboolean dim_weights_index(DimWeights *weights, GError **error);

/* Elements of a shape; FALSE when a side is negative or absurd, or the product does not fit. */
gboolean dim_shape_count(int rank, const gint64 *sizes, gint64 *count);
void dim_shape_strides(int rank, const gint64 *sizes, gint64 *strides); /* row-major */

/* Adds a copy of the entry; its tensor.name is `length` bytes of `name`. DIM_ERROR_NO_MEMORY. */
gboolean dim_weights_add(DimWeights *weights, const DimEntry *entry, const char *name, gsize length,
                         GError **error);

/* The readers: fill a table whose file is mapped. */
gboolean dim_safetensors_read(DimWeights *weights, GError **error);
gboolean dim_torch_zip_read(DimWeights *weights, GError **error);

/* dim_tensors_save in F32 or, rounded, in BF16; recipe: as dim_tensors_save_recipe, or NULL. */
gboolean dim_tensors_save_as(const char *file, int n, const char *const *names,
                             const DimArray *arrays, DimType type, const char *recipe,
                             GError **error);

#endif
