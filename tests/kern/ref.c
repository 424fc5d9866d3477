/* The reference back end against values found by hand or in closed form: it is what all others are
 * compared with.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "check.h"

static const DkTensor none;
static const double tight = 2e-7; /* one rounding to float, and a double's noise */

static void linear(Check *c)
{
    const DkTensor x = check_values(c, SIZES(2, 2), (float[]){1, 2, -3, 4});
    const DkTensor b = check_values(c, SIZES(3), (float[]){10, 20, 30});
    const DkTensor y = check_values(c, SIZES(2, 3), (float[]){1, 1, 1, 1, 1, 1});
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, (float[]){1, 0, 0, 1, 2, -3}, 3, 2));
    dk_linear(c->dev, y, x, w, b, DK_ACT_NONE, true);
    EXPECT(c, check_near(c, y, (double[]){12, 23, 27, 8, 25, 13}, 0));
    dk_linear(c->dev, y, x, w, none, DK_ACT_RELU, false);
    EXPECT(c, check_near(c, y, (double[]){1, 2, 0, 0, 4, 0}, 0));
    dk_linear(c->dev, y, x, w, none, DK_ACT_TANH, false);
    EXPECT(c, check_near(c, y,
                         (double[]){0.76159415595576, 0.96402758007582, -0.99932929973907,
                                    -0.99505475368673, 0.99932929973907, -1},
                         tight));
    check_release(c);
}

/* Taps 1..9 on an image of ones: the sums of the taps that fall inside. */
static void conv2d(Check *c)
{
    const float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const DkTensor x = check_values(c, SIZES(1, 3, 3, 1), ones);
    const DkTensor even = check_values(c, SIZES(1, 4, 4, 1), ones);
    const DkTensor b = check_values(c, SIZES(1), (float[]){100});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 3, 3, 1));
    const DkTensor half = check_tensor(c, DK_F32, SIZES(1, 2, 2, 1));
    DkWeight *w =
        check_keep(c, dk_weight_conv2d(c->dev, (float[]){1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3));
    dk_conv2d(c->dev, y, x, w, b, 1, (DkPad){1, 1, 1, 1}, DK_ACT_NONE, false);
    EXPECT(c, check_near(c, y, (double[]){128, 139, 124, 133, 145, 127, 116, 121, 112}, 0));
    dk_conv2d(c->dev, half, x, w, none, 2, (DkPad){1, 1, 1, 1}, DK_ACT_NONE, false);
    EXPECT(c, check_near(c, half, (double[]){28, 24, 16, 12}, 0));
    dk_conv2d(c->dev, half, even, w, none, 2, (DkPad){0, 1, 0, 1}, DK_ACT_NONE, true);
    EXPECT(c, check_near(c, half, (double[]){73, 51, 37, 24}, 0));
    check_release(c);
}

/* Two channels to two, a kernel of one row and two columns. */
static void conv2d_channels(Check *c)
{
    const DkTensor x = check_values(c, SIZES(1, 1, 2, 2), (float[]){1, 10, 100, 1000});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 1, 1, 2));
    DkWeight *w =
        check_keep(c, dk_weight_conv2d(c->dev, (float[]){1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 1, 2));
    dk_conv2d(c->dev, y, x, w, none, 1, (DkPad){0, 0, 0, 0}, DK_ACT_NONE, false);
    EXPECT(c, check_near(c, y, (double[]){1 + 200 + 30 + 4000, 5 + 600 + 70 + 8000}, 0));
    check_release(c);
}

/* Logits ln 3 · (1, 0) weigh values 3 to 1; the second head's queries are 0, so its values are
 * averaged. */
static void attention(Check *c)
{
    const DkTensor q = check_values(c, SIZES(1, 1, 2), (float[]){1.0986122887f, 0});
    const DkTensor k = check_values(c, SIZES(1, 2, 2), (float[]){1, 5, 0, -7});
    const DkTensor v = check_values(c, SIZES(1, 2, 2), (float[]){4, 10, 8, 20});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 1, 2));
    dk_attention(c->dev, y, q, k, v, 2, DK_PRODUCTS_F32);
    EXPECT(c, check_near(c, y, (double[]){5, 15}, tight));
    check_release(c);
}

/* One head of four channels: logits are divided by 2. */
static void attention_scale(Check *c)
{
    const float ln9 = 2.1972245773f;
    const DkTensor q = check_values(c, SIZES(1, 1, 4), (float[]){ln9, 0, 0, 0});
    const DkTensor k = check_values(c, SIZES(1, 2, 4), (float[]){1, 0, 0, 0, 0, 1, 1, 1});
    const DkTensor v = check_values(c, SIZES(1, 2, 4), (float[]){4, 0, 8, 1, 8, 4, 0, 1});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 1, 4));
    dk_attention(c->dev, y, q, k, v, 1, DK_PRODUCTS_F32);
    EXPECT(c, check_near(c, y, (double[]){5, 1, 6, 1}, tight));
    check_release(c);
}

