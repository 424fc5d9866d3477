/* Text that came from a file.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TEXT_H
#define DIM_TEXT_H

#include "dim.h"

/* UTF-8 without overlong forms or surrogates; NUL is a character like any other. */
gboolean dim_text_is_utf8(const char *text, gsize length);

/* g_strndup that answers NULL when there is no memory. */
char *dim_text_copy(const char *text, gsize length);

/* Edits (insertions, deletions, replacements of one character) between two texts, case ignored. */
int dim_text_distance(const char *a, const char *b);

/* " (did you mean "x", "y" or "z"?)": up to three of the names that are nearest to `wanted`, or ""
 * when none is near. */
char *dim_text_suggest(const char *wanted, const char *const *names);
/* In the fewest digits that read back as the same number. */
void dim_text_append_number(GString *text, double number);

#endif
