#!/usr/bin/env python3
"""card.py without a card: with kernels executed on the host it does a little of each step, by Python's own library only; what it
says where there is no card; its shares of made-up rates.

usage: check.py BUILD HOST_MODULE

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import card

CARD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "card.py")
ROOF = {"bytes_per_second": 1e12, "f32_per_second": 1e13, "bf16_per_second": 1e14, "f16_per_second": 1e14}


def check_shares():
    assert card.least_seconds(1e13, 0, ROOF) == 1
    assert card.least_seconds(1e12, 2e12, ROOF) == 2
    result = {"model": "m", "x": [1], "median_ms": 100, "memory": {"weights": 1e9}, "stages": [
        {"name": "linear", "ms": 40, "gflops": 10000}, {"name": "attention", "ms": 20, "gflops": 5000}]}
    f32, bf16 = (card.evaluation_row(result, precision, ROOF)["share"] for precision in ("f32", "bf16"))
    # 4e11 and 1e11 flop: 40 and 10 ms, or 4 and 10
    assert math.isclose(f32, 0.5) and math.isclose(bf16, 0.14), (f32, bf16)
    result["memory"]["weights"] = 8e10
    assert math.isclose(card.evaluation_row(result, "f32", ROOF)["share"], 0.8)


def run(build, module, folder, **env):
    """-S: without the packages of the machine."""
    output = os.path.join(folder, "card.md")
    done = subprocess.run([sys.executable, "-S", CARD, build, "--quick", "--module", module, "--output", output],
                          env={**os.environ, **env}, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    return done, output


def main():
    build, module = sys.argv[1:]
    check_shares()
    with tempfile.TemporaryDirectory() as folder:
        done, output = run(build, module, folder, DIM_CUDA_HOST_DRIVER="no-card")
        assert done.returncode == 77 and not os.path.exists(output)
        assert done.stdout.splitlines() == ["no card was measured: roof: the CUDA driver finds no card"] and not done.stderr
        done, output = run(build, module, folder)
        assert done.returncode == 0 and not done.stderr
        with open(output, encoding="utf-8") as file:
            text = file.read()
    report = json.loads(re.search(r"```json\n(.*)\n```", text, re.DOTALL)[1])
    assert text.startswith("# cuda: kernels executed on the host")
    assert all(s["result"] == "passed" or s["step"] == "compute-sanitizer" for s in report["steps"])
    assert {s["step"].split()[0] for s in report["steps"]} == {"kern", "device", "golden", "compute-sanitizer", "speed", "dim"}
    for row in [*report["operations"], *report["evaluations"]]:
        assert 0 < row["share"] < math.inf and row["seconds"] > 0
    assert report["operations"] and report["evaluations"]
    return 0


if __name__ == "__main__":
    sys.exit(main())
