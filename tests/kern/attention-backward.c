/* dk_attention_backward: one head and several, as many queries as keys or not, q, k and v and their
 * gradients side by side with gaps.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdlib.h>

/* One of v and dy follows k->fill: products of two of them leave the floats' range. */
static void check(Kern *k, const int64_t *s)
{
    const int64_t n_heads = s[3], d = n_heads * s[4];
    const int64_t q_sizes[] = {s[0], s[1], d}, k_sizes[] = {s[0], s[2], d};
    const bool odd = kern_bits(k) % 2;
    kern_note(k, " odd=%d", odd);
    KernTensor *q = kern_normal(k, 3, q_sizes, s[5] - 1);
    KernTensor *key = kern_normal(k, 3, k_sizes, s[5] - 1);
    KernTensor *v = odd ? kern_normal(k, 3, k_sizes, s[5]) : kern_input(k, 3, k_sizes, s[5]);
    KernTensor *dy = odd ? kern_input(k, 3, q_sizes, s[5]) : kern_normal(k, 3, q_sizes, s[5]);
    KernTensor *y = kern_output(k, 3, q_sizes, s[5]);
    KernTensor *dq = kern_output(k, 3, q_sizes, s[5]);
    KernTensor *dkey = kern_output(k, 3, k_sizes, s[5] + 1);
    KernTensor *dv = kern_output(k, 3, k_sizes, s[5]);
    dk_attention(k->dev[0], y->on[0], q->on[0], key->on[0], v->on[0], (int)n_heads,
                 DK_PRODUCTS_F32);
    float *host = malloc((size_t)dk_tensor_count(y->on[0]) * sizeof *host);
    dk_read(k->dev[0], host, y->on[0]);
    dk_write(k->dev[1], y->on[1], host);
    free(host);
    y->compared = true;
    KERN_SIDES(k, i)
    dk_attention_backward(k->dev[i], dq->on[i], dkey->on[i], dv->on[i], dy->on[i], y->on[i],
                          q->on[i], key->on[i], v->on[i], (int)n_heads);
    /* An error of the logits is one of the weights; dp is a sum over the channels, and each
     * gradient one over weights that sum to 1 or, over the queries, to as many as there are. */
    const double width = (double)s[4], queries = (double)s[1], in = fmax(kern_scale(k), 1);
    const KernTolerance logits = kern_tolerance(s[4], sqrt(width));
    KernTolerance of_query = kern_tolerance(s[2] + s[4], 8 * in);
    KernTolerance of_key = kern_tolerance(s[1] + s[4], 8 * in * fmax(1, queries / (double)s[2]));
    of_query.atol += 8 * logits.atol * in * sqrt(width);
    of_key.atol += 8 * logits.atol * in * sqrt(width) * fmax(1, sqrt(queries));
    kern_compare(k, dq, of_query);
    kern_compare(k, dkey, of_key);
    kern_compare(k, dv, of_key);
}

const KernOp kern_attention_backward = {
    .name = "attention_backward",
    .sizes = {"B", "Lq", "L", "heads", "width", "gap"},
    .shapes = {{1, 1, 1, 1, 1, 1},
               {2, 5, 3, 2, 7, 2},
               {1, 97, 400, 1, 64, 1},
               {1, 3, 530, 3, 72, 1},
               {1, 400, 30, 2, 16, 1},
               {1, 130, 65, 1, 520, 3}},
    .limits = {2, 150, 300, 3, 80, 4},
    .model = {8, 64, 64, 4, 64, 1},
    .check = check,
};
