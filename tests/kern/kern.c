/* Operands with guards, random numbers, comparison.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "kern.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GUARD = 64 };

/* ---- random numbers -------------------------------------------------------------------------- */

/* splitmix64 */
uint64_t kern_bits(Kern *k)
{
    uint64_t z = (k->state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double kern_uniform(Kern *k)
{
    return ((double)(kern_bits(k) >> 11) + 0.5) * 0x1p-53;
}

double kern_gaussian(Kern *k)
{
    const double r = sqrt(-2 * log(kern_uniform(k)));
    return r * cos(6.283185307179586 * kern_uniform(k));
}

double kern_scale(const Kern *k)
{
    return k->fill == KERN_HUGE ? 1e15 : k->fill == KERN_TINY ? 1e-20 : 1;
}

static double draw(Kern *k)
{
    if (k->fill == KERN_EQUAL)
        return 0.7;
    if (k->fill == KERN_ZEROS && kern_bits(k) % 2)
        return 0;
    return kern_gaussian(k) * kern_scale(k);
}

/* ---- operands -------------------------------------------------------------------------------- */

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "kern: no memory\n");
        exit(99);
    }
    return p;
}

static size_t buffer_bytes(const KernTensor *t)
{
    return t->on[0].buffer->bytes;
}

/* The whole buffer as words. */
static DkTensor words(DkTensor t)
{
    return dk_tensor(t.buffer, 0, DK_I32, 1, (int64_t[]){(int64_t)t.buffer->bytes / 4});
}

/* A tensor on both sides, NaN all over. */
static KernTensor *make(Kern *k, DkType type, int rank, const int64_t *sizes, int64_t gap)
{
    KernTensor *t = must(calloc(1, sizeof *t));
    int64_t rows = 1;
    if (k->aligned)
        gap = (gap + 3) / 4 * 4;
    for (int i = 0; i + 1 < rank; i++)
        rows *= sizes[i];
    int64_t wide[DK_MAX_RANK] = {rows, sizes[rank - 1] + gap};
    const size_t span = (size_t)(wide[0] * wide[1]) * dk_type_size(type);
    for (int i = 0; i < 2; i++) {
        DkBuffer *buffer = must(dk_buffer_new(k->dev[i], (span + 2 * GUARD + 63) / 64 * 64));
        DkTensor whole = dk_tensor(buffer, GUARD, type, 2, wide);
        t->on[i] = dk_tensor_reshape(dk_tensor_columns(whole, 0, sizes[rank - 1]), rank, sizes);
    }
    t->image = must(malloc(buffer_bytes(t)));
    memset(t->image, 0xff, buffer_bytes(t));
    k->tensors[k->n_tensors++] = t;
    return t;
}

static unsigned char *image_row(const KernTensor *t, int64_t row)
{
    const DkTensor on = t->on[0];
    return t->image + on.offset + (size_t)(row * on.row_stride) * dk_type_size(on.type);
}

static KernTensor *upload(Kern *k, KernTensor *t)
{
    for (int i = 0; i < 2; i++)
        dk_write(k->dev[i], words(t->on[i]), t->image);
    return t;
}

static KernTensor *fill(Kern *k, KernTensor *t)
{
    for (int64_t r = 0; r < dk_rows(t->on[0]); r++)
        for (int64_t c = 0; c < dk_columns(t->on[0]); c++)
            ((float *)(void *)image_row(t, r))[c] = (float)draw(k);
    return upload(k, t);
}

KernTensor *kern_input(Kern *k, int rank, const int64_t *sizes, int64_t gap)
{
    return fill(k, make(k, DK_F32, rank, sizes, gap));
}

KernTensor *kern_normal(Kern *k, int rank, const int64_t *sizes, int64_t gap)
{
    const KernFill kind = k->fill;
    k->fill = KERN_NORMAL;
    KernTensor *t = kern_input(k, rank, sizes, gap);
    k->fill = kind;
    return t;
}

KernTensor *kern_given(Kern *k, DkType type, int rank, const int64_t *sizes, const void *values)
{
    KernTensor *t = make(k, type, rank, sizes, 0);
    const size_t row = (size_t)dk_columns(t->on[0]) * dk_type_size(type);
    for (int64_t r = 0; r < dk_rows(t->on[0]); r++)
        memcpy(image_row(t, r), (const char *)values + (size_t)r * row, row);
    return upload(k, t);
}

