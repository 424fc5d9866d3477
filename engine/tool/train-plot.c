/* The curve of a training: loss over samples.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include <math.h>

#include "canvas.h"
#include "png.h"
#include "train-log.h"

enum {
    WIDTH = 960,
    HEIGHT = 540,
    LEFT = 80,
    RIGHT = 30,
    TOP = 40,
    BOTTOM = 50,
    POINTS = 160, /* of the smoothed curve */
    TICKS = 6,    /* about so many on an axis */
    SCALE = 2     /* of letters */
};

static const guint32 INK = 0x404040, GRID = 0xE0E0E0, LOSS = 0x2060C0, TEST = 0xC04020;

typedef struct {
    double low, high, tick;
} Axis;

typedef struct {
    ToolCanvas canvas;
    Axis x, y;
    double *at, *loss; /* the smoothed curve */
    int n;
} Plot;

/* 1, 2 or 5 times a power of ten */
static double round_tick(double span)
{
    const double raw = MAX(span, 1e-9) / TICKS, power = pow(10, floor(log10(raw)));
    const double part = raw / power;

    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static void smooth(Plot *plot, const GArray *rows)
{
    const guint n = rows->len;

    plot->n = (int)MIN(n, POINTS);
    for (int i = 0; i < plot->n; i++) {
        const guint from = (guint)((guint64)n * i / plot->n);
        const guint to = (guint)((guint64)n * (i + 1) / plot->n);
        double sum = 0;
        for (guint j = from; j < to; j++)
            sum += g_array_index(rows, ToolTrainRow, j).loss;
        plot->at[i] = (double)g_array_index(rows, ToolTrainRow, (from + to) / 2).samples;
        plot->loss[i] = sum / (to - from);
    }
}

static void take_value(Axis *axis, double value)
{
    axis->low = MIN(axis->low, value);
    axis->high = MAX(axis->high, value);
}

static void choose_axes(Plot *plot, const GArray *rows)
{
    plot->y = (Axis){.low = G_MAXDOUBLE, .high = -G_MAXDOUBLE};
    for (int i = 0; i < plot->n; i++)
        take_value(&plot->y, plot->loss[i]);
    for (guint i = 0; i < rows->len; i++) {
        const double test = g_array_index(rows, ToolTrainRow, i).test_loss;
        if (!isnan(test))
            take_value(&plot->y, test);
    }
    plot->y.tick = round_tick(plot->y.high - plot->y.low);
    plot->y.low = floor(plot->y.low / plot->y.tick) * plot->y.tick;
    plot->y.high =
        MAX(ceil(plot->y.high / plot->y.tick), plot->y.low / plot->y.tick + 1) * plot->y.tick;
    const double samples = (double)g_array_index(rows, ToolTrainRow, rows->len - 1).samples;
    plot->x = (Axis){.high = samples, .tick = MAX(1, round_tick(samples))};
}

static double place_x(const Plot *plot, double value)
{
    return LEFT + (value - plot->x.low) / (plot->x.high - plot->x.low) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const Plot *plot, double value)
{
    return HEIGHT - BOTTOM -
           (value - plot->y.low) / (plot->y.high - plot->y.low) * (HEIGHT - TOP - BOTTOM);
}

/* 1500 as 1.5k */
static char *print_count(double count)
{
    return count >= 1e6   ? g_strdup_printf("%.6gM", count / 1e6)
           : count >= 1e3 ? g_strdup_printf("%.6gk", count / 1e3)
                          : g_strdup_printf("%.6g", count);
}

static void draw_axes(Plot *plot)
{
    ToolCanvas *c = &plot->canvas;

    for (int i = 0; plot->x.low + i * plot->x.tick <= plot->x.high * (1 + 1e-9); i++) {
        const double value = plot->x.low + i * plot->x.tick, x = round(place_x(plot, value));
        g_autofree char *text = print_count(value);
        tool_canvas_line(c, x, TOP, x, HEIGHT - BOTTOM, 1, GRID);
        tool_canvas_text(c, (int)x - tool_canvas_text_width(text, SCALE) / 2, HEIGHT - BOTTOM + 8,
                         SCALE, INK, text);
    }
    for (int i = 0; plot->y.low + (i - 1e-6) * plot->y.tick <= plot->y.high; i++) {
        const double value = plot->y.low + i * plot->y.tick, y = round(place_y(plot, value));
        g_autofree char *text = g_strdup_printf("%.4g", fabs(value) < 1e-12 ? 0 : value);
        tool_canvas_line(c, LEFT, y, WIDTH - RIGHT, y, 1, GRID);
        tool_canvas_text(c, LEFT - 6 - tool_canvas_text_width(text, SCALE), (int)y - 6, SCALE, INK,
                         text);
    }
    tool_canvas_line(c, LEFT, TOP, LEFT, HEIGHT - BOTTOM, 1, INK);
    tool_canvas_line(c, LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, 1, INK);
    tool_canvas_text(c, (WIDTH - tool_canvas_text_width("samples", SCALE)) / 2, HEIGHT - 20, SCALE,
                     INK, "samples");
    tool_canvas_text(c, LEFT, 12, SCALE, LOSS, "loss");
    tool_canvas_text(c, LEFT + 80, 12, SCALE, TEST, "test loss");
}

static void draw_curves(Plot *plot, const GArray *rows)
{
    double x_before = NAN, y_before = NAN;

    for (int i = 0; i < plot->n; i++)
        tool_canvas_line(&plot->canvas, place_x(plot, plot->at[MAX(0, i - 1)]),
                         place_y(plot, plot->loss[MAX(0, i - 1)]), place_x(plot, plot->at[i]),
                         place_y(plot, plot->loss[i]), 2, LOSS);
    for (guint i = 0; i < rows->len; i++) {
        const ToolTrainRow *row = &g_array_index(rows, ToolTrainRow, i);
        if (isnan(row->test_loss))
            continue;
        const double x = place_x(plot, (double)row->samples), y = place_y(plot, row->test_loss);
        if (!isnan(x_before))
            tool_canvas_line(&plot->canvas, x_before, y_before, x, y, 2, TEST);
        tool_canvas_dot(&plot->canvas, x, y, 3, TEST);
        x_before = x;
        y_before = y;
    }
}

gboolean tool_train_plot(const GArray *rows, const char *file, GError **error)
{
    double at[POINTS], loss[POINTS];
    Plot plot = {.at = at, .loss = loss};

    if (rows->len == 0)
        return TRUE;
    if (!tool_canvas_init(&plot.canvas, WIDTH, HEIGHT, error))
        return FALSE;
    smooth(&plot, rows);
    choose_axes(&plot, rows);
    draw_axes(&plot);
    draw_curves(&plot, rows);
    const gboolean saved = tool_png_save(file, plot.canvas.rgb, WIDTH, HEIGHT, NULL, error);
    tool_canvas_clear(&plot.canvas);
    return saved;
}
