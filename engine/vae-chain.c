/* What a chain of steps needs: layers, sizes, operations, room.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "vae-chain.h"

#include <math.h>

/* A band chosen by memory: one that a shared cache holds, and done before a cancel has waited long.
 */
static const double band_bytes = 16 << 20, band_flop = 8e9;

/* A side doubled seven times, as often as a chain ever does, still is an int. */
enum { MAX_SIDE = 1 << 23 };

void dim_chain_init(DimChain *chain)
{
    *chain = (DimChain){.in_gain = 1, .out_gain = 1};
}

void dim_chain_add(DimChain *chain, DimStep step)
{
    /* Powers of two: grown when full. */
    if ((chain->n_steps & (chain->n_steps - 1)) == 0)
        chain->steps = g_renew(DimStep, chain->steps, MAX(1, 2 * chain->n_steps));
    chain->steps[chain->n_steps++] = step;
}

void dim_chain_clear(DimChain *chain)
{
    g_assert(!chain->data);
    g_free(chain->steps);
    dim_chain_init(chain);
}

static DimLayer norm(DimRole role, int channels)
{
    return (DimLayer){.role = role, .in = channels, .out = channels};
}

static DimLayer conv(DimRole role, int in, int out, int kernel)
{
    return (DimLayer){.role = role, .in = in, .out = out, .kernel = kernel};
}

static int residual_layers(const DimStep *s, DimLayer *layers)
{
    layers[0] = norm(DIM_ROLE_NORM1, s->in);
    layers[1] = conv(DIM_ROLE_CONV1, s->in, s->out, 3);
    layers[2] = norm(DIM_ROLE_NORM2, s->out);
    layers[3] = conv(DIM_ROLE_CONV2, s->out, s->out, 3);
    if (s->in == s->out)
        return 4;
    layers[4] = conv(DIM_ROLE_SHORTCUT, s->in, s->out, 1);
    return 5;
}

static int attention_layers(const DimStep *s, DimLayer *layers)
{
    static const DimRole roles[] = {DIM_ROLE_Q, DIM_ROLE_K, DIM_ROLE_V, DIM_ROLE_PROJ};

    layers[0] = norm(DIM_ROLE_NORM, s->in);
    for (int i = 0; i < 4; i++) {
        layers[1 + i] = conv(roles[i], s->in, s->in, 1);
        layers[1 + i].is_matrix = TRUE;
    }
    return 5;
}

int dim_step_layers(const DimStep *s, DimLayer layers[DIM_STEP_LAYERS])
{
    switch (s->kind) {
    case DIM_STEP_CONV:
        layers[0] = conv(DIM_ROLE_CONV, s->in, s->out, s->kernel);
        layers[0].unused = s->unused;
        return 1;
    case DIM_STEP_UP:
    case DIM_STEP_DOWN:
        layers[0] = conv(DIM_ROLE_CONV, s->in, s->out, 3);
        layers[0].no_bias = s->no_bias;
        return 1;
    case DIM_STEP_NORM_CONV:
        layers[0] = norm(DIM_ROLE_NORM, s->in);
        layers[1] = conv(DIM_ROLE_CONV, s->in, s->out, 3);
        return 2;
    case DIM_STEP_RESIDUAL:
        return residual_layers(s, layers);
    case DIM_STEP_ATTENTION:
        return attention_layers(s, layers);
    case DIM_STEP_BLOCK:
        layers[0] = conv(DIM_ROLE_BLOCK0, s->in, s->out, 3);
        layers[1] = conv(DIM_ROLE_BLOCK2, s->in, s->out, 3);
        layers[2] = conv(DIM_ROLE_BLOCK4, s->in, s->out, 3);
        return 3;
    case DIM_STEP_CLAMP:
        return 0;
    }
    g_return_val_if_reached(0);
}

void dim_step_size(const DimStep *step, int *height, int *width)
{
    if (step->kind == DIM_STEP_UP) {
        *height *= 2;
        *width *= 2;
    } else if (step->kind == DIM_STEP_DOWN) {
        *height /= 2;
        *width /= 2;
    }
}

double dim_step_flop(const DimStep *step, int height, int width)
{
    DimLayer layers[DIM_STEP_LAYERS];
    const int n = dim_step_layers(step, layers);
    double flop = 0;

    dim_step_size(step, &height, &width);
    const double pixels = (double)height * width;
    for (int i = 0; i < n; i++)
        flop += 2.0 * layers[i].kernel * layers[i].kernel * layers[i].in * layers[i].out * pixels;
    if (step->kind == DIM_STEP_ATTENTION)
        flop += 4 * pixels * pixels * step->in;
    return flop;
}

