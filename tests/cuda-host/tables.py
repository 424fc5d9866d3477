#!/usr/bin/env python3
"""The tables of docs/performance.md on CUDA's kernels, as Markdown: what the compiler says of each, and what each operation takes.

usage: tables.py MODULE KERN HOST_MODULE CHECKING_MODULE REPORT... -- OPERATION... -- TRAFFIC_OPERATION...

The first table is of resources.py's numbers, the second of traffic.py's; minutes. `ninja -C build cuda-tables` runs it.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import collections
import os
import sys

import resources
import traffic

# Operations a second in f32 and by tensor cores with 16-bit operands and f32 sums (T4: f16), bytes a second, of the makers'
# data sheets (H100 SXM, GeForce RTX 4090, T4).
ROOFS = {"H100": (66.9e12, 989.4e12, 3.35e12), "RTX 4090": (82.6e12, 165.2e12, 1.008e12), "T4": (8.1e12, 65e12, 320e9)}


def span(numbers):
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}-{high}"


def kernel_rows(kernels, blocks, archs):
    """One row for all instantiations of a kernel in a source."""
    groups = collections.defaultdict(list)
    for k in kernels:
        groups[k.source, resources.base(k.name)].append(k)
    for (source, name), group in sorted(groups.items()):
        threads, dynamic = blocks[name]
        of = {arch: [k for k in group if k.arch == arch] for arch in archs}
        registers = [span([k.registers for k in of[arch]]) for arch in archs]
        warps = [min(resources.judge(k, blocks)[0] for k in of[arch]) for arch in archs]
        yield [f"{source.removesuffix('.cu')}: {name}", str(len(of[archs[0]])), str(threads),
               span([k.shared + dynamic for k in group]), " / ".join(registers),
               " / ".join(f"{100 * w // resources.CARDS[arch].warps}" for w, arch in zip(warps, archs, strict=True))]


def roof(flop, moved, of_16_bits, f32, products, bandwidth):
    """Seconds that a card takes at least, and what bounds it."""
    by_flop, by_bytes = flop / (products if of_16_bits else f32), moved / bandwidth
    return max(by_flop, by_bytes), "arithmetic" if by_flop > by_bytes else "memory"


def operation_rows(kern, module, operations):
    for operation in operations:
        c = traffic.count(kern, module, operation)
        moved, least = (sum(getattr(k, what) for k in c.kernels) for what in ("moved", "least"))
        flop = 0 if operation.startswith("linear") else c.flop  # these products are the library's; their operands are rounded here
        times = [roof(flop, moved, operation.endswith("16"), *ROOFS[card]) for card in ROOFS]
        yield [operation, c.shape, f"{flop / 1e6:.3g}" if flop else "", f"{moved / 1e6:.3g}", f"{moved / max(least, 1):.2f}",
               f"{flop / moved:.2g}" if flop else "", *(f"{1e6 * seconds:.3g} {bound}" for seconds, bound in times)]


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def main():
    module, kern, host, checking, *rest = sys.argv[1:]
    first, second = (i for i, a in enumerate(rest) if a == "--")
    operations, counted = ([o.replace("-", "_") for o in part] for part in (rest[first + 1:second], rest[second + 1:]))
    kernels, _ = resources.read_reports(rest[:first])
    archs = sorted({k.arch for k in kernels}, key=int)
    targets = ", ".join(archs)
    print(f"The module is {os.path.getsize(module) / 1e6:.1f} MB for sm_{targets} and the PTX of sm_{'80' if '80' in archs else archs[0]}.\n")
    print_table(["source: kernel", "variants", "threads", "shared bytes", f"registers, sm_{' / '.join(archs)}", "occupancy, %, the least variant's"],
                kernel_rows(kernels, resources.find_blocks(kern, host, operations), archs))
    print()
    print_table(["operation", "shape", "Mflop", "MB moved", "x the least", "flop a byte", *(f"{card}, us at least" for card in ROOFS)],
                operation_rows(kern, checking, counted))


if __name__ == "__main__":
    main()
