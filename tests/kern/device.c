/* Devices: accounting, scratch, sticky status, cancel, profile, repeats, views, and what a wrong
 * argument does. Of ref and cpu, or with the argument "cuda" of a card; exit status 77: there is
 * none.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

static const DkTensor none;

static void bytes(Check *c)
{
    const size_t before = dk_device_bytes(c->dev);
    DkBuffer *buffer = dk_buffer_new(c->dev, 1000);
    EXPECT(c, dk_device_bytes(c->dev) == before + 1000);
    EXPECT(c, (uintptr_t)buffer->data % 64 == 0);
    dk_buffer_free(c->dev, &buffer);
    EXPECT(c, buffer == NULL);
    dk_buffer_free(c->dev, &buffer);
    EXPECT(c, dk_device_bytes(c->dev) == before);
    EXPECT(c, dk_device_peak_bytes(c->dev) >= before + 1000);
    EXPECT(c, dk_buffer_new(c->dev, SIZE_MAX) == NULL);
    EXPECT(c, dk_buffer_new(c->dev, SIZE_MAX / 4) == NULL);
}

/* Everything that takes scratch, once. */
static void run_all(Check *c, DkWeight *w, DkWeight *conv, DkWeight *scan, DkTensor y, DkTensor x,
                    DkTensor d)
{
    const DkTensor image = dk_tensor_reshape(x, SIZES(2, 8, 8, 32));
    const DkTensor states = dk_tensor_columns(x, 0, 16);
    dk_linear(c->dev, y, x, w, none, DK_ACT_NONE, false);
    dk_conv2d(c->dev, dk_tensor_reshape(y, SIZES(2, 8, 8, 32)), image, conv, none, 1,
              (DkPad){1, 1, 1, 1}, DK_ACT_NONE, false);
    dk_attention(c->dev, y, x, x, x, 4, DK_PRODUCTS_F32);
    dk_selective_scan(c->dev, y, x, x, scan, states, states, d, none, none);
}

static void no_growth(Check *c)
{
    float *numbers = check_numbers(c, 32 * 32 * 9);
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, numbers, 32, 32));
    DkWeight *conv = check_keep(c, dk_weight_conv2d(c->dev, numbers, 32, 32, 3, 3));
    DkWeight *scan = check_keep(c, dk_weight_scan(c->dev, numbers, 32, 16));
    const DkTensor x = check_random(c, SIZES(2, 64, 32)), y = check_random(c, SIZES(2, 64, 32));
    const DkTensor d = check_random(c, SIZES(32));
    size_t held = 0;
    for (int i = 0; i < 3; i++) {
        run_all(c, w, conv, scan, y, x, d);
        EXPECT(c, i == 0 || dk_device_bytes(c->dev) == held);
        held = dk_device_bytes(c->dev);
    }
    free(numbers);
    check_release(c);
}

/* Once the flag is up nothing is written; the status comes once, and goes when the flag is down. */
static void cancel(Check *c)
{
    atomic_int flag = 0;
    const float ones[4] = {1, 1, 1, 1};
    const DkTensor y = check_values(c, SIZES(4), ones), x = check_random(c, SIZES(4));
    const double expected[4] = {1, 1, 1, 1};
    dk_device_set_cancel(c->dev, &flag);
    EXPECT(c, dk_sync(c->dev) == DK_OK);
    atomic_store(&flag, 1);
    dk_clear(c->dev, y);
    dk_axpby(c->dev, y, 1, x, 0);
    EXPECT(c, dk_sync(c->dev) == DK_CANCELLED);
    EXPECT(c, dk_sync(c->dev) == DK_CANCELLED);
    atomic_store(&flag, 0);
    EXPECT(c, dk_sync(c->dev) == DK_OK);
    EXPECT(c, check_near(c, y, expected, 0));
    dk_device_set_cancel(c->dev, NULL);
    check_release(c);
}

static void *raise_flag(void *flag)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store((atomic_int *)flag, 1);
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Inside of an operation that would take minutes, even on an idle machine. */
static void cancel_inside(Check *c)
{
    enum { L = 65536, D = 512 };
    atomic_int flag = 0;
    pthread_t thread;
    const DkTensor x = check_random(c, SIZES(1, L, D)), y = check_tensor(c, DK_F32, SIZES(1, L, D));
    dk_device_set_cancel(c->dev, &flag);
    if (pthread_create(&thread, NULL, raise_flag, &flag) != 0)
        exit(99);
    const double begin = now();
    dk_attention(c->dev, y, x, x, x, 1, DK_PRODUCTS_F32);
    EXPECT(c, dk_sync(c->dev) == DK_CANCELLED);
    EXPECT(c, now() - begin < 5);
    pthread_join(thread, NULL);
    dk_device_set_cancel(c->dev, NULL);
    check_release(c);
}