KernTensor *kern_permutation(Kern *k, int64_t n)
{
    int32_t *order = must(malloc((size_t)n * sizeof *order));
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = (int64_t)(kern_bits(k) % (uint64_t)(i + 1));
        order[i] = order[j];
        order[j] = (int32_t)i;
    }
    KernTensor *t = kern_given(k, DK_I32, 1, &n, order);
    free(order);
    return t;
}

KernTensor *kern_output(Kern *k, int rank, const int64_t *sizes, int64_t gap)
{
    return upload(k, make(k, DK_F32, rank, sizes, gap));
}

/* ---- weights --------------------------------------------------------------------------------- */

static float *normal_numbers(Kern *k, int64_t n, double scale)
{
    float *w = must(malloc((size_t)n * sizeof *w));
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)(kern_gaussian(k) * scale);
    return w;
}

static KernWeight keep(Kern *k, KernWeight w, float *numbers)
{
    free(numbers);
    must(w.on[0]);
    must(w.on[1]);
    return k->weights[k->n_weights++] = w;
}

KernWeight kern_weight_linear(Kern *k, int64_t n, int64_t in)
{
    float *w = normal_numbers(k, n * in, 1 / sqrt((double)in));
    return keep(k,
                (KernWeight){
                    {dk_weight_linear(k->dev[0], w, n, in), dk_weight_linear(k->dev[1], w, n, in)}},
                w);
}

KernWeight kern_weight_conv2d(Kern *k, int64_t out, int64_t in, int kh, int kw)
{
    const int64_t n = in * kh * kw;
    float *w = normal_numbers(k, out * n, 1 / sqrt((double)n));
    return keep(k,
                (KernWeight){{dk_weight_conv2d(k->dev[0], w, out, in, kh, kw),
                              dk_weight_conv2d(k->dev[1], w, out, in, kh, kw)}},
                w);
}

KernWeight kern_weight_scan(Kern *k, int64_t channels, int64_t n_states)
{
    float *a = must(malloc((size_t)(channels * n_states) * sizeof *a));
    for (int64_t i = 0; i < channels * n_states; i++)
        a[i] = -(float)((double)(i % n_states) + 0.5 + 0.5 * kern_uniform(k));
    return keep(k,
                (KernWeight){{dk_weight_scan(k->dev[0], a, channels, n_states),
                              dk_weight_scan(k->dev[1], a, channels, n_states)}},
                a);
}

KernWeight kern_weight_s4d(Kern *k, int64_t channels, int64_t n_states)
{
    const int64_t n = channels * n_states;
    double *decay = must(malloc((size_t)(5 * n) * sizeof *decay));
    double *gain = decay + 2 * n, *skip = gain + 2 * n;
    for (int64_t i = 0; i < n; i++) {
        const double kept = 0.9 + 0.099 * kern_uniform(k), angle = 3 * kern_uniform(k);
        decay[2 * i] = kept * cos(angle);
        decay[2 * i + 1] = kept * sin(angle);
        gain[2 * i] = kern_gaussian(k);
        gain[2 * i + 1] = kern_gaussian(k);
        skip[i] = kern_gaussian(k);
    }
    KernWeight w;
    for (int i = 0; i < 2; i++)
        w.on[i] = dk_weight_s4d(k->dev[i], decay, gain, skip, channels, n_states);
    free(decay);
    return keep(k, w, NULL);
}

/* ---- running --------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int kern_side(Kern *k, int last)
{
    enum { SECONDS_A_SIDE = 1 };
    if (last < 0) {
        k->begin = now();
        return 0;
    }
    dk_sync(k->dev[last]);
    k->runs[last]++;
    k->seconds[last] = now() - k->begin;
    if (k->bench && k->seconds[last] < SECONDS_A_SIDE)
        return last;
    k->begin = now();
    return last + 1;
}

void kern_note(Kern *k, const char *format, ...)
{
    const size_t used = strlen(k->text);
    va_list args;
    va_start(args, format);
    vsnprintf(k->text + used, sizeof k->text - used, format, args);
    va_end(args);
}

/* ---- comparison ------------------------------------------------------------------------------ */

KernTolerance kern_tolerance(int64_t n, double sum)
{
    const double unit = 0x1p-24;
    return (KernTolerance){.rtol = (4 + (double)n) * unit,
                           .atol = (4 + 2 * sqrt((double)n)) * unit * sum + 1e-37};
}

static void report(Kern *k, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "FAIL %s seed %llu: ", k->text, (unsigned long long)k->seed);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    k->n_failures++;
}

