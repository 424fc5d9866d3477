# The procedures and gimp-dim-batch without a window, the same checks under GIMP 2.10 and 3.0.
#   batch.py HOST PLUG_IN MODELS MODEL DIM GIMP_DIM_BATCH      MODEL: the default one, in the folder MODELS
# SPDX-License-Identifier: LGPL-3.0-or-later
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from host import Checks, Host, run

import gi
import numpy as np

gi.require_version("GdkPixbuf", "2.0")
from gi.repository import GdkPixbuf

HERE = Path(__file__).resolve().parent
PRECISIONS = [100, 150, 200, 250, 300, 350, 500, 550, 600, 650]  # 8, 16, 32 bits, half, float; linear and not
KILL_STEPS = 997  # no other call has so many: how the right plug-in to kill is known
GREY = np.array([0.22248840, 0.71690369, 0.06060791])  # luminance of linear sRGB as GIMP and babl have it


def read_png(file):
    """[H, W, channels], 8 bits; grey as RGB."""
    pixbuf = GdkPixbuf.Pixbuf.new_from_file(str(file))
    rows = np.frombuffer(pixbuf.get_pixels() + b"\0" * 16, np.uint8)  # the last row is not padded
    height, width, n, stride = pixbuf.get_height(), pixbuf.get_width(), pixbuf.get_n_channels(), pixbuf.get_rowstride()
    return np.array([rows[y * stride : y * stride + width * n] for y in range(height)]).reshape(height, width, n).astype(int)


def to_linear(v):
    v = v / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def to_srgb(v):
    return 255.0 * np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 1e-9) ** (1 / 2.4) - 0.055)


def kill_when_seen(host, progress, killed, stop):
    """Sends SIGKILL to the plug-in once it is in the middle of the run that has KILL_STEPS steps."""
    while not stop.is_set():
        if progress.exists() and f"Step 2 of {KILL_STEPS}" in progress.read_text(errors="replace"):
            for pid in host.plug_in_pids():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            return
        time.sleep(0.05)


def run_calls(host, classes, native, check):
    """Runs calls.scm in one GIMP and reports its lines; answers the folder of its pictures and GIMP's stderr."""
    work = host.folder / "work"
    work.mkdir()
    class_a, class_b = classes[0], classes[-1]
    script = work / "all.scm"
    script.write_text(
        f'(define host {host.number})\n(define class-a "{class_a}")\n(define class-b "{class_b}")\n'
        f'(define wrong-class "{class_b}x")\n(define native {native})\n(define work "{work}")\n'
        f"(define kill-steps {KILL_STEPS})\n(define precisions '({' '.join(map(str, PRECISIONS))}))\n"
        f'(load "{HERE}/prelude-{host.number}.scm")\n(load "{HERE}/checks.scm")\n(load "{HERE}/calls.scm")\n')
    host.last_values(class_b, 48, 40, 77)
    progress, killed, stop = work / "progress", [], threading.Event()
    killer = threading.Thread(target=kill_when_seen, args=(host, progress, killed, stop))
    killer.start()
    done = run(host.batch_command(script), env=dict(host.env, GIMP_DIM_PROGRESS=str(progress), DISPLAY=""),
               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=540)
    stop.set()
    killer.join()
    *lines, last = (work / "report").read_text().splitlines() or [""]
    for line in lines:
        check(line.split(" ", 1)[1], line.startswith("ok "))
    check("the script came to its end", last == "end", done.stdout + done.stderr)
    check("a plug-in was killed in its second step", len(killed) == 1, str(killed))
    return work, done.stderr


def check_messages(stderr, class_b, check):
    for words in ([class_b + "x", class_b], ["nowhere-model"], ["nosampler"], ["noupsample"], ["nopreset"],
                  ["nooption"], ["33x32", "multiples"], ["16"], ["262144"], ["seed", "5.5"], ["display"]):
        check(f"an error names {', '.join(words)}",
              any(all(word in line for word in words) for line in stderr.splitlines()), stderr[-3000:])
    check("one notice about the palette", stderr.count("The image is indexed") == 1)
    check("a fresh seed is reported", "gimp-dim: seed " in stderr)


