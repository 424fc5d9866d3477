#!/usr/bin/env python3
"""Everything that only a card can show, in one command: tests on the device, compute-sanitizer, speed beside the roofline.

usage: card.py BUILD [--output FILE] [--module FILE] [--quick]

BUILD is a build folder with everything built. Prints a line for each step and writes one Markdown file with the tables and,
at its end, all numbers as JSON: FILE, or card-NAME.md in the folder at hand. --module is another CUDA module than BUILD's.
--quick does a little of each step. Needs nothing but Python's own library and, for one step, the toolkit's compute-sanitizer.
Exit status: 0 all passed, 1 something failed (the file is written, too), 77 there is no card, with one line why.

A share is the least time by the card's measured copy and product rates, max (flop / rate, bytes / rate), over the time taken.
An operation's flop are the formula's; its bytes are those that it needs, each once, as counted while its kernels ran on the
host. An evaluation's bytes are its weights.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "tests", "cuda-host"), os.path.join(ROOT, "tests", "golden")]
import compare  # noqa: E402
import traffic  # noqa: E402

TOOLS = ("memcheck", "racecheck", "synccheck")
SANITIZED = ["norm_modulate", "sum_rows", "resize", "conv1d_dw", "selective_scan", "attention", "conv2d", "attention_backward"]
# Not timed: linear's bytes are not counted, its products being the library's; ranges and packing are no work of a step.
NOT_TIMED = ("linear_bf16", "linear_f16", "act_range", "softplus_range")
QUICK = ["act", "norm_modulate", "sum_rows"]
HUGE = {"hidden_size": 1536, "depth": 5, "num_classes": 1000}  # five blocks of DiM-Huge's width


class Card:
    """The programs of a build, and what they said."""

    def __init__(self, options):
        self.build, self.quick = os.path.abspath(options.build), options.quick
        self.env = {**os.environ, "DIM_CUDA_MODULE": os.path.abspath(options.module or self.at("kernels", "cuda", "dim-cuda.so"))}
        self.steps = []

    def at(self, *path):
        return os.path.join(self.build, *path)

    def run(self, command, timeout=600):
        """Exit status, output, last line of what went wrong, seconds."""
        begin = time.monotonic()
        try:
            done = subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, "", str(error), time.monotonic() - begin
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return done.returncode, done.stdout, lines[-1][:300], time.monotonic() - begin

    def note(self, name, passed, text="", seconds=0.0):
        """passed None: skipped."""
        result = "skipped" if passed is None else "passed" if passed else "FAILED"
        self.steps.append({"step": name, "result": result, "text": text, "seconds": round(seconds, 2)})
        print(f"{result:7} {name}{': ' + text if text else ''} ({seconds:.1f} s)", flush=True)

    def stage(self, function, *arguments):
        """What a part of the work answers; [], and a failed step, where it breaks off: the others' results are written."""
        try:
            return function(self, *arguments)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self.note(function.__name__, False, repr(error))
            return []

    def try_program(self, name, command, timeout=600):
        status, _, last, seconds = self.run(command, timeout)
        self.note(name, status == 0, "" if status == 0 else last, seconds)


def find_operations(card):
    """The names of kern's operations: what tests/kern/ops.h lists."""
    with open(os.path.join(ROOT, "tests", "kern", "ops.h"), encoding="utf-8") as file:
        return QUICK if card.quick else re.findall(r"KERN_OP\((\w+)\)", file.read())


# ---- tests ----------------------------------------------------------------------------------------


def run_tests(card, operations):
    for operation in operations:
        card.try_program(f"kern {operation}", [card.at("tests", "kern", "kern"), "--backend", "cuda", operation])
    for name in ["device"] if card.quick else ["device", "properties", "gradients", "gradients-wide"]:
        card.try_program(name, [card.at("tests", "kern", f"kern-{name}"), "cuda"])


def run_golden(card):
    folders = ["dit/forward-p8"] if card.quick else ["autoencoder", "dim", "dit", "diffussm", "starter"]
    cases = compare.find_cases([os.path.join(ROOT, "tests", "golden", folder) for folder in folders])
    os.environ["DIM_CUDA_MODULE"] = card.env["DIM_CUDA_MODULE"]
    for case in cases:
        result = case.run(card.at("engine", "dim"), {"--device": "cuda"}, 600)
        card.note(f"golden {case.name}", not result["faults"], "; ".join(result["faults"]), result["seconds"])


def run_sanitizer(card):
    program = shutil.which("compute-sanitizer", path=os.environ.get("PATH", "") + ":/usr/local/cuda/bin")
    if not program or card.quick:
        card.note("compute-sanitizer", None, "not with --quick" if card.quick else "not here; it comes with the CUDA toolkit")
        return
    for tool in TOOLS:
        for operation in SANITIZED:
            card.try_program(f"compute-sanitizer {tool} {operation}",
                             [program, "--tool", tool, "--error-exitcode", "9", card.at("tests", "kern", "kern"), "--backend",
                              "cuda", operation], 3600)


# ---- speed ----------------------------------------------------------------------------------------


def least_seconds(flop, moved, roof, rate="f32_per_second"):
    return max(flop / roof[rate], moved / roof["bytes_per_second"])


