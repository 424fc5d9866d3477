/* Causal depth-wise convolution along the tokens in a given order, activation included:
 *   y at token i = act (b + Σ_a w[a] · x at token i - (k-1) + a).
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A strip of channels runs down all tokens; the rows that the taps share stay in the first cache.
 */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

enum {
    STRIP = 4, /* vectors */
    MAX_TAPS = 8,
    AHEAD = 8, /* tokens from a fetch to its use: rows lie in any order */
};

typedef struct {
    float *y;
    const float *x, *w, *b;
    int64_t y_stride, x_stride, n_tokens, n_channels, n_strips, n_taps;
    const int32_t *order;
    DkAct act;
} Conv;

/* The weights of one strip, channels across the lanes. */
typedef struct {
    Vec tap[MAX_TAPS][STRIP], bias[STRIP];
} Filter;

static void load_filter(const Conv *conv, int64_t channel, Filter *filter)
{
    memset(filter, 0, sizeof *filter);
    for (int64_t j = 0; j < STRIP * VEC_LANES && channel + j < conv->n_channels; j++) {
        const int64_t v = j / VEC_LANES, lane = j % VEC_LANES;
        if (conv->b)
            filter->bias[v][lane] = conv->b[channel + j];
        for (int64_t a = 0; a < conv->n_taps; a++)
            filter->tap[a][v][lane] = conv->w[(channel + j) * conv->n_taps + a];
    }
}

static int64_t row_of(const Conv *conv, int64_t first, int64_t token)
{
    return first + (conv->order ? conv->order[token] : token);
}

/* All tokens of one strip; `act` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void run(const Conv *conv, const Filter *filter,
                                                      int64_t first, int64_t channel, DkAct act)
{
    for (int64_t i = 0; i < conv->n_tokens; i++) {
        const float *in[MAX_TAPS];
        const int64_t from = i < conv->n_taps - 1 ? conv->n_taps - 1 - i : 0;
        for (int64_t a = from; a < conv->n_taps; a++)
            in[a] = conv->x + row_of(conv, first, i - (conv->n_taps - 1) + a) * conv->x_stride;
        if (i + AHEAD < conv->n_tokens) {
            const int64_t next = row_of(conv, first, i + AHEAD);
            for (int v = 0; v < STRIP; v++) {
                const int64_t e = channel + v * VEC_LANES;
                __builtin_prefetch(conv->x + next * conv->x_stride + e);
                __builtin_prefetch(conv->y + next * conv->y_stride + e, 1);
            }
        }
        float *out = conv->y + row_of(conv, first, i) * conv->y_stride;
        for (int v = 0; v < STRIP; v++) {
            const int64_t e = channel + v * VEC_LANES, n = vec_lanes(e, conv->n_channels);
            if (n <= 0)
                break;
            Vec sum = filter->bias[v];
            for (int64_t a = from; a < conv->n_taps; a++)
                sum = vec_fma(filter->tap[a][v], vec_load_first(in[a] + e, n), sum);
            vec_store_first(out + e, vec_act(sum, act), n);
        }
    }
}

/* Units are the strips of all pictures. */
static void conv_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Conv *conv = op;
    for (int64_t i = first; i < last; i++) {
        const int64_t channel = i % conv->n_strips * STRIP * VEC_LANES;
        const int64_t base = i / conv->n_strips * conv->n_tokens;
        Filter filter;
        load_filter(conv, channel, &filter);
        if (conv->act == DK_ACT_SILU)
            run(conv, &filter, base, channel, DK_ACT_SILU);
        else
            run(conv, &filter, base, channel, conv->act);
    }
}

void DK_SIMD(conv1d_dw)(DkDevice *dev, DkTensor y, DkTensor x, DkTensor w, DkTensor b,
                        DkTensor order, DkAct act)
{
    const int64_t strip = STRIP * VEC_LANES, n_strips = (x.sizes[2] + strip - 1) / strip;
    const Conv conv = {.y = dk_data(y),
                       .x = dk_data(x),
                       .w = dk_data(w),
                       .b = dk_data(b),
                       .y_stride = y.row_stride,
                       .x_stride = x.row_stride,
                       .n_tokens = x.sizes[1],
                       .n_channels = x.sizes[2],
                       .n_strips = n_strips,
                       .n_taps = w.sizes[1],
                       .order = dk_data(order),
                       .act = act};
    dk_cpu_parallel(dev, x.sizes[0] * n_strips, (double)(conv.n_tokens * strip), conv_part, &conv);
}
