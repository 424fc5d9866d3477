/* What training adds to dk.h: backward operations, weights that change, the optimiser's step.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The rules of dk.h hold. A leading d is the gradient of the loss with respect to what follows.
 *   - Gradients of parameters (weights, biases, tables) are added to what is there: they gather
 * over the micro-batches of a step. Gradients of activations are written, but where the comment
 * says otherwise.
 *   - Sums over tokens run in an order that depends neither on the number of threads nor on time.
 *   - A gradient tensor may be empty where nobody asks for it, if the comment says so.
 */
#ifndef DK_TRAIN_H
#define DK_TRAIN_H

#include "dk.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- weights that change --------------------------------------------------------------------- */

/* Packs a weight anew, of the same shape and products. Linear: w[N, K]; transposed: w[K, N], so
 * that dx = dy · w is a dk_linear. Convolution: w[O, I, kh, kw]; transposed: w[I, O, kh, kw] with
 * the taps turned by 180 degrees, so that dx is a dk_conv2d of dy. Scan: w[E, N], the continuous A;
 * never transposed. Rows of w may have gaps where it is a matrix. For S4D: dk_weight_set_s4d. */
void dk_weight_set(DkDevice *dev, DkWeight *weight, DkTensor w, bool transposed);
/* What dk_weight_s4d takes, from the device: decay, gain [D, N, 2] (f64), skip [D]. */
void dk_weight_set_s4d(DkDevice *dev, DkWeight *weight, DkTensor decay, DkTensor gain,
                       DkTensor skip);

/* ---- backward of products -------------------------------------------------------------------- */

/* dw[N, K] += dy[.., N]ᵀ · x[.., K], db[N] (may be empty) += the sum of the rows of dy; rows of dw
 * may have gaps. The product's operands are rounded as dk_device_set_products says. */
void dk_linear_backward_weight(DkDevice *dev, DkTensor dw, DkTensor db, DkTensor dy, DkTensor x);
/* dw[O, I, kh, kw] += the correlation of dy[B, Ho, Wo, O] with x[B, H, W, I]; stride 1. */
void dk_conv2d_backward_weight(DkDevice *dev, DkTensor dw, DkTensor dy, DkTensor x, DkPad pad);
/* y[N] += the sum of the rows of x[.., N]: the gradient of what is added to each. */
void dk_sum_rows(DkDevice *dev, DkTensor y, DkTensor x);
/* Of dk_attention, whose inputs and result are given once more: dq [B, Lq, D], dkey and dv
 * [B, L, D]. The weights are found anew, a tile at a time (arXiv 2205.14135, algorithm 4): memory
 * does not grow with Lq · L. */
void dk_attention_backward(DkDevice *dev, DkTensor dq, DkTensor dkey, DkTensor dv, DkTensor dy,
                           DkTensor y, DkTensor q, DkTensor k, DkTensor v, int n_heads);

/* ---- backward of state-space layers ---------------------------------------------------------- */

/* Of dk_conv1d_dw, whose inputs are given once more; dx [B, L, E], dw [E, k], db [E]. */
void dk_conv1d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                           DkTensor x, DkTensor w, DkTensor b, DkTensor order, DkAct act);
/* Of dk_selective_scan. du, ddt, dz [B, L, E] and dbmat, dcmat [B, L, N] are written (dz empty
 * where z is), da [E, N] (of the continuous A) and dd [E] are added to. States are computed anew
 * tile by tile: memory grows with L·E, not with L·E·N. du may be dy. */
void dk_selective_scan_backward(DkDevice *dev, DkTensor du, DkTensor ddt, DkTensor da,
                                DkTensor dbmat, DkTensor dcmat, DkTensor dd, DkTensor dz,
                                DkTensor dy, DkTensor u, DkTensor dt, const DkWeight *a,
                                DkTensor bmat, DkTensor cmat, DkTensor d, DkTensor z,
                                DkTensor order);
/* The gradient of one direction of dk_s4d_scan: decay and gain [D, N, 2] (f64; those of real and
 * imaginary part) are written, skip [D] is added to. */
typedef struct {
    DkTensor decay, gain, skip;
} DkS4dGradient;
/* Of dk_s4d_scan: du [B, L, D] is written; a direction's gradient is asked for where its weight is
 * there. No state is stored but the current one. */
void dk_s4d_scan_backward(DkDevice *dev, DkTensor du, const DkS4dGradient *of_ahead,
                          const DkS4dGradient *of_back, DkTensor dy, DkTensor u,
                          const DkWeight *ahead, const DkWeight *back);
