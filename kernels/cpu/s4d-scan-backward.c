/* Backward of S4D's recurrence (the formulas are those of ref/s4d-scan-backward.c). The gradient of
 * u is the scan of dy the other way. The weights' gradients gather, state by state, while two
 * recurrences run over the tokens, the state and its derivative by the decay: nothing is stored but
 * these.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Vectors hold neighbouring channels (a group); a thread's unit is one line of channels in one
 * direction, all pictures of it: sums do not depend on the number of threads. Sums of a tile are
 * floats, of tiles doubles. */
#include "kernels/cpu/s4d-scan.h"

#include "kernels/cpu/parallel.h"

enum {
    TILE = 64,             /* tokens */
    LINE = 16 / VEC_LANES, /* groups: a cache line of a row */
    CHANNELS = LINE * VEC_LANES
};

enum { STATE_RE, STATE_IM, SLOPE_RE, SLOPE_IM, N_STATE };

typedef struct {
    DkTensor u, dy;
    const DkWeight *weight[2];
    const DkS4dGradient *gradient[2];
    bool back[2];
    int64_t n_lines, n_padded; /* lines of a direction, states as packed */
    float *scratch;
    size_t floats; /* of scratch for a thread */
} Backward;

/* A thread's. Sums over all tokens are [groups][states][4][lanes], those of the skip [groups]. */
typedef struct {
    Vec u[LINE][TILE], dy[LINE][TILE];
    Vec (*state)[N_STATE]; /* [groups][states] */
    double *sums;
    double skip[CHANNELS];
    int n; /* tokens of the tile */
} Tile;

/* n channels of each token from a row on, `step` floats apart. */
static void fetch(Vec to[LINE][TILE], const float *from, int64_t step, int tokens, int64_t n)
{
    for (int i = 0; i < tokens; i++, from += step)
        for (int64_t g = 0; g < LINE; g++) {
            const int64_t left = n - g * VEC_LANES;
            to[g][i] =
                left > 0 ? vec_load_first(from + g * VEC_LANES, least(left, VEC_LANES)) : (Vec){0};
        }
}

static void add(double *to, Vec x)
{
    for (int i = 0; i < VEC_LANES; i++)
        to[i] += x[i];
}

/* One state of one group over the tile. */
static void recur(Tile *tile, int g, int64_t at, const Vec factors[N_FACTORS])
{
    const Vec re = factors[DECAY_RE], im = factors[DECAY_IM];
    Vec *state = tile->state[at], sum[4] = {{0}};
    Vec x = state[STATE_RE], y = state[STATE_IM], v = state[SLOPE_RE], w = state[SLOPE_IM];
    for (int i = 0; i < tile->n; i++) {
        const Vec u = tile->u[g][i], dy = tile->dy[g][i], v0 = v, x0 = x;
        v = vec_fma(re, v, vec_fnma(im, w, x));
        w = vec_fma(re, w, vec_fma(im, v0, y));
        x = vec_fma(re, x, vec_fnma(im, y, u));
        y = vec_fma(re, y, im * x0);
        sum[0] = vec_fma(dy, v, sum[0]);
        sum[1] = vec_fma(dy, w, sum[1]);
        sum[2] = vec_fma(dy, x, sum[2]);
        sum[3] = vec_fma(dy, y, sum[3]);
    }
    state[STATE_RE] = x;
    state[STATE_IM] = y;
    state[SLOPE_RE] = v;
    state[SLOPE_IM] = w;
    for (int i = 0; i < 4; i++)
        add(tile->sums + (at * 4 + i) * VEC_LANES, sum[i]);
}

static void run_tile(const Backward *op, Tile *tile, const DkWeight *weight, int64_t line)
{
    const Vec(*factors)[N_FACTORS] =
        (const Vec(*)[N_FACTORS])(const void *)weight->data + line * LINE * op->n_padded;
    for (int g = 0; g < LINE; g++) {
        if ((line * LINE + g) * VEC_LANES >= weight->n)
            return;
        Vec skip = {0};
        for (int i = 0; i < tile->n; i++)
            skip = vec_fma(tile->dy[g][i], tile->u[g][i], skip);
        add(tile->skip + g * VEC_LANES, skip);
        for (int64_t k = 0; k < weight->k; k++)
            recur(tile, g, g * op->n_padded + k, factors[g * op->n_padded + k]);
    }
}

