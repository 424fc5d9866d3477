/* The argument `options`: one value out of it, one value into it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-options.h"

#include <string.h>

/* The value within "name=value"; NULL when the word is something else. */
static const char *
value_of (const char *word, const char *name)
{
  gsize length = strlen (name);

  return strncmp (word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

char *
dim_options_get (const char *options, const char *name)
{
  g_auto (GStrv) words = g_strsplit_set (options, " \t\n", -1);
  const char *found = "";

  for (char **word = words; *word; word++)
    if (value_of (*word, name))
      found = value_of (*word, name);
  return g_strdup (found);
}

char *
dim_options_set (const char *options, const char *name, const char *value)
{
  g_auto (GStrv) words = g_strsplit_set (options, " \t\n", -1);
  GString *result = g_string_new (NULL);

  for (char **word = words; *word; word++)
    if (**word && !value_of (*word, name))
      g_string_append_printf (result, "%s%s", result->len ? " " : "", *word);
  if (*value)
    g_string_append_printf (result, "%s%s=%s", result->len ? " " : "", name, value);
  return g_string_free (result, FALSE);
}