/* What S4D's decay and gain are made of (arXiv 2206.11893, section 3): A = -exp (log_a_real) + i
 * a_imag. log_dt [D], log_a_real and a_imag [D, N], b and c [D, N, 2], real and imaginary. */
typedef struct {
    DkTensor log_dt, log_a_real, a_imag, b, c;
} DkS4dParts;
/* The zero-order hold, in double: decay = exp (A dt), gain = c b (decay - 1) / A, dt = exp
 * (log_dt); decay, gain [D, N, 2] (f64). */
void dk_s4d_hold(DkDevice *dev, DkTensor decay, DkTensor gain, const DkS4dParts *of);
/* Adds to the gradients of all parts. */
void dk_s4d_hold_backward(DkDevice *dev, const DkS4dParts *gradients, DkTensor ddecay,
                          DkTensor dgain, const DkS4dParts *of);
/* y = -exp (x), Mamba's A from its logarithm; y may be x. */
void dk_neg_exp(DkDevice *dev, DkTensor y, DkTensor x);
/* dx += dy · y */
void dk_neg_exp_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor y);

/* ---- backward of norms, elementwise ---------------------------------------------------------- */

/* Of dk_norm_modulate. dx [B, L, D] is written, or added to where `accumulate` says so; dw [D] is
 * added to; dscale, dshift [B, D] are written. dw, dscale and dshift are empty where their
 * parameters are; dx may be dy. */
void dk_norm_modulate_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor dscale,
                               DkTensor dshift, DkTensor dy, DkTensor x, DkTensor w, DkTensor scale,
                               DkNorm norm, float eps, bool accumulate);
/* Of out = x + gate[B, D] · y[B, L, D]: dy = gate · dout, dgate = Σ_l dout · y; dx is dout itself.
 */
void dk_gate_add_backward(DkDevice *dev, DkTensor dy, DkTensor dgate, DkTensor dout, DkTensor gate,
                          DkTensor y);
/* dx = dy · act' (x); dx may be dy */
void dk_act_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor x, DkAct act);

/* ---- backward of images and rows ------------------------------------------------------------- */

/* Of dk_conv2d_dw: dx [B, H, W, D] written, dw [D, 9] and db [D] added to. */
void dk_conv2d_dw_backward(DkDevice *dev, DkTensor dx, DkTensor dw, DkTensor db, DkTensor dy,
                           DkTensor x, DkTensor w);
/* Of dk_gather: dx[b, rows[l]] += dy[b, l]; where dx has one item and dy several, they all add to
 * it. */
void dk_gather_backward(DkDevice *dev, DkTensor dx, DkTensor dy, DkTensor rows);
/* Of dk_unpatchify: dx[B, h·w, p·p·C] from dy[B, C, h·p, w·p]. */
void dk_unpatchify_backward(DkDevice *dev, DkTensor dx, DkTensor dy, int p);

/* ---- loss and optimiser ---------------------------------------------------------------------- */

/* loss[1] (f64) += factor · Σ (y - target)²;  dy = 2 · factor · (y - target). */
void dk_squared_error(DkDevice *dev, DkTensor loss, DkTensor dy, DkTensor y, DkTensor target,
                      double factor);
/* What a network that predicts variances, too, adds to the squared error: the variational bound's
 * term of each sample, in bits, whose gradient goes to the variances only (arXiv 2102.09672,
 * sections 2.1 and 3.1). y, target (of the prediction), x0 and v, dv (of the variances' logarithm
 * between lower, at -1, and upper, at 1) are [B, n]; terms [B, 4] (f64): lower, upper, what turns
 * an error of the prediction into one of the mean, and 1 for the last step, whose term is -ln of
 * the likelihood in bins of 2/255, else 0. loss[1] (f64) += factor · Σ term. */
void dk_bound_error(DkDevice *dev, DkTensor loss, DkTensor dv, DkTensor v, DkTensor y,
                    DkTensor target, DkTensor x0, DkTensor terms, double factor);
/* sum[1] (f64) += Σ x² */
void dk_sum_squares(DkDevice *dev, DkTensor sum, DkTensor x);

/* AdamW (arXiv 1711.05101, algorithm 2; bias corrections as in arXiv 1412.6980), step counted
 * from 1. */
typedef struct {
    double rate, beta1, beta2, eps, decay;
    double
        gradient_factor; /* clipping, or the share of a micro-batch: g is multiplied by it first */
    int64_t step;
} DkAdamW;
/* w, m, v [n] from g [n], all updated in place. w -= rate · (m^ / (sqrt (v^) + eps) + decay · w).
 */
void dk_adamw(DkDevice *dev, DkTensor w, DkTensor m, DkTensor v, DkTensor g,
              const DkAdamW *settings);

#ifdef __cplusplus
}
#endif
#endif
