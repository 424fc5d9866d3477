/* The directory of a zip archive whose records are stored plain, as torch.save writes it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_ZIP_H
#define DIM_ZIP_H

#include "file.h"

typedef struct {
    const char *name; /* in the mapped file, not terminated; UTF-8 */
    gsize name_length;
    const guint8 *data;
    gsize size;
    guint32 crc; /* 0: none was written */
    gboolean verified;
    int tag; /* the caller's; 0 at first */
} DimZipRecord;

typedef struct {
    DimZipRecord *records; /* in the directory's order */
    int n_records;
    DimZipRecord **by_name;
} DimZip;

/* Checks the whole archive but for checksums. Nothing is ever inflated: a compressed record is
 * refused. */
gboolean dim_zip_read(DimZip *zip, const DimFile *file, const char *origin, GError **error);
void dim_zip_clear(DimZip *zip);
/* The record "FOLDER/NAME", FOLDER and NAME given by length; NULL: none. */
DimZipRecord *dim_zip_find(const DimZip *zip, const char *folder, gsize folder_length,
                           const char *name, gsize name_length);
/* Compares the checksum, once. */
gboolean dim_zip_verify(DimZipRecord *record, const char *origin, GError **error);

#endif