double dim_chain_flop(const DimChain *chain, int height, int width)
{
    double flop = 0;

    if (height > MAX_SIDE || width > MAX_SIDE)
        return HUGE_VAL;
    for (int i = 0; i < chain->n_steps; i++) {
        flop += dim_step_flop(&chain->steps[i], height, width);
        dim_step_size(&chain->steps[i], &height, &width);
    }
    return flop;
}

double dim_tile_share(int tile, int h, int w)
{
    if (tile <= 0)
        return tile == 0 ? 1 : 0;
    return MIN(1, (double)tile * tile / ((double)h * w));
}

/* Numbers that a band holds for each of its rows, and how many rows it has beyond the step's own.
 */
static double band_numbers(const DimStep *step, int width, int *halo)
{
    const double row = width;

    *halo = step->kind == DIM_STEP_ATTENTION || step->kind == DIM_STEP_UP ? 0 : 2;
    switch (step->kind) {
    case DIM_STEP_NORM_CONV:
        return row * step->in;
    case DIM_STEP_RESIDUAL:
    case DIM_STEP_BLOCK:
        return row * MAX(step->in, step->out);
    case DIM_STEP_ATTENTION: /* norm and output, query */
        return 3 * row * step->in;
    case DIM_STEP_UP: /* every fourth pixel of the result */
        return row * step->out;
    default:
        return 0;
    }
}

/* Numbers written beside the input: at the other end of the room. */
static double result_numbers(const DimStep *step, int height, int width)
{
    dim_step_size(step, &height, &width);
    const double pixels = (double)height * width;

    if (step->kind == DIM_STEP_ATTENTION) /* keys and values */
        return 2 * pixels * step->in;
    return step->kind == DIM_STEP_CLAMP ? 0 : pixels * step->out;
}

static gsize bytes_of(double numbers)
{
    return numbers < 0x1p58 ? ((gsize)numbers * sizeof(float) + 63) & ~(gsize)63 : G_MAXSIZE;
}

static int band_rows(const DimStep *step, int height, int width, double share, double row_bytes)
{
    double rows = share * height;

    if (share == 0) {
        const double row_flop = dim_step_flop(step, height, width) / height;
        rows = MIN(row_bytes > 0 ? band_bytes / row_bytes : height,
                   row_flop > 0 ? band_flop / row_flop : height);
    }
    return (int)CLAMP(rows, 1, height);
}

void dim_step_room(const DimStep *step, int height, int width, double share, DimStepRoom *room)
{
    const double pixels = (double)height * width;
    const gboolean in_place = step->kind == DIM_STEP_RESIDUAL;
    int halo;
    const double row = band_numbers(step, width, &halo);

    room->rows = band_rows(step, height, width, share, row * sizeof(float));
    room->x = bytes_of(pixels * (in_place ? MAX(step->in, step->out) : step->in));
    room->y = bytes_of(result_numbers(step, height, width));
    room->band = bytes_of(row * MIN(room->rows + halo, height));
}

/* FALSE: the sum is too large to be counted. */
static gboolean raise_peak(gsize *peak, gsize x, gsize y, gsize band)
{
    gsize sum;

    if (x == G_MAXSIZE || y == G_MAXSIZE || band == G_MAXSIZE || !g_size_checked_add(&sum, x, y) ||
        !g_size_checked_add(&sum, sum, band))
        return FALSE;
    *peak = MAX(*peak, sum);
    return TRUE;
}

gsize dim_chain_stats_bytes(const DimChain *chain)
{
    return ((gsize)MAX(chain->norm_groups, 1) * 3 * sizeof(double) + 63) & ~(gsize)63;
}

gsize dim_chain_bytes(const DimChain *chain, int height, int width, double share)
{
    DimStepRoom room;
    gsize peak = 0;

    if (height > MAX_SIDE || width > MAX_SIDE)
        return G_MAXSIZE;

    /* At both ends of the chain a picture is there twice, as planes and as pixels. */
    const gsize first = bytes_of((double)height * width * chain->steps[0].in);
    gboolean ok = raise_peak(&peak, first, first, 0);
    for (int i = 0; ok && i < chain->n_steps; i++) {
        dim_step_room(&chain->steps[i], height, width, share, &room);
        ok = raise_peak(&peak, room.x, room.y, room.band);
        dim_step_size(&chain->steps[i], &height, &width);
    }
    const gsize last = bytes_of((double)height * width * chain->steps[chain->n_steps - 1].out);
    ok = ok && raise_peak(&peak, last, last, 0);
    return ok && peak < G_MAXSIZE / 2 ? peak + 2 * dim_chain_stats_bytes(chain) : G_MAXSIZE;
}
