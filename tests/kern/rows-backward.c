/* dk_sum_rows, dk_gather_backward, dk_unpatchify_backward and dk_conv2d_dw_backward.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdlib.h>

static void check_sum_rows(Kern *k, const int64_t *s)
{
    KernTensor *x = kern_input(k, 2, s, s[2] - 1), *y = kern_input(k, 1, &s[1], 0);
    KERN_SIDES(k, i)
    dk_sum_rows(k->dev[i], y->on[i], x->on[i]);
    kern_compare(k, y, kern_tolerance(s[0], (sqrt((double)s[0]) + 1) * kern_scale(k)));
}

const KernOp kern_sum_rows = {
    .name = "sum_rows",
    .sizes = {"M", "N", "gap"},
    .shapes = {{1, 1, 1}, {2, 16, 1}, {17, 31, 2}, {16, 64, 1}, {333, 65, 1}},
    .limits = {200, 500, 4},
    .model = {2000, 1024, 1},
    .check = check_sum_rows,
};

/* Rows several times, and none; dx has an item for each of dy's, or one for all. */
static void check_gather(Kern *k, const int64_t *s)
{
    const int64_t m = s[2], n = s[3], items = kern_bits(k) % 2 ? 1 : s[0];
    kern_note(k, " items=%lld", (long long)items);
    int32_t *rows = malloc((size_t)s[1] * sizeof *rows);
    for (int64_t i = 0; rows && i < s[1]; i++)
        rows[i] = (int32_t)(kern_bits(k) % (uint64_t)(m + 1)) - 1;
    KernTensor *table = kern_given(k, DK_I32, 1, &s[1], rows);
    free(rows);
    KernTensor *dx = kern_input(k, 3, (int64_t[]){items, m, n}, s[4] - 1);
    KernTensor *dy = kern_input(k, 3, (int64_t[]){s[0], s[1], n}, s[4]);
    KERN_SIDES(k, i)
    dk_gather_backward(k->dev[i], dx->on[i], dy->on[i], table->on[i]);
    kern_compare_exact(k, dx);
}

const KernOp kern_gather_backward = {
    .name = "gather_backward",
    .sizes = {"B", "L", "M", "D", "gap"},
    .shapes = {{1, 1, 1, 1, 1}, {2, 3, 5, 16, 1}, {3, 40, 7, 65, 2}, {4, 10, 10, 128, 1}},
    .limits = {4, 60, 60, 300, 4},
    .model = {4, 366, 366, 1536, 1},
    .check = check_gather,
};

static void check_unpatchify(Kern *k, const int64_t *s)
{
    const int64_t h = s[1], w = s[2], n = s[3], p = s[4];
    KernTensor *dx = kern_output(k, 3, (int64_t[]){s[0], h * w, p * p * n}, s[5]);
    KernTensor *dy = kern_input(k, 4, (int64_t[]){s[0], n, h * p, w * p}, 0);
    KERN_SIDES(k, i)
    dk_unpatchify_backward(k->dev[i], dx->on[i], dy->on[i], (int)p);
    kern_compare_exact(k, dx);
}

const KernOp kern_unpatchify_backward = {
    .name = "unpatchify_backward",
    .sizes = {"B", "h", "w", "C", "p", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1}, {2, 3, 5, 4, 2, 1}, {1, 4, 4, 3, 4, 2}},
    .limits = {3, 12, 12, 8, 4, 4},
    .model = {2, 16, 16, 4, 2, 1},
    .check = check_unpatchify,
};

static void check_conv2d_dw(Kern *k, const int64_t *s)
{
    const int64_t shape[] = {s[0], s[1], s[2], s[3]}, taps[] = {s[3], 9};
    const bool bias = kern_bits(k) % 2;
    kern_note(k, " bias=%d", bias);
    KernTensor *x = kern_normal(k, 4, shape, s[4] - 1), *dy = kern_input(k, 4, shape, s[4]);
    KernTensor *dx = kern_output(k, 4, shape, s[4] + 1), *w = kern_normal(k, 2, taps, 0);
    KernTensor *dw = kern_input(k, 2, taps, 0), *db = kern_input(k, 1, &s[3], 0);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_conv2d_dw_backward(k->dev[i], dx->on[i], dw->on[i], bias ? db->on[i] : none, dy->on[i],
                              x->on[i], w->on[i]);
    }
    const int64_t n = s[0] * s[1] * s[2];
    kern_compare(k, dx, kern_tolerance(9, 9 * kern_scale(k)));
    kern_compare(k, dw, kern_tolerance(n, (sqrt((double)n) + 1) * kern_scale(k)));
    kern_compare(k, db, kern_tolerance(n, (sqrt((double)n) + 1) * kern_scale(k)));
}

const KernOp kern_conv2d_dw_backward = {
    .name = "conv2d_dw_backward",
    .sizes = {"B", "H", "W", "D", "gap"},
    .shapes = {{1, 1, 1, 1, 1}, {2, 3, 5, 16, 1}, {1, 1, 7, 33, 2}, {3, 4, 2, 130, 1}},
    .limits = {3, 12, 12, 140, 4},
    .model = {2, 24, 24, 256, 1},
    .check = check_conv2d_dw,
};
