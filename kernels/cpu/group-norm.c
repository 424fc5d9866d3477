/* Group norm in two steps, so that statistics can be gathered from strips: per image row the count,
 * mean and M2 (sum of squares about the mean) of each group, merged in the order of the rows by
 * Chan's rule: n = na + nb,  d = mb - ma,  m = ma + d nb / n,  M2 = M2a + M2b + d² na nb / n.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Threads share the rows, each row's statistics go to a place of their own, and one thread merges
 * them. Within a row, sums are taken about the first pixel, in double: what all pixels have in
 * common costs no accuracy. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

#include <math.h>

typedef struct {
    double count, mean, m2;
} Moments;

static void merge(Moments *into, Moments m)
{
    const double n = into->count + m.count, d = m.mean - into->mean;
    into->mean += d * (m.count / n);
    into->m2 += m.m2 + d * d * (into->count * m.count / n);
    into->count = n;
}

/* ---- statistics
 * ----------------------------------------------------------------------------------- */

enum { HALF = VEC_LANES / 2, CHUNK = 512 };

typedef struct {
    DkTensor x;
    int64_t n_groups, width; /* channels of a group */
    Moments *rows;           /* [image rows][groups] */
} Stats;

/* Sums of a chunk of channels over the pixels of one image row. */
typedef struct {
    VecDouble origin[CHUNK / HALF], sum[CHUNK / HALF], squares[CHUNK / HALF];
} Sums;

/* One pixel's n channels, or as much of them as fills vectors, which is returned. */
static int64_t add_pixel(Sums *sums, const float *x, int64_t n)
{
    int64_t k = 0;
    for (; k + HALF <= n; k += HALF) {
        const VecDouble d = vec_double_load(x + k) - sums->origin[k / HALF];
        sums->sum[k / HALF] += d;
        sums->squares[k / HALF] += d * d;
    }
    return k;
}

static void add_pixels(Sums *sums, const float *x, int64_t stride, int64_t n_pixels, int64_t n)
{
    float tail[HALF] = {0};
    for (int64_t k = 0; k < n; k++)
        sums->origin[k / HALF][k % HALF] = x[k];
    for (int64_t i = 0; i < n_pixels; i++, x += stride) {
        const int64_t k = add_pixel(sums, x, n);
        if (k == n)
            continue;
        memcpy(tail, x + k, (size_t)(n - k) * sizeof *x);
        const VecDouble d = vec_double_load(tail) - sums->origin[k / HALF];
        sums->sum[k / HALF] += d;
        sums->squares[k / HALF] += d * d;
    }
}

/* Channels c..c+n-1, n <= CHUNK, of image row `row` into the row's groups. */
static void add_channels(const Stats *stats, int64_t row, int64_t c, int64_t n, Moments *groups)
{
    const int64_t n_pixels = stats->x.sizes[2];
    const double count = (double)n_pixels;
    Sums sums;
    memset(&sums, 0, sizeof sums);
    add_pixels(&sums, dk_row(stats->x, row * n_pixels) + c, stats->x.row_stride, n_pixels, n);
    for (int64_t k = 0; k < n; k++) {
        const int64_t v = k / HALF, lane = k % HALF;
        const double sum = sums.sum[v][lane], squares = sums.squares[v][lane];
        merge(&groups[(c + k) / stats->width],
              (Moments){count, sums.origin[v][lane] + sum / count, squares - sum * sum / count});
    }
}

static void stats_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Stats *stats = op;
    const int64_t n_channels = stats->x.sizes[3];
    for (int64_t row = first; row < last; row++) {
        Moments *groups = stats->rows + row * stats->n_groups;
        memset(groups, 0, (size_t)stats->n_groups * sizeof *groups);
        for (int64_t c = 0; c < n_channels; c += CHUNK)
            add_channels(stats, row, c, n_channels - c < CHUNK ? n_channels - c : CHUNK, groups);
    }
}

void DK_SIMD(group_stats)(DkDevice *dev, DkTensor stats, DkTensor x)
{
    const int64_t n_groups = stats.sizes[1], n_rows = x.sizes[0] * x.sizes[1];
    Moments *rows = dk_scratch(dev, (size_t)(n_rows * n_groups) * sizeof *rows);
    if (!rows)
        return;
    const Stats op = {.x = x, .n_groups = n_groups, .width = x.sizes[3] / n_groups, .rows = rows};
    dk_cpu_parallel(dev, n_rows, (double)(x.sizes[2] * x.sizes[3]), stats_part, &op);
    if (dk_stopped(dev))
        return;
    Moments *into = dk_data(stats);
    for (int64_t row = 0; row < n_rows; row++)
        for (int64_t g = 0; g < n_groups; g++)
            merge(&into[row / x.sizes[1] * n_groups + g], rows[row * n_groups + g]);
}

/* ---- application
 * ---------------------------------------------------------------------------------- */

typedef struct {
    DkTensor y, x;
    const float *mean, *factor, *add; /* [B, C]: y = act ((x - mean) · factor + add) */
    DkAct act;
} Apply;

static inline __attribute__((always_inline)) void apply_row(const Apply *op, int64_t row, DkAct act)
{
    const int64_t n_channels = op->x.sizes[3];
    const int64_t picture = row / (op->x.sizes[1] * op->x.sizes[2]) * n_channels;
    const float *x = dk_row(op->x, row), *mean = op->mean + picture;
    const float *factor = op->factor + picture, *add = op->add + picture;
    float *y = dk_row(op->y, row);
    for (int64_t c = 0; c < n_channels; c += VEC_LANES) {
        const int64_t n = vec_lanes(c, n_channels);
        const Vec centred = vec_load_first(x + c, n) - vec_load_first(mean + c, n);
        const Vec sum = vec_fma(centred, vec_load_first(factor + c, n), vec_load_first(add + c, n));
        vec_store_first(y + c, vec_act(sum, act), n);
    }
}

static void apply_part(const void *data, int64_t first, int64_t last, int thread)
{
    const Apply *op = data;
    if (op->act == DK_ACT_SILU)
        for (int64_t row = first; row < last; row++)
            apply_row(op, row, DK_ACT_SILU);
    else
        for (int64_t row = first; row < last; row++)
            apply_row(op, row, op->act);
}

void DK_SIMD(group_apply)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor stats, DkTensor w,
                          DkTensor b, float eps, DkAct act)
{
    const int64_t n_channels = x.sizes[3], n = x.sizes[0] * n_channels;
    const int64_t width = n_channels / stats.sizes[1];
    float *mean = dk_scratch(dev, (size_t)(3 * n) * sizeof *mean);
    if (!mean)
        return;
    float *factor = mean + n, *add = factor + n;
    const Moments *groups = dk_data(stats);
    for (int64_t i = 0; i < n; i++) {
        const Moments *m = &groups[i / width];
        const int64_t c = i % n_channels;
        const double by = dk_row(w, 0)[c] / sqrt(m->m2 / m->count + eps);
        mean[i] = (float)m->mean;
        factor[i] = (float)by;
        /* with it what the mean lost when it was rounded */
        add[i] = (float)(dk_row(b, 0)[c] - (m->mean - mean[i]) * by);
    }
    const Apply op = {.y = y, .x = x, .mean = mean, .factor = factor, .add = add, .act = act};
    dk_cpu_parallel(dev, dk_rows(x), (double)n_channels, apply_part, &op);
}
