/* Tables as text: RFC 4180.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "csv.h"

#include <string.h>

#include "engine/dim.h"

typedef struct {
    const char *file, *at, *end;
    int line;
} Reader;

static gboolean refuse(const Reader *reader, int line, const char *fault, GError **error)
{
    g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT, "%s: line %d: %s", reader->file, line, fault);
    return FALSE;
}

/* The length of a line's end at `at`, 0: there is none. */
static int line_end(const Reader *reader)
{
    if (reader->at < reader->end && *reader->at == '\n')
        return 1;
    return reader->end - reader->at >= 2 && reader->at[0] == '\r' && reader->at[1] == '\n' ? 2 : 0;
}

static gboolean at_field_end(const Reader *reader)
{
    return reader->at == reader->end || *reader->at == ',' || line_end(reader);
}

static gboolean read_quoted(Reader *reader, GString *field, GError **error)
{
    const int first = reader->line;

    for (reader->at++; reader->at < reader->end; reader->at++) {
        if (*reader->at == '"') {
            reader->at++;
            if (reader->at == reader->end || *reader->at != '"')
                return at_field_end(reader) ||
                       refuse(reader, reader->line,
                              "text after a quoted field; expected a comma or the line's end",
                              error);
        }
        reader->line += *reader->at == '\n';
        g_string_append_c(field, *reader->at);
    }
    return refuse(reader, first, "a quoted field that does not end", error);
}

static gboolean read_field(Reader *reader, GString *field, GError **error)
{
    g_string_truncate(field, 0);
    if (reader->at < reader->end && *reader->at == '"')
        return read_quoted(reader, field, error);
    for (; !at_field_end(reader); reader->at++) {
        if (*reader->at == '"')
            return refuse(reader, reader->line, "a quote within a field that is not quoted", error);
        if (*reader->at == '\r')
            return refuse(reader, reader->line, "a carriage return without a line feed", error);
        g_string_append_c(field, *reader->at);
    }
    return TRUE;
}

static gboolean read_row(Reader *reader, GPtrArray *fields, GError **error)
{
    g_autoptr(GString) field = g_string_new(NULL);

    for (;;) {
        if (!read_field(reader, field, error))
            return FALSE;
        g_ptr_array_add(fields, g_strdup(field->str));
        if (reader->at == reader->end || *reader->at != ',')
            break;
        reader->at++;
    }
    if (reader->at < reader->end) {
        reader->at += line_end(reader);
        reader->line++;
    }
    return TRUE;
}

static void row_clear(gpointer data)
{
    g_ptr_array_unref(((ToolCsvRow *)data)->fields);
}

static gboolean read_rows(Reader *reader, GArray *rows, GError **error)
{
    while (reader->at < reader->end) {
        if (line_end(reader)) {
            reader->at += line_end(reader);
            reader->line++;
            continue;
        }
        const ToolCsvRow row = {reader->line, g_ptr_array_new_with_free_func(g_free)};
        g_array_append_val(rows, row);
        if (!read_row(reader, row.fields, error))
            return FALSE;
        const guint n = row.fields->len, expected = g_array_index(rows, ToolCsvRow, 0).fields->len;
        if (n != expected) {
            g_set_error(error, DIM_ERROR, DIM_ERROR_FORMAT,
                        "%s: line %d: %u fields, expected %u as in the first line", reader->file,
                        row.line, n, expected);
            return FALSE;
        }
    }
    return rows->len > 0 || refuse(reader, 1, "nothing; expected the names of the columns", error);
}

/* Text in UTF-8 without NUL; else the line where that ends. */
static gboolean check_text(const Reader *reader, GError **error)
{
    const char *fault;
    int line = 1;

    if (g_utf8_validate(reader->at, reader->end - reader->at, &fault))
        return TRUE;
    for (const char *c = reader->at; c < fault; c++)
        line += *c == '\n';
    return refuse(reader, line, "not text in UTF-8", error);
}

GArray *tool_csv_read(const char *file, GError **error)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(ToolCsvRow));
    g_autoptr(GError) fault = NULL;
    g_autofree char *text = NULL;
    gsize length = 0;

    g_array_set_clear_func(rows, row_clear);
    if (!g_file_get_contents(file, &text, &length, &fault))
        g_set_error(error, DIM_ERROR, DIM_ERROR_FILE, "%s: cannot be read: %s", file,
                    fault->message);
    else {
        const gsize mark = length >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0;
        Reader reader = {file, text + mark, text + length, 1};
        if (check_text(&reader, error) && read_rows(&reader, rows, error))
            return rows;
    }
    g_array_unref(rows);
    return NULL;
}
