/* A kernel's threads as fibers: one block after another, in the order that was asked for.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * A thread gets a stack when it starts and gives it back when it ends, so a kernel without barriers
 * uses one stack for all; a thread that waits keeps its stack. */
#include "cuda-host.h"

#include <stdarg.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
bool (*cuda_host_stopped)(void *data);
void *cuda_host_stopped_data;
const CudaHostChecks *cuda_host_checks;

namespace {

enum State { FRESH, READY, AT_BARRIER, AT_EXCHANGE, DONE };
enum { N_ARRAYS = 32, SHARED_RED = 64 };

struct Thread {
    State state;
    int stack; /* -1: none */
    CudaHostPlace place;
    uint3 index;
    /* what it waits for */
    const char *file;
    int line;
    CudaHostExchange what;
    unsigned mask;
    uint64_t value;
    int source;
    int exchanges; /* that it has been through */
};

/* One declaration of shared memory in the block at hand. */
struct Array {
    const void *site;
    const char *name;
    size_t offset, bytes;
};

struct Launch {
    const char *kernel;
    const CudaHostKernel *bound;
    int n_threads;
    size_t dynamic_bytes;
};

Launch launch;
Thread threads[CUDA_HOST_THREADS];
int order[CUDA_HOST_THREADS];
Thread *now; /* NULL: the scheduler */
CudaHostPlace scheduler;
int free_stacks[CUDA_HOST_THREADS], n_free_stacks = -1;

alignas(256) unsigned char shared[CUDA_HOST_SHARED + N_ARRAYS * (2 * SHARED_RED + 256)];
size_t shared_used, shared_counted;
Array arrays[N_ARRAYS];
int n_arrays;

/* ---- a thread ------------------------------------------------------------------------------- */

void make_stacks()
{
    cuda_host_make_stacks();
    for (int i = 0; i < CUDA_HOST_THREADS; i++)
        free_stacks[i] = CUDA_HOST_THREADS - 1 - i;
    n_free_stacks = CUDA_HOST_THREADS;
}

/* What a fiber does: one thread, then back for good. */
void live()
{
    cuda_host_begin(&scheduler);
    launch.bound->run();
    now->state = DONE;
    cuda_host_switch(&now->place, &scheduler, true);
    abort();
}

void go_on(Thread *t)
{
    if (t->state == FRESH) {
        t->stack = free_stacks[--n_free_stacks];
        t->place = cuda_host_place(t->stack, live);
    }
    t->state = READY;
    now = t;
    threadIdx = t->index;
    cuda_host_switch(&scheduler, &t->place, false);
    now = nullptr;
    if (t->state == DONE) {
        free_stacks[n_free_stacks++] = t->stack;
        t->stack = -1;
    }
}

/* From a fiber: lets others run until what it waits for has come. */
void wait(State state)
{
    Thread *self = now;
    self->state = state;
    cuda_host_switch(&self->place, &scheduler, false);
}

/* ---- the order of threads and blocks --------------------------------------------------------- */

enum OrderKind { FORWARD, REVERSE, RANDOM };

struct Order {
    OrderKind kind;
    uint64_t state;
};

Order read_order()
{
    const char *text = getenv("DIM_CUDA_HOST_ORDER");
    if (!text || strcmp(text, "forward") == 0)
        return {FORWARD, 0};
    if (strcmp(text, "reverse") == 0)
        return {REVERSE, 0};
    return {RANDOM, strtoull(text, nullptr, 10)};
}

Order *chosen_order()
{
    static Order order_of_all = read_order();
    return &order_of_all;
}

/* splitmix64 */
uint64_t draw(Order *o)
{
    uint64_t z = (o->state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void order_threads(Order *o)
{
    const int n = launch.n_threads;
    for (int i = 0; i < n; i++)
        order[i] = o->kind == REVERSE ? n - 1 - i : i;
    for (int i = n - 1; o->kind == RANDOM && i > 0; i--) {
        const int j = (int)(draw(o) % (uint64_t)(i + 1)), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* The i-th of n blocks: a random order steps through them by a number without common factor. */
uint64_t block_at(const Order *o, uint64_t i, uint64_t n, uint64_t step)
{
    return o->kind == REVERSE ? n - 1 - i : o->kind == RANDOM ? (i * step + step / 2) % n : i;
}

uint64_t gcd(uint64_t a, uint64_t b)
{
    return b ? gcd(b, a % b) : a;
}

uint64_t draw_step(Order *o, uint64_t n)
{
    uint64_t step = 1;
    if (o->kind == RANDOM)
        do
            step = 1 + draw(o) % n;
        while (gcd(step, n) != 1);
    return step;
}

/* ---- shared memory --------------------------------------------------------------------------- */

void *add_array(const void *site, const char *name, size_t bytes)
{
    const size_t offset = (shared_used + SHARED_RED + 255) / 256 * 256;
    shared_counted += bytes;
    if (n_arrays == N_ARRAYS || shared_counted > CUDA_HOST_SHARED)
        cuda_host_fault("%zu bytes of shared memory; a card has %d", shared_counted,
                        CUDA_HOST_SHARED);
    if (shared_counted - launch.dynamic_bytes > CUDA_HOST_STATIC)
        cuda_host_fault("%zu bytes of static shared memory; expected at most %d",
                        shared_counted - launch.dynamic_bytes, CUDA_HOST_STATIC);
    arrays[n_arrays++] = {site, name, offset, bytes};
    memset(shared + shared_used, CUDA_HOST_POISON, offset + bytes + SHARED_RED - shared_used);
    shared_used = offset + bytes;
    return shared + offset;
}

void check_array(const Array *a)
{
    const unsigned char *before = shared + a->offset - SHARED_RED, *after = shared + a->offset;
    after += a->bytes;
    for (int i = 0; i < SHARED_RED; i++)
        if (before[i] != CUDA_HOST_POISON || after[i] != CUDA_HOST_POISON)
            cuda_host_fault("wrote beside the shared array %s", a->name);
}

void begin_shared()
{
    shared_used = shared_counted = 0;
    n_arrays = 0;
    if (launch.dynamic_bytes)
        add_array(&launch, "of the launch", launch.dynamic_bytes);
}

void end_shared()
{
    for (int i = 0; i < n_arrays; i++)
        check_array(&arrays[i]);
}

/* ---- one block ------------------------------------------------------------------------------- */

const char *describe(const Thread *t)
{
    static char text[160];
    if (t->state == DONE)
        return "ended";
    if (t->state == AT_BARRIER)
        snprintf(text, sizeof text, "waits at %s:%d", t->file, t->line);
    else
        snprintf(text, sizeof text, "waits for the lanes 0x%08x", t->mask);
    return text;
}

[[noreturn]] void fail_of_two(const Thread *a, const Thread *b)
{
    char of_a[160];
    snprintf(of_a, sizeof of_a, "%s", describe(a));
    now = const_cast<Thread *>(a);
    threadIdx = a->index;
    cuda_host_fault("the thread %s, while thread (%u, %u, %u) %s", of_a, b->index.x, b->index.y,
                    b->index.z, describe(b));
}

/* True where all threads that still live wait at the same barrier, which they then pass. */
bool pass_barrier()
{
    const Thread *first = nullptr;
    for (int i = 0; i < launch.n_threads; i++) {
        const Thread *t = &threads[i];
        if (t->state == DONE)
            continue;
        if (!first)
            first = t;
        if (t->state != AT_BARRIER || t->file != first->file || t->line != first->line)
            return false;
    }
    for (int i = 0; i < launch.n_threads; i++)
        if (threads[i].state == AT_BARRIER)
            threads[i].state = READY;
    if (first && cuda_host_checks)
        cuda_host_checks->barrier();
    return first != nullptr;
}

[[noreturn]] void fail_of_stall()
{
    const Thread *first = nullptr;
    for (int i = 0; i < launch.n_threads; i++) {
        const Thread *t = &threads[i];
        if (!first && t->state != DONE)
            first = t;
        if (first && (t->state != first->state || t->line != first->line || t->mask != first->mask))
            fail_of_two(first, t);
    }
    fail_of_two(first, &threads[0]);
}

void run_block(Order *o)
{
    bool alive = true;
    for (int i = 0; i < launch.n_threads; i++) {
        Thread *t = &threads[i];
        t->state = FRESH;
        t->line = 0;
        t->mask = 0;
        t->exchanges = 0;
        t->index = {(unsigned)i % blockDim.x, (unsigned)i / blockDim.x % blockDim.y,
                    (unsigned)i / blockDim.x / blockDim.y};
    }
    begin_shared();
    order_threads(o);
    while (alive) {
        bool moved = false;
        alive = false;
        for (int i = 0; i < launch.n_threads; i++) {
            Thread *t = &threads[order[i]];
            if (t->state == FRESH || t->state == READY) {
                go_on(t);
                moved = true;
            }
            alive = alive || t->state != DONE;
        }
        if (alive && !moved && !pass_barrier())
            fail_of_stall();
    }
    end_shared();
}

/* ---- shuffles and votes ---------------------------------------------------------------------- */

/* The warp's threads that the mask names; faults where one has ended or there is none. */
Thread *lane_of(const Thread *self, int lane)
{
    const int first = (int)(self - threads) & ~31;
    Thread *t = &threads[first + lane];
    if (first + lane >= launch.n_threads || t->state == DONE)
        cuda_host_fault("the mask 0x%08x names lane %d, which %s", self->mask, lane,
                        first + lane >= launch.n_threads ? "the block has not" : "has ended");
    return t;
}

uint64_t answer(const Thread *t)
{
    uint64_t votes = 0;
    if (t->what == CUDA_HOST_SHUFFLE && !(t->mask >> t->source & 1))
        cuda_host_fault("a shuffle takes from lane %d, which the mask 0x%08x lacks", t->source,
                        t->mask);
    if (t->what == CUDA_HOST_SHUFFLE)
        return lane_of(t, t->source)->value;
    for (int lane = 0; lane < 32; lane++)
        if ((t->mask >> lane & 1) && lane_of(t, lane)->value)
            votes |= 1u << lane;
    return votes;
}

/* Where all lanes of the mask have come, gives each its answer and lets it go on. */
void complete(const Thread *self)
{
    uint64_t answers[32];
    for (int lane = 0; lane < 32; lane++) {
        if (!(self->mask >> lane & 1))
            continue;
        const Thread *t = lane_of(self, lane);
        if (t->state != AT_EXCHANGE || t->mask != self->mask || t->what != self->what)
            return;
    }
    for (int lane = 0; lane < 32; lane++)
        if (self->mask >> lane & 1)
            answers[lane] = answer(lane_of(self, lane));
    for (int lane = 0; lane < 32; lane++)
        if (self->mask >> lane & 1) {
            lane_of(self, lane)->value = answers[lane];
            lane_of(self, lane)->state = READY;
            lane_of(self, lane)->exchanges++;
        }
}

} // namespace

uint64_t cuda_host_exchange(CudaHostExchange what, unsigned mask, uint64_t value, int source)
{
    Thread *self = now;
    self->what = what;
    self->mask = mask;
    self->value = value;
    self->source = source;
    if (!(mask >> cuda_host_lane() & 1))
        cuda_host_fault("the mask 0x%08x lacks the lane that calls", mask);
    self->state = AT_EXCHANGE;
    complete(self);
    if (self->state == AT_EXCHANGE)
        wait(AT_EXCHANGE);
    return self->value;
}

bool cuda_host_has_mma()
{
    static const char *const text = getenv("DIM_CUDA_HOST_MMA");
    return !text || strcmp(text, "0") != 0;
}

namespace {

struct Operands {
    const uint32_t *a, *b;
};

Operands operands[CUDA_HOST_THREADS];

template <class T> float half_of(uint32_t pair, int high)
{
    return cuda_host_float(T{(uint16_t)(high ? pair >> 16 : pair)});
}

} // namespace

/* The lanes see each other's operands until all of them are done. */
template <class T> void cuda_host_mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    const int lane = cuda_host_lane(), t = lane % 4;
    Operands *warp = &operands[(now - threads) & ~31];
    warp[lane] = {a, b};
    cuda_host_exchange(CUDA_HOST_SYNCWARP, 0xffffffffu, 0, 0);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++) {
            const uint32_t x = warp[(lane & ~3) + k % 8 / 2].a[i / 2 + k / 8 * 2];
            const uint32_t y = warp[(2 * t + i % 2) * 4 + k % 8 / 2].b[k / 8];
            c[i] = fmaf(half_of<T>(x, k % 2), half_of<T>(y, k % 2), c[i]);
        }
    cuda_host_exchange(CUDA_HOST_SYNCWARP, 0xffffffffu, 0, 0);
}

template void cuda_host_mma<__nv_bfloat16>(float (&)[4], const uint32_t (&)[4],
                                           const uint32_t (&)[2]);
template void cuda_host_mma<__half>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2]);

