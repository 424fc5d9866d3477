/* S4D in both directions: dk_s4d_scan against FFTW, in turns, one thread, on the same token-major
 * data.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 *     s4d-against-fftw [ROUNDS]
 *
 * 1152 channels, 32 stored complex states, 1024 and 4096 tokens. FFTW's way: 16 channels at a time
 * are turned channel-major and filled up with zeros to twice the length, one transform, the spectra
 * of both kernels (made before, in double; conjugated for the way back) multiplied to it, two
 * transforms back, turned token-major. Both by processor time, of each the least of all rounds; the
 * results are compared. Exit status: 0 the scan is at least as fast at each length, 1 it is not, or
 * the results differ. FFTW is under the GPL: nothing but this program is linked to it. */
#include "kernels/dk.h"

#include <complex.h>
#include <fftw3.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHANNELS = 1152, STATES = 32, TOGETHER = 16, N_LENGTHS = 2, AHEAD = 0, BACK = 1 };
enum {
    GAP = 16
}; /* floats between channels: powers of two apart they share few places of a cache */

static const int lengths[N_LENGTHS] = {1024, 4096};
static const double target = 1.0, agreement = 1e-4; /* |a - b| / |b| */

typedef struct {
    double decay[CHANNELS][STATES][2], gain[CHANNELS][STATES][2], skip[CHANNELS];
} Layer;

/* FFTW's plans, for TOGETHER channels side by side, and spectra for all. */
typedef struct {
    int n_tokens, stride, n_bins; /* L; of the signal, 2 L + GAP; of spectra, half of that */
    float *signal;                /* [TOGETHER][stride] */
    fftwf_complex *spectrum, *product;
    fftwf_plan ahead, back;   /* signal to spectrum, product to signal */
    fftwf_complex *kernel[2]; /* [CHANNELS][bins] */
} Fft;

static void *room(size_t bytes)
{
    void *p = fftwf_malloc(bytes);
    if (!p) {
        fprintf(stderr, "s4d-against-fftw: no memory\n");
        exit(1);
    }
    return p;
}

static double uniform(double low, double high)
{
    return low + (high - low) * rand() / RAND_MAX;
}

/* As S4D-Lin starts: steps from 0.001 to 0.1, decays exp (step (-1/2 + i pi n)). */
static void make_layer(Layer *layer)
{
    for (int d = 0; d < CHANNELS; d++) {
        const double step = exp(uniform(log(0.001), log(0.1)));
        for (int n = 0; n < STATES; n++) {
            const double complex a = cexp(step * (-0.5 + I * M_PI * n));
            const double complex g = step * (uniform(-1, 1) + I * uniform(-1, 1));
            memcpy(layer->decay[d][n], &a, sizeof a);
            memcpy(layer->gain[d][n], &g, sizeof g);
        }
        layer->skip[d] = uniform(-1, 1);
    }
}

/* ---- FFTW ------------------------------------------------------------------------------------ */

static void make_kernel(const Layer *layer, int d, float *kernel, int length)
{
    double complex power[STATES], decay[STATES];
    memcpy(power, layer->gain[d], sizeof power);
    memcpy(decay, layer->decay[d], sizeof decay);
    for (int s = 0; s < length; s++) {
        double sum = s ? 0 : layer->skip[d];
        for (int n = 0; n < STATES; n++) {
            sum += 2 * creal(power[n]);
            power[n] *= decay[n];
        }
        kernel[s] = (float)(sum / (2 * length)); /* FFTW's transforms are not scaled */
    }
}

static void fft_open(Fft *fft, const Layer *ahead, const Layer *back, int n_tokens)
{
    const int n = 2 * n_tokens, stride = n + GAP, bins = stride / 2;
    const size_t some = TOGETHER * (size_t)bins * sizeof(fftwf_complex);
    *fft = (Fft){.n_tokens = n_tokens, .stride = stride, .n_bins = bins};
    fft->signal = room(TOGETHER * (size_t)stride * sizeof(float));
    fft->spectrum = room(some);
    fft->product = room(some);
    fft->ahead = fftwf_plan_many_dft_r2c(1, &n, TOGETHER, fft->signal, NULL, 1, stride,
                                         fft->spectrum, NULL, 1, bins, FFTW_MEASURE);
    fft->back = fftwf_plan_many_dft_c2r(1, &n, TOGETHER, fft->product, NULL, 1, bins, fft->signal,
                                        NULL, 1, stride, FFTW_MEASURE);
    for (int i = 0; i < 2; i++) {
        fft->kernel[i] = room(CHANNELS / TOGETHER * some);
        for (int d = 0; d < CHANNELS; d += TOGETHER) {
            memset(fft->signal, 0, TOGETHER * (size_t)stride * sizeof(float));
            for (int c = 0; c < TOGETHER; c++)
                make_kernel(i == BACK ? back : ahead, d + c, fft->signal + c * stride, n_tokens);
            fftwf_execute(fft->ahead);
            memcpy(fft->kernel[i] + (size_t)d * (size_t)bins, fft->spectrum, some);
        }
    }
}

static void fft_close(Fft *fft)
{
    fftwf_destroy_plan(fft->ahead);
    fftwf_destroy_plan(fft->back);
    fftwf_free(fft->signal);
    fftwf_free(fft->spectrum);
    fftwf_free(fft->product);
    fftwf_free(fft->kernel[AHEAD]);
    fftwf_free(fft->kernel[BACK]);
}

