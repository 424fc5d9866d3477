/* Tensor views: making, narrowing, reshaping, and whether two of them share elements.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/dk-check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void dk_require_failed(const char *function, const char *expression)
{
    fprintf(stderr, "%s: wrong argument: %s does not hold\n", function, expression);
    abort();
}

size_t dk_type_size(DkType type)
{
    return type == DK_F64 ? 8 : 4;
}

/* Bytes from the first element to the end of the last. */
static size_t span(DkTensor t)
{
    return (size_t)((dk_rows(t) - 1) * t.row_stride + dk_columns(t)) * dk_type_size(t.type);
}

static void check_bounds(DkTensor t)
{
    if (t.buffer)
        DK_REQUIRE(t.offset <= t.buffer->bytes && span(t) <= t.buffer->bytes - t.offset);
}

DkTensor dk_tensor(DkBuffer *buffer, size_t offset, DkType type, int rank, const int64_t *sizes)
{
    DkTensor t = {.buffer = buffer, .offset = offset, .type = type, .rank = rank};
    DK_REQUIRE(rank >= 1 && rank <= DK_MAX_RANK);
    DK_REQUIRE(offset % 64 == 0);
    for (int i = 0; i < rank; i++) {
        DK_REQUIRE(sizes[i] >= 1);
        t.sizes[i] = sizes[i];
    }
    t.row_stride = sizes[rank - 1];
    check_bounds(t);
    return t;
}

DkTensor dk_tensor_columns(DkTensor t, int64_t first, int64_t count)
{
    DK_REQUIRE(first >= 0 && count >= 1 && first + count <= dk_columns(t));
    t.offset += (size_t)first * dk_type_size(t.type);
    t.sizes[t.rank - 1] = count;
    return t;
}

DkTensor dk_tensor_slice(DkTensor t, int64_t first, int64_t count)
{
    if (t.rank == 1)
        return dk_tensor_columns(t, first, count);
    DK_REQUIRE(first >= 0 && count >= 1 && first + count <= t.sizes[0]);
    const int64_t rows = dk_rows(t) / t.sizes[0];
    t.offset += (size_t)(first * rows * t.row_stride) * dk_type_size(t.type);
    t.sizes[0] = count;
    return t;
}

DkTensor dk_tensor_reshape(DkTensor t, int rank, const int64_t *sizes)
{
    const int64_t count = dk_tensor_count(t), columns = dk_columns(t);
    DK_REQUIRE(rank >= 1 && rank <= DK_MAX_RANK);
    DK_REQUIRE(t.row_stride == columns || dk_rows(t) == 1 || sizes[rank - 1] == columns);
    if (sizes[rank - 1] != columns)
        t.row_stride = sizes[rank - 1];
    t.rank = rank;
    for (int i = 0; i < rank; i++) {
        DK_REQUIRE(sizes[i] >= 1);
        t.sizes[i] = sizes[i];
    }
    DK_REQUIRE(dk_tensor_count(t) == count);
    return t;
}

bool dk_tensor_is_empty(DkTensor t)
{
    return t.buffer == NULL;
}

int64_t dk_tensor_count(DkTensor t)
{
    return dk_rows(t) * dk_columns(t);
}

bool dk_tensor_same(DkTensor a, DkTensor b)
{
    return a.buffer == b.buffer && a.offset == b.offset && dk_rows(a) == dk_rows(b) &&
           dk_columns(a) == dk_columns(b) && (a.row_stride == b.row_stride || dk_rows(a) == 1);
}

bool dk_tensor_disjoint(DkTensor a, DkTensor b)
{
    if (!a.buffer || !b.buffer || a.buffer != b.buffer)
        return true;
    if (a.offset + span(a) <= b.offset || b.offset + span(b) <= a.offset)
        return true;
    const size_t size = dk_type_size(a.type), stride = (size_t)a.row_stride * size;
    if (a.row_stride != b.row_stride || a.type != b.type)
        return false;
    const size_t from_a = a.offset % stride, from_b = b.offset % stride;
    const size_t to_a = from_a + (size_t)dk_columns(a) * size;
    const size_t to_b = from_b + (size_t)dk_columns(b) * size;
    return to_a <= stride && to_b <= stride && (to_a <= from_b || to_b <= from_a);
}