def measure_operations(card, operations, roof):
    rows = []
    for operation in (o for o in operations if o not in NOT_TIMED):
        kern = card.at("tests", "kern", "kern")
        status, output, last, seconds = card.run([kern, "--backend", "cuda", "--bench", operation])
        match = re.search(r"new +([0-9.]+) ms", output)
        if status != 0 or not match:
            card.note(f"speed {operation}", False, last, seconds)
            continue
        count = traffic.count(kern, card.at("tests", "cuda-host", "dim-cuda-check.so"), operation)
        flop, moved = count.flop / count.calls, sum(k.least for k in count.kernels) / count.calls
        taken = max(float(match[1]), 1e-3) * 1e-3
        rows.append({"operation": operation, "shape": count.shape, "seconds": taken, "flop": flop, "bytes": moved,
                     "share": least_seconds(flop, moved, roof) / taken})
        card.note(f"speed {operation}", True, f"{1e6 * taken:.0f} us, {100 * rows[-1]['share']:.0f} % of the roofline", seconds)
    return rows


def evaluation_row(result, precision, roof):
    """Of dim bench's JSON; linear layers' products may be of 16 bits, everything else is f32."""
    taken, product = result["median_ms"] * 1e-3, f"{precision}_per_second"
    flop = {s["name"]: s["gflops"] * s["ms"] * 1e6 for s in result["stages"]}
    arithmetic = sum(f / roof[product if name == "linear" else "f32_per_second"] for name, f in flop.items())
    least = max(arithmetic, result["memory"]["weights"] / roof["bytes_per_second"])
    return {"model": result["model"], "precision": precision, "x": result["x"], "seconds": taken, "flop": sum(flop.values()),
            "weights": result["memory"]["weights"], "share": least / taken, "stages": result["stages"]}


def measure_evaluations(card, roof):
    rows = []
    with tempfile.TemporaryDirectory(prefix="dim-card-") as folder:
        models = [os.path.join(ROOT, "install", "models", "textures")]
        if not card.quick:
            subprocess.run([card.at("tests", "bench", "make-random-model"), folder, json.dumps(HUGE), "16"], check=True)
            models.append(folder)
        for model in models:
            for precision in ["f32"] if card.quick else ["f32", "bf16", "f16"]:
                status, output, last, seconds = card.run(
                    [card.at("engine", "dim"), "bench", "--device", "cuda", "--model", model, "--precision", precision, "--json",
                     "--repeat", "1" if card.quick else "20"])
                if status == 0:
                    rows.append(evaluation_row(json.loads(output), precision, roof))
                text = f"{1e3 * rows[-1]['seconds']:.2f} ms, {100 * rows[-1]['share']:.0f} % of the roofline" if status == 0 else last
                card.note(f"dim bench {os.path.basename(model) if model != folder else 'DiM-Huge, 5 blocks'} {precision}", status == 0,
                          text, seconds)
    return rows


# ---- the file -------------------------------------------------------------------------------------


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def describe(report):
    roof, steps = report["roof"], report["steps"]
    bad = [s for s in steps if s["result"] != "passed"]
    lines = [f"# {roof['device']}", "", f"{report['date']}, {report['commit']}; written by `tests/gpu/card.py`.", "",
             f"Copy {roof['bytes_per_second'] * 1e-9:.0f} GB/s, product {roof['f32_per_second'] * 1e-12:.3g} TFLOP/s in f32, "
             f"{roof['bf16_per_second'] * 1e-12:.3g} in bf16, {roof['f16_per_second'] * 1e-12:.3g} in f16. {sum(s['result'] == 'passed' for s in steps)} of {len(steps)} steps passed.", ""]
    lines += table(["not passed", "", ""], [[s["step"], s["result"], s["text"]] for s in bad]) if bad else []
    lines += table(["one evaluation", "x", "precision", "ms", "TFLOP/s", "share of the roofline"],
                   [[r["model"], str(r["x"]), r["precision"], f"{1e3 * r['seconds']:.3f}", f"{r['flop'] / r['seconds'] * 1e-12:.3g}",
                     f"{r['share']:.2f}"] for r in report["evaluations"]])
    lines += table(["operation", "shape", "us", "GFLOP/s", "GB/s", "share of the roofline"],
                   [[r["operation"], r["shape"], f"{1e6 * r['seconds']:.0f}", f"{r['flop'] / r['seconds'] * 1e-9:.3g}",
                     f"{r['bytes'] / r['seconds'] * 1e-9:.3g}", f"{r['share']:.2f}"] for r in report["operations"]])
    return "\n".join([*lines, "```json", json.dumps(report, indent=1), "```", ""])


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no commit"


def main():
    parser = argparse.ArgumentParser(description="Test and measure the CUDA back end on this machine's card.")
    parser.add_argument("build")
    parser.add_argument("--output")
    parser.add_argument("--module")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    card = Card(options)
    status, output, last, _ = card.run([card.at("tests", "gpu", "roof"), "cuda", *(["65536", "64"] if options.quick else [])])
    if status != 0:
        print(f"no card was measured: {last}")
        return 77 if status == 77 else 1
    roof, operations = json.loads(output), find_operations(card)
    report = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(), "roof": roof}
    card.stage(run_tests, operations)
    card.stage(run_golden)
    card.stage(run_sanitizer)
    report |= {"operations": card.stage(measure_operations, operations, roof), "evaluations": card.stage(measure_evaluations, roof),
               "steps": card.steps}
    name = re.sub(r"[^a-z0-9]+", "-", roof["device"].split(",")[0].lower().removeprefix("cuda: ")).strip("-")
    path = options.output or f"card-{name}.md"
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(describe(report))
    os.replace(path + ".tmp", path)
    failed = sum(s["result"] == "FAILED" for s in card.steps)
    print(f"{path} is written; {failed} of {len(card.steps)} steps failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
