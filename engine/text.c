/* Text that came from a file: made fit to show, checked, and compared with what a person typed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "text.h"

#include <string.h>

enum { MAX_COMPARED = 128, MAX_SUGGESTED = 3 };

/* Would change the line that it is shown in, or the order in which the line is read. */
static gboolean is_unfit(gunichar c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           c == 0xfffd;
}

char *dim_text_clean(const char *text)
{
    GString *clean = g_string_sized_new(strlen(text) + 1);

    for (const char *p = text; *p;) {
        gunichar c = g_utf8_get_char_validated(p, -1);
        gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;
        gsize n = valid ? (gsize)(g_utf8_next_char(p) - p) : 1;

        if (valid && !is_unfit(c))
            g_string_append_len(clean, p, (gssize)n);
        else
            for (gsize i = 0; i < n; i++)
                g_string_append_printf(clean, "\\x%02x", (guchar)p[i]);
        p += n;
    }
    return g_string_free(clean, FALSE);
}

gboolean dim_text_is_utf8(const char *text, gsize length)
{
    const char *end = text + length;

    while (text < end && !g_utf8_validate_len(text, (gsize)(end - text), &text)) {
        if (*text)
            return FALSE;
        text++;
    }
    return TRUE;
}

char *dim_text_copy(const char *text, gsize length)
{
    char *copy = g_try_malloc(length + 1);

    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

/* The first characters in lower case; how many. */
static int fold(const char *text, gunichar *folded)
{
    int n = 0;

    for (const char *p = text; *p && n < MAX_COMPARED;) {
        gunichar c = g_utf8_get_char_validated(p, -1);
        gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;

        folded[n++] = valid ? g_unichar_tolower(c) : (guchar)*p;
        p = valid ? g_utf8_next_char(p) : p + 1;
    }
    return n;
}

int dim_text_distance(const char *a, const char *b)
{
    gunichar from[MAX_COMPARED], to[MAX_COMPARED];
    int row[MAX_COMPARED + 1], n = fold(a, from), m = fold(b, to);

    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int replaced = diagonal + (from[i - 1] != to[j - 1]);
            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[m];
}

/* Smaller is nearer; a name that has the whole text in it is near however long it is ("shark":
 * "great white shark"). */
static int rank(const char *wanted, const char *name)
{
    g_autofree char *w = g_utf8_strdown(wanted, -1), *n = g_utf8_strdown(name, -1);

    if (*w && strstr(n, w))
        return 1;
    int distance = dim_text_distance(wanted, name);
    return distance * 2 <= MAX((int)g_utf8_strlen(wanted, -1), 2) + 1 ? distance : G_MAXINT;
}

static int nearest(const char *wanted, const char *const *names, const char **found)
{
    int ranks[MAX_SUGGESTED], n = 0;

    for (int i = 0; names[i]; i++) {
        int r = rank(wanted, names[i]), at = n;
        if (r == G_MAXINT)
            continue;
        while (at > 0 && r < ranks[at - 1])
            at--;
        if (at == MAX_SUGGESTED)
            continue;
        n = MIN(n + 1, MAX_SUGGESTED);
        for (int j = n - 1; j > at; j--) {
            ranks[j] = ranks[j - 1];
            found[j] = found[j - 1];
        }
        ranks[at] = r;
        found[at] = names[i];
    }
    return n;
}

char *dim_text_suggest(const char *wanted, const char *const *names)
{
    const char *found[MAX_SUGGESTED];
    int n = g_utf8_validate(wanted, -1, NULL) ? nearest(wanted, names, found) : 0;

    if (n == 0)
        return g_strdup("");
    GString *text = g_string_new(" (did you mean ");
    for (int i = 0; i < n; i++)
        g_string_append_printf(text, "%s\"%.80s\"",
                               i == 0       ? ""
                               : i == n - 1 ? " or "
                                            : ", ",
                               found[i]);
    return g_string_free(g_string_append(text, "?)"), FALSE);
}

void dim_text_append_number(GString *text, double number)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE];

    for (int n = 6; n <= 17; n++) {
        char format[] = "%.17g";
        g_snprintf(format, sizeof format, "%%.%dg", n);
        g_ascii_formatd(digits, sizeof digits, format, number);
        if (g_ascii_strtod(digits, NULL) == number)
            break;
    }
    g_string_append(text, digits);
}
