/* The checking build: every access of a kernel to memory, by gcc's instrumentation for its thread
 * sanitizer, whose library is not linked: what it would call is here.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Four bytes of memory of the card (or shared) are a grain. It remembers who wrote it last and who
 * read it; two threads that touch the same bytes, one of them writing, are a race unless they are
 * of the same block with a barrier in between, or of the same warp with a shuffle, a vote or
 * __syncwarp in between. Blocks of a launch are never ordered.
 *
 * Traffic is counted as a card with a second cache of DIM_CUDA_HOST_CACHE bytes (4 MB) would have
 * it: a sector of 32 bytes is moved when a block first touches it, unless so few others were moved
 * since its last use that the cache still has it. The least is each byte that is used, once. With
 * DIM_CUDA_HOST_REPORT=FILE a line for each kernel is added to the file at the end: name, launches,
 * bytes moved, least bytes, and of these what no launch before had read or written. */
#include "cuda-host.h"

#include <map>
#include <string>

namespace {

enum { GRAIN = 4, SECTOR = 32 };

/* Who, and when. `launch` 0: nobody. */
struct Touch {
    uint32_t launch, block, barriers;
    uint16_t thread, exchanges;
    uint8_t bytes; /* a bit for each of the grain's */
};

struct Grain {
    Touch write, read, other; /* the last reader, and the last but of another thread */
    uint32_t counted[2];      /* the launch whose least traffic has its reading and its writing */
    uint8_t bytes[2];         /* which of its bytes that has */
    uint8_t ever[2];          /* which any launch has read, and written */
};

struct Sector {
    uint64_t read, written; /* launch and block of the last one */
    uint64_t stamp;         /* bytes that the launch had moved then */
    uint32_t launch;
};

/* Beside an allocation. */
struct Shadow {
    unsigned char *data;
    size_t bytes;
    Grain *grains;
    Sector *sectors;
};

struct Traffic {
    uint64_t launches, moved, least, fresh;
};

struct Here {
    bool running;
    uint32_t launch, block;
    uint64_t moved, least, fresh;
    uint32_t barriers;
};

Here here;
Shadow shared_shadow, *last;
uint64_t cache_bytes;

std::map<const unsigned char *, Shadow> &shadows()
{
    static std::map<const unsigned char *, Shadow> all;
    return all;
}

std::map<std::string, Traffic> &traffic()
{
    static std::map<std::string, Traffic> all;
    return all;
}

Shadow make_shadow(unsigned char *data, size_t bytes)
{
    Shadow s = {data, bytes, nullptr, nullptr};
    s.grains = static_cast<Grain *>(calloc(bytes / GRAIN + 2, sizeof(Grain)));
    s.sectors = static_cast<Sector *>(calloc(bytes / SECTOR + 2, sizeof(Sector)));
    if (!s.grains || !s.sectors)
        cuda_host_fault("no memory to check with");
    return s;
}

/* ---- races ----------------------------------------------------------------------------------- */

Touch touch_now(uint8_t bytes)
{
    return {here.launch,
            here.block,
            here.barriers,
            (uint16_t)cuda_host_thread(),
            (uint16_t)cuda_host_exchanges(),
            bytes};
}

/* Whether nothing orders the two; both are of this launch, one of them wrote. */
bool is_race(const Touch &before, const Touch &now)
{
    if (before.launch != now.launch || !(before.bytes & now.bytes))
        return false;
    if (before.block != now.block)
        return true;
    if (before.barriers != now.barriers)
        return false;
    if (before.thread == now.thread)
        return false;
    return before.thread / 32 != now.thread / 32 || before.exchanges == now.exchanges;
}

[[noreturn]] void fail_of_race(const Touch &before, const void *at, bool wrote, bool writes)
{
    cuda_host_fault("a race: %s %p, which block number %u's thread number %u %s%s",
                    writes ? "writes" : "reads", at, before.block, before.thread,
                    wrote ? "wrote" : "read",
                    before.block == here.block ? " with no barrier in between" : "");
}

void check_grain(Grain *g, const void *at, uint8_t bytes, bool write)
{
    const Touch now = touch_now(bytes);
    if (is_race(g->write, now))
        fail_of_race(g->write, at, true, write);
    for (const Touch &read : {g->read, g->other})
        if (write && is_race(read, now))
            fail_of_race(read, at, false, true);
    if (write) {
        g->write = now;
        return;
    }
    if (g->read.thread != now.thread || g->read.block != now.block)
        g->other = g->read;
    g->read = now;
}

/* ---- traffic --------------------------------------------------------------------------------- */

void count(Shadow *s, size_t from, size_t to, bool write)
{
    const uint64_t who = (uint64_t)here.launch << 32 | here.block;
    for (size_t i = from / SECTOR; i <= (to - 1) / SECTOR; i++) {
        Sector *sector = &s->sectors[i];
        uint64_t *by = write ? &sector->written : &sector->read;
        const bool known = *by == who && sector->launch == here.launch;
        const bool cached = sector->launch == here.launch && *by >> 32 == here.launch &&
                            here.moved - sector->stamp <= cache_bytes;
        if (!known && !cached)
            here.moved += SECTOR;
        *by = who;
        sector->launch = here.launch;
        sector->stamp = here.moved;
    }
}

void count_least(Grain *g, uint8_t bytes, bool write)
{
    if (g->counted[write] != here.launch)
        g->bytes[write] = 0;
    g->counted[write] = here.launch;
    here.least += (uint64_t)__builtin_popcount(bytes & ~g->bytes[write]);
    g->bytes[write] |= bytes;
    here.fresh += (uint64_t)__builtin_popcount(bytes & ~g->ever[write]);
    g->ever[write] |= bytes;
}

void touch(Shadow *s, const void *at, size_t n, bool write)
{
    const size_t from = (size_t)(static_cast<const unsigned char *>(at) - s->data);
    for (size_t i = from / GRAIN; i <= (from + n - 1) / GRAIN; i++) {
        uint8_t bytes = 0;
        for (size_t b = 0; b < GRAIN; b++)
            if (i * GRAIN + b >= from && i * GRAIN + b < from + n)
                bytes |= (uint8_t)(1 << b);
        check_grain(&s->grains[i], at, bytes, write);
        if (s != &shared_shadow)
            count_least(&s->grains[i], bytes, write);
    }
    if (s != &shared_shadow)
        count(s, from, from + n, write);
}

Shadow *shadow_of(const void *at)
{
    const unsigned char *byte = static_cast<const unsigned char *>(at);
    if (last && byte >= last->data && byte < last->data + last->bytes)
        return last;
    auto next = shadows().upper_bound(byte);
    if (next == shadows().begin())
        return nullptr;
    --next;
    if (byte >= next->second.data + next->second.bytes)
        return nullptr;
    return last = &next->second;
}

void access(const void *at, size_t n, bool write)
{
    if (!here.running || !cuda_host_is_thread() || cuda_host_is_own(at))
        return;
    if (cuda_host_is_shared(at)) {
        if (!cuda_host_is_in_array(at, n))
            cuda_host_fault("%s shared memory beside its arrays", write ? "writes" : "reads");
        touch(&shared_shadow, at, n, write);
        return;
    }
    Shadow *s = shadow_of(at);
    if (!s || static_cast<const unsigned char *>(at) + n > s->data + s->bytes)
        cuda_host_fault("%s %zu bytes at %p, which is no memory of the card",
                        write ? "writes" : "reads", n, at);
    touch(s, at, n, write);
}

void report()
{
    const char *file = getenv("DIM_CUDA_HOST_REPORT");
    FILE *out = file ? fopen(file, "ae") : nullptr;
    for (const auto &[kernel, t] : traffic())
        if (out)
            fprintf(out, "%s\t%llu\t%llu\t%llu\t%llu\n", kernel.c_str(),
                    (unsigned long long)t.launches, (unsigned long long)t.moved,
                    (unsigned long long)t.least, (unsigned long long)t.fresh);
    if (out)
        fclose(out);
}

/* ---- from the runtime ------------------------------------------------------------------------ */

void alloc(unsigned char *data, size_t bytes)
{
    shadows()[data] = make_shadow(data, bytes);
}

void release(unsigned char *data)
{
    const auto found = shadows().find(data);
    free(found->second.grains);
    free(found->second.sectors);
    last = nullptr;
    shadows().erase(found);
}

void begin(unsigned char *shared, size_t bytes)
{
    static uint32_t n_launches;
    if (!shared_shadow.data) {
        const char *text = getenv("DIM_CUDA_HOST_CACHE");
        cache_bytes = text ? strtoull(text, nullptr, 10) : 4 << 20;
        shared_shadow = make_shadow(shared, bytes);
        traffic();
        atexit(report);
    }
    here = {true, ++n_launches, 0, 0, 0, 0, 0};
}

void block(uint32_t number)
{
    here.block = number;
    here.barriers = 0;
    memset(shared_shadow.grains, 0, (shared_shadow.bytes / GRAIN + 1) * sizeof(Grain));
}

void barrier()
{
    here.barriers++;
}

void end(const char *kernel)
{
    Traffic *t = &traffic()[kernel];
    t->launches++;
    t->moved += here.moved;
    t->least += here.least;
    t->fresh += here.fresh;
    here.running = false;
}

const CudaHostChecks checks = {alloc, release, begin, block, barrier, end};
const bool are_set = (cuda_host_checks = &checks) != nullptr;

} // namespace

/* ---- from the instrumentation ---------------------------------------------------------------- */

extern "C" {
void __tsan_init()
{
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit()
{
}
void __tsan_vptr_update(void **, void *)
{
}
void __tsan_vptr_read(void **)
{
}

#define ACCESS(bytes)                                                                              \
    void __tsan_read##bytes(void *at)                                                              \
    {                                                                                              \
        access(at, bytes, false);                                                                  \
    }                                                                                              \
    void __tsan_write##bytes(void *at)                                                             \
    {                                                                                              \
        access(at, bytes, true);                                                                   \
    }                                                                                              \
    void __tsan_unaligned_read##bytes(void *at)                                                    \
    {                                                                                              \
        access(at, bytes, false);                                                                  \
    }                                                                                              \
    void __tsan_unaligned_write##bytes(void *at)                                                   \
    {                                                                                              \
        access(at, bytes, true);                                                                   \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __tsan_read_range(void *at, unsigned long bytes)
{
    access(at, bytes, false);
}
void __tsan_write_range(void *at, unsigned long bytes)
{
    access(at, bytes, true);
}

/* The counts of shared pointers. */
int __tsan_atomic32_fetch_add(volatile int *at, int value, int)
{
    const int old = *at;
    *at = old + value;
    return old;
}
}
