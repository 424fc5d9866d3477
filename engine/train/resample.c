/* Resampling: boxes, and Keys' cubic in two passes.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Sums run in one fixed order over doubles, and no function of the C library rounds anything but
 * floor and ceil, which are exact. */
#include "resample.h"

#include <math.h>
#include <string.h>

/* What each row or column of the result is made of. */
typedef struct {
    int n, taps;
    int *places;     /* [n][taps], within the borders */
    double *weights; /* [n][taps], each row's sum is 1 */
} Filter;

static double cubic(double x)
{
    x = x < 0 ? -x : x;
    if (x < 1)
        return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static void filter_clear(Filter *filter)
{
    g_free(filter->places);
    g_free(filter->weights);
}

static int place_within(int place, int n, gboolean wraps)
{
    return wraps ? (place % n + n) % n : CLAMP(place, 0, n - 1);
}

static gboolean filter_init(Filter *filter, int from, int n, gboolean wraps)
{
    const double step = (double)from / n, width = MAX(step, 1);
    const int taps = (int)ceil(4 * width) + 1;

    *filter = (Filter){n, taps, g_try_new(int, (gsize)n *taps), g_try_new(double, (gsize)n *taps)};
    if (!filter->places || !filter->weights)
        return FALSE;
    for (int i = 0; i < n; i++) {
        const double centre = (i + 0.5) * step - 0.5;
        const int first = (int)ceil(centre - 2 * width);
        double *weights = filter->weights + (gsize)i * taps, sum = 0;
        for (int k = 0; k < taps; k++) {
            filter->places[(gsize)i * taps + k] = place_within(first + k, from, wraps);
            sum += weights[k] = cubic((first + k - centre) / width);
        }
        for (int k = 0; k < taps; k++)
            weights[k] /= sum;
    }
    return TRUE;
}

static void resample_row(const guint8 *in, const Filter *across, float *out)
{
    for (int i = 0; i < across->n; i++, out += 3) {
        const double *weights = across->weights + (gsize)i * across->taps;
        const int *places = across->places + (gsize)i * across->taps;
        double sum[3] = {0, 0, 0};
        for (int k = 0; k < across->taps; k++)
            for (int c = 0; c < 3; c++)
                sum[c] += weights[k] * in[3 * (gsize)places[k] + c];
        for (int c = 0; c < 3; c++)
            out[c] = (float)sum[c];
    }
}

/* Row i of the result; `rows` [from][n] are resampled across already. */
static void resample_column(const float *rows, gsize n, const Filter *down, int i, guint8 *out)
{
    enum { BLOCK = 128 };
    const double *weights = down->weights + (gsize)i * down->taps;
    const int *places = down->places + (gsize)i * down->taps;

    for (gsize start = 0; start < n; start += BLOCK) {
        const gsize count = MIN(BLOCK, n - start);
        double sum[BLOCK] = {0};
        for (int k = 0; k < down->taps; k++) {
            const float *row = rows + places[k] * n + start;
            for (gsize j = 0; j < count; j++)
                sum[j] += weights[k] * row[j];
        }
        for (gsize j = 0; j < count; j++)
            out[start + j] = (guint8)CLAMP(sum[j] + 0.5, 0, 255);
    }
}

static gboolean bicubic(const guint8 *in, int width, int height, gboolean wraps, guint8 *out,
                        int to_width, int to_height)
{
    const gsize row = 3 * (gsize)to_width;
    g_autofree float *rows = g_try_new(float, height *row);
    Filter across = {0}, down = {0};
    const gboolean ok = rows && filter_init(&across, width, to_width, wraps) &&
                        filter_init(&down, height, to_height, wraps);

    for (int i = 0; ok && i < height; i++)
        resample_row(in + 3 * (gsize)width * i, &across, rows + row * i);
    for (int i = 0; ok && i < to_height; i++)
        resample_column(rows, row, &down, i, out + row * i);
    filter_clear(&across);
    filter_clear(&down);
    return ok;
}

static void box(const guint8 *in, int width, int factor, guint8 *out, int to_width, int to_height)
{
    const guint64 count = (guint64)factor * factor;

    for (int i = 0; i < to_height; i++)
        for (int j = 0; j < to_width; j++, out += 3)
            for (int c = 0; c < 3; c++) {
                guint64 sum = count / 2;
                for (int y = i * factor; y < (i + 1) * factor; y++)
                    for (int x = j * factor; x < (j + 1) * factor; x++)
                        sum += in[3 * ((gsize)y * width + x) + c];
                out[c] = (guint8)(sum / count);
            }
}

gboolean dim_resample(const guint8 *in, int width, int height, gboolean wraps, guint8 *out,
                      int to_width, int to_height)
{
    const int factor = width / to_width;

    g_assert(width > 0 && height > 0 && to_width > 0 && to_height > 0);
    if (factor < 1 || width != factor * (gint64)to_width || height != factor * (gint64)to_height)
        return bicubic(in, width, height, wraps, out, to_width, to_height);
    if (factor == 1)
        memcpy(out, in, 3 * (gsize)width * height);
    else
        box(in, width, factor, out, to_width, to_height);
    return TRUE;
}
