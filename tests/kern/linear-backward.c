/* dk_linear_backward_weight: gaps between the rows of each tensor, sums over several blocks of
 * rows, with the bias's gradient and without.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static const DkTensor none;

static void check(Kern *k, const int64_t *s)
{
    const int64_t m = s[0], n = s[1], in = s[2];
    KernTensor *dy = kern_input(k, 2, (int64_t[]){m, n}, s[3] - 1);
    KernTensor *x = kern_normal(k, 2, (int64_t[]){m, in}, s[3]);
    KernTensor *dw = kern_input(k, 2, (int64_t[]){n, in}, s[3] + 1);
    KernTensor *db = kern_bits(k) % 2 ? kern_input(k, 1, &n, 0) : NULL;
    const DkProducts products = kern_bits(k) % 3;
    kern_note(k, " products=%d bias=%d", (int)products, db != NULL);
    for (int i = 0; i < 2; i++)
        dk_device_set_products(k->dev[i], products);
    KERN_SIDES(k, i)
    dk_linear_backward_weight(k->dev[i], dw->on[i], db ? db->on[i] : none, dy->on[i], x->on[i]);
    for (int i = 0; i < 2; i++)
        dk_device_set_products(k->dev[i], DK_PRODUCTS_F32);
    const KernTolerance tolerance = kern_tolerance(m, (sqrt((double)m) + 1) * kern_scale(k));
    kern_compare(k, dw, tolerance);
    if (db)
        kern_compare(k, db, tolerance);
}

const KernOp kern_linear_backward_weight = {
    .name = "linear_backward_weight",
    .sizes = {"M", "N", "K", "gap"},
    .shapes = {{1, 1, 1, 1},
               {3, 6, 16, 1},
               {64, 33, 7, 2},
               {383, 5, 40, 1},
               {1537, 13, 17, 3},
               {3500, 50, 70, 1},
               {100, 130, 260, 2}},
    .limits = {900, 150, 150, 5},
    .model = {1000, 128, 256, 1},
    .check = check,
};
