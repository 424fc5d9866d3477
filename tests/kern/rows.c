/* dk_gather, dk_patchify and dk_unpatchify: copies, so exact.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <stdlib.h>

/* Rows several times, and left as they are; x has an item for each of y's, or one for all. */
static void check_gather(Kern *k, const int64_t *s)
{
    const int64_t m = s[2], n = s[3], items = kern_bits(k) % 2 ? 1 : s[0];
    kern_note(k, " items=%lld", (long long)items);
    int32_t *rows = malloc((size_t)s[1] * sizeof *rows);
    for (int64_t i = 0; rows && i < s[1]; i++)
        rows[i] = (int32_t)(kern_bits(k) % (uint64_t)(m + 1)) - 1;
    KernTensor *table = kern_given(k, DK_I32, 1, &s[1], rows);
    free(rows);
    KernTensor *x = kern_input(k, 3, (int64_t[]){items, m, n}, s[4] - 1);
    KernTensor *y = kern_input(k, 3, (int64_t[]){s[0], s[1], n}, s[4]);
    KERN_SIDES(k, i)
    dk_gather(k->dev[i], y->on[i], x->on[i], table->on[i]);
    kern_compare_exact(k, y);
}

const KernOp kern_gather = {
    .name = "gather",
    .sizes = {"B", "L", "M", "D", "gap"},
    .shapes = {{1, 1, 1, 1, 1}, {2, 3, 5, 16, 1}, {3, 40, 7, 65, 2}, {4, 10, 10, 128, 4}},
    .limits = {4, 60, 60, 300, 4},
    .model = {2, 366, 366, 1536, 1},
    .check = check_gather,
};

static void check_patchify(Kern *k, const int64_t *s)
{
    const int64_t h = s[1], w = s[2], n = s[3], p = s[4];
    KernTensor *y = kern_output(k, 3, (int64_t[]){s[0], h * w, n * p * p}, s[5]);
    KernTensor *x = kern_input(k, 4, (int64_t[]){s[0], n, h * p, w * p}, s[5] - 1);
    KERN_SIDES(k, i)
    dk_patchify(k->dev[i], y->on[i], x->on[i], (int)p);
    kern_compare_exact(k, y);
}

const KernOp kern_patchify = {
    .name = "patchify",
    .sizes = {"B", "h", "w", "C", "p", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1}, {2, 3, 5, 4, 2, 1}, {3, 4, 3, 3, 4, 2}, {1, 7, 9, 3, 1, 1}},
    .limits = {3, 20, 20, 5, 4, 3},
    .model = {2, 16, 16, 4, 2, 1},
    .check = check_patchify,
};

static void check_unpatchify(Kern *k, const int64_t *s)
{
    const int64_t h = s[1], w = s[2], n = s[3], p = s[4];
    KernTensor *y = kern_output(k, 4, (int64_t[]){s[0], n, h * p, w * p}, s[5] - 1);
    KernTensor *x = kern_input(k, 3, (int64_t[]){s[0], h * w, n * p * p}, s[5]);
    KERN_SIDES(k, i)
    dk_unpatchify(k->dev[i], y->on[i], x->on[i], (int)p);
    kern_compare_exact(k, y);
}

const KernOp kern_unpatchify = {
    .name = "unpatchify",
    .sizes = {"B", "h", "w", "C", "p", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1}, {2, 3, 5, 4, 2, 1}, {3, 4, 3, 3, 4, 2}, {1, 7, 9, 3, 1, 1}},
    .limits = {3, 20, 20, 5, 4, 3},
    .model = {2, 16, 16, 4, 2, 1},
    .check = check_unpatchify,
};