static double element(const unsigned char *row, DkType type, int64_t c)
{
    double d;
    float f;
    int32_t i;
    switch (type) {
    case DK_F64:
        memcpy(&d, row + 8 * c, 8);
        return d;
    case DK_F32:
        memcpy(&f, row + 4 * c, 4);
        return f;
    case DK_I32:
        memcpy(&i, row + 4 * c, 4);
        return i;
    }
    return NAN;
}

/* How far beyond the tolerance; <= 1 is good. Equal infinities and NaN for NaN are good, too. */
static double excess(double got, double ref, KernTolerance tolerance)
{
    if (got == ref || (isnan(got) && isnan(ref)))
        return 0;
    const double ratio = fabs(got - ref) / (tolerance.atol + tolerance.rtol * fabs(ref));
    return isnan(ratio) ? INFINITY : ratio;
}

/* Every byte of the dut's buffer outside of the view as it was written. */
static void check_guards(Kern *k, const KernTensor *t, const unsigned char *got)
{
    const DkTensor on = t->on[1];
    const size_t size = dk_type_size(on.type), row = (size_t)dk_columns(on) * size;
    size_t at = 0;
    for (int64_t r = 0; r <= dk_rows(on); r++) {
        const size_t to = r < dk_rows(on) ? (size_t)(image_row(t, r) - t->image) : buffer_bytes(t);
        for (; at < to; at++)
            if (got[at] != t->image[at]) {
                report(k, "wrote outside: byte %zd of the buffer", (ssize_t)at - GUARD);
                return;
            }
        at = to + row;
    }
}

static void compare(Kern *k, KernTensor *t, const unsigned char *ref, const unsigned char *got,
                    KernTolerance tolerance)
{
    const DkTensor on = t->on[1];
    double worst = 1;
    int64_t worst_row = -1, worst_column = 0;
    for (int64_t r = 0; r < dk_rows(on); r++) {
        const size_t row = (size_t)(image_row(t, r) - t->image);
        for (int64_t c = 0; c < dk_columns(on); c++) {
            const double far =
                excess(element(got + row, on.type, c), element(ref + row, on.type, c), tolerance);
            if (far > worst) {
                worst = far;
                worst_row = r;
                worst_column = c;
            }
        }
    }
    if (worst_row < 0)
        return;
    const size_t row = (size_t)(image_row(t, worst_row) - t->image);
    report(k, "row %lld column %lld: got %.9g, ref %.9g, %.3g times the tolerance",
           (long long)worst_row, (long long)worst_column, element(got + row, on.type, worst_column),
           element(ref + row, on.type, worst_column), worst);
}

void kern_compare(Kern *k, KernTensor *t, KernTolerance tolerance)
{
    if (k->bench)
        return;
    unsigned char *both[2];
    for (int i = 0; i < 2; i++) {
        both[i] = must(malloc(buffer_bytes(t)));
        dk_read(k->dev[i], both[i], words(t->on[i]));
    }
    compare(k, t, both[0], both[1], tolerance);
    check_guards(k, t, both[1]);
    t->compared = true;
    free(both[0]);
    free(both[1]);
}

void kern_compare_exact(Kern *k, KernTensor *t)
{
    kern_compare(k, t, (KernTolerance){0, 0});
}

/* ---- one case -------------------------------------------------------------------------------- */

static void end_tensor(Kern *k, KernTensor *t)
{
    unsigned char *got = must(malloc(buffer_bytes(t)));
    dk_read(k->dev[1], got, words(t->on[1]));
    if (!k->bench && !t->compared && memcmp(got, t->image, buffer_bytes(t)) != 0)
        report(k, "an input changed");
    free(got);
    for (int i = 0; i < 2; i++)
        dk_buffer_free(k->dev[i], &t->on[i].buffer);
    free(t->image);
    free(t);
}

void kern_begin(Kern *k, uint64_t seed)
{
    k->seed = k->state = seed;
    k->n_tensors = k->n_weights = 0;
    k->runs[0] = k->runs[1] = 0;
}

void kern_end(Kern *k)
{
    for (int i = 0; i < k->n_tensors; i++)
        end_tensor(k, k->tensors[i]);
    for (int i = 0; i < k->n_weights; i++)
        for (int j = 0; j < 2; j++)
            dk_weight_free(k->dev[j], &k->weights[i].on[j]);
    for (int i = 0; i < 2; i++) {
        const DkStatus status = dk_sync(k->dev[i]);
        if (status != DK_OK)
            report(k, "status: %s", dk_status_text(status));
    }
}