/* Between many short operations: what a card has waiting when the flag is raised is bounded. */
static void cancel_queue(Check *c)
{
    enum { N = 1 << 16, OPERATIONS = 1000000 };
    atomic_int flag = 0;
    pthread_t thread;
    const DkTensor x = check_random(c, SIZES(N)), y = check_tensor(c, DK_F32, SIZES(N));
    dk_device_set_cancel(c->dev, &flag);
    if (pthread_create(&thread, NULL, raise_flag, &flag) != 0)
        exit(99);
    const double begin = now();
    for (int i = 0; i < OPERATIONS; i++)
        dk_axpby(c->dev, y, 1, x, 0);
    EXPECT(c, dk_sync(c->dev) == DK_CANCELLED);
    EXPECT(c, now() - begin < 5);
    pthread_join(thread, NULL);
    dk_device_set_cancel(c->dev, NULL);
    check_release(c);
}

static void sticky(Check *c)
{
    const float ones[2] = {1, 1};
    const double expected[2] = {1, 1};
    const DkTensor y = check_values(c, SIZES(2), ones);
    EXPECT(c, dk_scratch(c->dev, SIZE_MAX - 100) == NULL);
    dk_fail(c->dev, DK_DEVICE_FAILED);
    dk_clear(c->dev, y);
    EXPECT(c, dk_sync(c->dev) == DK_NO_MEMORY);
    EXPECT(c, dk_sync(c->dev) == DK_OK);
    EXPECT(c, check_near(c, y, expected, 0));
    for (DkStatus s = DK_OK; s <= DK_DEVICE_FAILED; s++)
        EXPECT(c, strlen(dk_status_text(s)) > 0);
    check_release(c);
}

static void profile(Check *c)
{
    DkProfile entries[4];
    const DkTensor x = check_random(c, SIZES(5, 8)), y = check_random(c, SIZES(5, 3));
    float *numbers = check_numbers(c, 24);
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, numbers, 3, 8));
    EXPECT(c, dk_profile_read(c->dev, entries, 4) == 0);
    dk_profile_enable(c->dev, true);
    dk_linear(c->dev, y, x, w, none, DK_ACT_NONE, false);
    dk_linear(c->dev, y, x, w, none, DK_ACT_NONE, false);
    dk_clear(c->dev, y);
    EXPECT(c, dk_profile_read(c->dev, entries, 4) == 2);
    const DkProfile linear = entries[strcmp(entries[0].op, "linear") != 0];
    EXPECT(c, strcmp(linear.op, "linear") == 0 && linear.calls == 2);
    EXPECT(c, linear.flop == 2 * 2 * 5 * 8 * 3 && linear.seconds > 0);
    EXPECT(c, dk_profile_read(c->dev, entries, 1) == 1);
    dk_profile_enable(c->dev, false);
    dk_clear(c->dev, y);
    EXPECT(c, dk_profile_read(c->dev, entries, 4) == 2);
    dk_profile_enable(c->dev, true);
    EXPECT(c, dk_profile_read(c->dev, entries, 4) == 0);
    dk_profile_enable(c->dev, false);
    free(numbers);
    check_release(c);
}

static void views(Check *c)
{
    float values[24];
    for (int i = 0; i < 24; i++)
        values[i] = (float)i;
    const DkTensor t = check_values(c, SIZES(2, 3, 4), values);
    EXPECT(c, dk_tensor_count(t) == 24 && !dk_tensor_is_empty(t) && dk_tensor_is_empty(none));
    EXPECT(c, check_near(c, dk_tensor_columns(t, 1, 2),
                         (double[]){1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22}, 0));
    const DkTensor second = dk_tensor_slice(t, 1, 1);
    EXPECT(c, check_near(c, dk_tensor_columns(second, 3, 1), (double[]){15, 19, 23}, 0));
    const DkTensor flat = dk_tensor_reshape(dk_tensor_columns(t, 2, 2), SIZES(6, 2));
    EXPECT(c, check_near(c, dk_tensor_slice(flat, 4, 2), (double[]){18, 19, 22, 23}, 0));
    EXPECT(c, check_near(c, dk_tensor_slice(dk_tensor_reshape(t, SIZES(24)), 22, 2),
                         (double[]){22, 23}, 0));
    dk_write(c->dev, dk_tensor_columns(second, 0, 1), (float[]){-1, -2, -3});
    EXPECT(c, check_near(c, second, (double[]){-1, 13, 14, 15, -2, 17, 18, 19, -3, 21, 22, 23}, 0));
    check_release(c);
}

