/* The operations under test, one line each: `name` is defined as kern_<name>.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
KERN_OP(linear)
KERN_OP(conv2d)
KERN_OP(attention)
KERN_OP(selective_scan)
KERN_OP(softplus_range)
KERN_OP(conv1d_dw)
KERN_OP(norm_modulate)
KERN_OP(gate_add)
KERN_OP(add_row)
KERN_OP(act)
KERN_OP(act_range)
KERN_OP(axpby)
KERN_OP(group_stats)
KERN_OP(group_apply)
KERN_OP(conv2d_dw)
KERN_OP(resize)
