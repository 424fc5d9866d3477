/* JSON read token by token, without a tree: RFC 8259 to the letter.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "json-scan.h"

#include <string.h>

#include "error.h"
#include "text.h"

static gboolean fail(const DimScan *scan, const char *wanted)
{
    if (scan->item)
        return dim_fail(scan->error, DIM_ERROR_FORMAT, scan->origin,
                        "header at byte %" G_GSIZE_FORMAT ", within " DIM_NAME ": expected %s",
                        scan->at, scan->item, wanted);
    return dim_fail(scan->error, DIM_ERROR_FORMAT, scan->origin,
                    "header at byte %" G_GSIZE_FORMAT ": expected %s", scan->at, wanted);
}

gboolean dim_scan_begin(DimScan *scan)
{
    return dim_text_is_utf8(scan->text, scan->length) || fail(scan, "UTF-8");
}

static int peek(const DimScan *scan)
{
    return scan->at < scan->length ? (guchar)scan->text[scan->at] : -1;
}

static void skip_space(DimScan *scan)
{
    while (scan->at < scan->length && strchr(" \t\r\n", scan->text[scan->at]) &&
           scan->text[scan->at])
        scan->at++;
}

gboolean dim_scan_try(DimScan *scan, char mark)
{
    skip_space(scan);
    if (peek(scan) != mark)
        return FALSE;
    scan->at++;
    return TRUE;
}

gboolean dim_scan_mark(DimScan *scan, char mark)
{
    const char wanted[] = {'\'', mark, '\'', 0};
    return dim_scan_try(scan, mark) || fail(scan, wanted);
}

gboolean dim_scan_more(DimScan *scan, gboolean first, char close, gboolean *more)
{
    *more = FALSE;
    if (dim_scan_try(scan, close))
        return TRUE;
    *more = TRUE;
    return first || dim_scan_mark(scan, ',');
}

/* The four digits behind \u; -1: none. */
static int take_hex(DimScan *scan)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        const int digit = g_ascii_xdigit_value((char)peek(scan));
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
        scan->at++;
    }
    return value;
}

/* Behind \u: a character, written as UTF-8 to `to`; how many bytes, or -1. Surrogates come in
 * pairs, NUL not at all. */
static int take_unicode(DimScan *scan, char *to)
{
    int high = take_hex(scan), low;

    if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
        return -1;
    if (high < 0xd800 || high > 0xdbff)
        return g_unichar_to_utf8((gunichar)high, to);
    if (scan->length - scan->at < 2 || memcmp(scan->text + scan->at, "\\u", 2))
        return -1;
    scan->at += 2;
    low = take_hex(scan);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    return g_unichar_to_utf8(0x10000 + ((gunichar)(high - 0xd800) << 10) + (gunichar)(low - 0xdc00),
                             to);
}

/* Behind a backslash; how many bytes were written, or -1. What is written is never longer than what
 * was read. */
static int take_escape(DimScan *scan, char *to)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const int c = peek(scan);
    const char *found = c > 0 ? strchr(escapes, c) : NULL;

    scan->at += c >= 0;
    if (c == 'u')
        return take_unicode(scan, to);
    if (!found)
        return -1;
    *to = meanings[found - escapes];
    return 1;
}

gboolean dim_scan_string(DimScan *scan)
{
    char *to = scan->string;

    if (!dim_scan_mark(scan, '"'))
        return FALSE;
    for (int c; (c = peek(scan)) != '"';) {
        if (c < 0x20) /* or the end */
            return fail(scan, "a text without control characters, closed by \"");
        scan->at++;
        const int n = c == '\\' ? take_escape(scan, to) : 1;
        if (n < 0)
            return fail(scan, "an escape that stands for a character");
        if (c != '\\')
            *to = (char)c;
        to += n;
    }
    scan->at++;
    *to = '\0';
    return TRUE;
}

gboolean dim_scan_number(DimScan *scan, gint64 *number)
{
    skip_space(scan);
    const gsize start = scan->at;

    *number = 0;
    for (int c; (c = peek(scan)) >= '0' && c <= '9'; scan->at++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, c - '0', number))
            return fail(scan, "a number below 2^63");
    if (scan->at == start || (scan->at > start + 1 && scan->text[start] == '0'))
        return fail(scan, "a whole number from 0 up");
    return TRUE;
}

gboolean dim_scan_end(DimScan *scan)
{
    skip_space(scan);
    return scan->at == scan->length || fail(scan, "nothing but white space behind the object");
}
