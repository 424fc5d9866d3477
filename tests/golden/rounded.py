#!/usr/bin/env python3
"""A golden case with products of 16-bit numbers beside the same with f32 ones.

    rounded.py [--precision bf16|f16] [--least X] [--most X] [--device D] DIM FOLDER

Runs FOLDER's case.json twice, with --precision f32 and bf16, or f16, and prints how far the results lie apart: |a-b|/|b|, per tensor, with the
largest difference. It must be at least X (else nothing was rounded) and at most X. With --device the rounded run is there, and must be nearer to
the processor's than NEAR of what lies between that and f32: it means the same on both, but sums in another order round to another neighbour.
Exit status: 0 it is, 1 it is not.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import compare


NEAR = 0.7


def run(case, binary, folder, precision, device="cpu"):
    out = os.path.join(folder, f"{precision}-{device}.safetensors")
    argv = case.argv(binary, out, {"--precision": precision, "--device": device})
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{case.name}: --precision {precision}: {compare.last_line(done.stderr)}")
    return compare.read_tensors(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["bf16", "f16"], default="bf16")
    parser.add_argument("--least", type=float, default=1e-5)
    parser.add_argument("--most", type=float, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("dim")
    parser.add_argument("folder")
    options = parser.parse_args()
    case = compare.Case(os.path.join(options.folder, "case.json"), options.folder)
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        exact = run(case, options.dim, folder, "f32")
        other = run(case, options.dim, folder, options.precision)
        rounded = other if options.device == "cpu" else run(case, options.dim, folder, options.precision, options.device)
    for name, want in exact.items():
        worst, _, relative = compare.tensor_errors(rounded[name], want)
        apart = compare.tensor_errors(rounded[name], other[name])[2]
        usual = compare.tensor_errors(other[name], want)[2]
        good = options.least <= relative <= options.most and apart <= NEAR * usual
        faults += not good
        print(f"{'ok' if good else 'FAIL'} {case.name} {name}: rel_l2 {relative:.2e}, max_abs {worst:.2e}, {apart:.2e} from the processor's")
    return faults > 0


sys.exit(main())
