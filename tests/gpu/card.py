#!/usr/bin/env python3
"""Everything that only a card can show, in one command: tests on the device, compute-sanitizer, speed beside the roofline.

usage: card.py BUILD [--output FILE] [--module FILE] [--minutes N] [--quick]
       card.py BUILD --prepare

BUILD is a build folder with everything built. Prints a line for each step and writes one Markdown file with the tables and,
at its end, all numbers as JSON: FILE, or card-NAME.md in the folder at hand, anew after each step, so that what was found is
kept whatever comes. --minutes: what has not begun by then is skipped, and what runs then has one minute more; tests of values
come first, compute-sanitizer last. --module is another CUDA module than BUILD's. --quick does a little of each step. Needs nothing but
Python's own library and, for one step, the toolkit's compute-sanitizer; pack.py makes a folder for a machine without packages.
Exit status: 0 nothing failed, 1 something did (the file is written, too), 77 there is no card, with one line why.

--prepare, without a card, counts what the operations' shares take, minutes of one processor, and leaves it in BUILD.

A share is the least time by the card's measured copy and product rates, max (flop / rate, bytes / rate), over the time taken.
An operation's flop are the formula's; its bytes are those that it needs, each once, as counted while its kernels ran on the
host. An evaluation's bytes are its weights.

SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "tests", "cuda-host"), os.path.join(ROOT, "tests", "golden")]
import compare  # noqa: E402
import traffic  # noqa: E402

TOOLS = ("memcheck", "racecheck", "synccheck")
SANITIZED = ["norm_modulate", "sum_rows", "resize", "conv1d_dw", "selective_scan", "attention", "conv2d", "attention_backward"]
# Not timed: linear's bytes are not counted, its products being the library's; ranges and packing are no work of a step.
NOT_TIMED = ("linear_bf16", "linear_f16", "act_range", "softplus_range")
FAMILIES = ["autoencoder", "dim", "dit", "diffussm", "starter"]  # folders of golden cases
QUICK = ["act", "norm_modulate", "sum_rows"]
HUGE = {"hidden_size": 1536, "depth": 5, "num_classes": 1000}  # five blocks of DiM-Huge's width


class Card:
    """The programs of a build, and what they said."""

    def __init__(self, options):
        self.build, self.quick, self.prepare = os.path.abspath(options.build), options.quick, options.prepare
        self.end = time.monotonic() + 60 * options.minutes
        os.environ["DIM_CUDA_MODULE"] = os.path.abspath(options.module or self.at("kernels", "cuda", "dim-cuda.so"))
        if os.path.isdir(os.path.join(ROOT, "lib")):  # of pack.py
            os.environ["LD_LIBRARY_PATH"] = os.path.join(ROOT, "lib") + ":" + os.environ.get("LD_LIBRARY_PATH", "")
        self.path, self.lock = options.output, threading.Lock()
        self.report = {"steps": [], "operations": [], "evaluations": []}

    def at(self, *path):
        return os.path.join(self.build, *path)

    def is_late(self, name):
        """Whether a step is too late to begin."""
        late = time.monotonic() > self.end
        if late:
            self.note(name, None, "no time was left")
        return late

    def run(self, command, timeout=600):
        """Exit status, output, last line of what went wrong, seconds."""
        begin = time.monotonic()
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=max(min(timeout, self.end - begin), 60))
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, "", str(error)[:300], time.monotonic() - begin
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return done.returncode, done.stdout, lines[-1][:300], time.monotonic() - begin

    def note(self, name, passed, text="", seconds=0.0):
        """passed None: skipped."""
        result = "skipped" if passed is None else "passed" if passed else "FAILED"
        with self.lock:
            self.report["steps"].append({"step": name, "result": result, "text": text, "seconds": round(seconds, 2)})
            print(f"{result:7} {name}{': ' + text if text else ''} ({seconds:.1f} s)", flush=True)
            self.save()

    def save(self):
        with open(self.path + ".tmp", "w", encoding="utf-8") as file:
            file.write(describe(self.report))
        os.replace(self.path + ".tmp", self.path)

    def stage(self, function, *arguments):
        """A failed step where it breaks off: the others go on."""
        try:
            function(self, *arguments)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self.note(function.__name__, False, repr(error))

    def try_program(self, name, command, timeout=600):
        if not self.is_late(name):
            status, _, last, seconds = self.run(command, timeout)
            self.note(name, status == 0, "" if status == 0 else last, seconds)


def at_once(function, items):
    """Programs that spend more time on the processor than on the card; nothing is measured by them."""
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        list(pool.map(function, items))


def find_operations(card):
    """The names of kern's operations: what tests/kern/ops.h lists."""
    with open(os.path.join(ROOT, "tests", "kern", "ops.h"), encoding="utf-8") as file:
        return QUICK if card.quick else re.findall(r"KERN_OP\((\w+)\)", file.read())


