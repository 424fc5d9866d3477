/* Pictures at other sizes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_RESAMPLE_H
#define DIM_RESAMPLE_H

#include <glib.h>

/* out [to_height][to_width][3] of in [height][width][3], both 8-bit, rows close together: the mean
 * of a box where both sides shrink by one whole factor, else bicubic (Keys 1981, a = -1/2; widened
 * when shrinking, so that nothing aliases). wraps: what lies beyond a border is the other side,
 * else the border's pixels go on. The same bytes on every machine. FALSE: no memory for what lies
 * between. */
gboolean dim_resample(const guint8 *in, int width, int height, gboolean wraps, guint8 *out,
                      int to_width, int to_height);

#endif