/* product = spectrum · kernel, or its conjugate; by hand, as C's own product looks for NaNs. */
static void multiply(const Fft *fft, const fftwf_complex *kernels, float sign)
{
    const float *x = (const float *)fft->spectrum, *k = (const float *)kernels;
    float *y = (float *)fft->product;
    for (long i = 0; i < 2L * TOGETHER * fft->n_bins; i += 2) {
        y[i] = x[i] * k[i] - sign * x[i + 1] * k[i + 1];
        y[i + 1] = x[i + 1] * k[i] + sign * x[i] * k[i + 1];
    }
}

/* to[j][i] = from[i][j] of a square that the first cache holds. */
static void turn(float *to, long to_stride, const float *from, long from_stride)
{
    float square[TOGETHER][TOGETHER];
    for (int i = 0; i < TOGETHER; i++)
        memcpy(square[i], from + i * from_stride, sizeof square[i]);
    for (int j = 0; j < TOGETHER; j++)
        for (int i = 0; i < TOGETHER; i++)
            to[j * to_stride + i] = square[i][j];
}

static void fft_run(const Fft *fft, float *y, const float *u)
{
    const long n = fft->n_tokens, stride = fft->stride;
    for (long d = 0; d < CHANNELS; d += TOGETHER) {
        for (long c = 0; c < TOGETHER; c++)
            memset(fft->signal + c * stride + n, 0, (size_t)n * sizeof(float));
        for (long l = 0; l < n; l += TOGETHER)
            turn(fft->signal + l, stride, u + l * CHANNELS + d, CHANNELS);
        fftwf_execute(fft->ahead);
        for (int i = 0; i < 2; i++) {
            multiply(fft, fft->kernel[i] + d * fft->n_bins, i == BACK ? -1 : 1);
            fftwf_execute(fft->back);
            for (long l = 0; l < n; l += TOGETHER)
                turn(y + (2 * l + i) * CHANNELS + d, 2 * CHANNELS, fft->signal + l, stride);
        }
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

typedef struct {
    DkDevice *dev;
    DkWeight *weight[2];
    DkBuffer *in, *out;
    DkTensor u, y;
    Fft fft;
    float *given, *got, *other; /* [L, D], [L, 2 D] */
} Pair;

static void pair_open(Pair *p, const Layer layers[2], int n_tokens)
{
    const size_t floats = (size_t)n_tokens * CHANNELS;
    p->in = dk_buffer_new(p->dev, floats * sizeof(float));
    p->out = dk_buffer_new(p->dev, 2 * floats * sizeof(float));
    p->u = dk_tensor(p->in, 0, DK_F32, 3, (int64_t[]){1, n_tokens, CHANNELS});
    p->y = dk_tensor(p->out, 0, DK_F32, 3, (int64_t[]){1, n_tokens, 2 * CHANNELS});
    p->given = room(floats * sizeof(float));
    p->got = room(2 * floats * sizeof(float));
    p->other = room(2 * floats * sizeof(float));
    for (size_t i = 0; i < floats; i++)
        p->given[i] = (float)uniform(-1, 1);
    dk_write(p->dev, p->u, p->given);
    fft_open(&p->fft, &layers[AHEAD], &layers[BACK], n_tokens);
}

static void pair_close(Pair *p)
{
    fft_close(&p->fft);
    dk_buffer_free(p->dev, &p->in);
    dk_buffer_free(p->dev, &p->out);
    fftwf_free(p->given);
    fftwf_free(p->got);
    fftwf_free(p->other);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double difference(const Pair *p)
{
    double error = 0, norm = 0;
    for (long i = 0; i < 2L * p->fft.n_tokens * CHANNELS; i++) {
        error += pow((double)p->got[i] - p->other[i], 2);
        norm += pow((double)p->other[i], 2);
    }
    return sqrt(error / norm);
}

/* Whether the target is reached. */
static bool measure(Pair *p, int rounds)
{
    const double each = 1e9 / ((double)p->fft.n_tokens * CHANNELS);
    double ours = INFINITY, theirs = INFINITY;
    for (int i = 0; i < rounds; i++) {
        const double begin = now();
        dk_s4d_scan(p->dev, p->y, p->u, p->weight[AHEAD], p->weight[BACK]);
        dk_sync(p->dev);
        const double middle = now();
        fft_run(&p->fft, p->other, p->given);
        ours = fmin(ours, middle - begin);
        theirs = fmin(theirs, now() - middle);
    }
    dk_read(p->dev, p->got, p->y);
    const double apart = difference(p);
    printf("%d tokens, ns a token and channel: scan %.2f, FFTW %.2f: %.2f x, expected %.2f x or "
           "more; they differ by %.1e, expected at most %.0e\n",
           p->fft.n_tokens, ours * each, theirs * each, theirs / ours, target, apart, agreement);
    return theirs >= target * ours && apart <= agreement;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 9;
    Layer *layers = room(2 * sizeof *layers);
    Pair p = {.dev = dk_device_open(DK_BACKEND_CPU, 1, DK_ISA_ALL)};
    bool reached = true;
    if (rounds < 1 || !p.dev) {
        fprintf(stderr, "usage: s4d-against-fftw [ROUNDS]\n");
        return 2;
    }
    for (int i = 0; i < 2; i++) {
        const Layer *l = &layers[i];
        make_layer(&layers[i]);
        p.weight[i] =
            dk_weight_s4d(p.dev, &l->decay[0][0][0], &l->gain[0][0][0], l->skip, CHANNELS, STATES);
    }
    for (int i = 0; i < N_LENGTHS; i++) {
        pair_open(&p, layers, lengths[i]);
        reached &= measure(&p, rounds);
        pair_close(&p);
    }
    for (int i = 0; i < 2; i++)
        dk_weight_free(p.dev, &p.weight[i]);
    dk_device_close(&p.dev);
    fftwf_free(layers);
    return reached ? 0 : 1;
}
