/* Checks of arguments, and the profile's two ends (private to dk*.c).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DK_CHECK_H
#define DK_CHECK_H

#include "dk-ops.h"

/* A wrong argument is the caller's bug: say which, and stop. */
#define DK_REQUIRE(expression) ((expression) ? (void)0 : dk_require_failed(__func__, #expression))
_Noreturn void dk_require_failed(const char *function, const char *expression);

/* True when no element belongs to both; views of different columns of one matrix are disjoint. */
bool dk_tensor_disjoint(DkTensor a, DkTensor b);
/* The same elements in the same order. */
bool dk_tensor_same(DkTensor a, DkTensor b);

double dk_profile_begin(const DkDevice *dev);
void dk_profile_end(DkDevice *dev, size_t slot, const char *op, double begin, double flop);

#endif