static void conv1d_dw(Check *c)
{
    const DkTensor x = check_values(c, SIZES(1, 3, 1), (float[]){1, 2, 3});
    const DkTensor w = check_values(c, SIZES(1, 3), (float[]){1, 10, 100});
    const DkTensor b = check_values(c, SIZES(1), (float[]){1000});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 3, 1));
    const DkTensor order = check_tensor(c, DK_I32, SIZES(3));
    dk_conv1d_dw(c->dev, y, x, w, none, none, DK_ACT_NONE);
    EXPECT(c, check_near(c, y, (double[]){100, 210, 321}, 0));
    dk_write(c->dev, order, (int32_t[]){2, 0, 1});
    dk_conv1d_dw(c->dev, y, x, w, b, order, DK_ACT_NONE);
    EXPECT(c, check_near(c, y, (double[]){1130, 1213, 1300}, 0));
    check_release(c);
}

/* dt = 0 makes δ = ln 2 and exp (-δ) = 1/2; with B = 1 / ln 2 the state is 1, 3/2, 7/4. */
static void selective_scan(Check *c)
{
    const DkTensor ones = check_values(c, SIZES(1, 3, 1), (float[]){1, 1, 1});
    const DkTensor dt = check_values(c, SIZES(1, 3, 1), (float[]){0, 0, 0});
    const DkTensor b =
        check_values(c, SIZES(1, 3, 1), (float[]){1.4426950409f, 1.4426950409f, 1.4426950409f});
    const DkTensor d = check_values(c, SIZES(1), (float[]){10});
    const DkTensor z = check_values(c, SIZES(1, 3, 1), (float[]){0, 1, 200});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 3, 1));
    const DkTensor order = check_tensor(c, DK_I32, SIZES(3));
    DkWeight *a = check_keep(c, dk_weight_scan(c->dev, (float[]){-1}, 1, 1));
    dk_selective_scan(c->dev, y, ones, dt, a, b, ones, d, none, none);
    EXPECT(c, check_near(c, y, (double[]){11, 11.5, 11.75}, tight));
    dk_write(c->dev, order, (int32_t[]){1, 2, 0});
    dk_selective_scan(c->dev, y, ones, dt, a, b, ones, d, z, order);
    EXPECT(c, check_near(c, y, (double[]){0, 11 * 0.731058578630005, 11.5 * 200}, tight));
    check_release(c);
}

/* Two states with unlike decay, added up by C. */
static void selective_scan_states(Check *c)
{
    const DkTensor u = check_values(c, SIZES(1, 2, 1), (float[]){1, 0});
    const DkTensor dt = check_values(c, SIZES(1, 2, 1), (float[]){0, 0});
    const DkTensor b = check_values(c, SIZES(1, 2, 2), (float[]){1, 2, 0, 0});
    const DkTensor cm = check_values(c, SIZES(1, 2, 2), (float[]){3, 5, 7, 11});
    const DkTensor d = check_values(c, SIZES(1), (float[]){0});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 2, 1));
    const double ln2 = 0.693147180559945;
    DkWeight *a = check_keep(c, dk_weight_scan(c->dev, (float[]){-1, -2}, 1, 2));
    dk_selective_scan(c->dev, y, u, dt, a, b, cm, d, none, none);
    EXPECT(c, check_near(c, y, (double[]){13 * ln2, (7 * 0.5 + 11 * 0.25 * 2) * ln2}, tight));
    check_release(c);
}

/* A decay of i/2, read as it is: 1, i/2, -1/4, -i/8; the real parts twice, and 10 at once. */
static void s4d_scan(Check *c)
{
    const DkTensor u = check_values(c, SIZES(1, 4, 1), (float[]){1, 0, 0, 2});
    const DkTensor one = check_tensor(c, DK_F32, SIZES(1, 4, 1));
    const DkTensor both = check_tensor(c, DK_F32, SIZES(1, 4, 2));
    DkWeight *real = check_keep(
        c, dk_weight_s4d(c->dev, (double[]){0, 0.5}, (double[]){1, 0}, (double[]){10}, 1, 1));
    DkWeight *imaginary = check_keep(
        c, dk_weight_s4d(c->dev, (double[]){0, 0.5}, (double[]){0, 1}, (double[]){0}, 1, 1));
    dk_s4d_scan(c->dev, one, u, real, NULL);
    EXPECT(c, check_near(c, one, (double[]){12, 0, -0.5, 24}, 0));
    dk_s4d_scan(c->dev, one, u, NULL, real);
    EXPECT(c, check_near(c, one, (double[]){12, -1, 0, 24}, 0));
    dk_s4d_scan(c->dev, both, u, real, imaginary);
    EXPECT(c, check_near(c, both, (double[]){12, 0.5, 0, 0, -0.5, -2, 24, 0}, 0));
    check_release(c);
}

