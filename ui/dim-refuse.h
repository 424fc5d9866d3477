/* Errors of the panels' own.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_REFUSE_H
#define DIM_REFUSE_H

#include "engine/dim.h"

G_BEGIN_DECLS

/* Sets the error, one line that names what is wrong and what was expected. Always FALSE. */
gboolean dim_refuse (GError **error, DimError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

G_END_DECLS
#endif
