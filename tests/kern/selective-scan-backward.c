/* dk_selective_scan_backward: with and without order and gate, du apart or in dy, B, C and dt and
 * their gradients as columns of one matrix; what is added to is full before.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>

typedef struct {
    KernTensor *u, *dt, *z, *dy, *bc, *d, *order; /* bc: a column that is not ours, B, C */
    KernTensor *du, *ddt, *dz, *dbc, *da, *dd;
    KernWeight a;
    bool ordered, gated;
} Operands;

/* One of u, dt and dy follows k->fill: products of two of them leave the floats' range. */
static void make(Kern *k, const int64_t *s, Operands *o)
{
    const int64_t shape[] = {s[0], s[1], s[2]}, states[] = {s[0], s[1], 1 + 2 * s[3]};
    const int odd = (int)(kern_bits(k) % 3);
    const bool in_place = kern_bits(k) % 2;
    o->ordered = kern_bits(k) % 2;
    o->gated = kern_bits(k) % 4 != 0;
    kern_note(k, " ordered=%d gated=%d in_place=%d odd=%d", o->ordered, o->gated, in_place, odd);
    o->u = odd == 0 ? kern_input(k, 3, shape, s[4]) : kern_normal(k, 3, shape, s[4]);
    o->dt = odd == 1 ? kern_input(k, 3, shape, s[4] - 1) : kern_normal(k, 3, shape, s[4] - 1);
    o->dy = odd == 2 ? kern_input(k, 3, shape, s[4] + 1) : kern_normal(k, 3, shape, s[4] + 1);
    o->z = kern_normal(k, 3, shape, s[4]);
    o->bc = kern_normal(k, 3, states, s[4] - 1);
    o->d = kern_normal(k, 1, &s[2], 0);
    o->order = kern_permutation(k, s[1]);
    o->a = kern_weight_scan(k, s[2], s[3]);
    o->du = in_place ? o->dy : kern_output(k, 3, shape, s[4]);
    o->ddt = kern_output(k, 3, shape, s[4] + 1);
    o->dz = kern_output(k, 3, shape, s[4] - 1);
    o->dbc = kern_output(k, 3, (int64_t[]){s[0], s[1], 2 * s[3]}, s[4]);
    o->da = kern_normal(k, 2, (int64_t[]){s[2], s[3]}, s[4]);
    o->dd = kern_normal(k, 1, &s[2], 0);
}

static void run(Kern *k, const Operands *o, int i)
{
    const DkTensor none = {0};
    const int64_t n = o->da->on[i].sizes[1];
    const DkTensor bc = o->bc->on[i], dbc = o->dbc->on[i];
    dk_selective_scan_backward(k->dev[i], o->du->on[i], o->ddt->on[i], o->da->on[i],
                               dk_tensor_columns(dbc, 0, n), dk_tensor_columns(dbc, n, n),
                               o->dd->on[i], o->gated ? o->dz->on[i] : none, o->dy->on[i],
                               o->u->on[i], o->dt->on[i], o->a.on[i], dk_tensor_columns(bc, 1, n),
                               dk_tensor_columns(bc, 1 + n, n), o->d->on[i],
                               o->gated ? o->z->on[i] : none, o->ordered ? o->order->on[i] : none);
}

/* A state and its adjoint each gather up to L tokens, a sum over states N of them; that many errors
 * of exp they gather, too. `in` bounds the product of the three operands that a fill can change. */
static void check(Kern *k, const int64_t *s)
{
    Operands o;
    make(k, s, &o);
    KERN_SIDES(k, i) run(k, &o, i);
    const double in = fmax(kern_scale(k), 1), n = (double)s[3], length = (double)s[1];
    const KernTolerance token = kern_tolerance(s[3] + 2 * s[1], in * sqrt(n * length) * 4);
    kern_compare(k, o.du, token);
    kern_compare(k, o.ddt, token);
    if (o.gated)
        kern_compare(k, o.dz, token);
    kern_compare(k, o.dbc, kern_tolerance(s[2] + 2 * s[1], in * sqrt((double)s[2] * length) * 4));
    kern_compare(k, o.da, kern_tolerance((s[0] + 2) * s[1], in * length * sqrt((double)s[0]) * 4));
    kern_compare(k, o.dd, kern_tolerance(s[0] * s[1], in * sqrt((double)(s[0] * s[1])) * 4));
}

const KernOp kern_selective_scan_backward = {
    .name = "selective_scan_backward",
    .sizes = {"B", "L", "E", "N", "gap"},
    .shapes = {{1, 1, 1, 1, 1},
               {1, 16, 16, 16, 1},
               {2, 17, 33, 16, 2},
               {1, 65, 128, 16, 1},
               {3, 5, 7, 3, 3},
               {1, 40, 130, 64, 2},
               {2, 131, 145, 17, 1},
               {1, 400, 20, 5, 1},
               {2, 800, 9, 3, 2}}, /* two tiles and three */
    .limits = {3, 200, 300, 20, 4},
    .model = {4, 126, 512, 16, 1},
    .check = check,
};
