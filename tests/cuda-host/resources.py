#!/usr/bin/env python3
"""What the compiler says of each kernel: no spills, no stack, and enough threads at a time on a processor.

usage: resources.py KERN HOST_MODULE REPORT... -- OPERATION...

KERN runs the operations on HOST_MODULE, for the sizes of the kernels' blocks. The reports are what ptxas -v printed of each
source (kernels/cuda/meson.build keeps it beside the object). Prints a line for each kernel and card; exit status 1 where one

  - spills, or has a stack that ALLOWED_STACK does not know;
  - fits fewer warps into a processor than LEAST_WARPS, or what FEWER says with its reason;
  - is launched by no test, so that nobody knows its block; or a report has anything else in it, a warning for example.

77: there is no report, since no nvcc was found when the build was set up.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import collections
import os
import re
import subprocess
import sys
import tempfile

# Of a processor (SM): warps, blocks, bytes of shared memory. CUDA C++ Programming Guide 13.0, "Technical Specifications
# per Compute Capability"; the same numbers are in the toolkit's cuda_occupancy.h.
Card = collections.namedtuple("Card", "warps blocks shared")
CARDS = {"75": Card(32, 16, 64 << 10), "80": Card(64, 32, 164 << 10), "86": Card(48, 16, 100 << 10), "89": Card(48, 24, 100 << 10),
         "90": Card(64, 32, 228 << 10), "100": Card(64, 32, 228 << 10), "120": Card(48, 24, 100 << 10)}
REGISTERS = 65536

LEAST_WARPS = 16  # four for each of a processor's schedulers
FEWER = {
    # 64 rows and 64 others of a head take 35 of the 64 KB, so one block of eight warps has them; later cards hold two
    ("attention.cu", "attend", "75"): 8,
    ("attention-backward.cu", "find_gradients", "75"): 8,
}
ALLOWED_STACK = {  # bytes
    # sine and cosine of doubles take arguments beyond 10^5 apart with the help of a table there
    ("s4d-hold.cu", "s4d_hold"): 40,
    ("s4d-hold.cu", "s4d_hold_backward"): 40,
}

Kernel = collections.namedtuple("Kernel", "source name arch registers stack spilled shared")


def round_up(n, by):
    return -(-n // by) * by


def resident_warps(arch, registers, shared, threads):
    """How many of a kernel's warps fit a processor at a time, as cuda_occupancy.h counts them."""
    card, warps = CARDS[arch], -(-threads // 32)
    # registers are given in units of 256 a warp, each of the four quarters has its own
    by_registers = 4 * (REGISTERS // 4 // round_up(registers * 32, 256)) // warps
    # the system has 1 KB of each block's shared memory from compute capability 8.0 on
    taken = round_up(shared + (1024 if int(arch) >= 80 else 0), 128 if int(arch) >= 80 else 256)
    by_shared = card.shared // taken if taken else card.blocks
    return min(card.warps // warps, card.blocks, by_registers, by_shared) * warps


def base(name):
    """A kernel's name without its template's arguments."""
    return re.sub(r"<.*", "", name.strip("()"))


def read_report(path):
    """Kernels with mangled names, and lines that belong to none."""
    source, kernels, strange, of = os.path.basename(path).removesuffix(".resources"), [], [], {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if match := re.search(r"Compiling entry function '(\w+)' for 'sm_(\d+)\w?'", line):
                of = {"name": match[1], "arch": match[2]}
            elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
                of.update(stack=int(match[1]), spilled=int(match[2]) + int(match[3]))
            elif match := re.search(r"Used (\d+) registers", line):
                shared = re.search(r"(\d+) bytes smem", line)
                kernels.append(Kernel(source, registers=int(match[1]), shared=int(shared[1]) if shared else 0, **of))
            elif not re.search(r"^ptxas info\s*: (Function properties for|Compile time|\d+ bytes gmem)", line):
                strange.append(f"{source}: {line.strip()}")
    return kernels, strange


def demangle(kernels):
    names = subprocess.run(["c++filt", "--no-params"], input="\n".join(k.name for k in kernels), capture_output=True, text=True, check=True)
    return [k._replace(name=name) for k, name in zip(kernels, names.stdout.splitlines(), strict=True)]


def read_reports(paths):
    kernels, strange = [], []
    for path in paths:
        of_source, others = read_report(path)
        kernels += of_source
        strange += others
    return demangle(kernels), strange


def find_blocks(kern, module, operations):
    """By a kernel's name without arguments: most threads of a block, most bytes of dynamic shared memory."""
    blocks = {}
    with tempfile.NamedTemporaryFile("r") as launches:
        env = {**os.environ, "DIM_CUDA_MODULE": module, "DIM_CUDA_HOST_LAUNCHES": launches.name}
        subprocess.run([kern, "--backend", "cuda", "--model", *operations], env=env, check=True)
        for line in launches.read().splitlines():
            name, threads, dynamic = line.split("\t")
            old = blocks.get(base(name), (0, 0))
            blocks[base(name)] = max(old[0], int(threads)), max(old[1], int(dynamic))
    return blocks


def judge(kernel, blocks):
    """The kernel's warps on a processor, and what is wrong with it."""
    name, faults = base(kernel.name), []
    if name not in blocks:
        return 0, ["no test launches it"]
    threads, dynamic = blocks[name]
    warps = resident_warps(kernel.arch, kernel.registers, kernel.shared + dynamic, threads)
    least = FEWER.get((kernel.source, name, kernel.arch), LEAST_WARPS)
    if kernel.spilled:
        faults.append(f"spills {kernel.spilled} bytes")
    if kernel.stack > ALLOWED_STACK.get((kernel.source, name), 0):
        faults.append(f"a stack of {kernel.stack} bytes")
    if warps < least:
        faults.append(f"expected at least {least} warps")
    return warps, faults


def split_arguments():
    end = sys.argv.index("--")
    kern, module, *reports = sys.argv[1:end]
    return kern, module, reports, [o.replace("-", "_") for o in sys.argv[end + 1:]]


def main():
    kern, module, reports, operations = split_arguments()
    if not reports:
        print("skipped: no nvcc compiled the kernels here")
        return 77
    kernels, strange = read_reports(reports)
    blocks = find_blocks(kern, module, operations)
    good = bool(kernels) and not strange
    for line in strange:
        print(f"FAIL {line}")
    for k in kernels:
        warps, faults = judge(k, blocks)
        good = good and not faults
        print(f"{'FAIL' if faults else 'ok  '} sm_{k.arch:4} {k.source:28} {k.name:48} "
              f"{k.registers:3} registers {k.shared:5} bytes shared, {warps:2} of {CARDS[k.arch].warps} warps"
              f"{''.join(', ' + fault for fault in faults)}")
    print(f"{len(kernels)} kernels")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
