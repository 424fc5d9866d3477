/* How much memory this process may still take, and how much a card has left.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef DIM_MEMORY_H
#define DIM_MEMORY_H

#include <glib.h>

#include "kernels/dk.h"

/* Bytes: the least of what the machine has free, what the control groups above this process leave,
 * and what its own limit of address space leaves. G_MAXINT64 where nothing is known. */
gint64 dim_memory_available(void);
/* Of the memory that the device computes in: the card's, or the above. */
gint64 dim_memory_available_on(const DkDevice *dk);

#endif
