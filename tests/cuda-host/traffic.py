#!/usr/bin/env python3
"""What kernels move between memory and card, counted while they are executed on the host, at a real model's shapes.

usage: traffic.py KERN CHECKING_MODULE OPERATION...

Prints, for each kernel, the bytes moved, in sectors of 32, and the least (every byte that it uses, once). Exit status 1 where
a kernel moves more than 1.2 times the least, or more than what stands below with its reason. The second cache is as small
beside these shapes as a card's is beside a large picture; what is tried with another one stands below, too.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
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
MOST_OF = {
    # a state's factors are a sector of 32 bytes; this kernel needs 8 of them, and no more than 64 of anything else
    ("s4d_scan_backward", "add_pictures"): 1.34,
    # 16 of those 32 bytes, once a picture; 256 tokens are little beside them
    ("s4d_scan_backward", "gather_gradient"): 1.3,
    # three sectors in all, half of them used
    ("bound_error", "dk_sum_partials"): 2.0,
}


def main():
    kern, module, *operations = sys.argv[1:]
    good = True
    for operation in (o.replace("-", "_") for o in operations):
        with tempfile.NamedTemporaryFile("r") as report:
            env = {**os.environ, "DIM_CUDA_MODULE": module, "DIM_CUDA_HOST_REPORT": report.name,
                   "DIM_CUDA_HOST_CACHE": str(CACHE_OF.get(operation, CACHE))}
            subprocess.run([kern, "--backend", "cuda", "--model", operation], env=env, check=True)
            lines = report.read().splitlines()
        if not lines:
            print(f"FAIL {operation}: no kernel ran")
            good = False
        for line in lines:
            kernel, launches, moved, least = line.split("\t")
            ratio = int(moved) / max(int(least), 1)
            most = MOST_OF.get((operation, kernel), MOST)
            good = good and ratio <= most
            print(f"{'ok  ' if ratio <= most else 'FAIL'} {operation:22} {kernel:32} {launches:>3} launches {int(moved):>12} bytes "
                  f"{ratio:6.3f} x the least, at most {most}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
