#!/usr/bin/env python3
"""dim train --add-class as a program: the model that was is in the new one, the other classes are kept, and mistakes are refused.

    train-class.py DIM
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import train_pictures

DIM = os.path.abspath(sys.argv[1])
TABLES = ("label_emb.weight", "adaln_single.emb.class_embedder.embedding_table.weight")
STEPS = 12


def tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    body = data[8 + size:]
    return {name: (entry["shape"], body[slice(*entry["data_offsets"])])
            for name, entry in json.loads(data[8:8 + size]).items() if name != "__metadata__"}


def floats(data):
    return struct.unpack(f"<{len(data) // 4}f", data)


class TrainClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.data = os.path.join(cls.shared.name, "data")
        cls.model = os.path.join(cls.shared.name, "run", "model")
        cls.pictures = os.path.join(cls.shared.name, "pictures")
        train_pictures.make(cls.data)
        os.mkdir(cls.pictures)
        for i in range(3):
            train_pictures.write_png(os.path.join(cls.pictures, f"{i}.png"), 40,
                                     lambda x, y: (240, 240, 20) if (x + i) // 8 % 2 else (20, 10, 60))
        subprocess.run([DIM, "train", "--data", cls.data, "--output", os.path.join(cls.shared.name, "run"), "--size", "32",
                        "--width", "24", "--depth", "3", "--states", "4", "--warmup", "2", "--batch", "8", "--steps", "150",
                        "--rate", "0.005", "--license", "CC0", "--quiet"], check=True, timeout=250)

    @classmethod
    def tearDownClass(cls):
        cls.shared.cleanup()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def dim(self, *arguments, status=0):
        done = subprocess.run([DIM, *map(str, arguments)], cwd=self.folder.name, capture_output=True, text=True, timeout=250,
                              env={**os.environ, "XDG_DATA_HOME": self.path("data home")})
        self.assertEqual(done.returncode, status, done.stderr)
        if status:
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done

    def command(self, *more, name="stripes"):
        return ["train", "--add-class", name, "--images", self.pictures, "--model", self.model, "--batch", 8, *more]

    def read(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def contents(self, folder):
        return {name: self.read(folder, name) for name in os.listdir(folder)}

    def test_whole(self):
        """Where it goes by itself, what the model says, and that it can be used."""
        before = self.contents(self.model)
        self.dim(*self.command("--steps", STEPS))
        model = self.path("data home", "gimp-dim", "models", "model-stripes")
        run = self.path("data home", "gimp-dim", "training", "model-stripes")
        with open(os.path.join(model, "model.json"), encoding="utf-8") as f:
            said = json.load(f)
        self.assertEqual(said["classes"], ["moss", "red sand", "sky", "stripes"])
        self.assertEqual((said["unconditional_class"], said["native_size"]), (4, 32))
        self.assertEqual((said["name"], said["license"]), ("run + stripes", "CC0; of \"stripes\": that of its pictures"))
        self.dim("info", model, "--check")
        self.dim("sample", "--model", "model-stripes", "--class", "stripes", "--steps", 2, "-o", "a.png")
        with open(os.path.join(run, "progress.json"), encoding="utf-8") as f:
            status = json.load(f)
        self.assertEqual((status["state"], status["class"], status["model"]), ("done", "stripes", model))
        self.assertEqual((status["step"], status["fraction"]), (status["steps"], 1))
        self.assertEqual(self.contents(self.model), before)

    def test_tables(self):
        """Rates of next to nothing show where it starts: every old tensor, and the mean of the rows as the new row."""
        self.dim(*self.command("--steps", 1, "--rate", "1e-12", "--output", "new", "--run", "run"))
        old, new = (tensors(os.path.join(folder, "dim.safetensors")) for folder in (self.model, self.path("new")))
        self.assertEqual(set(old), set(new))
        for name, (shape, values) in old.items():
            if name not in TABLES:
                self.assertEqual(new[name][0], shape)
                continue
            row = 4 * shape[1]
            self.assertEqual((shape[0], new[name][0]), (4, [5, shape[1]]))
            for a, b in zip(floats(new[name][1][:3 * row] + new[name][1][4 * row:]), floats(values)):
                self.assertAlmostEqual(a, b, delta=1e-7)
            rows = [floats(values[i * row:(i + 1) * row]) for i in range(3)]
            for a, column in zip(floats(new[name][1][3 * row:4 * row]), zip(*rows)):
                self.assertAlmostEqual(a, sum(column) / 3, delta=1e-6)
        teacher = tensors(self.path("run", "teacher", "dim.safetensors"))
        self.assertEqual(teacher, old)

    def test_scales(self):
        """Pictures are not enlarged where a scale is small enough for them; where none is, by the smallest alone. The order says nothing."""
        for scales, same in (("2,1", "1"), ("2,1.5", "1.5"), ("2,1.5", "2")):
            for folder, value in (("a", scales), ("b", same)):
                self.dim(*self.command("--steps", 2, "--output", folder, "--run", f"run {folder}", "--scales", value))
            a, b = (self.read(folder, "dim.safetensors") for folder in ("a", "b"))
            self.assertEqual(a == b, same != "2")
            for folder in ("a", "b", "run a", "run b"):
                shutil.rmtree(self.path(folder))

    def test_begun_by_another_program(self):
        """What a program that starts a training has put into RUN is no reason to refuse it; anything else is."""
        os.makedirs(self.path("run", "pictures"))
        for name in ("log", "progress.json", ".dim-a1b2c3"):
            with open(self.path("run", name), "w", encoding="utf-8") as f:
                f.write("{}")
        self.dim(*self.command("--steps", 1, "--output", "new", "--run", "run", "--images-license", "CC-BY 4.0, A. Painter"))
        with open(self.path("new", "model.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["license"], "CC0; of \"stripes\": CC-BY 4.0, A. Painter")
        self.assertEqual(self.read("new", "CREDITS.txt"), b"The class \"stripes\" from pictures of its own: CC-BY 4.0, A. Painter.\n")
        self.assertFalse(os.path.exists(self.path("run", "teacher", "CREDITS.txt")))
        os.makedirs(self.path("other"))
        with open(self.path("other", "letter"), "w", encoding="utf-8") as f:
            f.write("Dear")
        done = self.dim(*self.command("--steps", 1, "--output", "newer", "--run", "other"), status=1)
        self.assertIn("has files, but no train.json", done.stderr)
        self.assertEqual(os.listdir(self.path("other")), ["letter"])

    def moved(self, *more):
        said = self.dim(*self.command("--steps", 80, "--rate", "3e-3", *more)).stdout
        return float(said.split("others moved ")[-1].split(",")[0])

    def test_others_are_kept(self):
        """The answers on the old classes move several times less with replay, and the new class is learnt."""
        kept, lost = self.moved("--output", "a", "--run", "ra"), self.moved("--output", "b", "--run", "rb", "--replay", 0)
        self.assertLess(kept * 2, lost)
        with open(self.path("ra", "loss.csv")) as f:
            losses = [float(line.split(",")[3]) for line in f.readlines()[1:]]
        self.assertLess(sum(losses[-20:]), 0.9 * sum(losses[:20]))

    def test_resumes(self):
        """Stopped and killed in the middle, it comes to the same bytes."""
        self.dim(*self.command("--steps", STEPS, "--output", "whole", "--run", "rw"))
        for number in (signal.SIGTERM, signal.SIGKILL):
            command = self.command("--steps", STEPS, "--output", "broken", "--run", "rb", "--checkpoint-every", 0)
            with subprocess.Popen([DIM, *map(str, command)], cwd=self.folder.name, stdout=subprocess.DEVNULL) as process:
                log = self.path("rb", "loss.csv")
                while process.poll() is None and not (os.path.exists(log) and self.read("rb", "loss.csv").count(b"\n") > 3):
                    time.sleep(0.002)
                process.send_signal(number)
            self.assertFalse(os.path.exists(self.path("broken")))
            self.dim("train", "--run", "rb")
            self.assertEqual(self.read("broken", "dim.safetensors"), self.read("whole", "dim.safetensors"))
            self.assertEqual(self.read("rb", "checkpoint.safetensors"), self.read("rw", "checkpoint.safetensors"))
            shutil.rmtree(self.path("broken"))
            shutil.rmtree(self.path("rb"))

    def test_minutes(self):
        """The number of steps follows from the time, and is kept."""
        began = time.monotonic()
        self.dim(*self.command("--minutes", 0.1, "--output", "new", "--run", "run"))
        self.assertLess(time.monotonic() - began, 60)
        steps = json.loads(self.read("run", "train.json"))["settings"]["steps"]
        self.assertEqual(self.read("run", "loss.csv").count(b"\n"), steps + 1)
        self.assertGreaterEqual(steps, 20)

    def test_refused(self):
        """Names, pictures, models and folders that will not do: one line, and nothing is left."""
        small, few, none = self.path("small"), self.path("few"), self.path("none")
        for folder, side in ((small, 15), (few, 40), (none, 0)):
            os.mkdir(folder)
            if side:
                train_pictures.write_png(os.path.join(folder, "a.png"), side, lambda x, y: (x, y, 0))
        os.mkdir(self.path("there"))
        there = sorted(os.listdir(self.folder.name))
        good = ["--output", "new", "--run", "run", "--steps", 2]
        for word, arguments in (("a class of that name", self.command(*good, name="Red Sand")),
                                ("not only figures", self.command(*good, name="12")),
                                ("sides of 16", [*self.command(*good), "--images", small]),
                                ("in all", [*self.command(*good), "--images", few]),
                                ("no pictures", [*self.command(*good), "--images", none]),
                                ("is no folder", [*self.command(*good), "--images", self.path("nowhere")]),
                                ("is there already", [*self.command(*good), "--output", "there"]),
                                ("--size", [*self.command(*good), "--size", 64]),
                                ("/dev/null", [*self.command(*good), "--output", "/dev/null/new"])):
            with self.subTest(word):
                self.assertIn(word, self.dim(*arguments, status=1).stderr)
                self.assertEqual(sorted(os.listdir(self.folder.name)), there)
        for arguments in (["train", "--add-class", "a", "--output", "new"], ["train", "--images", self.pictures],
                          [*self.command(*good), "--model", "nowhere"], [*self.command(*good), "--replay", 1]):
            with self.subTest(arguments):
                self.dim(*arguments, status=2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
