/* The directory of a zip archive whose records are stored plain, as torch.save writes it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3. Sizes come from the central directory only: torch
 * leaves those of the local headers 0. Numbers out of the file are compared by subtraction, which
 * cannot wrap. */
#include "zip.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "error.h"
#include "text.h"

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    ENCRYPTION_FLAGS = 0x2041, /* encrypted, strongly encrypted, masked headers */
    EXTRA_ZIP64 = 1
};
#define END_MAGIC 0x06054b50u
#define LOCATOR_MAGIC 0x07064b50u
#define END64_MAGIC 0x06064b50u
#define ENTRY_MAGIC 0x02014b50u
#define LOCAL_MAGIC 0x04034b50u
#define ONES_32 0xffffffffu

static guint16 get16(const guint8 *p)
{
    return (guint16)(p[0] | p[1] << 8);
}

static guint32 get32(const guint8 *p)
{
    return (guint32)get16(p) | (guint32)get16(p + 2) << 16;
}

static guint64 get64(const guint8 *p)
{
    return (guint64)get32(p) | (guint64)get32(p + 4) << 32;
}

typedef struct {
    const DimFile *file;
    const char *origin;
    GError **error;
    guint64 end;                          /* where the records that end the archive begin */
    guint64 count, directory_size, start; /* of the directory */
} Reader;

static gboolean fail(const Reader *reader, const char *what)
{
    return dim_fail(reader->error, DIM_ERROR_FORMAT, reader->origin,
                    "broken zip archive: %s; truncated download?", what);
}

static gboolean fail_record(const Reader *reader, const DimZipRecord *record, const char *what)
{
    return dim_fail(reader->error, DIM_ERROR_FORMAT, reader->origin, "record \"%.*s\" %s",
                    (int)MIN(record->name_length, 160), record->name, what);
}

/* The last end record whose comment reaches exactly to the end of the file; NULL: none. */
static const guint8 *find_end(const DimFile *file)
{
    const guint8 *last = file->data + file->size;

    for (gsize back = END_BYTES; back <= MIN(file->size, END_BYTES + MAX_COMMENT); back++)
        if (get32(last - back) == END_MAGIC && get16(last - back + 20) == back - END_BYTES)
            return last - back;
    return NULL;
}

/* A number of the plain end record: all ones or the same as the 64-bit one. */
static gboolean agrees(guint64 plain, guint64 ones, guint64 wide)
{
    return plain == ones || plain == wide;
}

static gboolean read_end64(Reader *reader, const guint8 *end, const guint8 *locator)
{
    const guint64 at = get64(locator + 8), before = (guint64)(locator - reader->file->data);

    if (get32(locator + 4) != 0 || get32(locator + 16) > 1)
        return fail(reader, "it has several disks");
    if (before < END64_BYTES || at > before - END64_BYTES)
        return fail(reader, "its zip64 locator points nowhere");
    const guint8 *wide = reader->file->data + at;
    if (get32(wide) != END64_MAGIC || get64(wide + 4) != before - at - 12)
        return fail(reader, "it has no zip64 record where the locator points");
    if (get32(wide + 16) != 0 || get32(wide + 20) != 0 || get64(wide + 24) != get64(wide + 32))
        return fail(reader, "it has several disks");
    reader->end = at;
    reader->count = get64(wide + 32);
    reader->directory_size = get64(wide + 40);
    reader->start = get64(wide + 48);
    if (!agrees(get16(end + 10), 0xffff, reader->count) ||
        !agrees(get32(end + 12), ONES_32, reader->directory_size) ||
        !agrees(get32(end + 16), ONES_32, reader->start))
        return fail(reader, "its two end records disagree");
    return TRUE;
}

