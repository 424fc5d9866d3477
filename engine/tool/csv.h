/* Tables as text: RFC 4180.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_CSV_H
#define DIM_TOOL_CSV_H

#include <glib.h>

typedef struct {
    int line;          /* of the file, where the row begins; from 1 */
    GPtrArray *fields; /* char *, UTF-8 */
} ToolCsvRow;

/* All rows of a file, ToolCsvRow, the first one (the names of the columns) included; every row has
 * as many fields. Lines end in LF or CRLF, also within quotes; empty ones are skipped, and so is a
 * byte order mark. NULL and an error that names file and line. g_array_unref. */
GArray *tool_csv_read(const char *file, GError **error);

#endif