# ---- tests ----------------------------------------------------------------------------------------


def run_tests(card, operations):
    kern = [card.at("tests", "kern", "kern"), "--backend", "cuda"]
    at_once(lambda operation: card.try_program(f"kern {operation}", [*kern, operation]), operations)
    at_once(lambda name: card.try_program(name, [card.at("tests", "kern", f"kern-{name}"), "cuda"]),
            ["device"] if card.quick else ["device", "properties", "gradients", "gradients-wide"])


def run_golden(card):
    folders = ["dit/forward-p8"] if card.quick else FAMILIES

    def run(case):
        if not card.is_late(f"golden {case.name}"):
            result = case.run(card.at("engine", "dim"), {"--device": "cuda"}, 600)
            card.note(f"golden {case.name}", not result["faults"], "; ".join(result["faults"]), result["seconds"])

    at_once(run, compare.find_cases([os.path.join(ROOT, "tests", "golden", folder) for folder in folders]))


def run_sanitizer(card):
    program = shutil.which("compute-sanitizer", path=os.environ.get("PATH", "") + ":/usr/local/cuda/bin")
    if not program or card.quick:
        card.note("compute-sanitizer", None, "not with --quick" if card.quick else "not here; it comes with the CUDA toolkit")
        return
    kern = [card.at("tests", "kern", "kern"), "--backend", "cuda"]
    at_once(lambda pair: card.try_program(f"compute-sanitizer {pair[0]} {pair[1]}",
                                          [program, "--tool", pair[0], "--error-exitcode", "9", *kern, pair[1]], 3600),
            [(tool, operation) for operation in SANITIZED for tool in TOOLS])


# ---- speed ----------------------------------------------------------------------------------------


def least_seconds(flop, moved, roof, rate="f32_per_second"):
    return max(flop / roof[rate], moved / roof["bytes_per_second"])


def programs_hash(card):
    """Of what an operation's counts come from."""
    digest = hashlib.sha256()
    for path in (card.at("tests", "kern", "kern"), card.at("tests", "cuda-host", "dim-cuda-check.so")):
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def count(card, operation):
    """Shape, flop and least bytes of a call, executed on the host."""
    counted = traffic.count(card.at("tests", "kern", "kern"), card.at("tests", "cuda-host", "dim-cuda-check.so"), operation)
    return [counted.shape, counted.flop / counted.calls, sum(k.least for k in counted.kernels) / counted.calls]


def prepare(card, operations):
    counts = {operation: count(card, operation) for operation in operations if operation not in NOT_TIMED}
    with open(card.at("tests", "gpu", "counts.json"), "w", encoding="utf-8") as file:
        json.dump({"programs": programs_hash(card), "counts": counts}, file)
    print(f"{len(counts)} operations are counted")


def prepared_counts(card):
    try:
        with open(card.at("tests", "gpu", "counts.json"), encoding="utf-8") as file:
            prepared = json.load(file)
    except FileNotFoundError:
        return {}
    return prepared["counts"] if prepared["programs"] == programs_hash(card) else {}


def measure_operations(card, operations, roof):
    counts = prepared_counts(card)
    for operation in (o for o in operations if o not in NOT_TIMED):
        if card.is_late(f"speed {operation}"):
            continue
        status, output, last, seconds = card.run([card.at("tests", "kern", "kern"), "--backend", "cuda", "--bench",
                                                  *traffic.sizes(operation), operation])
        match = re.search(r"new +([0-9.]+) ms", output)
        if status != 0 or not match:
            card.note(f"speed {operation}", False, last, seconds)
            continue
        shape, flop, moved = counts.get(operation) or count(card, operation)
        taken = max(float(match[1]), 1e-3) * 1e-3
        suffix = operation.rsplit("_", 1)[-1]
        share = least_seconds(flop, moved, roof, f"{suffix if suffix in ('bf16', 'f16') else 'f32'}_per_second") / taken
        card.report["operations"].append({"operation": operation, "shape": shape, "seconds": taken, "flop": flop, "bytes": moved,
                                          "share": share})
        card.note(f"speed {operation}", True, f"{1e6 * taken:.0f} us, {100 * share:.0f} % of the roofline", seconds)