static void norm_modulate(Check *c)
{
    const DkTensor x = check_values(c, SIZES(2, 1, 2), (float[]){3, 4, 1, 3});
    const DkTensor w = check_values(c, SIZES(2), (float[]){2, 3});
    const DkTensor scale = check_values(c, SIZES(2, 2), (float[]){0, 0, 1, 0.5f});
    const DkTensor shift = check_values(c, SIZES(2, 2), (float[]){0, 0, 10, 20});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(2, 1, 2));
    dk_norm_modulate(c->dev, y, x, none, none, none, DK_NORM_RMS, 0);
    EXPECT(c, check_near(c, dk_tensor_slice(y, 0, 1),
                         (double[]){0.848528137423857, 1.131370849898476}, tight));
    dk_norm_modulate(c->dev, y, x, w, scale, shift, DK_NORM_LAYER, 0);
    EXPECT(c, check_near(c, y, (double[]){-2, 3, 6, 24.5}, tight));
    dk_norm_modulate(c->dev, x, x, none, none, none, DK_NORM_LAYER, 3);
    EXPECT(c, check_near(c, dk_tensor_slice(x, 1, 1), (double[]){-0.5, 0.5}, tight));
    check_release(c);
}

static void elementwise(Check *c)
{
    const DkTensor x = check_values(c, SIZES(1, 2, 2), (float[]){1, 2, -1, -2});
    const DkTensor y = check_values(c, SIZES(1, 2, 2), (float[]){5, 6, 7, 8});
    const DkTensor row = check_values(c, SIZES(2), (float[]){3, 4});
    dk_gate_add(c->dev, x, dk_tensor_reshape(row, SIZES(1, 2)), y);
    EXPECT(c, check_near(c, x, (double[]){16, 26, 20, 30}, 0));
    dk_add_row(c->dev, y, x, row);
    EXPECT(c, check_near(c, y, (double[]){19, 30, 23, 34}, 0));
    dk_axpby(c->dev, y, 2, x, -1);
    EXPECT(c, check_near(c, y, (double[]){13, 22, 17, 26}, 0));
    dk_write(c->dev, y, (float[]){NAN, NAN, NAN, NAN});
    dk_axpby(c->dev, y, 0.5f, x, 0);
    EXPECT(c, check_near(c, y, (double[]){8, 13, 10, 15}, 0));
    dk_clear(c->dev, dk_tensor_columns(y, 0, 1));
    EXPECT(c, check_near(c, y, (double[]){0, 13, 0, 15}, 0));
    dk_write(c->dev, x, (float[]){0, 1, -2, 30});
    dk_act(c->dev, y, x, DK_ACT_SILU);
    EXPECT(c, check_near(c, y, (double[]){0, 0.731058578630005, -0.238405844044235, 30}, tight));
    dk_act(c->dev, y, x, DK_ACT_GELU);
    EXPECT(c, check_near(c, y, (double[]){0, 0.841191990608277, -0.045402305912225, 30}, tight));
    dk_act(c->dev, x, x, DK_ACT_RELU);
    EXPECT(c, check_near(c, x, (double[]){0, 1, 0, 30}, 0));
    check_release(c);
}

static void group_norm(Check *c)
{
    const DkTensor x = check_values(c, SIZES(1, 2, 1, 4), (float[]){1, 3, 10, 10, 5, 7, 10, 10});
    const DkTensor w = check_values(c, SIZES(4), (float[]){1, 2, 3, 4});
    const DkTensor b = check_values(c, SIZES(4), (float[]){0, 0, 7, 8});
    const DkTensor stats = check_tensor(c, DK_F64, SIZES(1, 2, 3));
    dk_clear(c->dev, stats);
    dk_group_stats(c->dev, stats, x);
    double *got = check_read(c, stats);
    EXPECT(c, memcmp(got, (double[]){4, 4, 20, 4, 10, 0}, 6 * sizeof(double)) == 0);
    free(got);
    dk_group_apply(c->dev, x, x, stats, w, b, 4, DK_ACT_NONE);
    EXPECT(c, check_near(c, x, (double[]){-1, -2.0 / 3, 7, 8, 1.0 / 3, 2, 7, 8}, tight));
    check_release(c);
}

