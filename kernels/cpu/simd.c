/* The slots that our own vector kernels fill.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/cpu/simd.h"

static void fill_ops(DkOps *ops)
{
    ops->linear = DK_SIMD(linear);
    ops->conv2d = DK_SIMD(conv2d);
    ops->attention = DK_SIMD(attention);
    ops->weight_linear = DK_SIMD(weight_linear);
    ops->weight_conv2d = DK_SIMD(weight_conv2d);
    ops->selective_scan = DK_SIMD(selective_scan);
    ops->weight_scan = DK_SIMD(weight_scan);
    ops->s4d_scan = DK_SIMD(s4d_scan);
    ops->weight_s4d = DK_SIMD(weight_s4d);
    ops->conv1d_dw = DK_SIMD(conv1d_dw);
    ops->norm_modulate = DK_SIMD(norm_modulate);
    ops->gate_add = DK_SIMD(gate_add);
    ops->add_row = DK_SIMD(add_row);
    ops->act = DK_SIMD(act);
    ops->axpby = DK_SIMD(axpby);
    ops->group_stats = DK_SIMD(group_stats);
    ops->group_apply = DK_SIMD(group_apply);
    ops->conv2d_dw = DK_SIMD(conv2d_dw);
    ops->resize = DK_SIMD(resize);
}

/* What training adds. */
static void fill_train(DkTrainOps *ops)
{
    ops->weight_set = DK_SIMD(weight_set);
    ops->weight_set_s4d = DK_SIMD(weight_set_s4d);
    ops->linear_backward_weight = DK_SIMD(linear_backward_weight);
    ops->conv2d_backward_weight = DK_SIMD(conv2d_backward_weight);
    ops->sum_rows = DK_SIMD(sum_rows);
    ops->attention_backward = DK_SIMD(attention_backward);
    ops->norm_modulate_backward = DK_SIMD(norm_modulate_backward);
    ops->gate_add_backward = DK_SIMD(gate_add_backward);
    ops->act_backward = DK_SIMD(act_backward);
    ops->conv2d_dw_backward = DK_SIMD(conv2d_dw_backward);
    ops->gather_backward = DK_SIMD(gather_backward);
    ops->unpatchify_backward = DK_SIMD(unpatchify_backward);
    ops->squared_error = DK_SIMD(squared_error);
    ops->sum_squares = DK_SIMD(sum_squares);
    ops->adamw = DK_SIMD(adamw);
    ops->selective_scan_backward = DK_SIMD(selective_scan_backward);
    ops->s4d_scan_backward = DK_SIMD(s4d_scan_backward);
    ops->neg_exp = DK_SIMD(neg_exp);
    ops->neg_exp_backward = DK_SIMD(neg_exp_backward);
    ops->conv1d_dw_backward = DK_SIMD(conv1d_dw_backward);
}

void DK_SIMD(fill)(DkDevice *dev)
{
    fill_ops(&dev->ops);
    fill_train(&dev->train);
}
