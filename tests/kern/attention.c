/* dk_attention: one head and several, as many queries as keys or not, q, k and v side by side with
 * gaps.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

/* Logits of about 1, whatever the inputs are like: huge and tiny ones would only test the softmax
 * of 0 or of one key. */
static void check_products(Kern *k, const int64_t *s, DkProducts products)
{
    const int64_t n_heads = s[3], d = n_heads * s[4];
    const int64_t q_sizes[] = {s[0], s[1], d}, k_sizes[] = {s[0], s[2], d};
    KernTensor *q = kern_normal(k, 3, q_sizes, s[5] - 1);
    KernTensor *key = kern_normal(k, 3, k_sizes, s[5] - 1);
    KernTensor *v = kern_input(k, 3, k_sizes, s[5]);
    KernTensor *y = kern_output(k, 3, q_sizes, s[5]);
    KERN_SIDES(k, i)
    dk_attention(k->dev[i], y->on[i], q->on[i], key->on[i], v->on[i], (int)n_heads, products);
    /* An error of the logits, sums over the channels, is one of the weights; these sum to 1. */
    const KernTolerance logits = kern_tolerance(s[4], sqrt((double)s[4]));
    KernTolerance tolerance = kern_tolerance(s[2], 4 * kern_scale(k));
    tolerance.atol += 4 * logits.atol * kern_scale(k);
    /* The same weight is rounded at another scale: half a step each, 2^-9 or 2^-12 of it. */
    if (products != DK_PRODUCTS_F32)
        tolerance.atol += 4 * (products == DK_PRODUCTS_BF16 ? 0x1p-8 : 0x1p-11) * kern_scale(k);
    kern_compare(k, y, tolerance);
}

static void check(Kern *k, const int64_t *s)
{
    check_products(k, s, DK_PRODUCTS_F32);
}

static void check_bf16(Kern *k, const int64_t *s)
{
    check_products(k, s, DK_PRODUCTS_BF16);
}

static void check_f16(Kern *k, const int64_t *s)
{
    check_products(k, s, DK_PRODUCTS_F16);
}

const KernOp kern_attention = {
    .name = "attention",
    .sizes = {"B", "Lq", "L", "heads", "width", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1},
               {2, 5, 3, 2, 7, 2},
               {1, 97, 400, 1, 64, 1},
               {1, 3, 1030, 3, 72, 1},
               {1, 37, 70, 1, 128, 1},
               {1, 37, 70, 1, 200, 1},
               {1, 130, 65, 1, 520, 3}},
    .limits = {2, 250, 800, 4, 80, 4},
    .model = {1, 1024, 1024, 1, 512, 1},
    .check = check,
};

/* Of what rounds to 16 bits. */
#define SHAPES                                                                                     \
    .sizes = {"B", "Lq", "L", "heads", "width", "gap"},                                            \
    .shapes = {{1, 1, 1, 1, 1, 1},                                                                 \
               {2, 5, 3, 2, 7, 2},                                                                 \
               {1, 65, 130, 1, 64, 1},                                                             \
               {1, 3, 70, 2, 72, 1},                                                               \
               {1, 17, 65, 1, 100, 3}},                                                            \
    .limits = {2, 70, 140, 2, 80, 4}, .model = {1, 256, 256, 6, 64, 1}

const KernOp kern_attention_bf16 = {.name = "attention_bf16", SHAPES, .check = check_bf16};
const KernOp kern_attention_f16 = {.name = "attention_f16", SHAPES, .check = check_f16};
