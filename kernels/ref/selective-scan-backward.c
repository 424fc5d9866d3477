/* Backward of Mamba's recurrence. With g[i, n] = Σ over later tokens of the loss's dependence on
 * S[i, n] and q = dy · silu (z):
 *     g[i, n] = q[i] C[i, n] + exp (δ[i+1] A[n]) g[i+1, n]
 *     du = δ Σ_n g B + q d            dδ = Σ_n g (A exp (δ A) S[i-1] + u B)
 *     dA = Σ_i g δ exp (δ A) S[i-1]   dB = g δ u summed over channels
 *     dC = q S summed over channels   dd = Σ_i q u
 *     dz = dy · (Σ_n S C + d u) · silu' (z)        d dt = dδ · sigmoid (dt)
 * One channel after another; the states of one channel are all that is held.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kernels/ref/ref.h"

#include <string.h>

/* All of one picture and channel. */
typedef struct {
    DkTensor du, ddt, da, dbmat, dcmat, dd, dz, dy, u, dt, bmat, cmat, d, z, order;
    const DkWeight *a;
    int64_t first, n_tokens, e;
    double *states;  /* [L + 1, N]: before the first token, and after each */
    double *adjoint; /* [N]: g of the token at hand */
    double *db, *dc; /* [L, N]: sums over channels, of the picture */
    double *da_sum;  /* [N] */
} Lane;

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void run_forward(const Lane *l)
{
    const float *a = l->a->data + l->e * l->a->k;
    for (int64_t i = 0; i < l->n_tokens; i++) {
        const int64_t row = l->first + dk_ref_token(l->order, i);
        const double delta = softplus(dk_row(l->dt, row)[l->e]), u = dk_row(l->u, row)[l->e];
        const double *before = l->states + i * l->a->k;
        double *after = l->states + (i + 1) * l->a->k;
        for (int64_t n = 0; n < l->a->k; n++)
            after[n] = exp(delta * a[n]) * before[n] + delta * u * dk_row(l->bmat, row)[n];
    }
}

/* What Σ S C + d u is at a token, after run_forward. */
static double output_before_gate(const Lane *l, int64_t i, int64_t row)
{
    double sum = (double)dk_row(l->d, 0)[l->e] * dk_row(l->u, row)[l->e];
    for (int64_t n = 0; n < l->a->k; n++)
        sum += l->states[(i + 1) * l->a->k + n] * dk_row(l->cmat, row)[n];
    return sum;
}

/* q = dy · silu (z), and dz. */
static double open_gate(const Lane *l, int64_t i, int64_t row)
{
    const double dy = dk_row(l->dy, row)[l->e];
    if (!l->z.buffer)
        return dy;
    const double z = dk_row(l->z, row)[l->e], s = sigmoid(z);
    dk_row(l->dz, row)[l->e] = (float)(dy * output_before_gate(l, i, row) * s * (1 + z * (1 - s)));
    return dy * z * s;
}

static void step_back(const Lane *l, int64_t i, double *dd)
{
    const int64_t row = l->first + dk_ref_token(l->order, i), n_states = l->a->k;
    const float *a = l->a->data + l->e * n_states;
    const double dt = dk_row(l->dt, row)[l->e], delta = softplus(dt), u = dk_row(l->u, row)[l->e];
    const double q = open_gate(l, i, row);
    double through_b = 0, through_a = 0;
    for (int64_t n = 0; n < n_states; n++) {
        const double b = dk_row(l->bmat, row)[n], c = dk_row(l->cmat, row)[n];
        const double decay = exp(delta * a[n]), before = l->states[i * n_states + n];
        const double g = l->adjoint[n] + q * c;
        l->db[(row - l->first) * n_states + n] += g * delta * u;
        l->dc[(row - l->first) * n_states + n] += q * l->states[(i + 1) * n_states + n];
        l->da_sum[n] += g * delta * decay * before;
        through_b += g * b;
        through_a += g * a[n] * decay * before;
        l->adjoint[n] = g * decay;
    }
    *dd += q * u;
    dk_row(l->du, row)[l->e] = (float)(delta * through_b + q * dk_row(l->d, 0)[l->e]);
    dk_row(l->ddt, row)[l->e] = (float)((through_a + u * through_b) * sigmoid(dt));
}

static void run_backward(const Lane *l)
{
    double dd = 0;
    memset(l->adjoint, 0, (size_t)l->a->k * sizeof(double));
    memset(l->da_sum, 0, (size_t)l->a->k * sizeof(double));
    for (int64_t i = l->n_tokens - 1; i >= 0; i--)
        step_back(l, i, &dd);
    for (int64_t n = 0; n < l->a->k; n++)
        dk_row(l->da, l->e)[n] += (float)l->da_sum[n];
    dk_row(l->dd, 0)[l->e] += (float)dd;
}

/* The picture's sums over channels, rounded once. */
static void store_states(const Lane *l)
{
    for (int64_t i = 0; i < l->n_tokens; i++)
        for (int64_t n = 0; n < l->a->k; n++) {
            dk_row(l->dbmat, l->first + i)[n] = (float)l->db[i * l->a->k + n];
            dk_row(l->dcmat, l->first + i)[n] = (float)l->dc[i * l->a->k + n];
        }
}

void dk_ref_selective_scan_backward(DkDevice *dev, DkTensor du, DkTensor ddt, DkTensor da,
                                    DkTensor dbmat, DkTensor dcmat, DkTensor dd, DkTensor dz,
                                    DkTensor dy, DkTensor u, DkTensor dt, const DkWeight *a,
                                    DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z,
                                    DkTensor order)
{
    const size_t length = (size_t)u.sizes[1], n = (size_t)a->k;
    double *work = dk_scratch(dev, ((length + 1) * n + 2 * length * n + 2 * n) * sizeof *work);
    if (!work)
        return;
    Lane l = {.du = du,
              .ddt = ddt,
              .da = da,
              .dbmat = dbmat,
              .dcmat = dcmat,
              .dd = dd,
              .dz = dz,
              .dy = dy,
              .u = u,
              .dt = dt,
              .bmat = bmat,
              .cmat = cmat,
              .d = d,
              .z = z,
              .order = order,
              .a = a,
              .n_tokens = u.sizes[1]};
    l.states = work;
    l.db = l.states + (length + 1) * n;
    l.dc = l.db + length * n;
    l.adjoint = l.dc + length * n;
    l.da_sum = l.adjoint + n;
    for (int64_t b = 0; b < u.sizes[0]; b++) {
        l.first = b * u.sizes[1];
        memset(l.db, 0, 2 * length * n * sizeof *l.db);
        memset(l.states, 0, n * sizeof *l.states);
        for (l.e = 0; l.e < a->n && !dk_stopped(dev); l.e++) {
            run_forward(&l);
            run_backward(&l);
        }
        store_states(&l);
    }
}

void dk_ref_neg_exp(DkDevice *dev, DkTensor y, DkTensor x)
{
    for (int64_t i = 0; i < dk_rows(x); i++)
        for (int64_t c = 0; c < dk_columns(x); c++)
            dk_row(y, i)[c] = (float)-exp(dk_row(x, i)[c]);
}

void dk_ref_neg_exp_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor y)
{
    for (int64_t i = 0; i < dk_rows(y); i++)
        for (int64_t c = 0; c < dk_columns(y); c++)
            dk_row(dx, i)[c] += dk_row(dy, i)[c] * dk_row(y, i)[c];
}
