/* The stacks of a kernel's threads, and how to go from one to another.
 *
 * SPDX-License-Identifier: LGPL-3.0-or-later */
#include "cuda-host.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

unsigned char *cuda_host_stacks;

namespace {

enum { STACK_BYTES = 128 << 10, GUARD_BYTES = 4 << 10, EACH = STACK_BYTES + GUARD_BYTES };

#if defined(__x86_64__)

/* Saves what a function must keep, stores the stack pointer to *from and goes on at `to`. */
extern "C" void cuda_host_jump(void **from, void *to);
asm(R"(
.text
.type cuda_host_jump, @function
cuda_host_jump:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size cuda_host_jump, .-cuda_host_jump
)");

/* A stack at whose first switch `entry` is called. */
void *prepare(unsigned char *top, void (*entry)())
{
    void **at = reinterpret_cast<void **>(top) - 2;
    at[0] = reinterpret_cast<void *>(entry);
    at[1] = nullptr; /* entry's return address: it never returns */
    at -= 6;
    memset(at, 0, 6 * sizeof *at);
    return at;
}

#elif defined(__aarch64__)

extern "C" void cuda_host_jump(void **from, void *to);
asm(R"(
.text
.type cuda_host_jump, %function
cuda_host_jump:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size cuda_host_jump, .-cuda_host_jump
)");

void *prepare(unsigned char *top, void (*entry)())
{
    void **at = reinterpret_cast<void **>(top) - 20;
    memset(at, 0, 20 * sizeof *at);
    at[11] = reinterpret_cast<void *>(entry);
    return at;
}

#else
#error "executing CUDA on the host switches stacks by hand: x86-64 and AArch64 only"
#endif

/* ---- what the address sanitizer wants to know ------------------------------------------------ */

#if defined(__SANITIZE_ADDRESS__)

/* Before a switch to `to`; the stack left is not used again where `fake` is NULL. */
void leave(void **fake, const CudaHostPlace *to)
{
    __sanitizer_start_switch_fiber(fake, to->stack, to->bytes);
}

/* After one, from `from` where it is not NULL; the stack is a new one where `fake` is NULL. */
void arrive(void *fake, CudaHostPlace *from)
{
    __sanitizer_finish_switch_fiber(fake, from ? &from->stack : nullptr,
                                    from ? &from->bytes : nullptr);
}

/* Of who had the stack before and never returned. */
void clear_marks(const unsigned char *top)
{
    __asan_unpoison_memory_region(top - GUARD_BYTES, GUARD_BYTES);
}

#else

void leave(void **, const CudaHostPlace *)
{
}

void arrive(void *, CudaHostPlace *)
{
}

void clear_marks(const unsigned char *)
{
}

#endif

} // namespace

const size_t cuda_host_stacks_bytes = (size_t)EACH * CUDA_HOST_THREADS;

void cuda_host_make_stacks()
{
    void *memory = mmap(nullptr, cuda_host_stacks_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        cuda_host_fault("no memory for stacks");
    cuda_host_stacks = static_cast<unsigned char *>(memory);
    for (int i = 0; i < CUDA_HOST_THREADS; i++)
        mprotect(cuda_host_stacks + (size_t)i * EACH, GUARD_BYTES, PROT_NONE);
}

CudaHostPlace cuda_host_place(int stack, void (*entry)())
{
    unsigned char *guard = cuda_host_stacks + (size_t)stack * EACH, *top = guard + EACH;
    clear_marks(top);
    return {prepare(top, entry), guard + GUARD_BYTES, STACK_BYTES, nullptr};
}

void cuda_host_begin(CudaHostPlace *from)
{
    arrive(nullptr, from);
}

void cuda_host_switch(CudaHostPlace *from, const CudaHostPlace *to, bool for_good)
{
    leave(for_good ? nullptr : &from->fake, to);
    cuda_host_jump(&from->at, to->at);
    arrive(from->fake, nullptr);
}