int cuda_host_lane()
{
    return (int)(now - threads) & 31;
}

bool cuda_host_is_thread()
{
    return now != nullptr;
}

int cuda_host_thread()
{
    return (int)(now - threads);
}

int cuda_host_exchanges()
{
    return now->exchanges;
}

static bool is_within(const void *at, const void *data, size_t bytes)
{
    const uintptr_t a = reinterpret_cast<uintptr_t>(at), b = reinterpret_cast<uintptr_t>(data);
    return a >= b && a - b < bytes;
}

bool cuda_host_is_own(const void *at)
{
    return is_within(at, cuda_host_stacks, cuda_host_stacks_bytes) ||
           is_within(at, launch.bound, launch.bound->bytes) ||
           is_within(at, &threadIdx, sizeof threadIdx) ||
           is_within(at, &blockIdx, sizeof blockIdx) || is_within(at, &blockDim, sizeof blockDim) ||
           is_within(at, &gridDim, sizeof gridDim);
}

bool cuda_host_is_shared(const void *at)
{
    return is_within(at, shared, sizeof shared);
}

bool cuda_host_is_in_array(const void *at, size_t bytes)
{
    for (int i = 0; i < n_arrays; i++)
        if (is_within(at, shared + arrays[i].offset, arrays[i].bytes))
            return is_within(static_cast<const char *>(at) + bytes - 1, shared + arrays[i].offset,
                             arrays[i].bytes);
    return false;
}

