#!/usr/bin/env python3
"""What kernels move between memory and card, counted while they are executed on the host, at a real model's shapes.

usage: traffic.py KERN CHECKING_MODULE OPERATION...

Prints, for each kernel, the bytes moved, in sectors of 32, and the least (every byte that it uses, once), and what the
operation's formula takes of additions and multiplications. Exit status 1 where a kernel moves more than 1.2 times the least,
or an operation as a whole, but for those that stand below with their reason. The second cache is as small beside these
shapes as a card's is beside a large picture; what is tried with another one stands below, too.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import collections
import os
import subprocess
import sys
import tempfile

MOST, CACHE, SMALLEST_CARDS = 1.2, 256 << 10, 4 << 20
CACHE_OF = {
    # rows are taken as a random table says
    "gather": SMALLEST_CARDS, "conv1d_dw": SMALLEST_CARDS,
    # a product takes its weights again for every 128 places; these are 0.6 MB
    "conv2d": SMALLEST_CARDS,
    # the rows at both ends of a run are the next run's, too, which begins when all columns of this one are done: 256 KB
    # here, 1.5 MB of a card's 4 with 1536 columns
    "conv2d_dw_backward": 512 << 10,
}
SIZES_OF = {
    # as attention in 16 bits; the autoencoder's 1024 tokens of 512 channels take minutes when each access is checked
    "attention": "1,256,256,6,64,1",
}

# Of an operation as a whole: a byte that one kernel has read or written counts once, also where another needs it again.
MOST_OF_ALL = {
    # the test asks for it twice, of a picture whole and in strips
    "group_stats": 2.01,
    # the statistics take the picture before it
    "group_apply": 1.52,
    # and its backward, which takes the same again
    "neg_exp": 1.26,
    # queries and keys, dy twice: for the softmax's sums, then for all gradients, which need the sums of all queries
    "attention_backward": 1.4,
}

Kernel = collections.namedtuple("Kernel", "name launches moved least fresh")
Count = collections.namedtuple("Count", "shape calls flop kernels")


def sizes(operation):
    """kern's option."""
    return ["--sizes", SIZES_OF[operation]] if operation in SIZES_OF else []


def count(kern, module, operation):
    """What one case of the operation takes: its shape, calls and flop of the operation, and its kernels."""
    with tempfile.NamedTemporaryFile("r") as report:
        env = {**os.environ, "DIM_CUDA_MODULE": module, "DIM_CUDA_HOST_REPORT": report.name,
               "DIM_CUDA_HOST_CACHE": str(CACHE_OF.get(operation, CACHE))}
        done = subprocess.run([kern, "--backend", "cuda", "--model", *sizes(operation), "--work", operation], env=env, check=True,
                              stdout=subprocess.PIPE, text=True)
        kernels = [Kernel(name, *map(int, rest)) for name, *rest in (line.split("\t") for line in report)]
    shape, *work = done.stdout.splitlines()
    asked = {op: (int(calls), float(flop)) for op, calls, flop in (line.split("\t") for line in work)}
    calls, flop = asked[max((op for op in asked if operation.startswith(op)), key=len, default=max(asked, key=lambda op: asked[op][1]))]
    return Count(" ".join(word for word in shape.split()[1:] if "=" in word), calls, flop, kernels)


def main():
    kern, module, *operations = sys.argv[1:]
    good = True
    for operation in (o.replace("-", "_") for o in operations):
        c = count(kern, module, operation)
        if not c.kernels:
            print(f"FAIL {operation}: no kernel ran")
            good = False
        for k in c.kernels:
            ratio = k.moved / max(k.least, 1)
            good = good and ratio <= MOST
            print(f"{'ok  ' if ratio <= MOST else 'FAIL'} {operation:22} {k.name:32} {k.launches:>3} launches {k.moved:>12} bytes "
                  f"{ratio:6.3f} x the least, at most {MOST}")
        moved, fresh = (sum(getattr(k, what) for k in c.kernels) for what in ("moved", "fresh"))
        most = MOST_OF_ALL.get(operation, MOST)
        good = good and moved <= most * fresh
        print(f"{'ok  ' if moved <= most * fresh else 'FAIL'} {operation:22} {'all of them':32} {moved:>25} bytes "
              f"{moved / max(fresh, 1):6.3f} x the least, at most {most}")
        print(f"     {operation:22} {c.flop / c.calls:.4g} flop a call, {c.flop / max(moved, 1):.3g} a byte moved")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
