#!/usr/bin/env python3
"""dim train and dim codec as programs: a killed training goes on to the same bytes, and what is asked for wrongly is refused.

    train.py DIM
"""
import json
import os
import random
import resource
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
TINY = ["--size", "32", "--width", "24", "--depth", "3", "--states", "4", "--warmup", "2", "--sheet-every", "0"]
STEPS = 12
ENDLESS = ["--batch", "16", "--rate-floor", "1"]  # its first steps do not depend on how many there will be


def header(data):
    return json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])


def rows(data, name):
    """A matrix of a safetensors file."""
    entry = header(data)[name]
    begin, end = (8 + struct.unpack("<Q", data[:8])[0] + offset for offset in entry["data_offsets"])
    values = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    d = entry["shape"][1]
    return [values[i:i + d] for i in range(0, len(values), d)]


class Train(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.data = os.path.join(cls.shared.name, "data")
        train_pictures.make(cls.data)

    @classmethod
    def tearDownClass(cls):
        cls.shared.cleanup()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, *names):
        return os.path.join(self.folder.name, *names)

    def read(self, *names):
        with open(self.path(*names), "rb") as f:
            return f.read()

    def dim(self, *arguments, status=0, **more):
        done = subprocess.run([DIM, *map(str, arguments)], cwd=self.folder.name, capture_output=True, text=True,
                              timeout=250, **more)
        self.assertEqual(done.returncode, status, done.stderr)
        if status:
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done

    def begin(self, run, *arguments, **more):
        return self.dim("train", "--data", self.data, "--output", run, *TINY, "--batch", 4, "--steps", STEPS, *arguments,
                        **more)

    def losses(self, run):
        """All of loss.csv but its seconds."""
        with open(self.path(run, "loss.csv")) as f:
            return [[field for i, field in enumerate(line.strip().split(",")) if i != 2] for line in f]

    def results(self, run):
        return [self.read(run, "checkpoint.safetensors"), self.read(run, "model", "dim.safetensors"),
                self.read(run, "model", "codec.safetensors"), self.losses(run)]

    def start(self, run, *arguments):
        """A training that ends only when it is made to; at one rate, so that its steps are those of a shorter one."""
        return subprocess.Popen([DIM, "train", "--data", self.data, "--output", run, *TINY, *ENDLESS, "--steps",
                                 "100000", *arguments], cwd=self.folder.name,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, run):
        """Three steps more than `run` has told of, by it and by a training that nobody disturbs: the same bytes. Returns how
        many steps were told of, and what was said."""
        told = len(self.losses(run)) - 1
        said = self.dim("train", "--output", run, "--steps", told + 3).stdout
        self.dim("train", "--data", self.data, "--output", "whole", *TINY, *ENDLESS, "--steps", told + 3)
        self.assertEqual(self.results(run), self.results("whole"))
        shutil.rmtree(self.path("whole"))
        shutil.rmtree(self.path(run))
        return told, said

    def wait_for_rows(self, run, count, process):
        file = self.path(run, "loss.csv")
        while not (os.path.exists(file) and len(self.losses(run)) > count):
            if process.poll() is not None:
                self.fail(process.communicate())
            time.sleep(0.002)

    # ---- what comes of it

    def test_run(self):
        """A whole training: every file, the model's description, what the terminal is told."""
        done = self.begin("run", "--name", "Noise", "--license", "CC0", "--source", "dice", "--store", "bf16")
        for words in ("9 pictures of 3 classes", "0 of 12 steps of 4 samples", "step 12 of 12, 48 samples", "run/model"):
            self.assertIn(words, done.stdout)
        self.assertEqual(done.stderr, "")
        self.assertEqual(sorted(os.listdir(self.path("run"))),
                         ["checkpoint.safetensors", "loss.csv", "loss.png", "model", "sheet.png", "train.json"])
        model = json.loads(self.read("run", "model", "model.json"))
        self.assertEqual([model[k] for k in ("name", "license", "source", "classes", "unconditional_class", "native_size")],
                         ["Noise", "CC0", "dice", ["moss", "red sand", "sky"], 3, 32])
        self.assertEqual(model["defaults"], {"sampler": "dpm-solver++-2m", "steps": 20, "guidance": 2.0})
        self.dim("info", "run/model", "--check")
        self.dim("sample", "--model", "run/model", "--class", "red sand", "--steps", 2, "-o", "a.png")
        self.assertEqual({t["dtype"] for t in header(self.read("run", "model", "dim.safetensors")).values()}, {"BF16"})
        rows = self.losses("run")
        self.assertEqual(rows[0], ["step", "samples", "loss", "test_loss", "rate", "gradient_norm"])
        self.assertEqual([row[:2] for row in rows[1:]], [[str(i), str(4 * i)] for i in range(1, STEPS + 1)])
        self.assertTrue(0.1 < float(rows[-1][3]) < 10)  # the test loss, at the last step in any case
        width, height = struct.unpack(">II", self.read("run", "sheet.png")[16:24])
        self.assertEqual((width, height), (4 + 6 * 36, 4 + 3 * 52))

    def test_quiet_and_threads(self):
        self.begin("one", "--threads", 1)
        done = self.begin("two", "--threads", 2, "--quiet")
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        self.assertEqual(self.results("one"), self.results("two"))
        self.begin("three", "--seed", 1)
        self.assertNotEqual(self.results("one")[0], self.results("three")[0])

    def test_muon(self):
        """The same bytes with any number of threads and after a stop, and other ones than AdamW's."""
        muon = ["--optimizer", "muon"]
        self.begin("one", *muon, "--threads", 1)
        self.begin("two", *muon, "--threads", 2)
        self.assertEqual(self.results("one"), self.results("two"))
        self.begin("adamw")
        self.assertNotEqual(self.results("one")[0], self.results("adamw")[0])
        self.begin("parts", *muon, "--rate-floor", 1, "--steps", 5)
        self.dim("train", "--output", "parts", "--steps", STEPS)
        self.begin("whole", *muon, "--rate-floor", 1)
        self.assertEqual(self.results("parts")[:2], self.results("whole")[:2])

    def test_learns(self):
        """The loss of a training that is long enough to tell falls."""
        self.begin("run", "--steps", 300, "--rate", 0.005)
        losses = [float(row[2]) for row in self.losses("run")[1:]]
        self.assertLess(sum(losses[-50:]), 0.8 * sum(losses[:50]))

    # ---- other families, other products

    def test_families(self):
        """Each family: its paper's settings, any number of threads, killed and gone on with, sampled, gone on from."""
        for family, own, keys in (("dit", ["--heads", 2], {"num_heads": 2, "input_size": 4, "learn_sigma": True}),
                                  ("diffussm", ["--states", 4], {"d_state": 4, "hourglass_ratio": 2, "patch_size": 1})):
            command = ["train", "--data", self.data, "--output", "run", "--family", family, "--size", 32, "--width", 24,
                       "--depth", 2, *own, "--batch", 64, "--steps", 8, "--sheet-every", 0]
            with self.subTest(family):
                self.dim(*command, "--threads", 1)
                expected = self.results("run")
                model = json.loads(self.read("run", "model", "model.json"))
                self.assertEqual((model["backbone"]["family"], model["prediction"]), (family, "epsilon"))
                self.assertEqual(keys.items() & model["backbone"]["config"].items(), keys.items())
                settings = json.loads(self.read("run", "train.json"))["settings"]
                self.assertEqual([settings[k] for k in ("rate", "rate-floor", "decay", "clip", "average", "betas")],
                                 [1e-4, 1, 0, 0, 0.9999, [0.9, 0.999]])
                self.dim("info", "run/model", "--check")
                self.dim("sample", "--model", "run/model", "--class", "sky", "--steps", 2, "--sampler", "ddpm", "-o", "a.png")
                self.dim("train", "--output", "next", "--data", self.data, "--from", "run/model", "--size", 64, "--batch", 2,
                         "--steps", 1, "--sheet-every", 0)
                self.assertIn("--family dim", self.dim("train", "--output", "no", "--data", self.data, "--from", "run/model",
                                                       "--family", "dim", status=1).stderr)
                self.assertIn("--pads", self.dim("train", "--output", "run", "--pads", "none", status=1).stderr)
                shutil.rmtree(self.path("run"))
                shutil.rmtree(self.path("next"))
                with subprocess.Popen([DIM, *map(str, command), "--threads", "2", "--checkpoint-every", "0"],
                                      cwd=self.folder.name, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                    self.wait_for_rows("run", 3, process)
                    process.kill()
                self.dim("train", "--output", "run")
                self.assertEqual(self.results("run"), expected)
                shutil.rmtree(self.path("run"))

    def test_family_learns(self):
        for family in ("dit", "diffussm"):
            with self.subTest(family):
                self.dim("train", "--data", self.data, "--output", family, "--family", family, "--size", 32, "--width", 24,
                         "--depth", 2, "--batch", 4, "--steps", 300, "--rate", 0.005, "--prediction", "v", "--sheet-every", 0)
                losses = [float(row[2]) for row in self.losses(family)[1:]]
                self.assertLess(sum(losses[-50:]), 0.8 * sum(losses[:50]))

    def test_precision(self):
        """Rounded products are another training, which goes on as such."""
        self.begin("exact")
        self.begin("rounded", "--precision", "bf16")
        self.assertNotEqual(self.results("exact")[0], self.results("rounded")[0])
        a, b = [[float(row[2]) for row in self.losses(run)[1:]] for run in ("exact", "rounded")]
        self.assertTrue(all(abs(x - y) < 0.02 * x for x, y in zip(a, b)))
        self.assertIn("--precision f32", self.dim("train", "--output", "rounded", "--precision", "f32", status=1).stderr)
        self.begin("broken", "--precision", "bf16", "--sheet-every", 0.000001, "--stop-after", 0.0001)
        self.dim("train", "--output", "broken")
        self.assertEqual(self.results("broken"), self.results("rounded"))

    def test_before_families(self):
        """A training that was begun before there were families goes on."""
        self.begin("run")
        settings = json.loads(self.read("run", "train.json"))
        for name in ("family", "precision"):
            del settings["settings"][name]
        with open(self.path("run", "train.json"), "w") as f:
            json.dump(settings, f)
        self.assertIn("12 of 12 steps", self.dim("train", "--output", "run", "--family", "dim").stdout)

    # ---- going on

    def test_killed(self):
        """kill -9, with a checkpoint after each step or none at all: the same bytes as without."""
        for minutes in ("0", "60"):
            with self.start("broken", "--checkpoint-every", minutes) as process:
                self.wait_for_rows("broken", 5, process)
                process.kill()
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.assertEqual(os.path.exists(self.path("broken", "checkpoint.safetensors")), minutes == "0")
            said = self.finish("broken")[1]
            self.assertEqual(" 0 of " in said, minutes == "60", said)

    def test_interrupted(self):
        """A signal ends it after a step, with a checkpoint, exit status 0 and a word on how to go on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.start("broken") as process:
                self.wait_for_rows("broken", 3, process)
                process.send_signal(number)
                said, errors = process.communicate(timeout=250)
            self.assertEqual((process.returncode, errors), (0, ""))
            self.assertIn("`dim train --output broken` goes on", said)
            self.dim("info", "broken/model", "--check")
            told, said = self.finish("broken")
            self.assertIn(f"{told} of {told + 3} steps", said)

    def test_stop_after(self):
        done = self.begin("run", "--steps", 100000, "--stop-after", 0.01)
        self.assertIn("goes on", done.stdout)
        self.assertLess(len(self.losses("run")), 20000)

    def test_sheets(self):
        """Drawing sheets on the way, even one that a signal breaks off, changes nothing."""
        with self.start("run", "--sheet-every", "0.000001") as process:
            while not os.path.exists(self.path("run", "sheet.png")) and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            self.assertEqual((process.communicate(timeout=250)[1], process.returncode), ("", 0))
        self.finish("run")

    def test_over(self):
        """A training that is over stays as it is; more steps go on, and are recorded; fewer than are done are refused."""
        self.begin("run", "--micro-batch", 2)
        before = self.results("run")
        self.assertIn("12 of 12 steps", self.dim("train", "--output", "run").stdout)
        self.assertEqual(self.results("run"), before)
        self.dim("train", "--output", "run", "--store", "bf16")
        self.assertEqual({t["dtype"] for t in header(self.read("run", "model", "dim.safetensors")).values()}, {"BF16"})
        self.dim("train", "--output", "run", "--store", "f32")
        self.assertEqual(self.results("run"), before)
        self.assertIn("--steps 11", self.dim("train", "--output", "run", "--steps", 11, status=1).stderr)
        self.assertEqual(self.results("run"), before)
        self.dim("train", "--output", "run", "--samples", 57)
        self.assertEqual(len(self.losses("run")), 16)
        settings = json.loads(self.read("run", "train.json"))
        self.assertEqual((settings["settings"]["steps"], settings["extended"]), (15, [{"at": 12, "steps": 12}]))

    def test_other_settings(self):
        """What would change the result is refused by name; what is the same, or only for people, is not."""
        self.begin("run")
        before = self.results("run"), self.read("run", "train.json")
        for option, value in (("--batch", 8), ("--rate", 0.01), ("--betas", "0.9,0.95"), ("--seed", 1), ("--size", 64),
                              ("--width", 32), ("--pads", "none"), ("--final-conv", "yes"), ("--prediction", "epsilon"),
                              ("--times", "logit-normal"), ("--from", "run/model"), ("--autoencoder", "run/model")):
            with self.subTest(option):
                message = self.dim("train", "--output", "run", option, value, "--name", "Other", status=1).stderr
                self.assertIn(f"{option} ", message)
                self.assertEqual((self.results("run"), self.read("run", "train.json")), before)
        self.dim("train", "--output", "run", *TINY, "--batch", 4, "--rate", "1e-3", "--betas", "0.90,.99", "--data", self.data,
                 "--name", "Other")
        self.assertEqual(self.results("run"), before[0])
        self.assertEqual(json.loads(self.read("run", "model", "model.json"))["name"], "Other")

    def test_other_pictures(self):
        shutil.copytree(self.data, self.path("data"))
        self.begin("run", "--data", "data")
        before = self.results("run")
        os.rename(self.path("data"), self.path("moved"))
        self.assertIn("/data", self.dim("train", "--output", "run", "--steps", 14, status=1).stderr)
        os.remove(self.path("moved", "train", "sky", "0.png"))
        self.assertIn("moved", self.dim("train", "--output", "run", "--steps", 14, "--data", "moved", status=1).stderr)
        self.assertEqual(self.results("run"), before)
        shutil.copy(os.path.join(self.data, "train", "sky", "0.png"), self.path("moved", "train", "sky"))
        self.dim("train", "--output", "run", "--steps", 14, "--data", "moved")
        self.assertEqual(len(self.losses("run")), 15)

    def test_no_room(self):
        """A checkpoint that finds no room: one line, and the earlier one is whole."""
        self.begin("run")
        before = self.read("run", "checkpoint.safetensors"), self.read("run", "model", "dim.safetensors")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        message = self.dim("train", "--output", "run", "--steps", 14, status=1, preexec_fn=limit).stderr
        self.assertIn("run/checkpoint.safetensors", message)
        self.assertEqual((self.read("run", "checkpoint.safetensors"), self.read("run", "model", "dim.safetensors")), before)
        self.assertIn("12 of 14 steps", self.dim("train", "--output", "run").stdout)
        self.assertIn("new", self.begin("new", status=1, preexec_fn=limit).stderr)

    # ---- crops

    def codec_of(self, run, *arguments):
        """Mean [3, 8, 8] and basis vectors, each [3, 8, 8], of the autoencoder that a training fits to its crops."""
        self.dim("train", "--data", "pictures", "--output", run, *TINY, "--batch", 2, "--steps", 1, *arguments)
        data = self.read(run, "model", "codec.safetensors")
        tensors, start = header(data), 8 + struct.unpack("<Q", data[:8])[0]

        def numbers(name):
            a, b = tensors[name]["data_offsets"]
            return struct.unpack(f"<{(b - a) // 4}f", data[start + a:start + b])
        mean, basis = numbers("mean"), numbers("basis")
        count = len(basis) // len(mean)
        return mean, [basis[i::count] for i in range(count)]

    def test_stripes_are_turned(self):
        """What is fitted to upright stripes varies across them only, and along them only where all are turned."""
        dice = random.Random(1)
        os.makedirs(self.path("pictures", "stripes"))
        for i in range(3):
            row = [[dice.randrange(256) for _ in range(3)] for _ in range(48)]
            train_pictures.write_png(self.path("pictures", "stripes", f"{i}.png"), 48, lambda x, y: row[x])

        def varies(vector, step):
            return max(abs(a - vector[j + step]) for j, a in enumerate(vector) if j // step % 8 < 7) > 1e-3
        for turns, across in ((0, 1), (1, 8)):
            _, vectors = self.codec_of(f"turns-{turns}", "--turns", turns)
            self.assertTrue(any(varies(v, across) for v in vectors))
            self.assertFalse(any(varies(v, 9 - across) for v in vectors))

    def test_colours_and_scales_of_crops(self):
        os.makedirs(self.path("pictures", "dots"))
        train_pictures.write_png(self.path("pictures", "dots", "0.png"), 64,
                                 lambda x, y: [255, 0, 0] if (x + y) % 2 else [127, 0, 0])
        mean, _ = self.codec_of("plain", "--scales", 2, "--recolour", "0,0,0", "--flips", "1,0")
        self.assertAlmostEqual(sum(mean[:64]) / 64, (127 + 255) / 255 - 1, delta=1e-4)
        self.assertEqual([round(value, 5) for value in mean[64:]], [-1] * 128)
        self.assertGreater(max(mean[:64]) - min(mean[:64]), 1e-4)
        smooth, _ = self.codec_of("small", "--scales", 1, "--recolour", "0,0,0")  # two pixels, averaged
        self.assertAlmostEqual(max(smooth[:64]), min(smooth[:64]), delta=1e-6)
        brighter, _ = self.codec_of("bright", "--scales", 2, "--recolour", "0,0,1")
        self.assertGreater(brighter[64], -0.9)

    # ---- beginning

    def test_usage(self):
        for arguments in (["--batch", "0"], ["--batch", "x"], ["--rate", "-1"], ["--rate", "nan"], ["--betas", "0.9"],
                          ["--betas", "0.9,1"], ["--times", "gauss"], ["--times", "logit-normal:1"], ["--pads", "left"],
                          ["--final-conv", "maybe"], ["--label-drop", "1"], ["--steps", "0"], ["--seed", "-1"],
                          ["--stop-after", "0"], ["--samples", "100"], ["--model", "x"], ["--precision", "f16"],
                          ["--from", "nowhere"], ["--colour"], ["word"], ["--size", "8"],
                          ["--family", "vit"], ["--variances", "some"], ["--optimizer", "sgd"], ["--scales", "0.5"], ["--scales", "1,x"],
                          ["--scales", ",".join("123456789")], ["--flips", "0.5"], ["--turns", "2"], ["--recolour", "0,0"]):
            with self.subTest(arguments):
                self.begin("run", *arguments, status=2)
        self.dim("train", "--data", self.data, status=2)
        self.assertEqual(os.listdir(self.folder.name), [])

    def test_nothing_left(self):
        """A training that cannot begin leaves nothing."""
        for word, arguments in (("depth", ["--depth", 4]), ("--size", ["--size", 40]), ("nowhere", ["--data", "nowhere"]),
                                ("micro", ["--micro-batch", 3]), ("cannot be made", ["--output", "a/b"]),
                                ("none.json", ["--config", "none.json"])):
            with self.subTest(word):
                self.assertIn(word, self.begin("run", *arguments, status=1).stderr)
                self.assertEqual(os.listdir(self.folder.name), [])
        os.mkdir(self.path("run"))
        self.begin("run", "--depth", 4, status=1)
        self.assertEqual(os.listdir(self.folder.name), ["run"])
        self.assertEqual(os.listdir(self.path("run")), [])
        self.assertIn("--data", self.dim("train", "--output", "run", status=1).stderr)

    def test_not_ours(self):
        """Folders with other things in them, files, and spoilt settings."""
        os.mkdir(self.path("run"))
        with open(self.path("run", "letter.txt"), "w") as f:
            f.write("dear")
        self.assertIn("train.json", self.begin("run", status=1).stderr)
        self.assertEqual(os.listdir(self.path("run")), ["letter.txt"])
        self.assertIn("is a file", self.begin("run/letter.txt", status=1).stderr)
        self.begin("good")
        good = json.loads(self.read("good", "train.json"))
        for change in ({"format": "other"}, {"version": 2}, {"settings": {**good["settings"], "batch": "4"}},
                       {"settings": {**good["settings"], "rate": -1}}, {"settings": []}, {"backbone": None},
                       {"settings": {k: v for k, v in good["settings"].items() if k != "steps"}}):
            with self.subTest(change):
                with open(self.path("good", "train.json"), "w") as f:
                    json.dump({**good, **change}, f)
                self.assertIn("train.json", self.dim("train", "--output", "good", status=1).stderr)
        with open(self.path("good", "train.json"), "w") as f:
            f.write("{")
        self.assertIn("train.json", self.dim("train", "--output", "good", status=1).stderr)

    def test_one_at_a_time(self):
        with self.start("run", "--steps", "100000") as process:
            self.wait_for_rows("run", 1, process)
            self.assertIn("at work", self.dim("train", "--output", "run", status=1).stderr)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=250)
            self.assertEqual(process.returncode, 0)

    def test_config(self):
        with open(self.path("config.json"), "w") as f:
            json.dump({"hidden_size": 24, "depth": 3, "d_state": 4, "pad_schedule": "none", "dt_rank": 3}, f)
        command = ["train", "--data", self.data, "--output", "run", "--size", 32, "--steps", 2, "--batch", 4]
        self.assertIn("--width", self.dim(*command, "--config", "config.json", "--width", 24, status=1).stderr)
        self.dim(*command, "--config", "config.json")
        config = json.loads(self.read("run", "model", "model.json"))["backbone"]["config"]
        self.assertEqual((config["dt_rank"], config["in_channels"], config["num_classes"]), (3, 16, 3))
        self.dim("train", "--output", "run", "--config", "config.json", "--depth", 3, "--patch", 2)
        self.assertIn("--pads", self.dim("train", "--output", "run", "--pads", "lateral", status=1).stderr)

    def test_from(self):
        """Weak to strong: the weights, texts, prediction and autoencoder of one model, at another size."""
        self.begin("weak", "--prediction", "epsilon", "--schedule", "scaled_linear", "--license", "CC0")
        more = ["train", "--data", self.data, "--output", "strong", "--from", "weak/model", "--size", 64, "--steps", 2,
                "--batch", 2, "--rate", "1e-9"]
        self.assertIn("--width", self.dim(*more, "--width", 24, status=1).stderr)
        self.dim(*more)
        model = json.loads(self.read("strong", "model", "model.json"))
        self.assertEqual([model[k] for k in ("prediction", "license", "native_size")], ["epsilon", "CC0", 64])
        self.assertEqual(model["noise_schedule"]["type"], "scaled_linear")
        self.assertEqual(self.read("strong", "model", "codec.safetensors"), self.read("weak", "model", "codec.safetensors"))
        weak, strong = [header(self.read(run, "model", "dim.safetensors")) for run in ("weak", "strong")]
        self.assertEqual(set(weak), set(strong))
        self.assertEqual((weak["additional_embed"]["shape"], strong["additional_embed"]["shape"]), ([1, 6, 24], [1, 18, 24]))
        self.dim("info", "strong/model", "--check")
        shutil.rmtree(self.path("weak"))
        self.dim("train", "--output", "strong", "--steps", 3)

    def test_from_other_classes(self):
        """Labels go by name: a class that is gone takes its row along, one that is new starts as the mean of the old ones."""
        self.begin("old")
        shutil.copytree(self.data, self.path("data"))
        for split in ("train", "test"):
            shutil.rmtree(self.path("data", split, "moss"))
            os.rename(self.path("data", split, "sky"), self.path("data", split, "aspic"))
        done = self.dim("train", "--data", "data", "--output", "new", "--from", "old/model", "--size", 32, "--steps", 1, "--batch", 2,
                        "--rate", "1e-12", "--decay", 0)
        self.assertRegex(done.stdout, r"1 of the 3 classes of \S*old/model, and 1 new\n")
        model = json.loads(self.read("new", "model", "model.json"))
        self.assertEqual((model["classes"], model["unconditional_class"]), (["red sand", "aspic"], 2))
        self.assertEqual(model["backbone"]["config"]["num_classes"], 2)
        old, new = [rows(self.read(run, "model", "dim.safetensors"), "label_emb.weight") for run in ("old", "new")]
        self.assertEqual((len(old), len(new)), (4, 3))
        for row, wanted in zip(new, (old[1], [sum(column) / 3 for column in zip(*old[:3])], old[3])):
            for value, expected in zip(row, wanted):
                self.assertAlmostEqual(value, expected, delta=1e-6)
        self.dim("info", "new/model", "--check")
        self.dim("train", "--output", "new", "--steps", 2)

    # ---- dim codec

    def test_codec(self):
        said = [self.dim("codec", "--data", self.data, "--output", name, "--size", 32, "--crops", 20, "--channels", 5,
                         "--block", 4).stdout for name in ("a", "b")]
        self.assertRegex(said[0], r"^5 channels of 4 x 4 pixels; \d+\.\d\d dB on test crops\n$")
        self.assertEqual(self.read("a", "codec.safetensors"), self.read("b", "codec.safetensors"))
        self.dim("info", "a", "--check")
        self.begin("run", "--autoencoder", "a")
        config = json.loads(self.read("run", "model", "model.json"))["backbone"]["config"]
        self.assertEqual(config["in_channels"], 5)
        self.assertEqual(self.read("run", "model", "codec.safetensors"), self.read("a", "codec.safetensors"))
        self.dim("codec", "--data", self.data, "--output", "a", "--size", 32, "--crops", 20)
        for status, word, arguments in ((1, "channels", ["--channels", 193]), (1, "block", ["--block", 17]),
                                        (1, "multiple", ["--size", 36]), (1, "crops", ["--crops", 0]),
                                        (1, "nowhere", ["--data", "nowhere"]), (2, "--size", ["--size", 4]),
                                        (1, "other files", ["--output", "run"])):
            with self.subTest(word):
                message = self.dim("codec", "--data", self.data, "--output", "c", "--size", 32, *arguments, status=status)
                self.assertIn(word, message.stderr)
                self.assertFalse(os.path.exists(self.path("c")))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
