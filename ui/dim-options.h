/* The argument `options`, "name=value name=value": one value out of it, one value into it.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_OPTIONS_H
#define DIM_OPTIONS_H

#include <glib.h>

G_BEGIN_DECLS

/* The value of `name`, "" when it is not there; g_free. */
char *dim_options_get (const char *options, const char *name);

/* `options` with `name` set to `value`, or without it when that is ""; what else stands there
 * stays. g_free. */
char *dim_options_set (const char *options, const char *name, const char *value);

G_END_DECLS
#endif
