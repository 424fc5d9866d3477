/* Evaluations of a network of any family.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "net-run.h"

#include <math.h>

static void take(NetEvaluation *e, DimNet *net, int batch, int h, int w, int base)
{
    const NetRun *r = &e->run;
    DimNetFacts facts;

    r->class->facts(r->config, &facts);
    e->x = dim_arena_take(&e->arena, DK_F32, 4, (gint64[]){batch, facts.in_channels, h, w});
    e->output = dim_arena_take(&e->arena, DK_F32, 4, (gint64[]){batch, facts.out_channels, h, w});
    e->plan = r->class->plan(&e->arena, r->config, net, batch, h, w, base, base, NULL);
    g_assert_nonnull(e->plan);
}

void net_begin(NetEvaluation *e, NetRun run, int batch, int h, int w, int base)
{
    *e = (NetEvaluation){.run = run};
    dim_arena_dry(&e->arena);
    take(e, NULL, batch, h, w, base);
    run.class->plan_free(e->plan);
    const gsize used = e->arena.used, peak = e->arena.peak;
    g_assert_false(e->arena.overflow);
    g_assert_true(dim_arena_commit(&e->arena, run.dk, NULL));
    take(e, run.net, batch, h, w, base);
    g_assert_cmpuint(e->arena.used, ==, used);
    g_assert_cmpuint(e->arena.peak, ==, peak);
    g_assert_cmpuint(e->arena.capacity, ==, peak);
}

void net_end(NetEvaluation *e)
{
    e->run.class->plan_free(e->plan);
    dim_arena_clear(&e->arena);
}

void net_evaluate(NetEvaluation *e, const float *x, const double *t, const gint64 *y, float *out)
{
    const NetRun *r = &e->run;

    dk_write(r->dk, e->x, x);
    r->class->ask(r->dk, e->plan, t, y);
    r->class->forward(r->dk, r->net, e->plan, e->output, e->x, NULL);
    dk_read(r->dk, out, e->output);
    g_assert_cmpint(dk_sync(r->dk), ==, DK_OK);
}

float *net_picture(gint64 count, guint32 seed)
{
    float *x = g_new(float, count);
    GRand *random = g_rand_new_with_seed(seed);

    for (gint64 i = 0; i < count; i++)
        x[i] = (float)g_rand_double_range(random, -1.7, 1.7);
    g_rand_free(random);
    return x;
}

float *net_output(NetRun run, int h, int w, int first, int batch, int base)
{
    DimNetFacts facts;
    NetEvaluation e;

    run.class->facts(run.config, &facts);
    const gint64 in = (gint64)facts.in_channels * h * w, out = (gint64)facts.out_channels * h * w;
    const double t[] = {17.25, 940};
    const gint64 y[] = {MIN(1, facts.n_labels),
                        MAX(0, facts.n_labels - (facts.has_null_label ? 0 : 1))};
    g_autofree float *x = net_picture(2 * in, 3);
    float *result = g_new(float, batch *out);

    net_begin(&e, run, batch, h, w, base);
    net_evaluate(&e, x + first * in, t + first, y + first, result);
    net_end(&e);
    return result;
}

double net_distance(const float *a, const float *b, gint64 n)
{
    double difference = 0, whole = 0;

    for (gint64 i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        whole += (double)b[i] * b[i];
    }
    g_assert_cmpfloat(whole, >, 0);
    return sqrt(difference / whole);
}