def evaluation_row(result, precision, roof):
    """Of dim bench's JSON; linear layers' products may be of 16 bits, everything else is f32."""
    taken, product = result["median_ms"] * 1e-3, f"{precision}_per_second"
    flop = {s["name"]: s["gflops"] * s["ms"] * 1e6 for s in result["stages"]}
    arithmetic = sum(f / roof[product if name == "linear" else "f32_per_second"] for name, f in flop.items())
    least = max(arithmetic, result["memory"]["weights"] / roof["bytes_per_second"])
    return {"model": result["model"], "precision": precision, "x": result["x"], "seconds": taken, "flop": sum(flop.values()),
            "weights": result["memory"]["weights"], "share": least / taken, "stages": result["stages"]}


def measure_evaluations(card, roof):
    rows = card.report["evaluations"]
    with tempfile.TemporaryDirectory(prefix="dim-card-") as folder:
        models = {"textures": os.path.join(ROOT, "install", "models", "textures")}
        if not card.quick:
            subprocess.run([card.at("tests", "bench", "make-random-model"), folder, json.dumps(HUGE), "16"], check=True)
            models["DiM-Huge, 5 blocks"] = folder
        for name, model in models.items():
            for precision in ["f32"] if card.quick else ["f32", "bf16", "f16"]:
                step = f"dim bench {name} {precision}"
                if card.is_late(step):
                    continue
                status, output, last, seconds = card.run(
                    [card.at("engine", "dim"), "bench", "--device", "cuda", "--model", model, "--precision", precision, "--json",
                     "--repeat", "1" if card.quick else "20"])
                if status == 0:
                    rows.append(evaluation_row(json.loads(output), precision, roof))
                text = f"{1e3 * rows[-1]['seconds']:.2f} ms, {100 * rows[-1]['share']:.0f} % of the roofline" if status == 0 else last
                card.note(step, status == 0, text, seconds)


# ---- the file -------------------------------------------------------------------------------------


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def describe(report):
    roof, steps = report["roof"], report["steps"]
    bad = [s for s in steps if s["result"] != "passed"]
    lines = [f"# {roof['device']}", "", f"{report['date']}, {report['commit']}; written by `tests/gpu/card.py`. {report['driver']}", "",
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


def first_line(command):
    """'': it cannot be had."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()


def commit():
    try:
        with open(os.path.join(ROOT, "commit"), encoding="utf-8") as file:  # of pack.py
            return file.read().strip()
    except FileNotFoundError:
        return first_line(["git", "-C", ROOT, "describe", "--always", "--dirty"]) or "no commit"


def driver():
    """What speed depends on, too; for people."""
    query = "driver_version,clocks.sm,clocks.max.sm,power.limit,temperature.gpu"
    line = first_line(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"])
    return f"nvidia-smi's {query}: {line}." if line else ""


def parse():
    parser = argparse.ArgumentParser(description="Test and measure the CUDA back end on this machine's card.")
    parser.add_argument("build")
    parser.add_argument("--output")
    parser.add_argument("--module")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    return parser.parse_args()


def main():
    card = Card(parse())
    operations = find_operations(card)
    if card.prepare:
        prepare(card, operations)
        return 0
    status, output, last, _ = card.run([card.at("tests", "gpu", "roof"), "cuda", *(["65536", "64"] if card.quick else [])])
    if status != 0:
        print(f"no card was measured: {last}")
        return 77 if status == 77 else 1
    roof = json.loads(output)
    card.report |= {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit(), "driver": driver(), "roof": roof}
    name = re.sub(r"[^a-z0-9]+", "-", roof["device"].split(",")[0].lower().removeprefix("cuda: ")).strip("-")
    card.path = card.path or f"card-{name}.md"
    card.stage(run_tests, operations)
    card.stage(run_golden)
    card.stage(measure_evaluations, roof)
    card.stage(measure_operations, operations, roof)
    card.stage(run_sanitizer)
    results = [step["result"] for step in card.report["steps"]]
    print(f"{card.path} is written; of {len(results)} steps {results.count('FAILED')} failed, {results.count('skipped')} were skipped")
    return 1 if "FAILED" in results else 0


if __name__ == "__main__":
    sys.exit(main())
