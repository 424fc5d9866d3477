/* Philox and a Box-Muller transform whose bits depend on no library.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "rng.h"

#include <math.h>

void dim_philox(const guint32 counter[4], const guint32 key[2], guint32 out[4])
{
    guint32 c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    guint32 k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        const guint64 a = (guint64)0xD2511F53 * c0, b = (guint64)0xCD9E8D57 * c2;
        c0 = (guint32)(b >> 32) ^ c1 ^ k0;
        c1 = (guint32)b;
        c2 = (guint32)(a >> 32) ^ c3 ^ k1;
        c3 = (guint32)a;
        k0 += 0x9E3779B9; /* the golden ratio */
        k1 += 0xBB67AE85; /* sqrt(3) - 1 */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* ln u for 0 < u <= 1: u = 2^e m with m around 1, ln m = 2 artanh((m - 1) / (m + 1)) as a series.
 * Within 4e-16 of the true value, relatively; libm's last bit differs between its versions. */
double dim_log(double u)
{
    static const double ln2 = 0.693147180559945309;
    int e;
    double m = frexp(u, &e);

    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (int k = 23; k >= 3; k -= 2)
        sum = (sum + 1.0 / k) * square;
    return e * ln2 + 2 * (s + s * sum);
}

/* cos(2 pi u) for 0 <= u < 1: folded to an angle in [0, pi/4], then Taylor's series. */
double dim_cos_turns(double u)
{
    static const double pi = 3.14159265358979324;
    double quarter = u > 0.5 ? 1 - u : u; /* cos is even: now in [0, 1/2] turns */
    const double sign = quarter > 0.25 ? -1 : 1;
    if (quarter > 0.25)
        quarter = 0.5 - quarter;
    const gboolean as_sine = quarter > 0.125; /* cos x = sin(pi/2 - x) */
    const double angle = 2 * pi * (as_sine ? 0.25 - quarter : quarter);
    const double square = angle * angle;
    double sum = 1;

    for (int k = as_sine ? 17 : 16; k >= 2; k -= 2)
        sum = 1 - sum * square / (k * (k - 1));
    return sign * (as_sine ? angle * sum : sum);
}

double dim_sin_turns(double u)
{
    return dim_cos_turns(u < 0.25 ? 0.25 - u : u - 0.25);
}

/* Two numbers of 53 bits out of a block of Philox. */
static void draw_pair(gint64 seed, const guint32 counter[4], guint64 pair[2])
{
    const guint32 key[2] = {(guint32)seed, (guint32)((guint64)seed >> 32)};
    guint32 words[4];

    dim_philox(counter, key, words);
    pair[0] = ((guint64)words[1] << 32 | words[0]) >> 11;
    pair[1] = ((guint64)words[3] << 32 | words[2]) >> 11;
}

static double draw_normal(gint64 seed, const guint32 counter[4])
{
    guint64 pair[2];

    draw_pair(seed, counter, pair);
    /* Box and Muller 1958; the radius' number lies in (0, 1], the angle's in [0, 1). */
    const double radius = sqrt(-2 * dim_log((double)(pair[0] + 1) * 0x1p-53));
    return radius * dim_cos_turns((double)pair[1] * 0x1p-53);
}

double dim_noise_at(gint64 seed, DimNoiseStream stream, int channel, int row, int column)
{
    const guint32 counter[4] = {(guint32)column, (guint32)row, (guint32)channel, stream};

    return draw_normal(seed, counter);
}

double dim_random_uniform(gint64 seed, DimRandomStream stream, gint64 index, guint32 k)
{
    const guint32 counter[4] = {k, (guint32)index, (guint32)((guint64)index >> 32), stream};
    guint64 pair[2];

    draw_pair(seed, counter, pair);
    return (double)pair[0] * 0x1p-53;
}

gint64 dim_random_below(gint64 seed, DimRandomStream stream, gint64 index, guint32 k, gint64 n)
{
    g_assert(n > 0);
    /* u < 1, but its product with n may round up to n. */
    return MIN((gint64)(dim_random_uniform(seed, stream, index, k) * (double)n), n - 1);
}

double dim_random_normal(gint64 seed, DimRandomStream stream, gint64 index, guint32 k)
{
    const guint32 counter[4] = {k, (guint32)index, (guint32)((guint64)index >> 32), stream};

    return draw_normal(seed, counter);
}

/* One cell of the upsampled noise. */
static void fill_cell(float *out, gint64 seed, const DimNoiseStream streams[2], int width,
                      int factor, int channel, int row, int column)
{
    const double z = dim_noise_at(seed, streams[0], channel, row, column);
    double sum = 0;

    for (int i = 0; i < factor; i++)
        for (int j = 0; j < factor; j++)
            sum += dim_noise_at(seed, streams[1], channel, row * factor + i, column * factor + j);
    const double shift = z / factor - sum / ((double)factor * factor);
    for (int i = 0; i < factor; i++)
        for (int j = 0; j < factor; j++)
            out[(gsize)i * width + j] =
                (float)(shift + dim_noise_at(seed, streams[1], channel, row * factor + i,
                                             column * factor + j));
}

static void fill(float *out, gint64 seed, const DimNoiseStream streams[2], int channels, int height,
                 int width, int factor)
{
    g_assert(factor >= 1 && height % factor == 0 && width % factor == 0);
    for (int c = 0; c < channels; c++, out += (gsize)height * width)
        for (int i = 0; i < height / factor; i++)
            for (int j = 0; j < width / factor; j++) {
                float *cell = out + (gsize)i * factor * width + (gsize)j * factor;
                if (factor == 1)
                    *cell = (float)dim_noise_at(seed, streams[0], c, i, j);
                else
                    fill_cell(cell, seed, streams, width, factor, c, i, j);
            }
}

void dim_noise_fill(float *out, gint64 seed, int channels, int height, int width, int factor)
{
    const DimNoiseStream streams[] = {DIM_NOISE_START, DIM_NOISE_DETAIL};

    fill(out, seed, streams, channels, height, width, factor);
}

void dim_noise_fill_step(float *out, gint64 seed, int step, int channels, int height, int width,
                         int factor)
{
    const DimNoiseStream streams[] = {DIM_NOISE_STEP + 2 * (guint32)step,
                                      DIM_NOISE_STEP + 2 * (guint32)step + 1};

    fill(out, seed, streams, channels, height, width, factor);
}
