/* dk_group_stats and dk_group_apply: a picture whole and in strips, each activation, in place or
 * apart.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <stdlib.h>

/* Zeros, as dk_clear leaves them. */
static KernTensor *cleared(Kern *k, int64_t n_batch, int64_t n_groups)
{
    double *zeros = calloc((size_t)(n_batch * n_groups), 3 * sizeof *zeros);
    KernTensor *t = kern_given(k, DK_F64, 3, (int64_t[]){n_batch, n_groups, 3}, zeros);
    free(zeros);
    return t;
}

/* Image rows first..first+n-1 of the only picture. */
static DkTensor strip(DkTensor x, int64_t first, int64_t n)
{
    x.offset += (size_t)(first * x.sizes[2] * x.row_stride) * sizeof(float);
    x.sizes[1] = n;
    return x;
}

static void check_group_stats(Kern *k, const int64_t *s)
{
    const int64_t n_channels = s[3] * s[4], cut = s[1] / 2;
    const bool in_strips = s[0] == 1 && cut && kern_bits(k) % 2;
    kern_note(k, " in_strips=%d", in_strips);
    KernTensor *x = kern_input(k, 4, (int64_t[]){s[0], s[1], s[2], n_channels}, s[5] - 1);
    KernTensor *stats = cleared(k, s[0], s[3]), *whole = cleared(k, s[0], s[3]);
    KERN_SIDES(k, i)
    {
        dk_group_stats(k->dev[i], whole->on[i], x->on[i]);
        if (in_strips) {
            dk_group_stats(k->dev[i], stats->on[i], strip(x->on[i], 0, cut));
            dk_group_stats(k->dev[i], stats->on[i], strip(x->on[i], cut, s[1] - cut));
        } else {
            dk_group_stats(k->dev[i], stats->on[i], x->on[i]);
        }
    }
    /* sums in double, but M2 of equal numbers is a difference of two roundings */
    const double scale = kern_scale(k), n = (double)(s[1] * s[2] * s[4]);
    const KernTolerance tolerance = {1e-12, 1e-13 * n * (scale > 1 ? scale * scale : scale)};
    kern_compare(k, whole, tolerance);
    kern_compare(k, stats, tolerance);
}

const KernOp kern_group_stats = {
    .name = "group_stats",
    .sizes = {"B", "H", "W", "G", "channels", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1},
               {2, 3, 5, 2, 16, 1},
               {1, 4, 4, 3, 7, 2},
               {1, 9, 2, 4, 4, 1},
               {2, 2, 3, 1, 33, 3}},
    .limits = {2, 12, 20, 8, 20, 3},
    .model = {1, 64, 64, 32, 16, 1},
    .check = check_group_stats,
};

static void check_group_apply(Kern *k, const int64_t *s)
{
    const int64_t n_channels = s[3] * s[4], shape[] = {s[0], s[1], s[2], n_channels};
    const DkAct act = kern_bits(k) % 5;
    kern_note(k, " act=%d", act);
    KernTensor *x = kern_input(k, 4, shape, s[5] - 1);
    KernTensor *w = kern_normal(k, 1, &n_channels, 0), *b = kern_normal(k, 1, &n_channels, 0);
    KernTensor *stats = cleared(k, s[0], s[3]);
    KernTensor *y = kern_bits(k) % 2 ? x : kern_output(k, 4, shape, s[5]);
    for (int i = 0; i < 2; i++)
        dk_group_stats(k->dev[i], stats->on[i], x->on[i]);
    KERN_SIDES(k, i)
    dk_group_apply(k->dev[i], y->on[i], x->on[i], stats->on[i], w->on[i], b->on[i], 1e-6f, act);
    const double scale = kern_scale(k);
    kern_compare(k, stats, (KernTolerance){1e-12, 1e-10 * (scale > 1 ? scale * scale : scale)});
    kern_compare(k, y, kern_tolerance(2, 4));
}

const KernOp kern_group_apply = {
    .name = "group_apply",
    .sizes = {"B", "H", "W", "G", "channels", "gap"},
    .shapes = {{2, 3, 5, 2, 16, 1}, {1, 4, 4, 3, 7, 2}, {1, 9, 2, 4, 4, 1}, {2, 2, 3, 1, 33, 3}},
    .limits = {2, 12, 20, 8, 20, 3},
    .model = {1, 64, 64, 32, 16, 1},
    .check = check_group_apply,
};
