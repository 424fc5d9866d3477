/* The reference back end's table.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <string.h>

static void fill_train(DkTrainOps *ops)
{
    *ops = (DkTrainOps){
        .weight_set = dk_ref_weight_set,
        .weight_set_s4d = dk_ref_weight_set_s4d,
        .linear_backward_weight = dk_ref_linear_backward_weight,
        .conv2d_backward_weight = dk_ref_conv2d_backward_weight,
        .sum_rows = dk_ref_sum_rows,
        .attention_backward = dk_ref_attention_backward,
        .conv1d_dw_backward = dk_ref_conv1d_dw_backward,
        .selective_scan_backward = dk_ref_selective_scan_backward,
        .s4d_scan_backward = dk_ref_s4d_scan_backward,
        .s4d_hold = dk_ref_s4d_hold,
        .s4d_hold_backward = dk_ref_s4d_hold_backward,
        .neg_exp = dk_ref_neg_exp,
        .neg_exp_backward = dk_ref_neg_exp_backward,
        .norm_modulate_backward = dk_ref_norm_modulate_backward,
        .gate_add_backward = dk_ref_gate_add_backward,
        .act_backward = dk_ref_act_backward,
        .conv2d_dw_backward = dk_ref_conv2d_dw_backward,
        .gather_backward = dk_ref_gather_backward,
        .unpatchify_backward = dk_ref_unpatchify_backward,
        .squared_error = dk_ref_squared_error,
        .bound_error = dk_ref_bound_error,
        .sum_squares = dk_ref_sum_squares,
        .adamw = dk_ref_adamw,
    };
}

bool dk_ref_init(DkDevice *dev)
{
    dev->ops = (DkOps){
        .linear = dk_ref_linear,
        .conv2d = dk_ref_conv2d,
        .attention = dk_ref_attention,
        .conv1d_dw = dk_ref_conv1d_dw,
        .selective_scan = dk_ref_selective_scan,
        .s4d_scan = dk_ref_s4d_scan,
        .norm_modulate = dk_ref_norm_modulate,
        .gate_add = dk_ref_gate_add,
        .add_row = dk_ref_add_row,
        .act = dk_ref_act,
        .axpby = dk_ref_axpby,
        .group_stats = dk_ref_group_stats,
        .group_apply = dk_ref_group_apply,
        .clear = dk_ref_clear,
        .conv2d_dw = dk_ref_conv2d_dw,
        .patchify = dk_ref_patchify,
        .unpatchify = dk_ref_unpatchify,
        .gather = dk_ref_gather,
        .resize = dk_ref_resize,
        .weight_linear = dk_ref_weight_linear,
        .weight_conv2d = dk_ref_weight_conv2d,
        .weight_scan = dk_ref_weight_scan,
        .weight_s4d = dk_ref_weight_s4d,
        .weight_free = dk_ref_weight_free,
        .buffer_new = dk_ref_buffer_new,
        .buffer_free = dk_ref_buffer_free,
        .write = dk_ref_write,
        .read = dk_ref_read,
        .repeat = dk_ref_repeat,
        .repeat_free = dk_ref_repeat_free,
    };
    fill_train(&dev->train);
    dev->n_threads = 1;
    strcpy(dev->description, "ref: plain C, 1 thread");
    return true;
}
