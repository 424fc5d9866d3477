/* Translation of the panel's texts; the host binds the domain's catalogues (bindtextdomain).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_I18N_H
#define DIM_I18N_H

#include <glib.h>
#include <libintl.h>

#define DIM_TEXT_DOMAIN "gimp-dim"

#undef _
#undef N_
#define _(text) g_dgettext (DIM_TEXT_DOMAIN, text)
#define N_(text) (text)

#endif
