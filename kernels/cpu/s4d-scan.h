/* How S4D's weights are packed: [groups][states][decay re, im, 2 gain re, -2 gain im][lanes], then
 * skip [groups][lanes]; a group is a vector of neighbouring channels. States that are none, and
 * lanes that are no channels, are 0.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CPU_S4D_SCAN_H
#define DK_CPU_S4D_SCAN_H

#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector.h"

enum {
    S4D_FEW = 4 /* states at a time, which theirs is a multiple of: fewer wait for themselves */
};

enum { DECAY_RE, DECAY_IM, GAIN_RE, GAIN_IM, N_FACTORS };

static inline int64_t s4d_padded(int64_t n_states)
{
    return (n_states + S4D_FEW - 1) / S4D_FEW * S4D_FEW;
}

/* y[B, L, D] = or += dk_s4d_scan of one direction. */
void DK_SIMD(s4d_scan_one)(DkDevice *dev, DkTensor y, DkTensor u, const DkWeight *w, bool back,
                           bool accumulate);

#endif
