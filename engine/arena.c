/* Activations in two passes, see arena.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "arena.h"

#include "error.h"
#include "memory.h"

enum { ALIGNMENT = 64 };

void dim_arena_dry(DimArena *arena)
{
    *arena = (DimArena){0};
}

static gboolean tensor_bytes(DkType type, int rank, const gint64 *sizes, gsize *bytes)
{
    *bytes = dk_type_size(type);
    for (int i = 0; i < rank; i++)
        if (sizes[i] < 0 || !g_size_checked_mul(bytes, *bytes, (gsize)sizes[i]))
            return FALSE;
    if (*bytes > G_MAXINT64 - ALIGNMENT)
        return FALSE;
    *bytes = (*bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return TRUE;
}

DkTensor dim_arena_take(DimArena *arena, DkType type, int rank, const gint64 *sizes)
{
    gsize bytes, end;
    const gsize offset = arena->used;

    if (!tensor_bytes(type, rank, sizes, &bytes) || !g_size_checked_add(&end, offset, bytes) ||
        end > G_MAXINT64) {
        arena->overflow = TRUE;
        end = offset;
    }
    arena->used = end;
    arena->peak = MAX(arena->peak, end);
    g_assert(!arena->dk || end <= arena->capacity);

    DkTensor t = {.buffer = arena->buffer, .offset = offset, .type = type, .rank = rank};
    for (int i = 0; i < rank; i++)
        t.sizes[i] = sizes[i];
    t.row_stride = sizes[rank - 1];
    return t;
}

gsize dim_arena_mark(const DimArena *arena)
{
    return arena->used;
}

void dim_arena_release(DimArena *arena, gsize mark)
{
    g_assert(mark <= arena->used);
    arena->used = mark;
}

void dim_arena_keep(DimArena *arena, gsize mark)
{
    arena->used = MAX(arena->used, mark);
}

gboolean dim_arena_commit(DimArena *arena, DkDevice *dk, GError **error)
{
    g_assert(!arena->dk);
    /* The system promises more than it has, and then kills; so it is asked first. */
    const gboolean fits =
        !arena->overflow && arena->peak <= (guint64)MAX(dim_memory_available_on(dk), 0);
    DkBuffer *buffer = fits ? dk_buffer_new(dk, MAX(arena->peak, ALIGNMENT)) : NULL;

    if (!buffer)
        return dim_fail_memory(error, "activations of this size",
                               arena->overflow ? G_MAXUINT64 : arena->peak);
    *arena = (DimArena){.dk = dk, .buffer = buffer, .capacity = arena->peak};
    return TRUE;
}

void dim_arena_clear(DimArena *arena)
{
    if (arena->dk)
        dk_buffer_free(arena->dk, &arena->buffer);
    *arena = (DimArena){0};
}
