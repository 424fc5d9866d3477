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


def run(build, module, folder, *options, **env):
    """Exit status, lines, the report and the file that has it. -S: without the packages of the machine."""
    output, text = os.path.join(folder, "card.md"), ""
    if os.path.exists(output):
        os.remove(output)
    done = subprocess.run([sys.executable, "-S", CARD, build, "--quick", "--module", module, "--output", output, *options],
                          env={**os.environ, **env}, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr)
    assert not done.stderr
    if os.path.exists(output):
        with open(output, encoding="utf-8") as file:
            text = file.read()
    match = re.search(r"```json\n(.*)\n```", text, re.DOTALL)
    return done.returncode, done.stdout.splitlines(), json.loads(match[1]) if match else None, text


def write_program(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def build_with_a_fault(build, folder):
    """The same build, but that one operation's test fails; and an nvidia-smi."""
    for name in ("engine", "tests/gpu", "tests/cuda-host", "tests/kern/kern-device"):
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        os.symlink(os.path.join(build, name), os.path.join(folder, name))
    write_program(os.path.join(folder, "tests", "kern", "kern"), f"""
case "$*" in "--backend cuda sum_rows") echo "sum_rows: expected 1, got 2" >&2; exit 1 ;; esac
exec {build}/tests/kern/kern "$@"
""")
    write_program(os.path.join(folder, "nvidia-smi"), "echo '999.1, 210 MHz, 1980 MHz, 700.00 W, 31'\n")
    return folder


def check_good(code, lines, report, text):
    assert code == 0 and lines[-1].endswith("0 failed, 1 were skipped")
    assert text.startswith("# cuda: kernels executed on the host")
    assert all(s["result"] == "passed" or s["step"] == "compute-sanitizer" for s in report["steps"])
    assert {s["step"].split()[0] for s in report["steps"]} == {"kern", "device", "golden", "compute-sanitizer", "speed", "dim"}
    for row in [*report["operations"], *report["evaluations"]]:
        assert 0 < row["share"] < math.inf and row["seconds"] > 0
    assert report["operations"] and report["evaluations"]


def check_fault(code, lines, report, text):
    """What failed is told, and stands in the file, and all else is done."""
    assert code == 1 and any(line.startswith("FAILED  kern sum_rows: sum_rows: expected 1, got 2") for line in lines)
    assert "| kern sum_rows | FAILED | sum_rows: expected 1, got 2 |" in text and "999.1, 210 MHz" in text
    assert [s["step"] for s in report["steps"] if s["result"] == "FAILED"] == ["kern sum_rows"]
    assert report["operations"] and report["evaluations"]


def main():
    build, module = sys.argv[1:]
    check_shares()
    with tempfile.TemporaryDirectory() as folder:
        code, lines, report, _ = run(build, module, folder, DIM_CUDA_HOST_DRIVER="no-card")
        assert code == 77 and not report and lines == ["no card was measured: roof: the CUDA driver finds no card"]
        check_good(*run(build, module, folder))
        broken = build_with_a_fault(build, os.path.join(folder, "broken"))
        check_fault(*run(broken, module, folder, PATH=broken + ":" + os.environ["PATH"]))
        code, lines, report, _ = run(build, module, folder, "--minutes", "0")
        assert code == 0 and report["steps"] and all(s["result"] == "skipped" for s in report["steps"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
