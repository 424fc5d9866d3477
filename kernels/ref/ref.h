/* The reference back end: the slots of each file, and helpers that they share.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Written to be read next to the formulas in dk.h: plain loops, one thread, sums and transcendental
 * functions in double, one rounding to float at the store. */
#ifndef DK_REF_H
#define DK_REF_H

#include "kernels/dk-ops.h"

#include <math.h>

__typeof__(dk_linear) dk_ref_linear;
__typeof__(dk_conv2d) dk_ref_conv2d;
__typeof__(dk_attention) dk_ref_attention;
__typeof__(dk_conv1d_dw) dk_ref_conv1d_dw;
__typeof__(dk_selective_scan) dk_ref_selective_scan;
__typeof__(dk_s4d_scan) dk_ref_s4d_scan;
__typeof__(dk_norm_modulate) dk_ref_norm_modulate;
__typeof__(dk_gate_add) dk_ref_gate_add;
__typeof__(dk_add_row) dk_ref_add_row;
__typeof__(dk_act) dk_ref_act;
__typeof__(dk_axpby) dk_ref_axpby;
__typeof__(dk_group_stats) dk_ref_group_stats;
__typeof__(dk_group_apply) dk_ref_group_apply;
__typeof__(dk_clear) dk_ref_clear;
__typeof__(dk_conv2d_dw) dk_ref_conv2d_dw;
__typeof__(dk_patchify) dk_ref_patchify;
__typeof__(dk_unpatchify) dk_ref_unpatchify;
__typeof__(dk_gather) dk_ref_gather;
__typeof__(dk_resize) dk_ref_resize;
__typeof__(dk_weight_linear) dk_ref_weight_linear;
__typeof__(dk_weight_conv2d) dk_ref_weight_conv2d;
__typeof__(dk_weight_scan) dk_ref_weight_scan;
__typeof__(dk_weight_s4d) dk_ref_weight_s4d;
__typeof__(dk_weight_free) dk_ref_weight_free;
__typeof__(dk_buffer_new) dk_ref_buffer_new;
__typeof__(dk_buffer_free) dk_ref_buffer_free;
__typeof__(dk_write) dk_ref_write;
__typeof__(dk_read) dk_ref_read;
__typeof__(dk_repeat) dk_ref_repeat;
__typeof__(dk_repeat_free) dk_ref_repeat_free;

__typeof__(dk_weight_set) dk_ref_weight_set;
__typeof__(dk_weight_set_s4d) dk_ref_weight_set_s4d;
__typeof__(dk_linear_backward_weight) dk_ref_linear_backward_weight;
__typeof__(dk_conv2d_backward_weight) dk_ref_conv2d_backward_weight;
__typeof__(dk_sum_rows) dk_ref_sum_rows;
__typeof__(dk_attention_backward) dk_ref_attention_backward;
__typeof__(dk_conv1d_dw_backward) dk_ref_conv1d_dw_backward;
__typeof__(dk_selective_scan_backward) dk_ref_selective_scan_backward;
__typeof__(dk_s4d_scan_backward) dk_ref_s4d_scan_backward;
__typeof__(dk_s4d_hold) dk_ref_s4d_hold;
__typeof__(dk_s4d_hold_backward) dk_ref_s4d_hold_backward;
__typeof__(dk_neg_exp) dk_ref_neg_exp;
__typeof__(dk_neg_exp_backward) dk_ref_neg_exp_backward;
__typeof__(dk_norm_modulate_backward) dk_ref_norm_modulate_backward;
__typeof__(dk_gate_add_backward) dk_ref_gate_add_backward;
__typeof__(dk_act_backward) dk_ref_act_backward;
__typeof__(dk_conv2d_dw_backward) dk_ref_conv2d_dw_backward;
__typeof__(dk_gather_backward) dk_ref_gather_backward;
__typeof__(dk_unpatchify_backward) dk_ref_unpatchify_backward;
__typeof__(dk_squared_error) dk_ref_squared_error;
__typeof__(dk_bound_error) dk_ref_bound_error;
__typeof__(dk_sum_squares) dk_ref_sum_squares;
__typeof__(dk_adamw) dk_ref_adamw;

/* dk_s4d_scan by another way: not in the table, a cross-check for the tests. */
__typeof__(dk_s4d_scan) dk_ref_s4d_fft;

/* What dk_ref_weight_s4d keeps of one channel: [N, 2] each, and the skip. */
typedef struct {
    const double *decay, *gain;
    double skip;
} DkRefS4d;
DkRefS4d dk_ref_s4d_channel(const DkWeight *w, int64_t channel);

/* What the sigmoid of GELU is taken of: (1 + tanh (z / 2)) / 2 = 1 / (1 + e^-z). */
static inline double dk_ref_gelu_inner(double x)
{
    return 1.5957691216057308 * (x + 0.044715 * x * x * x);
}

static inline double dk_ref_apply_act(double x, DkAct act)
{
    switch (act) {
    case DK_ACT_SILU:
        return x / (1 + exp(-x));
    case DK_ACT_RELU:
        return x > 0 ? x : 0;
    case DK_ACT_TANH:
        return tanh(x);
    case DK_ACT_GELU:
        return x / (1 + exp(-dk_ref_gelu_inner(x)));
    case DK_ACT_NONE:
        break;
    }
    return x;
}

/* act' (x) */
static inline double dk_ref_act_slope(double x, DkAct act)
{
    const double sigmoid = 1 / (1 + exp(-x)), t = tanh(x);
    switch (act) {
    case DK_ACT_SILU:
        return sigmoid * (1 + x * (1 - sigmoid));
    case DK_ACT_RELU:
        return x > 0 ? 1 : 0;
    case DK_ACT_TANH:
        return 1 - t * t;
    case DK_ACT_GELU: {
        const double e = exp(-fabs(dk_ref_gelu_inner(x))), large = 1 / (1 + e), small = e * large;
        return (x < 0 ? small : large) +
               x * small * large * 1.5957691216057308 * (1 + 3 * 0.044715 * x * x);
    }
    case DK_ACT_NONE:
        break;
    }
    return 1;
}

/* Element i of an optional vector, or what stands for it. */
static inline double dk_ref_at(DkTensor t, int64_t i, double otherwise)
{
    return t.buffer ? (double)dk_row(t, 0)[i] : otherwise;
}

/* The stored row of the i-th token. */
static inline int64_t dk_ref_token(DkTensor order, int64_t i)
{
    return order.buffer ? ((const int32_t *)dk_data(order))[i] : i;
}

#endif
