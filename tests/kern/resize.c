/* dk_resize: each mode; its sizes up or down by whole factors, bilinear to any size.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

static void check(Kern *k, const int64_t *s)
{
    const DkResize mode = k->bench ? DK_RESIZE_NEAREST : kern_bits(k) % 3;
    const int64_t fine[] = {s[0], s[1] * s[4], s[2] * s[5], s[3]};
    const int64_t any[] = {s[0], s[1] + s[4], s[2] > s[5] ? s[2] - s[5] : 1, s[3]};
    const int64_t *from = mode == DK_RESIZE_BOX ? fine : s;
    const int64_t *to = mode == DK_RESIZE_BOX ? s : mode == DK_RESIZE_NEAREST ? fine : any;
    kern_note(k, " mode=%d", mode);
    KernTensor *x = kern_input(k, 4, from, s[6] - 1);
    KernTensor *y = kern_output(k, 4, to, s[6]);
    KERN_SIDES(k, i)
    dk_resize(k->dev[i], y->on[i], x->on[i], mode);
    kern_compare(k, y, kern_tolerance(4, kern_scale(k)));
}

const KernOp kern_resize = {
    .name = "resize",
    .sizes = {"B", "H", "W", "C", "up", "across", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1, 1}, {2, 3, 4, 5, 2, 3, 2}, {1, 7, 2, 16, 1, 4, 1}},
    .limits = {2, 9, 9, 40, 4, 4, 3},
    .model = {1, 64, 64, 512, 2, 2, 1},
    .check = check,
};
