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

/* Calls a slot of one of the device's tables unless an error sticks, and counts its time; `first`
 * is the table's first place in the profile. */
#define DK_RUN(table, Table, first, op, flop, ...)                                                 \
    do {                                                                                           \
        if (!dk_stopped(dev)) {                                                                    \
            const double begin_ = dk_profile_begin(dev);                                           \
            dev->table.op(__VA_ARGS__);                                                            \
            dk_profile_end(dev, (first) + offsetof(Table, op) / sizeof(void (*)(void)), #op,       \
                           begin_, flop);                                                          \
        }                                                                                          \
    } while (0)

/* ---- shapes ---------------------------------------------------------------------------------- */

static inline bool is_f32(DkTensor t)
{
    return t.buffer && t.type == DK_F32;
}

static inline bool has_shape(DkTensor t, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t sizes[DK_MAX_RANK] = {a, b, c, d};
    if (t.rank != rank)
        return false;
    for (int i = 0; i < rank; i++)
        if (t.sizes[i] != sizes[i])
            return false;
    return true;
}

static inline bool is_f32_of(DkTensor t, int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return is_f32(t) && has_shape(t, rank, a, b, c, d);
}

/* n numbers in one run, whatever the rank. */
static inline bool is_vector(DkTensor t, int64_t n)
{
    return is_f32(t) && dk_rows(t) == 1 && dk_columns(t) == n;
}

static inline bool is_vector_or_empty(DkTensor t, int64_t n)
{
    return dk_tensor_is_empty(t) || is_vector(t, n);
}

static inline bool is_matrix_or_empty(DkTensor t, int64_t rows, int64_t columns)
{
    return dk_tensor_is_empty(t) || (is_f32(t) && dk_rows(t) == rows && dk_columns(t) == columns);
}

static inline bool is_order_or_empty(DkTensor t, int64_t n)
{
    return dk_tensor_is_empty(t) || (t.type == DK_I32 && dk_rows(t) == 1 && dk_columns(t) == n);
}

static inline bool same_shape(DkTensor a, DkTensor b)
{
    return a.rank == b.rank && has_shape(a, a.rank, b.sizes[0], b.sizes[1], b.sizes[2], b.sizes[3]);
}

static inline bool is_gapless(DkTensor t)
{
    return t.row_stride == dk_columns(t) || dk_rows(t) == 1;
}

static inline bool same_or_disjoint(DkTensor a, DkTensor b)
{
    return dk_tensor_same(a, b) || dk_tensor_disjoint(a, b);
}

/* Tokens of p x p patches of an image [B, C, H, W]; 64-bit floats do not come here. */
static inline bool tokens_fit(DkTensor tokens, DkTensor image, int p)
{
    if (!is_f32(image) || image.rank != 4 || !is_f32(tokens) || p < 1)
        return false;
    const int64_t h = image.sizes[2], v = image.sizes[3];
    return h % p == 0 && v % p == 0 && dk_columns(tokens) == image.sizes[1] * p * p &&
           tokens.sizes[0] == image.sizes[0] &&
           dk_rows(tokens) == image.sizes[0] * (h / p) * (v / p);
}

#endif
