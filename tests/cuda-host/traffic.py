#!/usr/bin/env python3
"""What kernels move between memory and card, counted while they are executed on the host, at a real model's shapes.

usage: traffic.py KERN CHECKING_MODULE OPERATION...

Prints, for each kernel, the bytes moved and the least (every byte that it uses once). Exit status 1 where a kernel moves more
than 1.2 times the least. The second cache is as small beside these shapes as a card's is beside a large picture; for
gather and conv1d_dw, which take rows as a random table says, it is a card's.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import os
import subprocess
import sys
import tempfile

MOST, CACHE, CACHE_OF = 1.2, 256 << 10, {"gather": 4 << 20, "conv1d_dw": 4 << 20}


def main():
    kern, module, *operations = sys.argv[1:]
    good = True
    for operation in (o.replace("-", "_") for o in operations):
        with tempfile.NamedTemporaryFile("r") as report:
            env = {**os.environ, "DIM_CUDA_MODULE": module, "DIM_CUDA_UNFINISHED": "1", "DIM_CUDA_HOST_REPORT": report.name,
                   "DIM_CUDA_HOST_CACHE": str(CACHE_OF.get(operation, CACHE))}
            subprocess.run([kern, "--backend", "cuda", "--model", operation], env=env, check=True)
            lines = report.read().splitlines()
        if not lines:
            print(f"FAIL {operation}: no kernel ran")
            good = False
        for line in lines:
            kernel, launches, moved, least = line.split("\t")
            ratio = int(moved) / max(int(least), 1)
            good = good and ratio <= MOST
            print(f"{'ok  ' if ratio <= MOST else 'FAIL'} {operation:20} {kernel:32} {launches:>3} launches {int(moved):>12} bytes "
                  f"{ratio:6.3f} x the least")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