static gboolean read_end(Reader *reader)
{
    const guint8 *end = find_end(reader->file);

    if (!end)
        return fail(reader, "it has no end record");
    const guint16 disk = get16(end + 4), directory_disk = get16(end + 6);
    if ((disk && disk != 0xffff) || (directory_disk && directory_disk != 0xffff) ||
        get16(end + 8) != get16(end + 10))
        return fail(reader, "it has several disks");
    reader->end = (guint64)(end - reader->file->data);
    reader->count = get16(end + 10);
    reader->directory_size = get32(end + 12);
    reader->start = get32(end + 16);
    const guint8 *locator = reader->end >= LOCATOR_BYTES ? end - LOCATOR_BYTES : NULL;
    if (locator && get32(locator) == LOCATOR_MAGIC) {
        if (!read_end64(reader, end, locator))
            return FALSE;
    } else if (reader->count == 0xffff || reader->directory_size == ONES_32 ||
               reader->start == ONES_32)
        return fail(reader, "its zip64 record is missing");
    if (reader->start > reader->end || reader->directory_size > reader->end - reader->start)
        return fail(reader, "its directory runs past the end");
    if (reader->count > reader->directory_size / ENTRY_BYTES || reader->count > G_MAXINT)
        return fail(reader, "its directory is too small for its records");
    return TRUE;
}

/* Replaces each number that is all ones by the next one of the zip64 extra field. */
static gboolean read_extra64(const guint8 *extra, gsize length, guint64 *const numbers[3])
{
    gboolean wanted = FALSE;

    for (int i = 0; i < 3; i++)
        wanted |= *numbers[i] == ONES_32;
    while (wanted && length >= 4) {
        const gsize size = get16(extra + 2);
        if (size > length - 4)
            return FALSE;
        if (get16(extra) == EXTRA_ZIP64) {
            gsize at = 0;
            for (int i = 0; i < 3; i++)
                if (*numbers[i] == ONES_32) {
                    if (size - at < 8)
                        return FALSE;
                    *numbers[i] = get64(extra + 4 + at);
                    at += 8;
                }
            return TRUE;
        }
        extra += 4 + size;
        length -= 4 + size;
    }
    return !wanted;
}

static gboolean is_sane_name(const char *name, gsize length)
{
    if (length == 0 || name[0] == '/' || memchr(name, 0, length) || !dim_text_is_utf8(name, length))
        return FALSE;
    for (gsize i = 0; i < length; i++) {
        const gboolean starts = i == 0 || name[i - 1] == '/';
        if (starts && length - i >= 2 && name[i] == '.' && name[i + 1] == '.' &&
            (length - i == 2 || name[i + 2] == '/'))
            return FALSE;
    }
    return TRUE;
}

/* Where a record's data begin only its local header says. */
static gboolean read_local(const Reader *reader, DimZipRecord *record, guint64 offset, guint64 size)
{
    if (reader->start < LOCAL_BYTES || offset > reader->start - LOCAL_BYTES)
        return fail_record(reader, record, "lies outside of the archive; truncated download?");
    const guint8 *local = reader->file->data + offset;
    const guint64 room = reader->start - offset - LOCAL_BYTES;
    const guint64 names = (guint64)get16(local + 26) + get16(local + 28);
    if (get32(local) != LOCAL_MAGIC)
        return fail_record(reader, record, "has no header where the directory points");
    if (names > room || size > room - names)
        return fail_record(reader, record, "runs past the end of the data; truncated download?");
    if (get16(local + 26) != record->name_length ||
        memcmp(local + LOCAL_BYTES, record->name, record->name_length))
        return fail_record(reader, record, "has another name in its own header");
    record->data = local + LOCAL_BYTES + names;
    record->size = size;
    return TRUE;
}