/* ---- repeats --------------------------------------------------------------------------------- */

/* y = act (w x), by way of scratch where products are bf16. */
typedef struct {
    Check *check;
    DkTensor y, x;
    const DkWeight *w;
    int n_calls;
    atomic_int *raise; /* NULL, or a flag to raise at the next call */
} Product;

static void enqueue(void *data)
{
    Product *p = data;
    p->n_calls++;
    dk_linear(p->check->dev, p->y, p->x, p->w, none, DK_ACT_SILU, false);
    if (p->raise)
        atomic_store(p->raise, 1);
    dk_axpby(p->check->dev, p->y, 0.5f, p->y, 0);
}

static Product product(Check *c, int64_t rows, int64_t columns)
{
    float *numbers = check_numbers(c, columns * columns);
    dk_device_set_products(c->dev, DK_PRODUCTS_BF16);
    DkWeight *w = check_keep(c, dk_weight_linear(c->dev, numbers, columns, columns));
    dk_device_set_products(c->dev, DK_PRODUCTS_F32);
    free(numbers);
    return (Product){.check = c,
                     .y = check_random(c, SIZES(rows, columns)),
                     .x = check_random(c, SIZES(rows, columns)),
                     .w = w};
}

/* Whether a repeat on other numbers gives what the operations give by themselves, and whether it
 * called for them. */
static bool repeats(Product *p, DkRepeat **kept, bool calls)
{
    Check *c = p->check;
    Product plain = *p;
    plain.y = check_tensor(c, DK_F32, p->y.rank, p->y.sizes);
    const DkTensor numbers = check_random(c, p->x.rank, p->x.sizes);
    const int before = p->n_calls;
    dk_axpby(c->dev, p->x, 1, numbers, 0);
    dk_clear(c->dev, p->y);
    dk_repeat(c->dev, kept, enqueue, p);
    enqueue(&plain);
    return p->n_calls == before + calls && check_same_bits(c, p->y, plain.y);
}

/* `keeps`: the device does. Two repeats by turns; the second needs more scratch, which moves. */
static void repeat(Check *c, bool keeps)
{
    Product p = product(c, 8, 32), wide = product(c, 64, 256);
    DkRepeat *kept = NULL, *other = NULL;
    EXPECT(c, repeats(&p, &kept, true));
    EXPECT(c, repeats(&p, &kept, true));
    EXPECT(c, repeats(&p, &kept, !keeps));
    EXPECT(c, repeats(&p, &kept, !keeps));
    EXPECT(c, repeats(&wide, &other, true));
    EXPECT(c, repeats(&p, &kept, true));
    EXPECT(c, repeats(&p, &kept, !keeps));
    EXPECT(c, repeats(&wide, &other, true));
    EXPECT(c, repeats(&wide, &other, !keeps));
    EXPECT(c, (kept != NULL) == keeps);
    dk_profile_enable(c->dev, true);
    EXPECT(c, repeats(&p, &kept, true));
    dk_profile_enable(c->dev, false);
    EXPECT(c, repeats(&p, &kept, !keeps));
    dk_repeat_free(c->dev, &kept);
    dk_repeat_free(c->dev, &kept);
    dk_repeat_free(c->dev, &other);
    check_release(c);
}

/* Cancelled in the n-th call, between its operations: what was kept of it is not used. */
static void repeat_cancelled(Check *c, int n, bool keeps)
{
    atomic_int flag = 0;
    Product p = product(c, 8, 32);
    DkRepeat *kept = NULL;
    dk_device_set_cancel(c->dev, &flag);
    for (int i = 0; i + 1 < n; i++)
        EXPECT(c, repeats(&p, &kept, true));
    p.raise = &flag;
    dk_repeat(c->dev, &kept, enqueue, &p);
    EXPECT(c, p.n_calls == n);
    dk_repeat(c->dev, &kept, enqueue, &p);
    EXPECT(c, p.n_calls == n);
    EXPECT(c, dk_sync(c->dev) == DK_CANCELLED);
    p.raise = NULL;
    atomic_store(&flag, 0);
    for (int i = n; i < 3; i++)
        EXPECT(c, repeats(&p, &kept, true));
    EXPECT(c, repeats(&p, &kept, !keeps));
    dk_device_set_cancel(c->dev, NULL);
    dk_repeat_free(c->dev, &kept);
    check_release(c);
}