def check_pictures(work, dim, host, class_b, check):
    """Each mode and precision against the picture that `dim sample` makes of the same recipe."""
    run([dim, "sample", "--class", class_b, "--size", "64x48", "--steps", "2", "--seed", "11", "-o", work / "tool.png"],
        env=host.env, check=True)
    wanted = read_png(work / "tool.png")
    grey = np.repeat(to_srgb(to_linear(wanted) @ GREY)[..., None], 3, axis=2)
    check("the picture is no plain colour", wanted.std() > 5, str(wanted.std()))
    for precision in PRECISIONS:
        # 8 bits of linear light are coarse in the dark: one step near black is 13 of 255.
        allowed = 13 if precision == 100 else 1
        for mode, expected in (("rgb", wanted), ("gray", grey)):
            worst = np.abs(read_png(work / f"{mode}-{precision}.png") - expected).max()
            check(f"pixels of {mode} {precision}", worst <= allowed, f"off by {worst}")
    indexed = read_png(work / "indexed.png").reshape(-1, 3)
    palette = np.unique(indexed, axis=0)
    distance = np.linalg.norm(wanted.reshape(-1, 1, 3) - palette[None], axis=2)
    chosen = np.linalg.norm(wanted.reshape(-1, 3) - indexed, axis=1)
    check("indexed: 2 to 16 colours", 2 <= len(palette) <= 16, str(len(palette)))
    check("indexed: the nearest colours", (chosen <= distance.min(axis=1) + 8).mean() > 0.98,
          str((chosen - distance.min(axis=1)).max()))
    check("the recipe makes the same pixels", np.array_equal(read_png(work / "first.png"), read_png(work / "second.png")))


def check_recipe(work, class_b, check):
    recipe = json.loads((work / "recipe.json").read_text())
    for key, value in dict(width=80, height=64, steps=3, guidance=1.5, sampler="dpm-solver++-fast", upsample="off").items():
        check(f"the recipe has {key}", recipe.get(key) == value, str(recipe))
    check("the recipe has the class", recipe.get("class") == class_b, str(recipe))
    check("the recipe has a seed", 0 <= recipe.get("seed", -1) < 2**53, str(recipe))
    largest = json.loads((work / "largest-seed.json").read_text())
    check("the largest seed is exact", largest.get("seed") == 2**53 - 1, str(largest))


def check_batch_tool(tool, host, class_a, check):
    """gimp-dim-batch: exit status, one line, whole output or none."""
    out, xcf = host.folder / "out put.png", host.folder / "out.xcf"

    def call(*options):
        return run([tool, "--gimp", str(host.number), *map(str, options)], env=host.env, capture_output=True, timeout=120)

    done = call("--class", class_a, "--width", 40, "--height", 24, "--steps", 1, "-o", out)
    check("batch: done is 0", done.returncode == 0, done.stderr)
    check("batch: the seed is printed", done.stdout.startswith("seed "), done.stdout)
    check("batch: size of the PNG", read_png(out).shape == (24, 40, 3))
    before = out.read_bytes()
    done = call("--class", 'no "such\\ (class', "-o", out)
    check("batch: a failure is 1, with one line", done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr)
    check("batch: the line has the class as it was given", 'no "such\\ (class' in done.stderr, done.stderr)
    check("batch: a failure leaves the earlier file", out.read_bytes() == before)
    done = call("--image", out, "--steps", 1, "--seed", 4, "-o", xcf)
    check("batch: an image with one more layer", done.returncode == 0 and xcf.read_bytes()[:8] == b"gimp xcf", done.stderr)
    check("batch: the recipe is in the XCF", b"gimp-dim-recipe" in xcf.read_bytes())
    for wrong in (["-o", out, "--width", "1 2"], ["-o", out, "--nothing", "1"], [], ["-o", "noending"], ["--seed"]):
        check(f"batch: {' '.join(map(str, wrong)) or 'nothing'} is bad usage", call(*wrong).returncode == 2)
    done = call("-o", host.folder / "none" / "x.png")
    check("batch: no such folder is 1", done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr)
    check("batch: nothing is left behind", not list(host.folder.glob(".gimp-dim*")))


def main():
    number, plug_in, models, model, dim, tool = int(sys.argv[1]), *sys.argv[2:7]
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="gimp-dim-test-") as folder:
        host = Host(number, plug_in, models, folder)
        info = json.loads(subprocess.check_output([dim, "info", "--json", Path(models) / model], env=host.env))
        classes = info["classes"]
        if number == 2:
            libraries = subprocess.check_output(["ldd", plug_in], text=True)
            check("GTK 3 and no GTK 2", "libgtk-3" in libraries and "libgtk-x11-2.0" not in libraries, libraries)
        work, stderr = run_calls(host, classes, info["native_size"], check)
        check_messages(stderr, classes[-1], check)
        check_pictures(work, dim, host, classes[-1], check)
        check_recipe(work, classes[-1], check)
        check_batch_tool(tool, host, classes[0], check)
    check.exit()


main()
