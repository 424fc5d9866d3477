/* Activations of one size, laid out in two passes: a dry one that only adds up, then the real one
 * in a single buffer.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The same code takes the same tensors in both passes, so estimate and use cannot differ. */
#ifndef DIM_ARENA_H
#define DIM_ARENA_H

#include <glib.h>

#include "kernels/dk.h"

typedef struct {
    DkDevice *dk; /* NULL: dry, tensors have no buffer */
    DkBuffer *buffer;
    gsize used, peak, capacity;
    gboolean overflow; /* a size did not fit 63 bits; sticky, checked by dim_arena_commit */
} DimArena;

void dim_arena_dry(DimArena *arena);
/* A tensor of `rank` sizes, 64-byte aligned. In the dry pass it has no buffer; dk operations must
 * not see it. */
DkTensor dim_arena_take(DimArena *arena, DkType type, int rank, const gint64 *sizes);
/* Room taken after a mark is given back, to be used again by what comes next. */
gsize dim_arena_mark(const DimArena *arena);
void dim_arena_release(DimArena *arena, gsize mark);
/* What lies below a mark set before a release stays taken: ends a region in which tensors shared
 * their place. */
void dim_arena_keep(DimArena *arena, gsize mark);
/* Ends the dry pass: allocates `peak` bytes and starts over. DIM_ERROR_NO_MEMORY. */
gboolean dim_arena_commit(DimArena *arena, DkDevice *dk, GError **error);
void dim_arena_clear(DimArena *arena);

#endif
