/* A block's share of an f32 matrix product c = a · b, what goes into it picked up number by number:
 * convolutions and their weights' gradients.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * 256 threads, 16 across and 16 down, find a tile of 16·RM rows and 16·RN columns, RM·RN numbers a
 * thread. The sum over k is taken DK_TILE_K at a time: each thread picks up four numbers of a and
 * four of b, ahead of need into registers, then into one of two copies in shared memory. A number
 * of c is the sum over k in order, whatever the tile: its bits depend on nothing else.
 *
 * An operand is a struct with
 *     float4 next();   the thread's four numbers of the next DK_TILE_K of k
 * which lie, of the tile's 16·R rows (columns, for b), as DkTilePlace says. */
#ifndef DK_CUDA_TILE_CUH
#define DK_CUDA_TILE_CUH

#include "kernels/cuda/cuda.h"

enum { DK_TILE_K = 8, DK_TILE_THREADS = 256 };

/* Where the four numbers of a thread are. ALONG_K: k to k + 3 of one row; else rows `row` to
 * row + 3 of one k. Threads beyond the tile's numbers pick up none. */
template <int R, bool ALONG_K> struct DkTilePlace {
    static constexpr int count = 16 * R * DK_TILE_K / 4, quads = 4 * R;
    int k, row;
    __device__ explicit DkTilePlace(int thread)
        : k(ALONG_K ? thread % 2 * 4 : thread / quads),
          row(ALONG_K ? thread / 2 : thread % quads * 4)
    {
    }
};

static inline __device__ int dk_tile_thread()
{
    return (int)(threadIdx.y * blockDim.x + threadIdx.x);
}

/* The tile's row (or column) of a thread's number i of R: groups of four (or of R) neighbours, so
 * that threads side by side read shared memory side by side. */
template <int R> static inline __device__ int dk_tile_index(int thread, int i)
{
    constexpr int lanes = R < 4 ? R : 4;
    return i / lanes * 16 * lanes + thread * lanes + i % lanes;
}

/* One copy's numbers of one k: 16·R, and padding that keeps stores along k off each other's
 * banks. */
template <int R> struct DkTileRow {
    float4 at[4 * R + 1];
};

template <int R, bool ALONG_K>
static inline __device__ void dk_tile_put(DkTileRow<R> *to, DkTilePlace<R, ALONG_K> place, float4 x)
{
    if constexpr (ALONG_K) {
        const float numbers[4] = {x.x, x.y, x.z, x.w};
        DK_UNROLL
        for (int i = 0; i < 4; i++)
            reinterpret_cast<float *>(to[place.k + i].at)[place.row] = numbers[i];
    } else
        to[place.k].at[place.row / 4] = x;
}

template <int R>
static inline __device__ void dk_tile_get(float (&x)[R], const DkTileRow<R> &from, int thread)
{
    if constexpr (R < 4) {
        DK_UNROLL
        for (int i = 0; i < R; i++)
            x[i] = reinterpret_cast<const float *>(from.at)[dk_tile_index<R>(thread, i)];
    } else {
        DK_UNROLL
        for (int i = 0; i < R; i += 4) {
            const float4 four = from.at[dk_tile_index<R>(thread, i) / 4];
            x[i] = four.x;
            x[i + 1] = four.y;
            x[i + 2] = four.z;
            x[i + 3] = four.w;
        }
    }
}

template <int RM, int RN>
static inline __device__ void dk_tile_add(float (&c)[RM][RN], const DkTileRow<RM> *a,
                                          const DkTileRow<RN> *b)
{
    DK_UNROLL
    for (int k = 0; k < DK_TILE_K; k++) {
        float x[RM], y[RN];
        dk_tile_get<RM>(x, a[k], (int)threadIdx.y);
        dk_tile_get<RN>(y, b[k], (int)threadIdx.x);
        DK_UNROLL
        for (int i = 0; i < RM; i++) {
            DK_UNROLL
            for (int j = 0; j < RN; j++)
                c[i][j] += x[i] * y[j];
        }
    }
}

/* c += a · b over n_k numbers of k; those beyond are zeros of a's. */
template <bool A_ALONG_K, bool B_ALONG_K, int RM, int RN, class A, class B>
static inline __device__ void dk_tile_product(float (&c)[RM][RN], A &a, B &b, int64_t n_k)
{
    DK_SHARED(DkTileRow<RM>, a_rows, [2 * DK_TILE_K]);
    DK_SHARED(DkTileRow<RN>, b_rows, [2 * DK_TILE_K]);
    const int thread = dk_tile_thread();
    const DkTilePlace<RM, A_ALONG_K> a_place(thread);
    const DkTilePlace<RN, B_ALONG_K> b_place(thread);
    const bool has_a = thread < a_place.count, has_b = thread < b_place.count;
    float4 a_next = make_float4(0, 0, 0, 0), b_next = a_next;
    if (has_a)
        a_next = a.next();
    if (has_b)
        b_next = b.next();
    for (int64_t k = 0; k < n_k; k += DK_TILE_K) {
        const int copy = (int)(k / DK_TILE_K % 2) * DK_TILE_K;
        if (has_a)
            dk_tile_put(&a_rows[copy], a_place, a_next);
        if (has_b)
            dk_tile_put(&b_rows[copy], b_place, b_next);
        __syncthreads();
        if (has_a && k + DK_TILE_K < n_k)
            a_next = a.next();
        if (has_b && k + DK_TILE_K < n_k)
            b_next = b.next();
        dk_tile_add(c, &a_rows[copy], &b_rows[copy]);
    }
}

#endif