static void run_repeats(Check *c)
{
    const bool keeps = c->dev->kind == DK_BACKEND_CUDA;
    repeat(c, keeps);
    repeat_cancelled(c, 1, keeps);
    repeat_cancelled(c, 2, keeps);
}

/* ---- wrong arguments ------------------------------------------------------------------------- */

static void wrong_columns(Check *c)
{
    dk_tensor_columns(check_random(c, SIZES(2, 3)), 2, 2);
}

static void wrong_bounds(Check *c)
{
    dk_tensor(check_random(c, SIZES(4)).buffer, 0, DK_F32, SIZES(5));
}

static void wrong_shape(Check *c)
{
    dk_act(c->dev, check_random(c, SIZES(2, 3)), check_random(c, SIZES(3, 2)), DK_ACT_NONE);
}

static void wrong_overlap(Check *c)
{
    const DkTensor t = check_random(c, SIZES(4, 2));
    dk_axpby(c->dev, dk_tensor_slice(t, 0, 3), 1, dk_tensor_slice(t, 1, 3), 1);
}

static void right_columns(Check *c)
{
    const DkTensor t = check_random(c, SIZES(4, 6));
    dk_axpby(c->dev, dk_tensor_columns(t, 0, 3), 1, dk_tensor_columns(t, 3, 3), 1);
}

static void write_inside(void *data)
{
    dk_write(((Check *)data)->dev, check_tensor(data, DK_F32, SIZES(1)), (float[]){1});
}

static void sync_inside(void *data)
{
    dk_sync(((Check *)data)->dev);
}

static void wrong_write(Check *c)
{
    DkRepeat *kept = NULL;
    dk_repeat(c->dev, &kept, write_inside, c);
}

static void wrong_sync(Check *c)
{
    DkRepeat *kept = NULL;
    dk_repeat(c->dev, &kept, sync_inside, c);
}

/* In a process that opens the device itself: a card's driver does not outlive a fork. */
static bool aborts(DkBackend backend, void (*call)(Check *))
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        Check c = {.dev = check_memory(dk_device_open(backend, 2, DK_ISA_ALL))};
        c.text = dk_device_describe(c.dev);
        fclose(stderr);
        call(&c);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void wrong_arguments(Check *c, DkBackend backend)
{
    EXPECT(c, aborts(backend, wrong_columns));
    EXPECT(c, aborts(backend, wrong_bounds));
    EXPECT(c, aborts(backend, wrong_shape));
    EXPECT(c, aborts(backend, wrong_overlap));
    EXPECT(c, aborts(backend, wrong_write));
    EXPECT(c, aborts(backend, wrong_sync));
    EXPECT(c, !aborts(backend, right_columns));
}

static int run(DkBackend backend)
{
    Check c = {.text = "a device"};
    wrong_arguments(&c, backend); /* forks: before the first parallel region */
    c.dev = check_memory(dk_device_open(backend, 2, DK_ISA_ALL));
    c.text = dk_device_describe(c.dev);
    bytes(&c);
    no_growth(&c);
    cancel(&c);
    (backend == DK_BACKEND_CUDA ? cancel_queue : cancel_inside)(&c);
    sticky(&c);
    profile(&c);
    run_repeats(&c);
    views(&c);
    printf("%s: %d failures\n", c.text, c.n_failures);
    dk_device_close(&c.dev);
    EXPECT(&c, c.dev == NULL);
    dk_device_close(&c.dev);
    return c.n_failures;
}

/* Asked in a process of its own, too. */
static bool is_here(DkBackend backend)
{
    char problem[DK_PROBLEM_BYTES];
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        const bool here = dk_device_try(backend, 1, DK_ISA_ALL, problem) != NULL;
        if (!here)
            fprintf(stderr, "device: %s\n", problem);
        _exit(!here);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "cuda") == 0)
        return !is_here(DK_BACKEND_CUDA) ? 77 : run(DK_BACKEND_CUDA) > 0;
    DkDevice *device = dk_device_open(DK_BACKEND_CPU, 0, DK_ISA_ALL);
    const int n_threads = device ? dk_device_threads(device) : 0;
    dk_device_close(&device);
    const int n_failures = run(DK_BACKEND_REF) + run(DK_BACKEND_CPU);
    return n_failures > 0 || n_threads < 1;
}
