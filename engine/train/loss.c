/* See loss.h.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "loss.h"

#include <math.h>

/* ln of the variance of the step back from n, given x0. Of the first step it is 0, and that of the
 * second stands in for it. */
static double log_variance(const DimSchedule *s, int n)
{
    const double *log_alpha = s->log_alpha;

    if (n == 1)
        return log_variance(s, 2);
    return log(-expm1(2 * (log_alpha[n] - log_alpha[n - 1]))) +
           log(expm1(2 * log_alpha[n - 1]) / expm1(2 * log_alpha[n]));
}

void dim_loss_terms(const DimSchedule *s, DimPrediction prediction, int n,
                    double terms[DIM_LOSS_TERMS])
{
    const double before = s->log_alpha[n - 1], now = s->log_alpha[n];
    const double beta = -expm1(2 * (now - before)), noise = -expm1(2 * now);
    /* An error of the prediction makes one of x0, that one of the mean. */
    const double of_x0 = sqrt(noise) / (prediction == DIM_PREDICTION_V ? 1 : exp(now));

    terms[0] = log_variance(s, n);
    terms[1] = log(beta);
    terms[2] = beta * exp(before) / noise * of_x0;
    terms[3] = n == 1;
}

/* Channels `first` and following, as many as the goal has: [B, C·h·w]. */
static DkTensor channels(DkTensor t, DkTensor like, int first)
{
    const gint64 batch = t.sizes[0], count = dk_tensor_count(like) / batch;
    const gint64 sizes[] = {batch, dk_tensor_count(t) / batch};

    return dk_tensor_columns(dk_tensor_reshape(t, 2, sizes), first * count, count);
}

void dim_loss_run(DkDevice *dk, DkTensor loss, DkTensor dy, DkTensor y, const DimGoal *goal,
                  double factor)
{
    const DkTensor target = channels(goal->target, goal->target, 0);
    const DkTensor prediction = channels(y, goal->target, 0);

    dk_squared_error(dk, loss, channels(dy, goal->target, 0), prediction, target, factor);
    if (!dk_tensor_is_empty(goal->clean))
        dk_bound_error(dk, loss, channels(dy, goal->target, 1), channels(y, goal->target, 1),
                       prediction, target, channels(goal->clean, goal->target, 0), goal->terms,
                       factor * goal->weight);
}
