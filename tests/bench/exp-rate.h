/* The exp yardstick of each instruction set.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef EXP_RATE_H
#define EXP_RATE_H

#include <stdint.h>

#define EXP_RATE_(isa) exp_rate_##isa
#define EXP_RATE(isa) EXP_RATE_(isa)

/* n rounds; returns how many exponentials they were, and something that depends on each of them. */
int64_t exp_rate_portable(int64_t n, float *sum);
int64_t exp_rate_avx2(int64_t n, float *sum);
int64_t exp_rate_avx512(int64_t n, float *sum);

#endif