/* All tokens of a picture. */
static void run_picture(const Backward *op, Tile *tile, int direction, int64_t line,
                        int64_t picture)
{
    const DkWeight *weight = op->weight[direction];
    const int64_t n = op->u.sizes[1], c = line * CHANNELS;
    const int64_t column = direction * weight->n + c, channels = least(weight->n - c, CHANNELS);
    const bool back = op->back[direction];
    const int64_t u_step = back ? -op->u.row_stride : op->u.row_stride;
    const int64_t dy_step = back ? -op->dy.row_stride : op->dy.row_stride;
    memset(tile->state, 0, (size_t)(LINE * op->n_padded) * sizeof *tile->state);
    for (int64_t i = 0; i < n; i += TILE) {
        const int64_t row = picture * n + (back ? n - 1 - i : i);
        tile->n = (int)least(n - i, TILE);
        fetch(tile->u, dk_row(op->u, row) + c, u_step, tile->n, channels);
        fetch(tile->dy, dk_row(op->dy, row) + column, dy_step, tile->n, channels);
        run_tile(op, tile, weight, line);
    }
}

/* Of a complex number's gradient 2 conj (x). */
static void put(double *to, double re, double im)
{
    to[0] = 2 * re;
    to[1] = -2 * im;
}

static void store(const Backward *op, const Tile *tile, int direction, int64_t line)
{
    const DkWeight *w = op->weight[direction];
    const DkS4dGradient *to = op->gradient[direction];
    for (int64_t d = line * CHANNELS; d < least((line + 1) * CHANNELS, w->n); d++) {
        const int64_t group = d % CHANNELS / VEC_LANES, lane = d % VEC_LANES;
        dk_row(to->skip, 0)[d] += (float)tile->skip[d % CHANNELS];
        for (int64_t k = 0; k < w->k; k++) {
            const double *sum = tile->sums + (group * op->n_padded + k) * 4 * VEC_LANES + lane;
            const float *factors =
                w->data + ((line * LINE + group) * op->n_padded + k) * N_FACTORS * VEC_LANES + lane;
            const double re = factors[GAIN_RE * VEC_LANES] / 2;
            const double im = -factors[GAIN_IM * VEC_LANES] / 2;
            const double of_re = sum[0], of_im = sum[VEC_LANES];
            put((double *)dk_data(to->decay) + (d * w->k + k) * 2, re * of_re - im * of_im,
                re * of_im + im * of_re);
            put((double *)dk_data(to->gain) + (d * w->k + k) * 2, sum[2 * VEC_LANES],
                sum[3 * VEC_LANES]);
        }
    }
}

static void part(const void *data, int64_t first, int64_t last, int thread)
{
    const Backward *op = data;
    const int64_t states = LINE * op->n_padded;
    Tile tile;
    tile.state = (Vec(*)[N_STATE])(void *)(op->scratch + (size_t)thread * op->floats);
    tile.sums = (double *)(void *)(tile.state + states);
    for (int64_t i = first; i < last; i++) {
        const int direction = (int)(i / op->n_lines);
        memset(tile.sums, 0, (size_t)states * 4 * VEC_LANES * sizeof *tile.sums);
        memset(tile.skip, 0, sizeof tile.skip);
        for (int64_t picture = 0; picture < op->u.sizes[0]; picture++)
            run_picture(op, &tile, direction, i % op->n_lines, picture);
        store(op, &tile, direction, i % op->n_lines);
    }
}

void DK_SIMD(s4d_scan_backward)(DkDevice *dev, DkTensor du, const DkS4dGradient *of_ahead,
                                const DkS4dGradient *of_back, DkTensor dy, DkTensor u,
                                const DkWeight *ahead, const DkWeight *back)
{
    const DkWeight *any = ahead ? ahead : back;
    const int64_t width = u.sizes[2], n_directions = ahead && back ? 2 : 1;
    Backward op = {.u = u,
                   .dy = dy,
                   .weight = {any, back},
                   .gradient = {ahead ? of_ahead : of_back, of_back},
                   .back = {!ahead, true},
                   .n_lines = (width + CHANNELS - 1) / CHANNELS,
                   .n_padded = s4d_padded(any->k)};
    if (ahead)
        DK_SIMD(s4d_scan_one)(dev, du, dk_tensor_columns(dy, 0, width), ahead, true, false);
    if (back)
        DK_SIMD(s4d_scan_one)
    (dev, du, dk_tensor_columns(dy, ahead ? width : 0, width), back, false, ahead != NULL);
    op.floats = (size_t)(LINE * op.n_padded) * 3 * 4 * VEC_LANES;
    op.scratch = dk_scratch(dev, (size_t)dev->n_threads * op.floats * sizeof *op.scratch);
    if (!op.scratch)
        return;
    const double tokens = (double)dk_rows(u), states = (double)(any->k * LINE);
    dk_cpu_parallel(dev, n_directions * op.n_lines, tokens * states * 3, part, &op);
}