/* Reads the directory entry at *at, and moves on. */
static gboolean read_record(const Reader *reader, DimZipRecord *record, guint64 *at)
{
    const guint64 left = reader->start + reader->directory_size - *at;
    const guint8 *entry = reader->file->data + *at;

    if (left < ENTRY_BYTES || get32(entry) != ENTRY_MAGIC)
        return fail(reader, "its directory is damaged");
    const gsize name = get16(entry + 28), extra = get16(entry + 30), comment = get16(entry + 32);
    if (name + extra + comment > left - ENTRY_BYTES)
        return fail(reader, "its directory is damaged");
    *at += ENTRY_BYTES + name + extra + comment;
    record->name = (const char *)entry + ENTRY_BYTES;
    record->name_length = name;
    record->crc = get32(entry + 16);
    if (!is_sane_name(record->name, name))
        return fail_record(reader, record, "has no sound name");
    if (get16(entry + 8) & ENCRYPTION_FLAGS)
        return fail_record(reader, record, "is encrypted; PyTorch stores records plain");
    if (get16(entry + 10) != 0)
        return fail_record(reader, record, "is compressed; PyTorch stores records plain");
    const guint16 disk = get16(entry + 34);
    if (disk != 0 && disk != 0xffff)
        return fail_record(reader, record, "is on another disk");
    guint64 packed = get32(entry + 20), size = get32(entry + 24), offset = get32(entry + 42);
    if (!read_extra64(entry + ENTRY_BYTES + name, extra,
                      (guint64 *const[3]){&size, &packed, &offset}))
        return fail_record(reader, record, "lacks its 64-bit sizes");
    if (packed != size)
        return fail_record(reader, record, "is stored plain, but has two sizes");
    return read_local(reader, record, offset, size);
}

/* Shorter names first; DimZipRecord pointers. */
static int compare_names(const void *a, const void *b)
{
    const DimZipRecord *x = *(DimZipRecord *const *)a, *y = *(DimZipRecord *const *)b;

    if (x->name_length != y->name_length)
        return x->name_length < y->name_length ? -1 : 1;
    return memcmp(x->name, y->name, x->name_length);
}

static gboolean read_directory(const Reader *reader, DimZip *zip)
{
    const gsize n = (gsize)reader->count;
    guint64 at = reader->start;

    zip->records = g_try_new0(DimZipRecord, MAX(n, 1));
    zip->by_name = g_try_new(DimZipRecord *, MAX(n, 1));
    if (!zip->records || !zip->by_name)
        return dim_fail_memory(reader->error, reader->origin, n * sizeof *zip->records);
    for (gsize i = 0; i < n; i++) {
        if (!read_record(reader, &zip->records[i], &at))
            return FALSE;
        zip->by_name[i] = &zip->records[i];
    }
    zip->n_records = (int)n;
    if (at != reader->start + reader->directory_size)
        return fail(reader, "its directory has bytes left over");
    qsort(zip->by_name, n, sizeof *zip->by_name, compare_names);
    for (gsize i = 1; i < n; i++)
        if (!compare_names(&zip->by_name[i - 1], &zip->by_name[i]))
            return fail_record(reader, zip->by_name[i], "is there twice");
    return TRUE;
}

gboolean dim_zip_read(DimZip *zip, const DimFile *file, const char *origin, GError **error)
{
    Reader reader = {.file = file, .origin = origin, .error = error};

    *zip = (DimZip){0};
    if (read_end(&reader) && read_directory(&reader, zip))
        return TRUE;
    dim_zip_clear(zip);
    return FALSE;
}

void dim_zip_clear(DimZip *zip)
{
    g_free(zip->records);
    g_free(zip->by_name);
    *zip = (DimZip){0};
}

DimZipRecord *dim_zip_find(const DimZip *zip, const char *folder, gsize folder_length,
                           const char *name, gsize name_length)
{
    const gsize length = folder_length + 1 + name_length;
    gsize low = 0, high = (gsize)zip->n_records;

    while (low < high) {
        const gsize middle = low + (high - low) / 2;
        DimZipRecord *record = zip->by_name[middle];
        int order = (record->name_length > length) - (record->name_length < length);
        if (order == 0)
            order = memcmp(record->name, folder, folder_length);
        if (order == 0)
            order = (guchar)record->name[folder_length] - '/';
        if (order == 0)
            order = memcmp(record->name + folder_length + 1, name, name_length);
        if (order == 0)
            return record;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

gboolean dim_zip_verify(DimZipRecord *record, const char *origin, GError **error)
{
    const Reader reader = {.origin = origin, .error = error};

    if (!record->verified && record->crc && crc32_z(0, record->data, record->size) != record->crc)
        return fail_record(&reader, record, "is damaged: its checksum differs");
    record->verified = TRUE;
    return TRUE;
}