void cuda_host_barrier(const char *file, int line)
{
    now->file = file;
    now->line = line;
    wait(AT_BARRIER);
}

void *cuda_host_shared(const void *site, const char *name, size_t bytes)
{
    for (int i = 0; i < n_arrays; i++)
        if (arrays[i].site == site)
            return shared + arrays[i].offset;
    return add_array(site, name, bytes);
}

void *cuda_host_shared_dynamic(size_t *bytes)
{
    *bytes = launch.dynamic_bytes;
    if (launch.dynamic_bytes == 0)
        cuda_host_fault("shared memory of the launch, which has none");
    return shared + arrays[0].offset;
}

void cuda_host_fault(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "cuda-host: %s", launch.kernel ? launch.kernel : "no kernel");
    if (now)
        fprintf(stderr, " block (%u, %u, %u) thread (%u, %u, %u)", blockIdx.x, blockIdx.y,
                blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    fputs(": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void cuda_host_run(const char *kernel, dim3 grid, dim3 block, size_t shared_bytes,
                   const CudaHostKernel *bound)
{
    Order *o = chosen_order();
    const uint64_t n = (uint64_t)grid.x * grid.y * grid.z, step = draw_step(o, n);
    if (n_free_stacks < 0)
        make_stacks();
    gridDim = grid;
    blockDim = block;
    launch = {kernel, bound, (int)(block.x * block.y * block.z), shared_bytes};
    if (cuda_host_checks)
        cuda_host_checks->begin(shared, sizeof shared);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t at = block_at(o, i, n, step);
        if (cuda_host_stopped && cuda_host_stopped(cuda_host_stopped_data))
            break;
        blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y),
                    (unsigned)(at / grid.x / grid.y)};
        if (cuda_host_checks)
            cuda_host_checks->block((uint32_t)at);
        run_block(o);
    }
    if (cuda_host_checks)
        cuda_host_checks->end(kernel);
    launch = {};
}
