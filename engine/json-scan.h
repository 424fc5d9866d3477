/* JSON read token by token, without a tree: for texts of up to 100 MB whose form is known.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Each function skips white space, takes what it is named after, or sets the error and answers
 * FALSE. Nothing recurses, and the one allocation is the caller's: a buffer as long as the text. */
#ifndef DIM_JSON_SCAN_H
#define DIM_JSON_SCAN_H

#include "dim.h"

typedef struct {
    const char *text;
    gsize length, at;
    char *string; /* the string taken last, unescaped and terminated; room for `length` bytes */
    const char *origin;
    const char *item; /* the item at hand, for errors; may be NULL */
    GError **error;
} DimScan;

/* Whether the text is UTF-8; to be asked before all else. */
gboolean dim_scan_begin(DimScan *scan);
gboolean dim_scan_mark(DimScan *scan, char mark); /* { } [ ] : , */
/* Takes `mark` if it is there; FALSE is no error. */
gboolean dim_scan_try(DimScan *scan, char mark);
gboolean dim_scan_string(DimScan *scan);
gboolean dim_scan_number(DimScan *scan, gint64 *number); /* whole, from 0 up */
gboolean dim_scan_end(DimScan *scan);
/* In a list or an object: another item follows (*more), or `close` was taken. `first` before the
 * first item. */
gboolean dim_scan_more(DimScan *scan, gboolean first, char close, gboolean *more);

#endif
