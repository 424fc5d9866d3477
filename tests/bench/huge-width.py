#!/usr/bin/env python3
"""dim bench on a model of DiM-Huge's width against what the machine's products can do in the same minute.

    huge-width.py DIM MAKE_RANDOM_MODEL YARDSTICK [--depth N] [--threads N] [--rounds N]

The weights are random and in a temporary folder: 0.4 GB for 5 blocks, 3.4 GB for all 49. Yardstick and
evaluation take turns; of each the best round counts, since other work on the machine only takes away.
Exit status: 0 the linear layers reach the target, 1 they do not.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

TARGET = 0.80


def main():
    parser = argparse.ArgumentParser(description="Measure a model of DiM-Huge's width.")
    parser.add_argument("dim")
    parser.add_argument("make")
    parser.add_argument("yardstick")
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    config = {"hidden_size": 1536, "depth": options.depth, "num_classes": 1000}
    threads = str(options.threads)
    env = {"OMP_WAIT_POLICY": "passive", **os.environ}
    rates, stages, times = [], {}, []

    with tempfile.TemporaryDirectory(prefix="dim-huge-") as folder:
        subprocess.run([options.make, folder, json.dumps(config), "16"], check=True)
        for _ in range(options.rounds):
            rates.append(float(subprocess.check_output([options.yardstick, threads, "2"], env=env)))
            result = json.loads(subprocess.check_output(
                [options.dim, "bench", "--model", folder, "--threads", threads, "--repeat", "1",
                 "--json"], env=env))
            times.append(result["least_ms"])
            for stage in result["stages"]:
                best = stages.setdefault(stage["name"], stage)
                if stage["ms"] < best["ms"]:
                    stages[stage["name"]] = stage

    print(f"{result['device']}; width 1536, {options.depth} blocks, x {result['x']}")
    print(f"one evaluation {min(times):.0f} ms; the best of {options.rounds} rounds for each stage:")
    for stage in sorted(stages.values(), key=lambda s: -s["ms"]):
        if stage["ms"] >= 0.0005 * min(times):
            print(f"  {stage['name']:16} {stage['ms']:10.2f} ms  {stage['gflops']:8.1f} GFLOP/s")
    ratio = stages["linear"]["gflops"] / max(rates)
    print(f"yardstick {max(rates):.1f} GFLOP/s; linear layers / yardstick {ratio:.2f}, "
          f"expected {TARGET:.2f} or more")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
