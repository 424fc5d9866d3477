/* Errors of the panels' own.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/dim-refuse.h"

gboolean
dim_refuse (GError **error, DimError code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list          args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, DIM_ERROR, code, message);
  return FALSE;
}
