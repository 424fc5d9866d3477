# A GIMP with nothing in its profile but the plug-in under test, for batch.py and window.py.
# SPDX-License-Identifier: LGPL-3.0-or-later
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIP = 77


def skip(why):
    print(why)
    sys.exit(SKIP)


class Host:
    """GIMP 2.10 (number 2) or 3.0 (number 3), with profile, presets and models in `folder` alone."""

    def __init__(self, number, plug_in, models, folder):
        self.number, self.folder = number, Path(folder)
        version = {2: "2.10", 3: "3.0"}[number]
        self.console, self.program = f"gimp-console-{version}", f"gimp-{version}"
        if not shutil.which(self.console):
            skip(f"{self.console} is not installed")
        if not Path(plug_in).is_file():
            skip(f"the plug-in for GIMP {version} was not built")
        self.profile = self.folder / "profile"
        self.config = self.folder / "config"
        ours = self.profile / "plug-ins" / "gimp-dim"
        (ours / "locale").mkdir(parents=True)
        self.config.mkdir()
        (ours / "gimp-dim").symlink_to(Path(plug_in).resolve())
        self.plug_in = str(Path(plug_in).resolve())
        self.data = self.folder / "data"
        self.env = dict(os.environ, DIM_MODEL_PATH=str(Path(models).resolve()), XDG_CONFIG_HOME=str(self.config),
                        XDG_DATA_HOME=str(self.data),
                        LC_ALL="C.UTF-8", GSETTINGS_BACKEND="memory",
                        **{f"GIMP{number}_DIRECTORY": str(self.profile)})

    def add_tiny_model(self):
        """A model "tiny" that learns in a moment, among the user's own; answers the folder of the user's data."""
        tiny = self.data / "gimp-dim" / "models" / "tiny"
        tiny.mkdir(parents=True)
        for name in ("model.json", "model.safetensors"):
            shutil.copy(HERE.parent / "golden" / "dim" / "sample-10" / name, tiny)
        return self.data

    def last_values(self, class_name, width, height, seed):
        """Leaves last values as an earlier interactive run would have."""
        if self.number == 2:
            file = self.config / "gimp-dim" / "last-plug-in-dim-layer.json"
            text = ('{"format": "gimp-dim-recipe", "version": 1, "class": "%s", "width": %d, "height": %d, "seed": %d, '
                    '"steps": 2}' % (class_name, width, height, seed))
        else:
            file = self.profile / "plug-in-settings" / "GimpProcedureConfigRun-plug-in-dim-layer.last"
            text = f'(class "{class_name}")\n(width {width})\n(height {height})\n(seed {seed})\n(steps 2)\n'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def batch_command(self, script):
        """The command line that loads a Script-Fu file and ends."""
        if self.number == 2:
            return [self.console, "-idf", "-b", f'(load "{script}")', "-b", "(gimp-quit 0)"]
        return [self.console, "-idf", "--quit", "--batch-interpreter=plug-in-script-fu-eval", "-b", f'(load "{script}")']

    def plug_in_pids(self):
        """Processes of the plug-in that this GIMP started; another test's have the same program."""
        mine = str(self.folder).encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "exe") == self.plug_in \
                        and mine in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
        return found


class Checks:
    """Counts what held; prints each, so that a log tells the whole story."""

    def __init__(self):
        self.failed = 0

    def __call__(self, name, good, detail=""):
        print(("ok   " if good else "FAIL ") + name + ("" if good or not detail else f": {detail[-1500:]}"), flush=True)
        self.failed += not good

    def exit(self):
        print(f"{self.failed} failed")
        sys.exit(1 if self.failed else 0)


def run(command, **keywords):
    return subprocess.run(command, text=True, errors="replace", stdin=subprocess.DEVNULL, **keywords)


def make_pictures(folder, side):
    """Three pictures to train with, in a new folder."""
    folder.mkdir()
    for i in range(3):
        rows = b"".join(b"\0" + bytes(value for x in range(side) for value in ((224, 176, 64) if (x + i) // 8 % 2 else (48, 64, y)))
                        for y in range(side))
        chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        (folder / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks))
    return folder