static void conv2d_dw(Check *c)
{
    float ones[18], taps[18];
    for (int i = 0; i < 18; i++) {
        ones[i] = 1;
        taps[i] = (float)(i % 9 + 1) * (i < 9 ? 1 : 10);
    }
    const DkTensor x = check_values(c, SIZES(1, 3, 3, 2), ones);
    const DkTensor w = check_values(c, SIZES(2, 9), taps);
    const DkTensor b = check_values(c, SIZES(2), (float[]){100, 0});
    const DkTensor y = check_tensor(c, DK_F32, SIZES(1, 3, 3, 2));
    dk_conv2d_dw(c->dev, y, x, w, b);
    EXPECT(c, check_near(c, y,
                         (double[]){128, 280, 139, 390, 124, 240, 133, 330, 145, 450, 127, 270, 116,
                                    160, 121, 210, 112, 120},
                         0));
    check_release(c);
}

static void rows(Check *c)
{
    const float values[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const DkTensor wide = check_values(c, SIZES(1, 1, 2, 4), values);
    const DkTensor deep = check_tensor(c, DK_F32, SIZES(1, 2, 2, 2));
    const DkTensor two = check_tensor(c, DK_F32, SIZES(1, 2, 4));
    const DkTensor one = check_values(c, SIZES(1, 1, 8), values);
    dk_patchify(c->dev, two, wide, 2);
    EXPECT(c, check_near(c, two, (double[]){0, 1, 4, 5, 2, 3, 6, 7}, 0));
    dk_unpatchify(c->dev, deep, one, 2);
    EXPECT(c, check_near(c, deep, (double[]){0, 2, 4, 6, 1, 3, 5, 7}, 0));
    dk_patchify(c->dev, one, deep, 2);
    EXPECT(c, check_near(c, one, (double[]){0, 2, 4, 6, 1, 3, 5, 7}, 0));
    const DkTensor index = check_tensor(c, DK_I32, SIZES(2));
    dk_write(c->dev, index, (int32_t[]){-1, 0});
    dk_write(c->dev, deep, values);
    dk_gather(c->dev, two, dk_tensor_reshape(deep, SIZES(1, 2, 4)), index);
    EXPECT(c, check_near(c, two, (double[]){0, 1, 4, 5, 0, 1, 2, 3}, 0));
    check_release(c);
}

static void resize(Check *c)
{
    const DkTensor two = check_values(c, SIZES(1, 1, 2, 1), (float[]){0, 1});
    const DkTensor four = check_tensor(c, DK_F32, SIZES(1, 1, 4, 1));
    const DkTensor square = check_values(c, SIZES(1, 2, 2, 1), (float[]){0, 4, 8, 16});
    const DkTensor large = check_tensor(c, DK_F32, SIZES(1, 4, 2, 1));
    const DkTensor cell = check_tensor(c, DK_F32, SIZES(1, 1, 1, 1));
    dk_resize(c->dev, four, two, DK_RESIZE_BILINEAR);
    EXPECT(c, check_near(c, four, (double[]){0, 0.25, 0.75, 1}, 0));
    dk_resize(c->dev, large, square, DK_RESIZE_BILINEAR);
    EXPECT(c, check_near(c, large, (double[]){0, 4, 2, 7, 6, 13, 8, 16}, 0));
    dk_resize(c->dev, four, two, DK_RESIZE_NEAREST);
    EXPECT(c, check_near(c, four, (double[]){0, 0, 1, 1}, 0));
    dk_resize(c->dev, cell, square, DK_RESIZE_BOX);
    EXPECT(c, check_near(c, cell, (double[]){7}, 0));
    dk_write(c->dev, four, (float[]){0, 1, 2, 3});
    dk_resize(c->dev, two, four, DK_RESIZE_BILINEAR);
    EXPECT(c, check_near(c, two, (double[]){0.5, 2.5}, 0));
    check_release(c);
}

int main(void)
{
    Check c = {.dev = check_memory(dk_device_open(DK_BACKEND_REF, 1, 0)), .text = "ref"};
    linear(&c);
    conv2d(&c);
    conv2d_channels(&c);
    attention(&c);
    attention_scale(&c);
    conv1d_dw(&c);
    selective_scan(&c);
    selective_scan_states(&c);
    s4d_scan(&c);
    norm_modulate(&c);
    elementwise(&c);
    group_norm(&c);
    conv2d_dw(&c);
    rows(&c);
    resize(&c);
    dk_device_close(&c.dev);
    return c.n_failures > 0;
}
