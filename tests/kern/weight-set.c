/* dk_weight_set: products and scans with weights that got other numbers, plain and transposed.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

static const DkTensor none;

static void check_linear(Kern *k, const int64_t *s)
{
    const int64_t m = s[0], n = s[1], in = s[2];
    const bool transposed = kern_bits(k) % 2;
    const DkProducts products = kern_bits(k) % 3;
    kern_note(k, " transposed=%d products=%d", transposed, (int)products);
    KernTensor *x = kern_input(k, 2, (int64_t[]){m, in}, 0);
    KernTensor *w = kern_normal(k, 2, transposed ? (int64_t[]){in, n} : (int64_t[]){n, in}, s[3]);
    KernTensor *y = kern_output(k, 2, (int64_t[]){m, n}, 0);
    for (int i = 0; i < 2; i++)
        dk_device_set_products(k->dev[i], products);
    KernWeight weight = kern_weight_linear(k, n, in);
    for (int i = 0; i < 2; i++)
        dk_device_set_products(k->dev[i], DK_PRODUCTS_F32);
    KERN_SIDES(k, i)
    {
        dk_weight_set(k->dev[i], weight.on[i], w->on[i], transposed);
        dk_linear(k->dev[i], y->on[i], x->on[i], weight.on[i], none, DK_ACT_NONE, false);
    }
    kern_compare(k, y, kern_tolerance(in, (double)in * kern_scale(k)));
}

const KernOp kern_weight_set_linear = {
    .name = "weight_set_linear",
    .sizes = {"M", "N", "K", "gap"},
    .shapes = {{1, 1, 1, 1}, {3, 64, 33, 1}, {7, 1, 17, 3}, {5, 33, 1, 1}, {9, 530, 40, 2}},
    .limits = {20, 150, 300, 5},
    .model = {4, 1024, 512, 1},
    .check = check_linear,
};

static void check_conv2d(Kern *k, const int64_t *s)
{
    const int64_t h = s[0], in = s[1], out = s[2], kernel = s[3];
    const bool transposed = kern_bits(k) % 2;
    kern_note(k, " transposed=%d", transposed);
    const int64_t rows = transposed ? in : out, columns = transposed ? out : in;
    KernTensor *x = kern_input(k, 4, (int64_t[]){1, h + kernel, h + kernel, in}, 0);
    KernTensor *w = kern_normal(k, 4, (int64_t[]){rows, columns, kernel, kernel}, 0);
    KernTensor *y = kern_output(k, 4, (int64_t[]){1, h + 1, h + 1, out}, 0);
    KernWeight weight = kern_weight_conv2d(k, out, in, (int)kernel, (int)kernel);
    KERN_SIDES(k, i)
    {
        dk_weight_set(k->dev[i], weight.on[i], w->on[i], transposed);
        dk_conv2d(k->dev[i], y->on[i], x->on[i], weight.on[i], none, 1, (DkPad){0, 0, 0, 0},
                  DK_ACT_NONE, false);
    }
    const int64_t n = in * kernel * kernel;
    kern_compare(k, y, kern_tolerance(n, (double)n * kern_scale(k)));
}

const KernOp kern_weight_set_conv2d = {
    .name = "weight_set_conv2d",
    .sizes = {"H", "I", "O", "kernel"},
    .shapes = {{1, 1, 1, 1}, {3, 3, 17, 3}, {2, 33, 16, 2}, {4, 5, 40, 4}},
    .limits = {9, 40, 40, 4},
    .model = {16, 64, 64, 3},
    .check = check_conv2d,
};

static void check_scan(Kern *k, const int64_t *s)
{
    const int64_t l = s[0], e = s[1], n = s[2], shape[] = {1, l, e};
    KernTensor *u = kern_normal(k, 3, shape, 0), *dt = kern_normal(k, 3, shape, 0);
    KernTensor *b = kern_normal(k, 3, (int64_t[]){1, l, n}, 0);
    KernTensor *d = kern_normal(k, 1, &e, 0), *y = kern_output(k, 3, shape, 0);
    KernTensor *a = kern_normal(k, 2, (int64_t[]){e, n}, s[3] - 1);
    KernWeight weight = kern_weight_scan(k, e, n);
    KERN_SIDES(k, i)
    {
        dk_neg_exp(k->dev[i], a->on[i], a->on[i]);
        dk_weight_set(k->dev[i], weight.on[i], a->on[i], false);
        dk_selective_scan(k->dev[i], y->on[i], u->on[i], dt->on[i], weight.on[i], b->on[i],
                          b->on[i], d->on[i], none, none);
    }
    kern_compare(k, a, (KernTolerance){2.5e-7, 0});
    kern_compare(k, y, kern_tolerance(n + l, 4 * (double)(n + l)));
}

const KernOp kern_weight_set_scan = {
    .name = "weight_set_scan",
    .sizes = {"L", "E", "N", "gap"},
    .shapes = {{1, 1, 1, 1}, {7, 33, 16, 2}, {5, 130, 3, 1}},
    .limits = {20, 150, 40, 4},
    .model = {50, 256, 16, 1},
    .check = check_scan,
};

static void check_s4d(Kern *k, const int64_t *s)
{
    const int64_t l = s[0], d = s[1], n = s[2], shape[] = {1, l, d};
    KernTensor *u = kern_normal(k, 3, shape, 0), *y = kern_output(k, 3, shape, 0);
    KernTensor *skip = kern_normal(k, 1, &d, 0);
    KernWeight old = kern_weight_s4d(k, d, n), numbers = kern_weight_s4d(k, d, n);
    const double *host = (const double *)(const void *)numbers.on[0]->data; /* ref's, as given */
    KernTensor *decay = kern_given(k, DK_F64, 3, (int64_t[]){d, n, 2}, host);
    KernTensor *gain = kern_given(k, DK_F64, 3, (int64_t[]){d, n, 2}, host + 2 * d * n);
    KERN_SIDES(k, i)
    {
        dk_weight_set_s4d(k->dev[i], old.on[i], decay->on[i], gain->on[i], skip->on[i]);
        dk_s4d_scan(k->dev[i], y->on[i], u->on[i], old.on[i], NULL);
    }
    kern_compare(k, y, kern_tolerance(n + l, sqrt((double)n) * (double)l));
}

const KernOp kern_weight_set_s4d = {
    .name = "weight_set_s4d",
    .sizes = {"L", "D", "N"},
    .shapes = {{1, 1, 1}, {7, 33, 16}, {5, 130, 3}},
    .limits = {20, 150, 40},
    .model = {50, 256, 32},
    .check = check_s4d,
};
