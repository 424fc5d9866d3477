# Training a class by the procedure, the same checks under GIMP 2.10 and 3.0.
#   train.py HOST PLUG_IN MODELS MODEL DIM ...      MODELS: a folder; the model that learns is a tiny one of the golden cases
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

from host import Checks, Host, make_pictures, run

import gi

gi.require_version("GdkPixbuf", "2.0")
from gi.repository import GdkPixbuf

HERE = Path(__file__).resolve().parent


class Killer(threading.Thread):
    """Kills the plug-in as GIMP's own cancel does, each time that the training "long" has come some steps further."""

    def __init__(self, host, training):
        super().__init__(daemon=True)
        self.host, self.training, self.steps, self.over = host, training, [], False

    def status(self):
        try:
            return json.loads((self.training / "progress.json").read_text())
        except OSError:
            return {}

    def run(self):
        while not self.over and len(self.steps) < 2:
            status = self.status()
            if status.get("state") == "training" and status.get("step", 0) > (self.steps[-1] if self.steps else 0):
                for pid in self.host.plug_in_pids():
                    os.kill(pid, signal.SIGKILL)
                while not self.over and self.status().get("state") != "stopped":
                    time.sleep(0.05)
                self.steps.append(self.status().get("step", 0))
            time.sleep(0.05)


def gone(pid):
    """The process is gone soon, or waits for somebody to be buried."""
    for _ in range(300):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def check_layers(pictures, check):
    sizes = {file.name: (p.get_width(), p.get_height())
             for file in pictures.iterdir() for p in [GdkPixbuf.Pixbuf.new_from_file(str(file))]}
    named = {name.split(" ", 1)[1]: size for name, size in sizes.items()}
    check("the layers' pictures", named == {"red.png": (48, 40), "in a-group.png": (40, 48), "cut.png": (64, 40)}, str(sizes))


def main():
    number, plug_in, models, _, dim = int(sys.argv[1]), *sys.argv[2:6]
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="gimp-dim-test-") as folder:
        host = Host(number, plug_in, models, folder)
        data = host.add_tiny_model()
        work = host.folder / "work"
        work.mkdir()
        script = work / "all.scm"
        script.write_text(
            f'(define work "{work}")\n(define data "{data}")\n'
            f'(define pictures "{make_pictures(work / "pictures", 48)}")\n(define small "{make_pictures(work / "small", 12)}")\n'
            f'(load "{HERE}/prelude-{number}.scm")\n(load "{HERE}/checks.scm")\n(load "{HERE}/train.scm")\n')
        trainings = data / "gimp-dim" / "training"
        killer = Killer(host, trainings / "tiny-long")
        killer.start()
        progress = work / "progress"
        done = run(host.batch_command(script), env=dict(host.env, GIMP_DIM_PROGRESS=str(progress), DISPLAY=""),
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=540)
        killer.over = True
        killer.join()
        *lines, last = (work / "report").read_text().splitlines() or [""]
        for line in lines:
            check(line.split(" ", 1)[1], line.startswith("ok "))
        check("the script came to its end", last == "end", done.stdout + done.stderr)
        for words in (["needs a name"], ["class 3", "already"], ["No pictures"], ["/nowhere"], ["12 x 12 pixels"], ["nomodel"],
                      ["nooption"], ["images=/tmp"], ["transparent parts"]):
            check(f"a message has {', '.join(words)}",
                  any(all(word in line for word in words) for line in done.stderr.splitlines()), done.stderr[-3000:])
        check("what was refused left nothing", sorted(p.name for p in trainings.iterdir()) == ["own", "tiny-long", "tiny-stripes"],
              str(list(trainings.iterdir())))
        check_layers(trainings / "own" / "pictures", check)
        check("progress was told", "100 %" in progress.read_text() or "step" in progress.read_text(), progress.read_text()[-500:])
        check("a cancelled training leaves a checkpoint", (trainings / "tiny-long" / "checkpoint.safetensors").is_file())
        check("the second call went on from there", len(killer.steps) == 2 and killer.steps[1] > killer.steps[0] > 0,
              str(killer.steps))
        check("no process is left", gone(killer.status()["pid"]))
        info = json.loads(subprocess.check_output([dim, "info", "--json", data / "gimp-dim" / "models" / "tiny-stripes"]))
        check("the new class", info["classes"][-1] == "stripes" and len(info["classes"]) == 11, str(info["classes"]))
    check.exit()


main()
