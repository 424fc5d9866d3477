/* oneDNN's products: rows have the same bits whatever the number of threads, the batch and their
 * place in it; a second run allocates nothing.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * On AVX2, too, where the CPU back end has products of its own: the way round the library is the
 * same, the library's kernels are not. */
#include "kernels/cpu/onednn.h"

#include "check.h"

enum { BATCH = 2, K = 300 };

static Check open_check(int n_threads)
{
    Check c = {.dev = check_memory(dk_device_open(DK_BACKEND_CPU, n_threads, DK_ISA_AVX2)),
               .text = "onednn"};
    EXPECT(&c, dk_cpu_onednn_init(c.dev));
    return c;
}

static int close_check(Check *c)
{
    check_release(c);
    EXPECT(c, dk_device_bytes(c->dev) == 0 || c->dev->scratch_bytes == dk_device_bytes(c->dev));
    dk_device_close(&c->dev);
    return c->n_failures;
}

/* The weight, and whether it is the library's. */
static DkWeight *weight(Check *c, int64_t n, int64_t k)
{
    float *numbers = check_numbers(c, n * k);
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, numbers, n, k));
    free(numbers);
    EXPECT(c, (w->packed != NULL) == (n >= 16 && k >= 16));
    return w;
}

/* y = silu (x w + b + y) for a batch of rows; the numbers are the same each time. */
static DkTensor product(Check *c, int64_t n, int64_t rows, DkTensor *x, DkWeight **w, DkTensor *b)
{
    c->random = 1;
    *w = weight(c, n, K);
    *x = check_random(c, SIZES(BATCH, rows, K));
    *b = check_random(c, SIZES(n));
    const DkTensor y = check_random(c, SIZES(BATCH, rows, n));
    dk_linear(c->dev, y, *x, *w, *b, DK_ACT_SILU, true);
    return y;
}

static int threads(int64_t n, int64_t rows)
{
    float *results[4];
    int n_failures = 0;
    for (int i = 0; i < 4; i++) {
        Check c = open_check(i < 3 ? i + 1 : 8);
        DkTensor x, b;
        DkWeight *w;
        results[i] = check_read(&c, product(&c, n, rows, &x, &w, &b));
        EXPECT(&c, memcmp(results[0], results[i], (size_t)(BATCH * rows * n) * 4) == 0);
        n_failures += close_check(&c);
    }
    for (int i = 0; i < 4; i++)
        free(results[i]);
    return n_failures;
}

/* Items alone; and each item's rows from some row on, as a strip of a picture has them. */
static int places(int64_t n, int64_t rows)
{
    static const int64_t starts[] = {1, 3, 5, 17, 64, 65, 100};
    Check c = open_check(2);
    DkTensor x, b;
    DkWeight *w;
    product(&c, n, rows, &x, &w, &b);
    const DkTensor both = check_tensor(&c, DK_F32, SIZES(BATCH, rows, n));
    const DkTensor room = check_tensor(&c, DK_F32, SIZES(1, rows, n));
    dk_linear(c.dev, both, x, w, b, DK_ACT_TANH, false);
    for (int64_t i = 0; i < BATCH; i++) {
        const DkTensor item = dk_tensor_slice(x, i, 1), whole = dk_tensor_slice(both, i, 1);
        dk_linear(c.dev, room, item, w, b, DK_ACT_TANH, false);
        EXPECT(&c, check_same_bits(&c, room, whole));
        const DkTensor from = dk_tensor_reshape(item, SIZES(rows, K));
        const DkTensor to = dk_tensor_reshape(whole, SIZES(rows, n));
        for (size_t s = 0; s < sizeof starts / sizeof *starts && starts[s] < rows; s++) {
            const int64_t left = rows - starts[s];
            const DkTensor y = dk_tensor_slice(dk_tensor_reshape(room, SIZES(rows, n)), 0, left);
            dk_linear(c.dev, y, dk_tensor_slice(from, starts[s], left), w, b, DK_ACT_TANH, false);
            EXPECT(&c, check_same_bits(&c, y, dk_tensor_slice(to, starts[s], left)));
        }
    }
    return close_check(&c);
}

static int second_run(int64_t n, int64_t rows)
{
    Check c = open_check(2);
    DkTensor x, b;
    DkWeight *w;
    const DkTensor y = product(&c, n, rows, &x, &w, &b);
    const size_t bytes = dk_device_bytes(c.dev), peak = dk_device_peak_bytes(c.dev);
    dk_linear(c.dev, y, x, w, b, DK_ACT_SILU, true);
    EXPECT(&c, dk_device_bytes(c.dev) == bytes && dk_device_peak_bytes(c.dev) == peak);
    EXPECT(&c, dk_sync(c.dev) == DK_OK);
    return close_check(&c);
}

/* More sizes than products are kept, then the first again. */
static int many_sizes(void)
{
    enum { N_SIZES = 140, ROWS = 3 };
    Check c = open_check(1);
    float *results[N_SIZES + 1];
    for (int i = 0; i <= N_SIZES; i++) {
        DkTensor x, b;
        DkWeight *w;
        results[i] = check_read(&c, product(&c, 16 + i % N_SIZES, ROWS, &x, &w, &b));
        check_release(&c);
    }
    EXPECT(&c, memcmp(results[0], results[N_SIZES], (size_t)(BATCH * ROWS * 16) * 4) == 0);
    for (int i = 0; i <= N_SIZES; i++)
        free(results[i]);
    return close_check(&c);
}

/* Rows too far apart to be read where they lie. */
static int distant_rows(void)
{
    enum { ROWS = 70, N = 530, STRIDE = 20000 };
    Check c = open_check(2);
    DkTensor x, b;
    DkWeight *w;
    product(&c, N, ROWS, &x, &w, &b);
    const DkTensor near = check_tensor(&c, DK_F32, SIZES(BATCH, ROWS, N));
    const DkTensor sea = check_tensor(&c, DK_F32, SIZES(BATCH, ROWS, STRIDE));
    const DkTensor far = dk_tensor_columns(sea, 7, N), far_x = dk_tensor_columns(sea, 9000, K);
    dk_axpby(c.dev, far_x, 1, x, 0);
    dk_linear(c.dev, near, x, w, b, DK_ACT_NONE, false);
    dk_linear(c.dev, far, far_x, w, b, DK_ACT_NONE, false);
    EXPECT(&c, check_same_bits(&c, near, far));
    return close_check(&c);
}

static int cancelled(void)
{
    Check c = open_check(2);
    DkTensor x, b;
    DkWeight *w;
    const DkTensor y = product(&c, 64, 64, &x, &w, &b);
    atomic_int stop = 1;
    float *before = check_read(&c, y);
    dk_device_set_cancel(c.dev, &stop);
    dk_linear(c.dev, y, x, w, b, DK_ACT_NONE, false);
    EXPECT(&c, dk_sync(c.dev) == DK_CANCELLED);
    dk_device_set_cancel(c.dev, NULL);
    float *after = check_read(&c, y);
    EXPECT(&c, memcmp(before, after, (size_t)dk_tensor_count(y) * 4) == 0);
    free(before);
    free(after);
    return close_check(&c);
}

int main(void)
{
    static const int64_t sizes[][2] = {{530, 366}, {512, 64}, {1100, 129}, {40, 65}, {3, 70}};
    int n_failures = many_sizes() + distant_rows() + cancelled();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        n_failures += threads(sizes[i][0], sizes[i][1]) + places(sizes[i][0], sizes[i][1]) +
                      second_run(sizes[i][0], sizes[i][1]);
    printf("onednn: %d failures\n", n_failures);
    return n_failures > 0;
}
