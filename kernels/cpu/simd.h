/* Our own vector kernels: the same sources once for each instruction set, told apart by prefix.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The build sets DK_SIMD_ISA to portable, avx2 or avx512, so DK_SIMD(act) is dk_avx2_act. */
#ifndef DK_CPU_SIMD_H
#define DK_CPU_SIMD_H

#include "kernels/dk-ops.h"

#define DK_SIMD_NAME_(isa, op) dk_##isa##_##op
#define DK_SIMD_NAME(isa, op) DK_SIMD_NAME_(isa, op)
#define DK_SIMD(op) DK_SIMD_NAME(DK_SIMD_ISA, op)

__typeof__(dk_linear) DK_SIMD(linear);
__typeof__(dk_conv2d) DK_SIMD(conv2d);
__typeof__(dk_attention) DK_SIMD(attention);
__typeof__(dk_weight_linear) DK_SIMD(weight_linear);
__typeof__(dk_weight_conv2d) DK_SIMD(weight_conv2d);
__typeof__(dk_selective_scan) DK_SIMD(selective_scan);
__typeof__(dk_s4d_scan) DK_SIMD(s4d_scan);
__typeof__(dk_weight_scan) DK_SIMD(weight_scan);
__typeof__(dk_weight_s4d) DK_SIMD(weight_s4d);
__typeof__(dk_conv1d_dw) DK_SIMD(conv1d_dw);
__typeof__(dk_norm_modulate) DK_SIMD(norm_modulate);
__typeof__(dk_gate_add) DK_SIMD(gate_add);
__typeof__(dk_add_row) DK_SIMD(add_row);
__typeof__(dk_act) DK_SIMD(act);
__typeof__(dk_axpby) DK_SIMD(axpby);
__typeof__(dk_group_stats) DK_SIMD(group_stats);
__typeof__(dk_group_apply) DK_SIMD(group_apply);
__typeof__(dk_conv2d_dw) DK_SIMD(conv2d_dw);
__typeof__(dk_resize) DK_SIMD(resize);

/* What training adds. */
__typeof__(dk_weight_set) DK_SIMD(weight_set);
__typeof__(dk_weight_set_s4d) DK_SIMD(weight_set_s4d);
__typeof__(dk_linear_backward_weight) DK_SIMD(linear_backward_weight);
__typeof__(dk_conv2d_backward_weight) DK_SIMD(conv2d_backward_weight);
__typeof__(dk_sum_rows) DK_SIMD(sum_rows);
__typeof__(dk_attention_backward) DK_SIMD(attention_backward);
__typeof__(dk_norm_modulate_backward) DK_SIMD(norm_modulate_backward);
__typeof__(dk_gate_add_backward) DK_SIMD(gate_add_backward);
__typeof__(dk_act_backward) DK_SIMD(act_backward);
__typeof__(dk_conv2d_dw_backward) DK_SIMD(conv2d_dw_backward);
__typeof__(dk_gather_backward) DK_SIMD(gather_backward);
__typeof__(dk_unpatchify_backward) DK_SIMD(unpatchify_backward);
__typeof__(dk_squared_error) DK_SIMD(squared_error);
__typeof__(dk_sum_squares) DK_SIMD(sum_squares);
__typeof__(dk_adamw) DK_SIMD(adamw);
__typeof__(dk_selective_scan_backward) DK_SIMD(selective_scan_backward);
__typeof__(dk_s4d_scan_backward) DK_SIMD(s4d_scan_backward);
__typeof__(dk_neg_exp) DK_SIMD(neg_exp);
__typeof__(dk_neg_exp_backward) DK_SIMD(neg_exp_backward);
__typeof__(dk_conv1d_dw_backward) DK_SIMD(conv1d_dw_backward);

/* dk_weight_set for each kind of weight. */
__typeof__(dk_weight_set) DK_SIMD(linear_set);
__typeof__(dk_weight_set) DK_SIMD(conv2d_set);
void DK_SIMD(scan_set)(DkDevice *dev, DkWeight *weight, DkTensor a);

/* Puts all of them into the tables. */
void DK_SIMD(fill)(DkDevice *dev);

#endif
