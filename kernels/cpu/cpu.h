/* The CPU back end: each family of operations puts its own into the table.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A family's init is given the table as filled so far (ref's at first) and the instruction sets
 * that are allowed and there; it overwrites the slots that it is better at. */
#ifndef DK_CPU_H
#define DK_CPU_H

#include "kernels/dk-ops.h"

#endif
