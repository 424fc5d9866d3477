/* Backward of the causal depth-wise convolution along the tokens.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

/* One channel of one picture: p[i] is the gradient before the activation at token i. */
typedef struct {
    DkTensor x, w, order;
    int64_t first, n_tokens, e;
} Lane;

static double sample(const Lane *l, int64_t token)
{
    return token < 0 ? 0 : dk_row(l->x, l->first + dk_ref_token(l->order, token))[l->e];
}

static double before_act(const Lane *l, double bias, int64_t token)
{
    const int64_t n_taps = l->w.sizes[1];
    double sum = bias;
    for (int64_t a = 0; a < n_taps; a++)
        sum += (double)dk_row(l->w, l->e)[a] * sample(l, token - (n_taps - 1) + a);
    return sum;
}

static void run_lane(const Lane *l, DkTensor dx, DkTensor dw, DkTensor db, const double *p)
{
    const int64_t n_taps = l->w.sizes[1];
    double sum = 0;
    for (int64_t i = 0; i < l->n_tokens; i++) {
        double back = 0;
        for (int64_t a = 0; a < n_taps && i + n_taps - 1 - a >= 0; a++)
            if (i + n_taps - 1 - a < l->n_tokens)
                back += dk_row(l->w, l->e)[a] * p[i + n_taps - 1 - a];
        dk_row(dx, l->first + dk_ref_token(l->order, i))[l->e] = (float)back;
        sum += p[i];
    }
    if (db.buffer)
        dk_row(db, 0)[l->e] += (float)sum;
    for (int64_t a = 0; a < n_taps; a++) {
        double tap = 0;
        for (int64_t i = 0; i < l->n_tokens; i++)
            tap += p[i] * sample(l, i - (n_taps - 1) + a);
        dk_row(dw, l->e)[a] += (float)tap;
    }
}

void dk_ref_conv1d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                               DkTensor x, DkTensor w, DkTensor b, DkTensor order, DkAct act)
{
    const int64_t n = x.sizes[1];
    double *p = dk_scratch(dev, (size_t)n * sizeof *p);
    if (!p)
        return;
    for (int64_t lane = 0; lane < x.sizes[0] * x.sizes[2] && !dk_stopped(dev); lane++) {
        const Lane l = {x, w, order, lane / x.sizes[2] * n, n, lane % x.sizes[2]};
        for (int64_t i = 0; i < n; i++)
            p[i] = dk_row(dy, l.first + dk_ref_token(order, i))[l.e] *
                   dk_ref_act_slope(before_act(&l, dk_ref_at(b, l.e, 0), i), act);
        run_lane(&l, dx, dw, db, p);
    }
}
