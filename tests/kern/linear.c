/* dk_linear: bias or none, each activation, overwriting and accumulating, rows with gaps, operands
 * as they are, rounded to bf16 and to f16.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static void check_products(Kern *k, const int64_t *s, DkProducts products)
{
    const int64_t m = s[0], n = s[1], in = s[2];
    const bool accumulate = kern_bits(k) % 2, bias = kern_bits(k) % 2;
    const DkAct act = kern_bits(k) % 5;
    kern_note(k, " accumulate=%d bias=%d act=%d", accumulate, bias, act);
    KernTensor *x = kern_input(k, 2, (int64_t[]){m, in}, s[3] - 1);
    KernTensor *b = kern_normal(k, 1, &n, 0);
    KernTensor *y = accumulate ? kern_input(k, 2, (int64_t[]){m, n}, s[3])
                               : kern_output(k, 2, (int64_t[]){m, n}, s[3]);
    for (int i = 0; i < 2; i++)
        dk_device_set_products(k->dev[i], products);
    KernWeight w = kern_weight_linear(k, n, in);
    for (int i = 0; i < 2; i++)
        dk_device_set_products(k->dev[i], DK_PRODUCTS_F32);
    KERN_SIDES(k, i)
    {
        const DkTensor none = {0};
        dk_linear(k->dev[i], y->on[i], x->on[i], w.on[i], bias ? b->on[i] : none, act, accumulate);
    }
    /* magnitudes: in products of x and w, then y and b; a double's rounding to float is scale-free
     */
    const double sum = sqrt((double)in) * kern_scale(k) + kern_scale(k) + 1;
    kern_compare(k, y, kern_tolerance(in, sum));
}

static void check(Kern *k, const int64_t *s)
{
    check_products(k, s, DK_PRODUCTS_F32);
}

/* ref rounds as we do: the tolerance is that of sums in f32, hundreds of times less than what
 * rounding an operand wrongly, or not, would show. */
static void check_bf16(Kern *k, const int64_t *s)
{
    check_products(k, s, DK_PRODUCTS_BF16);
}

static void check_f16(Kern *k, const int64_t *s)
{
    check_products(k, s, DK_PRODUCTS_F16);
}

/* Of all products. */
#define SHAPES                                                                                     \
    .sizes = {"M", "N", "K", "gap"}, .shapes = {{1, 1, 1, 1}, {1, 64, 33, 1}, {7, 1, 17, 3},       \
                                                {5, 3, 1, 1}, {2, 32, 16, 4}, {65, 17, 129, 2}},   \
    .limits = {200, 150, 300, 5}, .model = {366, 3072, 1536, 1}

const KernOp kern_linear = {.name = "linear", SHAPES, .check = check};
const KernOp kern_linear_bf16 = {.name = "linear_bf16", SHAPES, .check = check_bf16};
const KernOp kern_linear_f16 = {.name = "linear_f16", SHAPES, .check = check_f16};
