/* Backward of the causal depth-wise convolution along the tokens. With p the gradient before the
 * activation, whose argument is computed anew:
 *   p[i] = dy[i] · act' (b + Σ_a w[a] x[i - (k-1) + a]),  dx[i] = Σ_a w[a] p[i + (k-1) - a],
 *   dw[a] = Σ_i p[i] x[i - (k-1) + a],  db = Σ_i p[i].
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * As in conv1d-dw.c a strip of channels runs down all tokens, here of all pictures: the sums of dw
 * and db are one thread's, and those of each picture are gathered apart to round less. */
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vec-math.h"

enum { STRIP = 4 /* vectors */, MAX_TAPS = 8 };

typedef struct {
    float *dx, *dw, *db;
    const float *dy, *x, *w, *b;
    int64_t dx_stride, dy_stride, x_stride;
    int64_t n_pictures, n_tokens, n_channels, n_taps;
    const int32_t *order;
    DkAct act;
    Vec *scratch; /* [threads][MAX_TAPS - 1 + tokens][STRIP] */
} Conv;

/* Channels across the lanes. */
typedef struct {
    Vec tap[MAX_TAPS][STRIP], bias[STRIP];
} Filter;

typedef struct {
    Filter filter, gradient;
    Vec (*before)[STRIP]; /* [tokens]: p, and MAX_TAPS - 1 rows of zeros beyond the last */
    int64_t first, channel;
} Strip;

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

static void add_gradient(const Conv *conv, int64_t channel, const Filter *gradient)
{
    for (int64_t j = 0; j < STRIP * VEC_LANES && channel + j < conv->n_channels; j++) {
        const int64_t v = j / VEC_LANES, lane = j % VEC_LANES;
        if (conv->db)
            conv->db[channel + j] += gradient->bias[v][lane];
        for (int64_t a = 0; a < conv->n_taps; a++)
            conv->dw[(channel + j) * conv->n_taps + a] += gradient->tap[a][v][lane];
    }
}

static int64_t row_of(const Conv *conv, int64_t first, int64_t token)
{
    return first + (conv->order ? conv->order[token] : token);
}

/* p of all tokens of one vector of channels, and its sums; n_taps and act are constants where this
 * is inlined. */
static inline __attribute__((always_inline)) void
find_before(const Conv *conv, Strip *strip, int v, int64_t n, const int n_taps, const DkAct act)
{
    const int64_t e = strip->channel + v * VEC_LANES;
    Vec x[MAX_TAPS] = {{0}}, dw[MAX_TAPS] = {{0}}, db = {0};
    for (int64_t i = 0; i < conv->n_tokens; i++) {
        const int64_t row = row_of(conv, strip->first, i);
        for (int a = 0; a + 1 < n_taps; a++)
            x[a] = x[a + 1];
        x[n_taps - 1] = vec_load_first(conv->x + row * conv->x_stride + e, n);
        Vec sum = strip->filter.bias[v];
        for (int a = 0; a < n_taps; a++)
            sum = vec_fma(strip->filter.tap[a][v], x[a], sum);
        const Vec p =
            vec_load_first(conv->dy + row * conv->dy_stride + e, n) * vec_act_slope(sum, act);
        for (int a = 0; a < n_taps; a++)
            dw[a] = vec_fma(p, x[a], dw[a]);
        db += p;
        strip->before[i][v] = p;
    }
    for (int a = 0; a < n_taps; a++)
        strip->gradient.tap[a][v] += dw[a];
    strip->gradient.bias[v] += db;
}

static inline __attribute__((always_inline)) void find_dx(const Conv *conv, const Strip *strip,
                                                          int v, int64_t n, const int n_taps)
{
    const int64_t e = strip->channel + v * VEC_LANES;
    for (int64_t i = 0; i < conv->n_tokens; i++) {
        Vec sum = {0};
        for (int a = 0; a < n_taps; a++)
            sum = vec_fma(strip->filter.tap[a][v], strip->before[i + n_taps - 1 - a][v], sum);
        vec_store_first(conv->dx + row_of(conv, strip->first, i) * conv->dx_stride + e, sum, n);
    }
}

/* One picture. */
static void run(const Conv *conv, Strip *strip)
{
    for (int v = 0; v < STRIP; v++) {
        const int64_t n = vec_lanes(strip->channel + v * VEC_LANES, conv->n_channels);
        if (n <= 0)
            break;
        if (conv->act == DK_ACT_SILU && conv->n_taps == 4 && n == VEC_LANES)
            find_before(conv, strip, v, VEC_LANES, 4, DK_ACT_SILU);
        else
            find_before(conv, strip, v, n, (int)conv->n_taps, conv->act);
        if (conv->n_taps == 4 && n == VEC_LANES)
            find_dx(conv, strip, v, VEC_LANES, 4);
        else
            find_dx(conv, strip, v, n, (int)conv->n_taps);
    }
}

/* Units are the strips, each of all pictures. */
static void conv_part(const void *op, int64_t first, int64_t last, int thread)
{
    const Conv *conv = op;
    const int64_t rows = MAX_TAPS - 1 + conv->n_tokens;
    Strip strip = {.before = (Vec(*)[STRIP])(conv->scratch + thread * rows * STRIP)};
    memset(strip.before + conv->n_tokens, 0, (MAX_TAPS - 1) * sizeof *strip.before);
    for (int64_t i = first; i < last; i++) {
        strip.channel = i * STRIP * VEC_LANES;
        load_filter(conv, strip.channel, &strip.filter);
        memset(&strip.gradient, 0, sizeof strip.gradient);
        for (int64_t p = 0; p < conv->n_pictures; p++) {
            strip.first = p * conv->n_tokens;
            run(conv, &strip);
        }
        add_gradient(conv, strip.channel, &strip.gradient);
    }
}

void DK_SIMD(conv1d_dw_backward)(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                                 DkTensor x, DkTensor w, DkTensor b, DkTensor order, DkAct act)
{
    const int64_t n_strips = (x.sizes[2] + STRIP * VEC_LANES - 1) / (STRIP * VEC_LANES);
    Conv conv = {.dx = dk_data(dx),
                 .dw = dk_data(dw),
                 .db = dk_data(db),
                 .dy = dk_data(dy),
                 .x = dk_data(x),
                 .w = dk_data(w),
                 .b = dk_data(b),
                 .dx_stride = dx.row_stride,
                 .dy_stride = dy.row_stride,
                 .x_stride = x.row_stride,
                 .n_pictures = x.sizes[0],
                 .n_tokens = x.sizes[1],
                 .n_channels = x.sizes[2],
                 .n_taps = w.sizes[1],
                 .order = dk_data(order),
                 .act = act};
    const size_t rows = (size_t)dev->n_threads * (size_t)(MAX_TAPS - 1 + conv.n_tokens);
    conv.scratch = dk_scratch(dev, rows * STRIP * sizeof(Vec));
    if (!conv.scratch)
        return;
    const double rows_of_all = (double)(conv.n_pictures * conv.n_tokens);
    dk_cpu_parallel(dev, n_strips, 10 * STRIP * rows_of_all, conv_part, &conv);
}
