/* A picture to draw lines and small letters on.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_TOOL_CANVAS_H
#define DIM_TOOL_CANVAS_H

#include <glib.h>

typedef struct {
    int width, height;
    float *rgb; /* [height][width][3] in [0, 1] */
} ToolCanvas;

enum { TOOL_LETTER_WIDTH = 6, TOOL_LETTER_HEIGHT = 7 }; /* of a letter, times its scale */

/* White. */
gboolean tool_canvas_init(ToolCanvas *canvas, int width, int height, GError **error);
void tool_canvas_clear(ToolCanvas *canvas);

/* Colours are 0xRRGGBB. What lies outside is left out. */
void tool_canvas_line(ToolCanvas *canvas, double x0, double y0, double x1, double y1,
                      double thickness, guint32 colour);
void tool_canvas_dot(ToolCanvas *canvas, double x, double y, double radius, guint32 colour);
/* `text` is UTF-8, x and y its top left corner. Letters are small, what the font lacks is a box. */
void tool_canvas_text(ToolCanvas *canvas, int x, int y, int scale, guint32 colour,
                      const char *text);
int tool_canvas_text_width(const char *text, int scale);

#endif
